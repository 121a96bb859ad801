"""The harness beside its rivals: a call in process, a test more, the first answer, requests and streams under rules.

    make bench            or: python -m benchmarks.harness [--only calls,tests,start,load] [--rounds 5] [--seconds 3]

- calls: microseconds of a chat completion asked one after the other, by the official package: of a fake in process,
  of the bare mock transport of httpx2 with a constant answer, of openai-responses (in its own environment, on the last
  generation of the package, with a bare mock transport there too), of aimock and llmock on a port.
- tests: milliseconds that one test more costs pytest, each with a client of its own and one call.
- start: from starting the command to its first answer; and what the interpreter and granian need for a constant.
  Modules are compiled, as they are where pip has installed them.
- load: requests and streams a second by wrk, with journal and 100 rules, the last of which matches.

The subjects take turns, round by round; ratios are medians. aimock is fetched from the npm registry once, the others
into environments under `.cache/bench`; what cannot be had is passed over. Needs wrk for the load.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.server import CACHE, ROOT, aimock_server, ask, free_port, load, question, running

CALLS = 1000
TESTS = 60
CASES = ("calls", "tests", "start", "load")
TEXT = "Hello there, how are you today?"
ANSWER = "I am well, thank you, and hope that the same can be said of you and of all who are with you."


def environment(name: str) -> str | None:
    """The interpreter of an environment, made when it is asked for the first time."""
    wanted = ROOT / "requirements" / f"{name}.txt"
    version = hashlib.sha256(wanted.read_bytes() + sys.version.encode()).hexdigest()[:16]
    home = CACHE / f"{name}-{version}"
    python = home / "bin" / "python"
    if not (home / "ready").exists():
        print(f"making an environment for {name} …", file=sys.stderr)
        uv = [sys.executable, "-m", "uv", "--quiet"]
        install = ["pip", "sync", "--python", str(python), "--require-hashes", str(wanted)]
        for step in ([*uv, "venv", "--clear", "--python", sys.executable, str(home)], [*uv, *install]):
            done = subprocess.run(step, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{name}: passed over, since it could not be installed: {done.stderr.strip()[-300:]}")
                return None
        (home / "ready").touch()
    return str(python)


def table(title: str, unit: str, found: dict[str, list[float]], *, more: bool = False) -> None:
    """Medians, and how many times better the first is than each."""
    print(f"\n{title}\n{'':44}{unit:>14}{'the first is':>14}")
    first = next(iter(found.values()))
    for name, values in found.items():
        pairs = zip(first, values, strict=True)
        ratio = statistics.median(a / b if more else b / a for a, b in pairs)
        print(f"  {name:42}{statistics.median(values):14,.3g}{ratio:13.2f}x")


def rounds(options: argparse.Namespace, subjects: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(options.rounds):
        for name, subject in subjects.items():
            found[name].append(subject())
    return found


# Calls

CONSTANT = f"""
CONSTANT = {{"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini", "choices": [{{
    "index": 0, "message": {{"role": "assistant", "content": {ANSWER!r}, "refusal": None}}, "finish_reason": "stop",
    "logprobs": None}}], "usage": {{"prompt_tokens": 9, "completion_tokens": 24, "total_tokens": 33}}}}
"""
TIMED = f"""
import time
def ask():
    return client.chat.completions.create(model="gpt-4o-mini", messages=[{{"role": "user", "content": {TEXT!r}}}])
for _ in range(50):
    ask()
began = time.perf_counter()
for _ in range({CALLS}):
    ask()
print((time.perf_counter() - began) / {CALLS} * 1e6)
"""
OURS = f"""
from antiphon import FakeOpenAI
fake = FakeOpenAI()
for number in range(RULES):
    fake.when(text=f"Nobody says {{number}}").reply("Never")
if RULES:
    fake.when(text="how are you").reply({ANSWER!r})
