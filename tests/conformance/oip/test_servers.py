"""The servers themselves are there: what every other test here rests on."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest

from tests.conformance.oip.servers import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def said(url: str) -> Any:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=10) as answer:
        return json.load(answer)


def test_triton(triton: Server) -> None:
    assert said(f"{triton.rest}/v2")["version"] == "2.51.0"
    assert said(f"{triton.rest}/v2/models/vllm_like")["platform"] == "python"


def test_mlserver(mlserver: Server) -> None:
    assert said(f"{mlserver.rest}/v2") == {"name": "mlserver", "version": "1.7.1", "extensions": []}


def test_kserve(kserve: Server) -> None:
    assert said(f"{kserve.rest}/v2")["version"] == "0.21.0"
