"""What hosts do to the API: nothing of it breaks an answer, a stream or a page, and all of it is still there."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from antiphon import APIError, AsyncChat, AsyncOpenAI, Chat, FakeOpenAI, OpenAI
from antiphon.kernel.http import Headers, Request, Response
from antiphon.kernel.view import View

QUESTION: Any = [{"role": "user", "content": "hello"}]


# Real answers, and what is done to them


@cache
def answers() -> list[View]:
    """Answers of the fake, of many kinds."""
    client = FakeOpenAI().client()

    def add(a: int) -> int:
        """Add."""
        return a

    tools: Any = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]
    file = client.files.create(file=("a.jsonl", b"{}"), purpose="batch")
    store = client.vector_stores.create(name="s", file_ids=[file.id])
    return [
        client.chat.completions.create(model="m", messages=QUESTION, logprobs=True, top_logprobs=2),
        client.chat.completions.create(model="m", messages=QUESTION, tools=tools, n=2),
        client.responses.create(model="m", input="hello", reasoning={"effort": "low"}),
        client.responses.create(model="m", input="hello", tools=[{"type": "web_search"}]),
        client.completions.create(model="m", prompt="hello"),
        client.embeddings.create(model="text-embedding-3-small", input="hello", dimensions=8),
        client.images.generate(model="gpt-image-1", prompt="x", size="1024x1024"),
        client.moderations.create(input="hello"),
        client.models.list(),
        client.files.list(),
        client.vector_stores.files.list(store.id),
        client.batches.create(input_file_id=file.id, endpoint="/v1/responses", completion_window="24h"),
        client.conversations.create(items=[{"role": "user", "content": "hello"}]),
    ]


@cache
def streams() -> dict[str, list[dict[str, Any]]]:
    """The events of streams of the fake."""
    client = FakeOpenAI().client()
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    }
    tools: Any = [{"type": "function", "function": {"name": "add", "parameters": schema}}]
    options: Any = {"stream_options": {"include_usage": True}}
    chat = client.chat.completions.create(model="m", messages=QUESTION, stream=True, logprobs=True, **options)
    calls = client.chat.completions.create(model="m", messages=QUESTION, stream=True, tools=tools, **options)
    responses = client.responses.create(model="m", input="hello", stream=True, reasoning={"effort": "low"})
    return {
        "chat": [each.to_dict() for each in chat][-20:],
        "calls": [each.to_dict() for each in calls],
        "responses": [each.to_dict() for each in responses][-30:],
    }


odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "a word nobody knows", "0", "null"]),
    st.sampled_from([[], {}, [None], [[]], [{}], {"": None}, {"type": "new_kind", "text": "x"}, [1, "a", {}]]),
)


@st.composite
def changed(draw: st.DrawFn, value: Any, depth: int = 0) -> Any:
    """Some fields missing, null, of another type, with new words, with more beside them; here or further in."""
    if isinstance(value, dict) and value:
        made = dict(value)
        for key in draw(st.lists(st.sampled_from(sorted(made)), max_size=3, unique=True)):
            what = draw(st.sampled_from(("go in", "go in", "go in", "drop", "null", "odd")))
            if what == "drop":
                del made[key]
            elif what == "go in":
                made[key] = draw(changed(made[key], depth + 1))
            else:
                made[key] = None if what == "null" else draw(odd)
        for key in draw(st.lists(st.sampled_from(("x_extra", "reasoning_content", "type", "class")), max_size=1)):
            made[key] = draw(odd)
        return made
    if isinstance(value, list) and value:
        made_list = list(value)
        place = draw(st.integers(0, len(made_list) - 1))
        what = draw(st.sampled_from(("go in", "go in", "odd", "drop")))
        if what == "drop":
            del made_list[place]
        else:
            made_list[place] = draw(changed(made_list[place], depth + 1)) if what == "go in" else draw(odd)
        return made_list
    return draw(odd) if depth else value


def read_all(value: Any) -> None:
    """Look at everything there is."""
    if isinstance(value, View):
        for name in value.__view_fields__:
            read_all(getattr(value, name))
        repr(value)
        for name in ("output_text", "data"):
            getattr(value, name, None)
    elif isinstance(value, list):
        for each in value:
            read_all(each)
    elif isinstance(value, dict):
        for each in value.values():
            read_all(each)


many = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@many
@given(st.data())
def test_answers_are_read_whatever_is_in_them(data: st.DataObject) -> None:
    real = data.draw(st.sampled_from(range(len(answers()))))
    body = data.draw(changed(answers()[real].to_dict()))
    before = json.dumps(body)
    view = type(answers()[real]).of(body)
    read_all(view)
    assert json.dumps(view.to_dict()) == before
    assert json.loads(view.to_json()) == body
    dumped = view.model_dump(by_alias=True, exclude_unset=True)
    assert dumped == body
    for twin in (copy.copy(view), copy.deepcopy(view), pickle.loads(pickle.dumps(view))):
        assert twin == view
    for key in body:
        assert key in view
        assert view[key] == body[key]


# Streams


def sse(events: list[Any], data: st.DataObject) -> bytes:
    """Events as hosts write them: with other line ends, comments, no space, names, or without an end."""
    end = data.draw(st.sampled_from(("\n", "\r\n", "\r")))
    colon = data.draw(st.sampled_from(("data: ", "data:")))
    written = data.draw(st.sampled_from(("", f": OPENROUTER PROCESSING{end}{end}", f": ping{end}", f"id: 7{end}")))
    done = data.draw(st.sampled_from((f"data: [DONE]{end}{end}", f"data:[DONE]{end}{end}", "", "data: [DONE]")))
    return "".join([*(f"{written}{colon}{json.dumps(each)}{end}{end}" for each in events), done]).encode()


class Streams:
    """A host that streams what it is given, in pieces of some size."""

    def __init__(self, body: bytes, size: int = 64) -> None:
        self.body, self.size = body, size

    def __call__(self, request: Request) -> Response:
        pieces = iter([self.body[n : n + self.size] for n in range(0, len(self.body), self.size)])
        return Response(200, Headers([("content-type", "text/event-stream")]), pieces)

    def client(self) -> OpenAI:
        return OpenAI(api_key="k", transport=self, max_retries=0)

    def async_client(self) -> AsyncOpenAI:
        return AsyncOpenAI(api_key="k", transport=self, max_retries=0)


def create(client: Any, kind: str) -> Any:
    if kind == "responses":
        return client.responses.create(model="m", input="x", stream=True)
    return client.chat.completions.create(model="m", messages=QUESTION, stream=True)


@many
@given(st.data())
def test_streams_give_every_event(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(("chat", "calls", "responses")))
    events = [data.draw(changed(each)) if data.draw(st.booleans()) else each for each in streams()[kind]]
    for each in events:
        each.pop("error", None)  # that is how a host says that it cannot go on
    host = Streams(sse(events, data), data.draw(st.sampled_from((1, 7, 64, 100_000))))
    read = list(create(host.client(), kind))
    read_all(read)
    assert [each.to_dict() for each in read] == events

    async def awaited() -> list[Any]:
        return [each.to_dict() async for each in await create(host.async_client(), kind)]

    assert asyncio.run(awaited()) == events


@many
@given(st.data())
def test_chats_put_together_whatever_comes(data: st.DataObject) -> None:
    """An answer, or the API's error where there is none in it: nothing else."""
    events = [data.draw(changed(each)) if data.draw(st.booleans()) else each for each in streams()["calls"]]
    host = Streams(sse(events, data))

    def add() -> str:
        """Add."""
        return "added"

    chat = Chat(host.client(), model="m", tools=[add], max_rounds=1)
    try:
        reply = chat.stream("x").until_done()
    except APIError:
        assert chat.history == []
        return
    assert isinstance(reply.text, str)
    read_all(reply.completion)
    json.loads(chat.to_json())
    body = data.draw(changed(answers()[1].to_dict()))
    whole = OpenAI(api_key="k", transport=lambda request: _json(body))
    try:
        reply = Chat(whole, model="m", tools=[add], max_rounds=1).ask("x")
    except APIError:
        return
    assert isinstance(reply.text, str)


