"""Other people's clients, of a gateway in front of real models: LangChain, and the official package for JavaScript."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from antiphon.gateway import Gateway, ModelConfig
from tests.conformance.environments import HERE, environment, skip_if_told
from tests.conformance.frameworks.test_frameworks import HERE as FRAMEWORKS
from tests.conformance.official import ROOT
from tests.conformance.oip.questions import blocking, of
from tests.conformance.oip.servers import Server
from tests.conformance.oip.test_local import SOURCE
from tests.conformance.router import javascript

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def behind_triton(triton: Server) -> Iterator[str]:
    """A real model behind a real Triton."""
    blocking(of(triton, "rest").load("smol"))
    gateway = Gateway(models={"smollm2": ModelConfig("smollm2", (triton.rest,), model="smol", template="chatml")})
    with gateway.start(port=0) as running:
        yield running.base_url


@pytest.fixture(scope="module")
def local() -> Iterator[str]:
    """Real models in the gateway's own process, embeddings among them."""
    skip_if_told("local")
    python = environment("local") / "bin" / "python"
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen(
        [python, "-c", SOURCE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate("")


def langchain(url: str, embeddings: str) -> dict[str, Any]:
    python = environment("langchain", FRAMEWORKS) / "bin" / "python"
    done = subprocess.run(
        [python, HERE / "callers_langchain.py", url, "smollm2", embeddings],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert "Paris" in said["whole"]
    assert "Paris" in said["streamed"]
    assert said["tokens"] > 3
    assert said["completion"]
    return said


def test_langchain_and_triton(behind_triton: str) -> None:
    langchain(behind_triton, "none")


def test_langchain_and_local_models(local: str) -> None:
    assert langchain(local, "wordllama")["found"] == "Cats sleep for most of the day."


@pytest.mark.skipif(os.environ.get(javascript.SKIP) is not None, reason=f"{javascript.SKIP} is set")
@pytest.mark.parametrize("where", ["behind_triton", "local"])
def test_the_official_package_for_javascript(where: str, request: pytest.FixtureRequest) -> None:
    absent = javascript.missing()
    if absent is not None:
        if os.environ.get("CI"):
            pytest.fail(absent)
        pytest.skip(absent)
    said = javascript.run("callers.mjs", request.getfixturevalue(where), "smollm2", of=HERE)
    assert "Paris" in said["whole"]
    assert "Paris" in said["streamed"]
    assert "Paris" in said["response"]
    assert said["finish"] == "stop"
    assert said["tokens"] > 3
    assert said["refused"] == [404, "model_not_found"]
    assert "smollm2" in said["models"]
