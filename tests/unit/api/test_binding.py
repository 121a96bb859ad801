"""The same call made of the official client and of an operation: the same request comes of it."""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import httpx2
import openai
import pytest

from antiphon.api import operations
from antiphon.kernel.operation import AnyOperation

OPERATIONS = operations()
SAMPLES: dict[str, Any] = {"betas": ["responses_multi_agent=v1"], "timeout": 1}

DEFAULTS = {("embeddings.create", "encoding_format")}
"""What the official client adds of itself: base64 is quicker to read, and read it is. Ours does so in the client."""


def _needed(name: str) -> frozenset[str]:
    """What must be given: of an operation with several ways of calling it, what the first of them needs."""
    owner: Any = openai.OpenAI(api_key="none", admin_api_key="none")
    for part in name.split(".")[:-1]:
        owner = getattr(owner, part)
    overloads = typing.get_overloads(inspect.unwrap(getattr(type(owner), name.rpartition(".")[2])))
    if not overloads:
        return OPERATIONS[name].required
    parameters = list(inspect.signature(overloads[0]).parameters.values())[1:]
    return frozenset(each.name for each in parameters if each.default is each.empty)


def _official(name: str, arguments: dict[str, Any]) -> httpx2.Request:
    sent: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        return httpx2.Response(418, json={})

    client = openai.OpenAI(
        api_key="none",
        admin_api_key="none",
        base_url="http://test",
        max_retries=0,
        http_client=httpx2.Client(transport=httpx2.MockTransport(answer)),
    )
    method: Any = client
    for part in name.split("."):
        method = getattr(method, part)
    with pytest.raises(openai.APIStatusError):
        method(**arguments)
    return sent[0]


def _arguments(operation: AnyOperation, names: frozenset[str]) -> Iterator[tuple[str, Any]]:
    for name in operation.positional:
        yield name, "an id/with ?odd characters"
    for name in sorted(names - set(operation.positional)):
        if name in operation.path_params:
            yield name, "other id"
        elif name in operation.files:
            yield name, b"bytes"
        elif name != "stream":
            yield name, SAMPLES.get(name, "value")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("everything", [False, True], ids=["required", "everything"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_the_request_is_the_official_one(name: str, everything: bool) -> None:
    operation = OPERATIONS[name]
    sent = operation.parameters.difference(operation.local)
    arguments = dict(_arguments(operation, sent if everything else _needed(name)))
    theirs = _official(name, arguments)
    bound = operation.bind((), dict(arguments))
    assert operation.method == theirs.method
    assert bound.path == theirs.url.raw_path.decode().partition("?")[0]
    query = {**bound.query, **dict(part.split("=") for part in operation.fixed_query.split("&") if part)}
    assert {key.partition("[")[0] for key in parse_qs(theirs.url.query.decode())} == set(query)
    for header, value in {**bound.headers, **operation.fixed_headers}.items():
        assert theirs.headers[header] == (",".join(value) if isinstance(value, list) else value)
    as_form = operation.form and not (operation.json_without_files and not set(operation.files) & set(arguments))
    if as_form:
        content = theirs.content
        for key in bound.body or ():
            single = operation.alone is not None and set(bound.body or ()) == {operation.alone}
            assert single or f'name="{key}'.encode() in content
        assert theirs.headers["content-type"].startswith(("multipart/form-data", *(operation.parts or {}).values()))
    elif theirs.content:
        assert {
            key: value for key, value in json.loads(theirs.content).items() if everything or (name, key) not in DEFAULTS
        } == bound.body
    else:
        assert not bound.body
