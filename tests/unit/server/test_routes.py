"""Every address of the API is found under every prefix, and what is no address is refused in the API's words."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.kernel.errors import APIStatusError, NotFoundError
from antiphon.server.app import Server
from antiphon.server.endpoint import LEGACY, endpoints, routes
from tests.unit.server.door import ask

SHADOWED = {
    "files.retrieve_content": "files.content",
    "fine_tuning.checkpoints.permissions.retrieve": "fine_tuning.checkpoints.permissions.list",
}
"""Operations that have their address in common with another one, which serves it."""

PREFIXES = ("", "/v1", "/v1beta/openai", "/openai/v1", "/openai")


@pytest.mark.parametrize("prefix", PREFIXES)
def test_every_operation_is_found(prefix: str) -> None:
    assert len(endpoints()) == 390 + len(LEGACY)
    for name, endpoint in endpoints().items():
        path = prefix + re.sub(r"{(\w+)}", r"the-\1", endpoint.path)
        query = "&".join(f"{key}={value}" for key, value in endpoint.fixed_query.items())
        found = routes().match(endpoint.method, path, query)
        assert found.target.name == SHADOWED.get(name, name)
        names = re.findall(r"{(\w+)}", found.target.path)
        assert found.params == {each: f"the-{each}" for each in names}
        assert found.deployment is None


def test_a_deployment_is_in_the_address() -> None:
    found = routes().match("POST", "/openai/deployments/my%20gpt/chat/completions", "api-version=2026-01-01")
    assert found.target.name == "chat.completions.create"
    assert found.deployment == "my gpt"


def test_a_fixed_query_tells_operations_apart() -> None:
    def name(query: str) -> str:
        return routes().match("POST", "/v1/responses", query).target.name

    assert name("") == "responses.create"
    assert name("beta=false") == "responses.create"
    assert name("beta=true") == "beta.responses.create"
    assert name("x=1&beta=true") == "beta.responses.create"


def test_what_is_written_out_wins_over_a_parameter() -> None:
    assert routes().match("POST", "/v1/organization/certificates/activate", "").target.name.endswith(".activate")
    assert routes().match("POST", "/v1/organization/certificates/cert_1", "").target.name.endswith(".update")
    assert routes().match("POST", "/v1/videos/characters", "").target.name == "videos.create_character"
    # … except where it has no such method.
    assert routes().match("GET", "/v1/responses/compact", "").params == {"response_id": "compact"}


@given(st.text(min_size=1))
def test_parameters_are_decoded(text: str) -> None:
    from urllib.parse import quote

    try:
        quoted = quote(text, safe="")
    except UnicodeEncodeError:  # half of a surrogate pair cannot be in an address
        return
    assert routes().match("GET", f"/v1/files/{quoted}", "").params == {"file_id": text}


@pytest.mark.parametrize("path", ["/v1/foo", "/", "", "/v1", "/v1/", "/v1/files/", "/v1/files//content", "/v2/models"])
def test_no_address(path: str) -> None:
    with pytest.raises(NotFoundError) as refused:
        routes().match("GET", path, "")
    assert refused.value.message == f"Invalid URL (GET {path})"


def test_another_method() -> None:
    with pytest.raises(APIStatusError) as refused:
        routes().match("DELETE", "/v1/models", "")
    assert refused.value.status_code == 405
    assert refused.value.response.headers["allow"] == "GET, HEAD, OPTIONS"


def test_refusals_are_envelopes() -> None:
    server = Server()
    unknown = ask(server, "POST", "/v1/foo")
    assert unknown.status == 404
    assert unknown.json == {
        "error": {
            "message": "Invalid URL (POST /v1/foo)",
            "type": "invalid_request_error",
            "param": None,
            "code": None,
        }
    }
    wrong = ask(server, "POST", "/v1/models")
    assert wrong.status == 405
    assert wrong.headers["allow"] == "GET, HEAD, OPTIONS"
    assert wrong.error["message"].startswith("Not allowed to POST on /v1/models.")
    assert ask(server, "BREW", "/v1/models").status == 405
    assert ask(server, "BREW", "/v1/coffee").status == 404


def test_head_and_options() -> None:
    server = Server()
    whole, head = ask(server, "GET", "/v1/models"), ask(server, "HEAD", "/v1/models")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.body))
    preflight = ask(server, "OPTIONS", "/v1/chat/completions", headers={"origin": "http://app.test"})
    assert preflight.status == 204
    assert preflight.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "authorization" in preflight.headers["access-control-allow-headers"]
    assert len(preflight.headers.get_list("access-control-allow-origin")) == 1
    assert ask(server, "OPTIONS", "/v1/foo", headers={}).status == 404


def test_a_browser_may_read_the_answer() -> None:
    answer = ask(Server(), "GET", "/v1/models", headers={"authorization": "Bearer x", "origin": "http://app.test"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-origin" not in ask(Server(), "GET", "/v1/models").headers
