"""What is told of a client that behaves badly, and that nothing is told of one that behaves well."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon import APIError, AuthenticationError, BadRequestError, FakeOpenAI, RateLimitError
from antiphon.fake.verdict import CODES, Verdict
from antiphon.kernel.flow import run
from antiphon.kernel.http import Handler, Headers, Request, Response
from antiphon.server.clock import VirtualClock

PATHS = ("/v1/responses", "/v1/chat/completions", "/v1/completions", "/v1/files")
FIELDS = """
    model messages input role content tool_calls function name arguments id call_id choices delta message finish_reason
    response object output status incomplete_details reason type item error previous_response_id conversation metadata
    usage tool_call_id index text
""".split()

KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz0123"


def fake_with(engine: Any = "echo", **options: Any) -> FakeOpenAI:
    return FakeOpenAI(engine, clock=VirtualClock(), **options)


def ask(fake: FakeOpenAI, text: str = "Hello", **options: Any) -> Any:
    create: Any = fake.client(max_retries=0).chat.completions.create
    return create(**{"model": "gpt-5", "messages": [{"role": "user", "content": text}], **options})


def send(
    fake: FakeOpenAI,
    body: dict[str, Any] | bytes | None = None,
    path: str = "/v1/responses",
    query: str = "",
    origin: str = "http://fake.test",
    **headers: str,
) -> Response:
    """A request as some client or other sends it."""
    given = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    told = Headers({**given, **{name.replace("_", "-"): value for name, value in headers.items()}})
    data = body if isinstance(body, bytes) else orjson.dumps(body or {"model": "gpt-5", "input": "Hello"})
    answer: Any = fake(Request("POST", path, query, told, data, origin))
    return answer if isinstance(answer, Response) else run(answer, fake.world)


def found(fake: FakeOpenAI) -> list[tuple[str, str]]:
    return [(each.code, each.severity) for each in fake.verdict()]


def places(verdict: Verdict) -> list[tuple[int, ...]]:
    return [each.places for each in verdict]


# Clients that behave well


def test_our_own_client_does_nothing_wrong() -> None:
    fake = fake_with()
    fake.when(text="busy").fail(429, retry_after=7).fail(503).reply("now")
    fake.when(text="wrong").fail(400)
    client = fake.client(max_retries=3)
    assert client.responses.create(model="gpt-5", input="busy").output_text == "now"
    with pytest.raises(BadRequestError):
        client.responses.create(model="gpt-5", input="wrong")
    for _ in client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "x"}], stream=True):
        pass
    for _ in client.responses.create(model="gpt-5", input="x", stream=True):
        pass
    verdict = fake.verdict()
    assert verdict, str(verdict)
    assert (verdict.requests, len(verdict.calls), verdict.retries) == (6, 4, 2)
    assert str(verdict) == "The client did nothing wrong in 6 requests of 4 calls."
    fake.assert_well_behaved(warnings=True)


def test_the_official_client_does_nothing_wrong_by_the_real_clock() -> None:
    import httpx2
    import openai

    fake = FakeOpenAI("echo")
    fake.when(text="busy").fail(429, retry_after=0.2).reply("now")
    client = openai.OpenAI(api_key=KEY, http_client=httpx2.Client(transport=fake.official_transport()))
    assert client.responses.create(model="gpt-5", input="busy").output_text == "now"
    assert len(fake.verdict().calls) == 1
    fake.assert_well_behaved(warnings=True)


def test_an_empty_journal_shows_nothing() -> None:
    assert str(FakeOpenAI().verdict()) == "The client did nothing wrong in no requests of no calls."


def test_asking_the_same_twice_is_no_retry() -> None:
    fake = fake_with()
    for _ in range(3):
        ask(fake)
    assert len(fake.verdict().calls) == 3
    fake.assert_well_behaved()


def test_the_same_after_something_has_changed_is_no_retry() -> None:
    fake = fake_with()
    fake.when(text="x", times=1).fail(404)
    with pytest.raises(APIError):
        ask(fake, "x")
    ask(fake, "something else")
    ask(fake, "x")
    assert fake.verdict()


def test_two_that_ask_the_same_at_the_same_time_are_two_calls() -> None:
    meet = threading.Barrier(2)

    def failing(request: Any) -> str:
        meet.wait(10)
        raise BadRequestError.because("no")

    fake = FakeOpenAI(failing)

    def asking() -> None:
        with pytest.raises(BadRequestError):
            ask(fake)

    threads = [threading.Thread(target=asking) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(fake.verdict().calls) == 2
    assert fake.verdict()


# Retries


@pytest.mark.parametrize("headers", [{"retry-after": "5"}, {"retry-after-ms": "5000"}])
def test_a_wait_that_was_not_kept(headers: dict[str, str]) -> None:
    fake = fake_with()
    fake.when(times=1).fail(429, headers=headers)
    send(fake)
    fake.clock.advance(2)
    send(fake)
    (finding,) = fake.verdict()
    assert (finding.code, finding.severity, finding.places) == ("ignored_retry_after", "error", (0, 1))
    assert finding.sentence == "it was to wait 5 s, and asked again after 2 s"


def test_a_wait_until_a_date() -> None:
    from email.utils import formatdate

    fake = fake_with()
    fake.when(times=2).fail(503, headers={"retry-after": formatdate(fake.clock.now() + 60, usegmt=True)})
    send(fake)
    fake.clock.advance(60)
    send(fake)
    assert fake.verdict()
    fake.reset()
    fake.when(times=1).fail(503, headers={"retry-after": formatdate(fake.clock.now() + 60, usegmt=True)})
    send(fake)
    fake.clock.advance(30)
    send(fake)
    assert found(fake) == [("ignored_retry_after", "error")]


def test_a_wait_by_the_real_clock_counts_where_the_fake_s_stands_still() -> None:
    fake = fake_with()
    fake.when(times=1).fail(429, retry_after=0.2)
    send(fake)
    time.sleep(0.2)
    send(fake)
    assert fake.verdict()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_cannot_change_is_asked_again(status: int) -> None:
    fake = fake_with()
    fake.when().fail(status)
    for _ in range(3):
        send(fake)
        fake.clock.advance(10)
    (finding,) = fake.verdict()
    assert (finding.code, finding.places) == ("retried_final", (0, 1, 2))
    assert finding.sentence == f"it asked again, 2 times after a {status}"


def test_x_should_retry_is_heeded_both_ways() -> None:
    fake = fake_with()
    fake.when(text="no", times=1).fail(503, headers={"x-should-retry": "false"})
    fake.when(text="yes", times=1).fail(400, headers={"x-should-retry": "true"})
    for text in ("no", "no", "yes", "yes"):
        send(fake, {"model": "gpt-5", "input": text})
        fake.clock.advance(10)
    (finding,) = fake.verdict()
    assert finding.sentence == "it asked again after a 503 with x-should-retry: false"
    assert finding.places == (0, 1)


def test_a_client_that_counts_its_retries_is_believed() -> None:
    fake = fake_with()
    fake.when(text="x", times=1).fail(401)
    send(fake, {"model": "gpt-5", "input": "x"})
    send(fake, {"model": "gpt-5", "input": "between"})
    send(fake, {"model": "gpt-5", "input": "x"}, x_stainless_retry_count="1")
    assert [(each.code, each.places) for each in fake.verdict()] == [("retried_final", (0, 2))]


def test_an_idempotency_key_says_what_belongs_together() -> None:
    fake = fake_with()
    fake.when(text="x", times=1).fail(400)
    send(fake, {"model": "gpt-5", "input": "x"}, idempotency_key="one")
    send(fake, {"model": "gpt-5", "input": "x", "temperature": 1}, idempotency_key="one")
    send(fake, {"model": "gpt-5", "input": "x", "temperature": 1}, idempotency_key="two")
    assert [len(call) for call in fake.verdict().calls] == [2, 1]
    assert found(fake) == [("retried_final", "error")]


def test_a_quota_that_is_used_up() -> None:
    fake = fake_with()
    fake.when(times=1).fail(429, code="insufficient_quota")
    send(fake)
    fake.clock.advance(10)
    send(fake)
    assert found(fake) == [("retried_without_quota", "warning")]
    fake.assert_well_behaved()
    with pytest.raises(AssertionError, match="1 warning in 2 requests of 1 call"):
        fake.assert_well_behaved(warnings=True)


def test_a_storm() -> None:
    fake = fake_with()
    fake.when(times=3).fail(500)
    for _ in range(4):
        send(fake)
    (finding,) = fake.verdict()
    assert (finding.code, len(finding.exchanges)) == ("retry_storm", 4)
    assert finding.sentence == "it asked 4 times, 3 of them within 0.1 s of a failure"


def test_no_end_of_asking() -> None:
    fake = fake_with()
    fake.when().fail(500)
    for _ in range(12):
        send(fake)
        fake.clock.advance(1)
    (finding,) = fake.verdict()
    assert finding.sentence == "it asked 12 times and did not give up"
    assert "… 7 more" in str(finding)


def test_forms_are_compared_by_what_is_in_them() -> None:
    fake = fake_with()

    def form(boundary: str) -> bytes:
        return (
            f'--{boundary}\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nnonsense\r\n--{boundary}--\r\n'
        ).encode()

    for boundary in ("one", "other"):
        send(fake, form(boundary), "/v1/files", content_type=f"multipart/form-data; boundary={boundary}")
    assert found(fake) == [("retried_final", "error")]


# Streams


def cutting(pieces: int, times: int = 100) -> Callable[[Handler], Handler]:
    """A filter that lets streams break off."""
    left = iter(range(times))

    def wrap(handler: Handler) -> Handler:
        def cut(request: Request) -> Any:
            answer: Any = handler(request)
            return answer if isinstance(answer, Response) and isinstance(answer.body, bytes) else cutting_it(answer)

        def cutting_it(answer: Any) -> Any:
            if not isinstance(answer, Response):
                answer = yield from answer
            if isinstance(answer.body, bytes) or next(left, None) is None:
                return answer
            return answer._replace(body=first(answer.body))

        def first(body: Any) -> Iterator[Any]:
            count, result = 0, None
            while count < pieces:
                try:
                    item = body.send(result)
                except StopIteration:
                    return
                result = yield item
                count += isinstance(item, bytes)

        return cut

    return wrap


def test_a_stream_that_broke_off_and_was_taken_for_whole() -> None:
    fake = fake_with(lambda request: iter(["one ", "two ", "three"]), filters=[cutting(2)])
    said = "".join(chunk.choices[0].delta.content or "" for chunk in ask(fake, stream=True) if chunk.choices)
    assert said == "one two "
    (finding,) = fake.verdict()
    assert (finding.code, finding.severity) == ("accepted_truncated_stream", "warning")
    assert "broke off without [DONE]" in finding.sentence
    history = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": said}]
    ask(fake, messages=[*history, {"role": "user", "content": "And then?"}])
    (finding,) = fake.verdict()
    assert (finding.severity, finding.places) == ("error", (0, 1))
    assert finding.sentence == "the stream broke off without [DONE], and it went on with what had come"


def test_a_stream_that_broke_off_and_was_asked_for_again() -> None:
    fake = fake_with(lambda request: iter(["one ", "two ", "three"]), filters=[cutting(2, times=1)])
    for _ in range(2):
        for _ in ask(fake, stream=True):
            pass
        fake.clock.advance(1)
    assert [each.events[-1] == "[DONE]" for each in fake.journal] == [False, True]
    verdict = fake.verdict()
    assert verdict, str(verdict)
    assert (len(verdict.calls), verdict.retries) == (1, 1)


def test_a_response_that_broke_off_and_is_gone_on_from() -> None:
    fake = fake_with(lambda request: iter(["one ", "two ", "three"]), filters=[cutting(2)])
    client = fake.client(max_retries=0)
    events = list(client.responses.create(model="gpt-5", input="Hello", stream=True))
    created: Any = events[0]
    with pytest.raises(APIError):
        client.responses.create(model="gpt-5", input="Go", previous_response_id=created.response.id)
    assert found(fake)[0] == ("accepted_truncated_stream", "error")


def test_an_error_in_the_middle_of_a_stream() -> None:
    def engine(request: Any) -> Iterator[str]:
        yield "one "
        raise RateLimitError.because("no more")

    fake = fake_with(engine)
    with pytest.raises(APIError):
        for _ in ask(fake, stream=True):
            pass
    assert fake.verdict()  # it was told
    history = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "one "}]
    with pytest.raises(APIError):
        ask(fake, messages=[*history, {"role": "user", "content": "And then?"}])
    (finding,) = fake.verdict()
    assert (finding.severity, finding.places) == ("error", (0, 1))
    assert finding.sentence == "the stream ended in an error, and it went on with what had come"


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("truncate=3", [("accepted_truncated_stream", "warning")]),
        ("empty_body", [("accepted_truncated_stream", "warning")]),
        ("reset", []),
        ("hang_up", []),
        ("refuse", []),
        ("split", []),
        ("duplicate", []),
    ],
)
@pytest.mark.parametrize("port", [False, True])
def test_faults_and_the_official_client(fault: str, told: list[tuple[str, str]], port: bool) -> None:
    import httpx2
    import openai

    fake = FakeOpenAI(lambda request: iter(["one ", "two ", "three ", "four"]), clock=VirtualClock())
    fake.misbehave(f"{fault}; once")
    with ExitStack() as stack:
        if port:
            given: Any = {"base_url": stack.enter_context(fake.start(port=0)).base_url}
        else:
            given = {"http_client": httpx2.Client(transport=fake.official_transport())}
        client = stack.enter_context(openai.OpenAI(api_key=KEY, max_retries=1, **given))
        messages = [{"role": "user", "content": "Hello"}]
        for _ in client.chat.completions.create(model="gpt-5", messages=messages, stream=True):
            pass
    assert found(fake) == told
    assert "struck by" in repr(fake.journal[0])


def test_streams_that_are_left() -> None:
    fake = fake_with(lambda request: iter(["a", "b", "c"]))
    held = ask(fake, stream=True)
    next(iter(held))
    (finding,) = fake.verdict()
    assert (finding.code, finding.severity) == ("unclosed_stream", "error")
    held.close()
    (finding,) = fake.verdict()
    assert (finding.code, finding.severity) == ("abandoned_stream", "warning")
    fake.assert_well_behaved(ignore=["abandoned_stream"], warnings=True)


# Limits and loops


def test_an_answer_that_was_cut_off_and_used() -> None:
    fake = fake_with(lambda request: "one two three four five six seven eight")
    said = ask(fake, max_completion_tokens=3).choices[0].message.content
    (finding,) = fake.verdict()
    assert (finding.code, finding.severity) == ("ignored_length", "warning")
    history = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": said}]
    ask(fake, messages=[*history, {"role": "user", "content": "Thanks. Now in French"}])
    (finding,) = fake.verdict()
    assert (finding.severity, finding.places) == ("error", (0, 1))


@pytest.mark.parametrize("how", ["more", "go on", "itself"])
def test_an_answer_that_was_cut_off_and_dealt_with(how: str) -> None:
    fake = fake_with(lambda request: "one two three four five six seven eight")
    said = ask(fake, max_completion_tokens=3).choices[0].message.content
    history = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": said}]
    if how == "more":
        ask(fake, max_completion_tokens=100)
    elif how == "go on":
        ask(fake, messages=[*history, {"role": "user", "content": "Please continue."}])
    else:
        ask(fake, messages=history)
    assert fake.verdict(), str(fake.verdict())


def test_a_response_that_was_cut_off() -> None:
    fake = fake_with(lambda request: "word " * 50)
    client = fake.client()
    first = client.responses.create(model="gpt-5", input="Hello", max_output_tokens=16)
    assert first.status == "incomplete"
    client.responses.create(model="gpt-5", input="Thanks", previous_response_id=first.id)
    assert found(fake) == [("ignored_length", "error")]


TOOL: Any = {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": False}


def looping(request: Any) -> Any:
    return {"name": "look", "arguments": '{"at": "it"}'}


def test_a_loop_of_a_tool_in_a_chat() -> None:
    fake = fake_with(looping)
    messages: list[Any] = [{"role": "user", "content": "Look"}]
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    for number in range(4):
        message = ask(fake, messages=messages, tools=tools).choices[0].message
        messages += [message.to_dict(), {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "?"}]
        assert bool(fake.verdict()) is (number < 3)
    (finding,) = fake.verdict()
    assert finding.code == "looped_on_tool"
    assert finding.sentence == 'it called look({"at":"it"}) 3 times in one conversation, and went on'
    assert finding.places == (1, 2, 3)


def test_a_loop_of_a_tool_in_responses_that_go_on_from_each_other() -> None:
    fake = fake_with(looping)
    client = fake.client()
    given: Any = "Look"
    before: Any = None
    for _ in range(4):
        response = client.responses.create(model="gpt-5", input=given, tools=[TOOL], previous_response_id=before)
        call: Any = response.output[0]
        given, before = [{"type": "function_call_output", "call_id": call.call_id, "output": "?"}], response.id
    assert found(fake) == [("looped_on_tool", "error")]


def test_different_arguments_are_no_loop() -> None:
    numbers = iter(range(10))
    fake = fake_with(lambda request: {"name": "look", "arguments": orjson.dumps({"at": next(numbers)}).decode()})
    messages: list[Any] = [{"role": "user", "content": "Look"}]
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    for _ in range(5):
        message = ask(fake, messages=messages, tools=tools).choices[0].message
        messages += [message.to_dict(), {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "?"}]
    assert fake.verdict()


# Keys


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"origin": "http://api.openai.com"}, "over http to api.openai.com"),
        ({"query": f"api_key={KEY}"}, "in the query"),
        ({"query": "key=short"}, "in the query"),
        ({"path": f"/v1/{KEY}/responses"}, "in the path"),
        ({"body": {"model": "gpt-5", "input": f"My key is {KEY}"}}, "in the body"),
        ({"body": {"model": "gpt-5", "input": "Hello", "metadata": {"key": KEY}}}, "in the metadata"),
    ],
)
def test_a_key_where_it_can_be_read(how: dict[str, Any], told: str) -> None:
    fake = fake_with()
    send(fake, **how)
    (finding,) = fake.verdict()
    assert (finding.code, finding.severity) == ("key_in_the_clear", "error")
    assert told in finding.sentence
    assert KEY not in finding.sentence


@pytest.mark.parametrize(
    "origin",
    [
        "https://api.openai.com",
        "http://127.0.0.1:4567",
        "http://localhost",
        "http://fake:80",
        "http://10.1.2.3",
        "http://[::1]:8",
    ],
)
def test_a_key_that_goes_where_it_should(origin: str) -> None:
    fake = fake_with()
    send(fake, origin=origin)
    assert fake.verdict()


def test_a_key_for_a_server_of_tools_is_where_the_api_wants_it() -> None:
    fake = fake_with()
    other = "sk-ant-abcdefghijklmnopqrstuvwxyz"
    tool = {"type": "mcp", "server_label": "wiki", "server_url": "https://wiki.test", "headers": {"x-key": other}}
    send(fake, {"model": "gpt-5", "input": "Hello", "tools": [tool]})
    assert fake.verdict()
    send(fake, {"model": "gpt-5", "input": f"My key is {other}", "tools": [tool]})
    assert found(fake) == [("key_in_the_clear", "error")]


# What is told of it


def test_the_report_and_the_assertion() -> None:
    fake = fake_with()
    fake.when(text="x", times=1).fail(401)
    for _ in range(2):
        send(fake, {"model": "gpt-5", "input": "x"})
    with pytest.raises(AssertionError) as failed:
        fake.assert_well_behaved()
    assert str(failed.value) == (
        "expected a client that behaves well. 1 error in 2 requests of 1 call:\n"
        "  error retried_final: it asked again after a 401\n"
        "      [0] <responses.create gpt-5 'x' -> 401>\n"
        "      [1] <responses.create gpt-5 'x' -> 200 'x'>"
    )
    fake.assert_well_behaved(ignore="retried_final")
    with pytest.raises(ValueError, match="there is no finding 'retried'; there are ignored_retry_after"):
        fake.assert_well_behaved(ignore=["retried"])
    assert fake.verdict(text="something else")
    assert not fake.verdict(status=401)
    told = fake.verdict().to_dict()
    assert (told["ok"], told["requests"], told["calls"], told["retries"]) == (False, 2, 1, 1)
    assert told["findings"][0]["exchanges"] == [0, 1]
    assert {each["code"] for each in told["findings"]} <= set(CODES)


def test_over_http_and_with_a_body_that_is_no_json() -> None:
    from antiphon import OpenAI

    fake = FakeOpenAI("echo")
    fake.when(text="x", times=1).fail(401)
    with fake.start(port=0) as server:
        client = OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0)
        with pytest.raises(AuthenticationError):
            client.responses.create(model="gpt-5", input="x")
        client.responses.create(model="gpt-5", input="x")
    send(fake, b"\xff{")
    assert found(fake) == [("retried_final", "error")]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab{", max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(st.tuples(st.sampled_from(PATHS), JSON, JSON), max_size=4))
def test_no_request_and_no_answer_is_too_strange(several: list[tuple[str, Any, Any]]) -> None:
    answers = iter([answer for _, _, answer in several])

    def strange(handler: Handler) -> Handler:
        return lambda request: Response(
            200, Headers({"content-type": "text/event-stream"}), b"data: " + orjson.dumps(next(answers)) + b"\n\n"
        )

    fake = fake_with(filters=[strange])
    for path, body, _ in several:
        send(fake, orjson.dumps(body), path)
    verdict = fake.verdict()
    assert str(verdict)
    orjson.dumps(verdict.to_dict())