"""
BY_US = OURS + "client = fake.client()\n" + TIMED
BY_THEM = (
    "import httpx2, openai\n"
    + OURS
    + "client = openai.OpenAI(api_key='k', http_client=httpx2.Client(transport=fake.official_transport()))\n"
    + TIMED
)
BARE = (
    "import httpx2 as httpx, openai, json\n"
    + CONSTANT
    + "transport = httpx.MockTransport(lambda request: httpx.Response(200, json=CONSTANT))\n"
    + "client = openai.OpenAI(api_key='k', http_client=httpx.Client(transport=transport))\n"
    + TIMED
)
OLDER_BARE = BARE.replace("httpx2 as httpx", "httpx")
RESPONSES = (
    "import openai, openai_responses, json\n"
    + CONSTANT
    + "mock = openai_responses.OpenAIMock()\nmock.chat.completions.create.response = CONSTANT\n"
    + "def main():\n    global client\n    client = openai.OpenAI(api_key='k')\n"
    + "\n".join("    " + line for line in TIMED.strip().splitlines())
    + "\nwith mock.router:\n    main()\n"
)
ON_A_PORT = "import openai\nclient = openai.OpenAI(api_key='k', base_url='http://127.0.0.1:PORT/v1')\n" + TIMED


def timed(python: str, source: str) -> float:
    done = subprocess.run([python, "-c", source], capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-800:])
    return float(done.stdout.split()[-1])


def calls(options: argparse.Namespace, stack: ExitStack) -> None:
    ours, rivals, older = sys.executable, environment("rivals"), environment("rivals-older")

    def run(python: str, source: str) -> Callable[[], float]:
        return lambda: timed(python, source)

    subjects = {
        "antiphon, the official client": run(ours, BY_THEM.replace("RULES", "0")),
        "antiphon with 100 rules": run(ours, BY_THEM.replace("RULES", "100")),
        "antiphon, its own client": run(ours, BY_US.replace("RULES", "0")),
        "antiphon, its own client, 100 rules": run(ours, BY_US.replace("RULES", "100")),
        "bare mock transport, httpx2": run(ours, BARE),
    }
    if older is not None:
        subjects["openai-responses (package 2.x)"] = run(older, RESPONSES)
        subjects["bare mock transport, httpx (package 2.x)"] = run(older, OLDER_BARE)
    aimock = aimock_server(stack, ANSWER)
    if aimock is not None:
        subjects["aimock, on a port"] = run(ours, ON_A_PORT.replace("PORT", str(aimock[0])))
    if rivals is not None:
        port, _ = llmock(stack, rivals)
        subjects["llmock, on a port"] = run(ours, ON_A_PORT.replace("PORT", str(port)))
    table("a call, one after the other", "µs", rounds(options, subjects))


def llmock(stack: ExitStack, python: str) -> tuple[int, int]:
    port = free_port()
    command = [str(Path(python).parent / "llmock"), "serve", "--port", str(port), "--log-level", "critical"]
    return port, stack.enter_context(running(command, port))


# Tests

ASKING = f"""
def ask(client):
    return client.chat.completions.create(model="gpt-4o-mini", messages=[{{"role": "user", "content": {TEXT!r}}}])
"""
SUITES = {
    "antiphon": """
def test(fake_openai, number):
    fake_openai.when(text="how are you").reply(ANSWER)
    assert ask(openai.OpenAI()).choices[0].message.content == ANSWER
""",
    "bare mock transport, httpx2": """
def test(number):
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, json=CONSTANT))
    client = openai.OpenAI(api_key="k", http_client=httpx2.Client(transport=transport))
    assert ask(client).choices[0].message.content == ANSWER
""",
    "llmock": """
def test(llmock, number):
    llmock.reply(ANSWER)
    assert ask(openai.OpenAI()).choices[0].message.content == ANSWER
""",
    "aimock, a server for all tests": """
def test(aimock_session, number):
    aimock_session.reset()
    aimock_session.on_message("how are you", {"content": ANSWER})
    client = openai.OpenAI(api_key="k", base_url=aimock_session.url + "/v1")
    assert ask(client).choices[0].message.content == ANSWER