@many
@given(st.data())
def test_stream_helpers_put_together_whatever_comes(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(("chat", "calls", "responses")))
    events = [data.draw(changed(each)) if data.draw(st.booleans()) else each for each in streams()[kind]]
    client = Streams(sse(events, data)).client()
    manager: Any = (
        client.responses.stream(model="m", input="x")
        if kind == "responses"
        else client.chat.completions.stream(model="m", messages=QUESTION)
    )
    try:
        with manager as stream:
            for event in stream:
                read_all(event)
    except APIError:
        pass


# Pages


@many
@given(st.data())
def test_pages_are_read_and_end(data: st.DataObject) -> None:
    pages = [data.draw(changed(answers()[n].to_dict())) for n in (8, 9, 10)]
    left = iter(pages)

    def handler(request: Request) -> Response:
        return _json(next(left, {"object": "list", "data": [], "has_more": False}))

    client = OpenAI(api_key="k", transport=handler)
    listed: Any = client.files.list(limit=1)
    if isinstance(listed, View):
        read_all(listed)
        for page in listed.iter_pages():
            read_all(page.data)
            assert isinstance(page.data, list)


def _json(body: Any, status: int = 200) -> Response:
    return Response(status, Headers([("content-type", "application/json")]), json.dumps(body).encode())


