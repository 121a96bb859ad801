"""An empty model is no model, unless the address names a deployment."""

from __future__ import annotations

import pytest

from antiphon import BadRequestError, FakeOpenAI
from antiphon.kernel.http import Headers, Request

BODY = b'{"model": "", "messages": [{"role": "user", "content": "Hello"}]}'


def test_an_empty_model_is_refused_as_a_missing_one_is() -> None:
    client = FakeOpenAI().client()
    with pytest.raises(BadRequestError) as caught:
        client.chat.completions.create(model="", messages=[{"role": "user", "content": "Hello"}])
    assert caught.value.body == {
        "message": "you must provide a model parameter",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }


def test_a_deployment_stands_for_an_empty_model() -> None:
    headers = Headers({"api-key": "any", "content-type": "application/json"})
    answer = FakeOpenAI().server(Request("POST", "/openai/deployments/mine/chat/completions", "", headers, BODY))
    assert answer.json()["model"] == "mine"