""",
    "aimock, as its guide": """
def test(aimock, number):
    aimock.on_message("how are you", {"content": ANSWER})
    client = openai.OpenAI(api_key="k", base_url=aimock.url + "/v1")
    assert ask(client).choices[0].message.content == ANSWER
""",
    "openai-responses (package 2.x)": """
def test(openai_mock, number):
    openai_mock.chat.completions.create.response = CONSTANT
    with openai_mock.router:
        assert ask(openai.OpenAI(api_key="k")).choices[0].message.content == ANSWER
""",
    "bare mock transport, httpx (package 2.x)": """
def test(number):
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=CONSTANT))
    client = openai.OpenAI(api_key="k", http_client=httpx.Client(transport=transport))
    assert ask(client).choices[0].message.content == ANSWER
""",
}


def suite(python: str, name: str, plugin: str, folder: Path) -> Callable[[], float]:
    """Milliseconds that a test more takes."""

    def seconds(count: int) -> float:
        http = "httpx" if "2.x" in name else "httpx2"
        head = f"import {http}, openai, pytest\nANSWER = {ANSWER!r}\n{CONSTANT}{ASKING}"
        source = f"{head}\n@pytest.mark.parametrize('number', range({count}))"
        place = folder / f"test_{count}.py"
        place.write_text(source + SUITES[name])
        plugins = ["-p", "no:cacheprovider", *(["-p", plugin] if plugin else [])]
        environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        local = CACHE / "node_modules/@copilotkit/aimock/dist/cli.js"
        environ["AIMOCK_CLI_PATH"] = str(local)
        began = time.perf_counter()
        done = subprocess.run(
            [python, "-m", "pytest", "-q", *plugins, str(place)],
            cwd=folder,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{name}: {done.stdout[-1500:]}{done.stderr[-500:]}")
        return time.perf_counter() - began

    few = 10 if name == "aimock, as its guide" else TESTS
    return lambda: (seconds(few + 1) - seconds(1)) / few * 1000


def tests(options: argparse.Namespace, stack: ExitStack) -> None:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    ours, rivals, older = sys.executable, environment("rivals"), environment("rivals-older")
    told = [
        ("antiphon", ours, "antiphon.testing.plugin"),
        ("bare mock transport, httpx2", ours, ""),
        ("llmock", rivals, "llmock.pytest_plugin"),
        ("openai-responses (package 2.x)", older, "openai_responses.plugin"),
        ("bare mock transport, httpx (package 2.x)", older, ""),
    ]
    if aimock_server(stack, ANSWER) is not None:
        told += [(name, rivals, "aimock_pytest.plugin") for name in SUITES if name.startswith("aimock")]
    subjects = {name: suite(python, name, plugin, folder) for name, python, plugin in told if python is not None}
    table("a test more, with a client and a call of its own", "ms", rounds(options, subjects))


# Start


@contextmanager
def started(command: list[str], port: int) -> Iterator[float]:
    """Milliseconds from starting a command to its first answer."""
    body = question(False, TEXT)
    headers = {"Content-Type": "application/json", "Authorization": "Bearer sk-bench"}
    environ = {**os.environ, "PYTHONPYCACHEPREFIX": str(CACHE / "pycache")}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=CACHE, env=environ)
    try:
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            try:
                connection.request("POST", "/v1/chat/completions", body, headers)
                connection.getresponse().read()
                break
            except OSError:
                if process.poll() is not None:
                    raise SystemExit(f"{command} did not start") from None
                time.sleep(0.001)
            finally:
                connection.close()
        yield (time.perf_counter() - began) * 1000
    finally:
        process.terminate()
        process.wait()


def start(options: argparse.Namespace, stack: ExitStack) -> None:
    programs = Path(sys.executable).parent
    rivals = environment("rivals")
    constant = CACHE / "constant-start.json"
    constant.write_text(json.dumps({"headers": [["content-type", "application/json"]], "body": ANSWER}))

    def first(*command: str) -> Callable[[], float]:
        def measured() -> float:
            port = free_port()
            with started([part.replace("PORT", str(port)) for part in command], port) as milliseconds:
                return milliseconds

        return measured

    bare = ["--bare", "PORT", "--constant", str(constant), "--way", "read"]
    subjects = {
        "antiphon serve": first(str(programs / "antiphon"), "serve", "--port", "PORT", "--log", "off"),
        "interpreter and granian alone": first(sys.executable, str(ROOT / "benchmarks" / "server.py"), *bare),
    }
    if rivals is not None:
        subjects["llmock"] = first(str(Path(rivals).parent / "llmock"), "serve", "--port", "PORT")
    cli = CACHE / "node_modules/@copilotkit/aimock/dist/cli.js"
    if shutil.which("node") and cli.exists():
        subjects["aimock"] = first("node", str(cli), "-p", "PORT", "-f", str(fixtures()), "--log-level", "silent")
    for compiled in subjects.values():
        compiled()
    table("from the start to the first answer", "ms", rounds(options, subjects))


def fixtures(count: int = 1) -> Path:
    """A directory of aimock's fixtures, the last of which matches."""
    folder = CACHE / f"fixtures-{count}"
    folder.mkdir(parents=True, exist_ok=True)
    never = [
        {"match": {"userMessage": f"Nobody says {number}"}, "response": {"content": "Never"}}
        for number in range(count - 1)
    ]
    last = {"match": {"userMessage": "how are you"}, "response": {"content": ANSWER}}
    (folder / "all.json").write_text(json.dumps({"fixtures": [*never, last]}))
    return folder