@pytest.mark.parametrize("body", [[{"id": "a"}], {"data": {"id": "a"}}, {"data": None}, {"models": []}, {}, None, "x"])
def test_lists_of_any_form(body: Any) -> None:
    listed: Any = OpenAI(api_key="k", transport=lambda request: _json(body)).models.list()
    found = [each.id for each in listed]
    assert found == (["a"] if isinstance(body, list) else [])


# Collected: what certain hosts are known to send


def choice(**fields: Any) -> dict[str, Any]:
    return {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop", **fields}


def delta(_finish: Any = None, **fields: Any) -> dict[str, Any]:
    return {
        "id": "c",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": fields, "finish_reason": _finish}],
    }


def piece(arguments: Any = None, name: str | None = None, **fields: Any) -> dict[str, Any]:
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return delta(tool_calls=[{**fields, "function": function}])


WHOLE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "reasoning instead of content": (
        {"choices": [choice(message={"role": "assistant", "content": None, "reasoning_content": "hm"})]},
        {"text": "", "reasoning": "hm"},
    ),
    "reasoning under another name": (
        {"choices": [choice(message={"content": "hi", "reasoning": "hm"})]},
        {"text": "hi", "reasoning": "hm"},
    ),
    "an empty reason": ({"choices": [choice(finish_reason="")]}, {"text": "hi", "finish_reason": None}),
    "a reason of its own": ({"choices": [choice(finish_reason="eos_token")]}, {"finish_reason": "eos_token"}),
    "created as a float, no id, no usage": ({"created": 1700000000.25, "choices": [choice()]}, {"text": "hi"}),
    "created as a text": ({"created": "2026-01-02T03:04:05Z", "id": None, "choices": [choice()]}, {"text": "hi"}),
    "a role nobody knows": ({"choices": [choice(message={"role": "model", "content": "hi"})]}, {"text": "hi"}),
    "content in parts": (
        {
            "choices": [
                choice(
                    message={
                        "content": [
                            {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                            {"type": "text", "text": "hi"},
                        ]
                    }
                )
            ]
        },
        {"text": "hi", "reasoning": "hm"},
    ),
    "a legacy completion": ({"choices": [{"text": "hi", "index": 0}]}, {"text": "hi"}),
    "no index": ({"choices": [{"message": {"content": "hi"}}]}, {"text": "hi"}),
}

CALL = [("add", {"a": 1})]
TWO = [("add", {"a": 1}), ("add", {"a": 2})]
STREAMED: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "usage on every chunk": (
        [{**delta(content="h"), "usage": {"prompt_tokens": 3, "completion_tokens": n}} for n in (1, 2)],
        {"text": "hh", "tokens": 5},
    ),
    "no choices in some chunks": (
        [{"choices": []}, delta(content="hi"), {"choices": None}, {"usage": {"prompt_tokens": 1}}],
        {"text": "hi", "tokens": 1},
    ),
    "message where delta is due": ([{"choices": [choice()]}], {"text": "hi"}),
    "a finish without delta": (
        [delta(content="hi"), {"choices": [{"finish_reason": "stop"}]}, {"choices": [{"index": 0, "delta": None}]}],
        {"text": "hi", "finish": "stop"},
    ),
    "an empty finish on every chunk": (
        [delta("", content="h"), delta("stop", content="i"), delta("")],
        {"finish": "stop"},
    ),
    "reasoning first": (
        [delta(reasoning_content="h", content=None), delta(reasoning_content="m"), delta(content="hi")],
        {"text": "hi", "reasoning": "hm"},
    ),
    "a call without id and index": (
        [piece('{"a"', "add"), piece(":1}")],
        {"calls": CALL},
    ),
    "two whole calls without id and index": (
        [piece('{"a":1}', "add"), piece('{"a":2}', "add")],
        {"calls": TWO},
    ),
    "every index 0": (
        [piece('{"a":1}', "add", id="x", index=0), piece('{"a":2}', "add", id="y", index=0)],
        {"calls": TWO},
    ),
    "the name on every piece": (
        [piece('{"a"', "add", index=0, id="x"), piece(":1}", "add", index=0, id="x")],
        {"calls": CALL},
    ),
    "arguments as an object": ([piece({"a": 1}, "add", id="x")], {"calls": CALL}),
    "two calls in one chunk": (
        [
            delta(
                tool_calls=[
                    {"id": "x", "function": {"name": "add", "arguments": '{"a":1}'}},
                    {"id": "y", "function": {"name": "add", "arguments": '{"a":2}'}},
                ]
            )
        ],
        {"calls": TWO},
    ),
    "calls interleaved": (
        [
            piece("", "add", id="x", index=0),
            piece("", "add", id="y", index=1),
            piece('{"a":1}', index=0),
            piece('{"a":2}', index=1),
        ],
        {"calls": TWO},
    ),
    "an index that begins at 1": (
        [piece("", "add", id="x", index=1), piece('{"a":1}', index=1)],
        {"calls": CALL},
    ),
    "an empty id on later pieces": (
        [piece('{"a"', "add", id="x", index=0, type="function"), piece(":1}", id="", index=0)],
        {"calls": CALL},
    ),
}


