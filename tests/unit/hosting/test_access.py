"""The filter that notes requests, with more about each."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from antiphon.hosting.access import Details, Noted, detailed
from antiphon.kernel.flow import Pause, World, aiterate, arun, iterate, run
from antiphon.kernel.http import Headers, Request, Response, json_response

BODY = b'{"messages": [{"content": "\\"model\\": \\"other\\""}], "model" : "chat"}'
ASKED = Request("POST", "/v1/chat/completions", "", Headers({"a": "1", "b": "2"}), BODY)
USAGE = {"usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7, "prompt_tokens_details": {}}}


def noting(handler: Any) -> tuple[Any, list[Details]]:
    entries: list[Details] = []
    return detailed(entries.append)(handler), entries


def test_a_whole_answer() -> None:
    def handler(request: Request) -> Response:
        notes: Any = request.headers
        notes.notes["upstream"] = "http://x"
        assert (request.headers["A"], request.headers.get("b"), len(request.headers)) == ("1", "2", 2)
        return json_response(200, USAGE)

    asked, entries = noting(handler)
    assert asked(ASKED).status == 200
    (details,) = entries
    assert (details.model, details.first_seconds) == ("chat", None)
    assert details.usage == {"input": 3, "output": 4, "total": 7}
    assert details.notes == {"upstream": "http://x"}
    assert (details.entry.status, details.entry.whole, details.entry.tokens) == (200, True, 7)


def test_a_flow_and_a_stream_with_steps_of_both_colours() -> None:
    def pieces() -> Any:
        yield b"data: 1\n\n"
        got = yield Pause(0.01)
        assert got is None
        try:
            yield Failing()
        except ValueError:
            yield b"data: caught\n\n"
        yield b'data: {"usage": {"prompt_tokens": 1, "total_tokens": 2}}\n\n'

    class Failing(Pause):
        def __init__(self) -> None:
            super().__init__(0)

        def perform(self, world: World) -> None:
            raise ValueError

        async def aperform(self, world: World) -> None:
            raise ValueError

    def handler(request: Request) -> Any:
        yield Pause(0.001)
        return Response(200, Headers({"content-type": "text/event-stream"}), pieces())

    expected = b'data: 1\n\ndata: caught\n\ndata: {"usage": {"prompt_tokens": 1, "total_tokens": 2}}\n\n'
    asked, entries = noting(handler)
    answer: Any = run(asked(ASKED), World())
    assert b"".join(iterate(answer.body, World())) == expected

    async def both() -> bytes:
        answer: Any = await arun(asked(ASKED), World())
        return b"".join([piece async for piece in aiterate(answer.body, World())])

    assert asyncio.run(both()) == expected
    for details in entries:
        assert details.usage == {"input": 1, "total": 2}
        assert details.first_seconds is not None and 0 < details.first_seconds < details.entry.seconds
        assert details.entry.whole
    assert len(entries) == 2


def test_a_stream_that_is_left_or_breaks() -> None:
    closed: list[str] = []

    def pieces(error: bool) -> Any:
        try:
            yield b"a"
            if error:
                raise RuntimeError
            yield b"b"
        finally:
            closed.append("closed")

    for error in (False, True):
        asked, entries = noting(lambda request, error=error: Response(200, Headers(), pieces(error)))
        body: Any = asked(ASKED).body
        assert next(body) == b"a"
        if error:
            with pytest.raises(RuntimeError):
                next(body)
        body.close()
        assert [each.entry.whole for each in entries] == [False]
    assert closed == ["closed", "closed"]
    plain, entries = noting(lambda request: Response(200, Headers(), iter([b"a", b"b"])))  # type: ignore[arg-type]
    assert list(plain(ASKED).body) == [b"a", b"b"]
    assert entries[0].entry.whole


def test_an_error_is_noted_and_goes_on() -> None:
    def handler(request: Request) -> Response:
        raise LookupError

    asked, entries = noting(handler)
    with pytest.raises(LookupError):
        asked(ASKED._replace(body=b""))
    assert (entries[0].entry.status, entries[0].model) == (500, None)


def test_changed_headers_keep_the_notes() -> None:
    noted = Noted(Headers({"a": "1"}))
    changed: Any = noted.replaced({"a": None, "b": "2"})
    changed.notes["x"] = 1
    assert noted.notes == {"x": 1}
    assert dict(changed) == {"b": "2"} and dict(noted) == {"a": "1"}
    with pytest.raises(AttributeError):
        noted.nothing  # type: ignore[attr-defined] # noqa: B018