# Load


def under_load(options: argparse.Namespace, stack: ExitStack) -> None:
    rules = [{"when": {"text": f"Nobody says {number}"}, "reply": "Never"} for number in range(99)]
    file = CACHE / "rules.json"
    file.write_text(json.dumps({"rules": [*rules, {"when": {"text": "how are you"}, "reply": ANSWER}]}))
    ports: dict[str, int] = {}
    command = [str(Path(sys.executable).parent / "antiphon"), "serve", "--log", "off", "--port"]
    for name, more in (("antiphon serve, 100 rules", ["--rules", str(file)]), ("antiphon serve, no rule", [])):
        ports[name] = port = free_port()
        stack.enter_context(running([*command, str(port), *more], port))
    cli = CACHE / "node_modules/@copilotkit/aimock/dist/cli.js"
    if shutil.which("node") and cli.exists():
        for count in (100, 1):
            ports[f"aimock, {count} fixtures"] = port = free_port()
            told = ["-p", str(port), "-f", str(fixtures(count)), "-c", "4", "--log-level", "silent"]
            stack.enter_context(running(["node", str(cli), *told], port))
    rivals = environment("rivals")
    if rivals is not None:
        ports["llmock"], _ = llmock(stack, rivals)
    for title, stream in (("requests", False), ("streams", True)):
        body = question(stream, TEXT)
        for name, port in ports.items():
            answer = ask(port, body)[1]
            said = f"{answer.count(b'data: ')} events" if stream else f"{len(answer)} bytes"
            print(f"{name}, {title}: {said}")
            load(port, body, 1, options.connections)

        def rate(port: int, body: str = body) -> Callable[[], float]:
            return lambda: load(port, body, options.seconds, options.connections)

        subjects = {name: rate(port) for name, port in ports.items()}
        table(f"{title} a second", "per second", rounds(options, subjects), more=True)


RUN = {"calls": calls, "tests": tests, "start": start, "load": under_load}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default=",".join(CASES), help=f"which of {', '.join(CASES)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=32)
    options = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    for case in options.only.split(","):
        with ExitStack() as stack:
            RUN[case](options, stack)


if __name__ == "__main__":
    main()
