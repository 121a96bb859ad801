"""What `antiphon serve` loads up to its first answer: everybody who starts it waits for each module more."""

from __future__ import annotations

import subprocess
import sys

from tests.unit.cli.test_cli import Served

PROGRAM = """
import atexit, sys
atexit.register(lambda: print(*sorted(sys.modules), file=sys.stderr))
from antiphon.cli import main
from antiphon.server import tokens
tokens.SETTLED = 600.0
sys.exit(main())
"""
"""It says at its end what it has loaded, and does not go on to load vocabularies while it is waited for."""

OURS = {
    "": "api cli engines fake hosting kernel schema server version",
    "api.": "_index _typed _typed.completions chat chat.completions chat.completions.messages",
    "cli.": "serve",
    "engines.": "default functions moderation text wrapping",
    "fake.": (
        "answers asked asserts dialects door faults faults.setting journal prices remote ruled rules said sessions"
    ),
    "hosting.": "direct embedded host pump rsgi run sever",
    "kernel.": "dialogue errors flow http lazy loops omit operation severed spool",
    "server.": (
        "app auth behaviour behaviours behaviours.chat blobs chunks clock compaction dispatch endpoint engine envelope "
        "ids intake jobs merging paging renderings renderings.chat renderings.chat_request renderings.chunks "
        "renderings.cuts renderings.logprobs renderings.responses_request renderings.sinks renderings.usage routes "
        "store tokens turns unions validation"
    ),
}
"""Our own modules. Before one is added here: can it be loaded when it is asked for?"""

OTHERS = """
colorsys decimal difflib fractions hashlib importlib.resources jsonschema_rs pkgutil PIL pydantic stringprep toktok
wave websockets yaml
"""
"""Modules of others that came with it once, or are large, and that no first answer needs."""


def test_a_first_answer_waits_for_no_module_that_it_does_not_need() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "serve", "--port", "0", "--log", "off"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        served = Served(process)
        assert served.chat()["choices"]
        code, _, told = served.end()
    finally:
        process.kill()
        process.communicate()
    assert code == 0, told
    loaded = set(told.split())
    ours = {"antiphon", *(f"antiphon.{home}{name}" for home, names in OURS.items() for name in names.split())}
    assert {name for name in loaded if name.split(".")[0] == "antiphon"} - ours == set()
    assert loaded & set(OTHERS.split()) == set()


def test_a_first_answer_in_process_needs_no_event_loop() -> None:
    program = """
import sys
from antiphon import FakeOpenAI
client = FakeOpenAI().client()
answer = client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "Hello"}])
assert answer.choices[0].message.content
print(*({"asyncio", "socket", "ssl", "toktok"} & sys.modules.keys()))
"""
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "\n"
