"""What the users of Seldon's translator are shown, as it stands apart from the port: Python and curl, to a real MLServer."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from antiphon import Gateway
from antiphon.gateway import ModelConfig
from tests.conformance.oip.asking import posted
from tests.conformance.oip.servers import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

TEXT = Path(__file__).with_name("seldon_examples.md").read_text()
EXAMPLES: dict[str, str] = dict(re.findall(r"## (.+?)\n\n```\w+\n(.*?)```", TEXT, re.DOTALL))


@pytest.fixture(scope="module", params=["chat-api", "chat-local"])
def port(mlserver: Server, request: pytest.FixtureRequest) -> Iterator[int]:
    upstream = {"chatgpt": request.param, "openai-embeddings": "embed", "openai-images": "images"}
    models = {name: ModelConfig(name, (mlserver.rest,), model=model) for name, model in upstream.items()}
    with Gateway(models=models) as gateway, gateway.start(port=0, host="127.0.0.1") as running:
        yield running.port


def test_all_of_them_are_here() -> None:
    assert sorted(EXAMPLES) == [
        f"{way}: {what}" for way in ("bash", "python") for what in ("chat", "embeddings", "images")
    ]


@pytest.mark.parametrize("title", [title for title in EXAMPLES if title.startswith("python")])
def test_python(title: str, port: int) -> None:
    code = EXAMPLES[title].replace("localhost:9000", f"localhost:{port}")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    printed = done.stdout
    if title == "python: chat":
        assert "ChatCompletion(" in printed
        assert "echo: What is the capital of Romania?" in printed
        assert "finish_reason='stop'" in printed
    elif title == "python: embeddings":
        assert printed.count("Embedding(") == 2
        assert "prompt_tokens=" in printed
    else:
        assert "A beautiful beach in Costa Rica at sunset" in printed
        assert "ImagesResponse(" in printed


@pytest.mark.parametrize("title", [title for title in EXAMPLES if title.startswith("bash")])
def test_curl(title: str, port: int) -> None:
    body = curl(EXAMPLES[title].replace("localhost:9000", f"localhost:{port}"))
    if title == "bash: chat":
        assert body["object"] == "chat.completion"
        assert body["choices"][0]["message"] == {"role": "assistant"} | body["choices"][0]["message"]
        assert body["choices"][0]["message"]["content"] == "echo: Hello!"
    elif title == "bash: embeddings":
        assert [len(each["embedding"]) for each in body["data"]] == [8]
    else:
        assert body["data"][0]["b64_json"]


def curl(command: str) -> Any:
    """What a command of curl prints; where there is no curl, what it would."""
    if shutil.which("curl") is not None:
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True)
        return json.loads(done.stdout)
    words = shlex.split(command.replace("\\\n", " "))
    headers = dict(words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H")
    status, _, body = posted(words[1], words[words.index("-d") + 1], headers)
    assert status == 200
    return json.loads(body)
