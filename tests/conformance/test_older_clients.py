"""The plugin with code on the official package's second generation: httpx, and aiohttp beneath it.

It runs in an environment of its own under `.cache/conformance/`, made once from older.txt.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.conformance.official import CACHE, ROOT, run

REQUIREMENTS = Path(__file__).parent / "older.txt"

SOURCE = """
import asyncio
import httpx
import openai
import pytest

URL = "https://api.openai.com/v1"
KEY = {"authorization": "Bearer any"}
CHAT = {"model": "gpt-5", "messages": [{"role": "user", "content": "one two three"}]}

pytestmark = pytest.mark.fake_openai("echo")


def words(chunk):
    return chunk.choices[0].delta.content or "" if chunk.choices else ""


def test_the_generation():
    assert openai.__version__.startswith("2.")
    assert issubclass(openai.DefaultHttpxClient, httpx.Client)


@pytest.mark.parametrize("where", [{}, {"base_url": URL, "api_key": "any"}])
def test_blocking(where):
    with openai.OpenAI(**where) as client:
        assert client.chat.completions.create(**CHAT).choices[0].message.content == "one two three"
        assert "".join(map(words, client.chat.completions.create(**CHAT, stream=True))) == "one two three"
        file = client.files.create(file=("a.bin", b"x" * 2_000_000), purpose="assistants")
        assert client.files.content(file.id).read() == b"x" * 2_000_000
        assert client.images.generate(model="gpt-image-1", prompt="a cat").data[0].b64_json


@pytest.mark.parametrize("kind", ["httpx", "aiohttp"])
def test_async(kind):
    async def ask():
        http = openai.DefaultAioHttpClient() if kind == "aiohttp" else None
        async with openai.AsyncOpenAI(base_url=URL, http_client=http) as client:
            assert (await client.chat.completions.create(**CHAT)).choices[0].message.content == "one two three"
            stream = await client.chat.completions.create(**CHAT, stream=True)
            assert "".join([words(chunk) async for chunk in stream]) == "one two three"
            file = await client.files.create(file=("a.bin", b"x" * 2_000_000), purpose="assistants")
            assert (await client.files.content(file.id)).read() == b"x" * 2_000_000

    asyncio.run(ask())


def test_httpx_itself():
    assert httpx.get(f"{URL}/models/gpt-5", headers=KEY).json()["id"] == "gpt-5"
    with httpx.stream("POST", f"{URL}/chat/completions", json={**CHAT, "stream": True}, headers=KEY) as answer:
        assert list(answer.iter_lines())[-2] == "data: [DONE]"


def test_escape():
    from antiphon.testing import EscapedRequest, Interception

    with Interception(lambda request: None, intercept=False) as inner, pytest.raises(EscapedRequest, match="httpx"):
        openai.OpenAI(base_url=URL).models.list()
    assert len(inner.escapes) == 1
"""


@pytest.fixture(scope="module")
def python() -> str:
    key = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]
    home = CACHE / f"older-{sys.version_info[0]}.{sys.version_info[1]}-{key}"
    found = str(home / "bin" / "python")
    if not (home / "ready").exists():
        shutil.rmtree(home, ignore_errors=True)
        venv.create(home, with_pip=True)
        pip = [found, "-m", "pip", "--disable-pip-version-check", "--quiet"]
        run([*pip, "install", "--require-hashes", "-r", str(REQUIREMENTS)])
        (home / "ready").touch()
    return found


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_code_on_httpx_and_aiohttp_is_answered_in_process(python: str, tmp_path: Path) -> None:
    (tmp_path / "test_older.py").write_text(SOURCE)
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "antiphon.testing.plugin", "-p", "no:cacheprovider", "test_older.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "7 passed" in done.stdout