@pytest.mark.parametrize("name", WHOLE)
def test_known_answers(name: str) -> None:
    body, expected = WHOLE[name]
    client = OpenAI(api_key="k", transport=lambda request: _json(body))
    completion = client.chat.completions.create(model="m", messages=QUESTION)
    read_all(completion)
    assert completion.to_dict() == body
    reply = Chat(client, model="m").ask("x")
    assert {key: getattr(reply, key) for key in expected} == expected


def _spoken(events: list[Any], form: str) -> bytes:
    end = "\r\n" if "crlf" in form else "\n"
    colon = "data:" if "tight" in form else "data: "
    comment = f": OPENROUTER PROCESSING{end}{end}" if "comments" in form else ""
    done = "" if "open" in form else f"data: [DONE]{end}{end}"
    return "".join([*(f"{comment}{colon}{json.dumps(each)}{end}{end}" for each in events), done]).encode()


@pytest.mark.parametrize("form", ["plain", "crlf tight", "comments open", "open"])
@pytest.mark.parametrize("name", STREAMED)
def test_known_streams(name: str, form: str) -> None:
    events, expected = STREAMED[name]
    host = Streams(_spoken(events, form), 13)
    assert [each.to_dict() for each in create(host.client(), "chat")] == events
    made: list[Any] = []

    def add(a: int) -> str:
        """Add."""
        made.append(("add", {"a": a}))
        return "ok"

    chat = Chat(host.client(), model="m", tools=[add], max_rounds=1, tools_at_once=1)
    reply = chat.stream("x").until_done()

    async def awaited() -> Any:
        return await AsyncChat(host.async_client(), model="m", tools=[add], max_rounds=1).stream("x").until_done()

    again = asyncio.run(awaited())
    assert (again.text, again.reasoning, again.finish_reason) == (reply.text, reply.reasoning, reply.finish_reason)
    # A host that always calls is asked twice, by both.
    known = {
        "text": reply.text,
        "reasoning": reply.reasoning,
        "finish": reply.finish_reason,
        "tokens": reply.usage.total_tokens,
        "calls": made[: len(made) // 2],
    }
    assert {key: known[key] for key in expected} == expected
    ids = [each.call.id for each in reply.tools]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ({"message": "no", "code": 500}, "no"),
        ("no", "no"),
        ([{"message": "no"}], "no"),
        ({"detail": "no"}, "no"),
        ({"type": "x"}, "reported an error"),
    ],
)
def test_errors_in_a_stream_have_many_forms(error: Any, said: str) -> None:
    host = Streams(_spoken([delta(content="h"), {"error": error}], "plain"))
    with pytest.raises(APIError, match=said) as raised:
        list(create(host.client(), "chat"))
    assert raised.value.body == error


def test_what_is_no_json_in_a_stream_is_said() -> None:
    host = Streams(b'data: {"id": "c"}\n\ndata: upstream timed out\n\n')
    with pytest.raises(APIError, match="not JSON: upstream timed out"):
        list(create(host.client(), "chat"))


def test_an_error_in_a_200_is_still_there() -> None:
    body = {"error": {"message": "no", "code": 502}, "user_id": "u"}
    completion: Any = OpenAI(api_key="k", transport=lambda request: _json(body)).chat.completions.create(
        model="m", messages=QUESTION
    )
    assert completion.choices is None
    assert completion.error == {"message": "no", "code": 502}
    assert completion.to_dict() == body


def test_new_kinds_of_a_union_are_read_by_what_they_have() -> None:
    body = {
        "output": [{"type": "hologram", "text": "x"}, {"type": "message", "content": [{"type": "smell"}]}, 5, None],
        "status": "dreaming",
    }
    response: Any = OpenAI(api_key="k", transport=lambda request: _json(body)).responses.create(model="m", input="x")
    assert response.output[0]["type"] == "hologram"
    assert response.output[0].text == "x"
    assert response.output_text == ""
    assert response.status == "dreaming"


def each_view(value: Any) -> Iterator[View]:
    if isinstance(value, View):
        yield value
        for name in value.__view_fields__:
            yield from each_view(getattr(value, name))
    elif isinstance(value, list):
        for inner in value:
            yield from each_view(inner)


def test_the_answers_have_something_to_change() -> None:
    assert sum(1 for answer in answers() for _ in each_view(answer)) > 50
    assert {len(events) > 5 for events in streams().values()} == {True}
