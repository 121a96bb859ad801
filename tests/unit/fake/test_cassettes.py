"""Recording what a host answers and playing it again, through every front door."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import openai
import pytest
import requests
import yaml

import antiphon
from antiphon import FakeOpenAI
from antiphon.fake.cassettes import Cassette, CassetteError, Upstream
from antiphon.kernel.http import Headers, Request, Response
from antiphon.server.clock import VirtualClock
from antiphon.testing import intercepted


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cassettes" / "test.yaml"


def ask(cassette: Cassette, text: str = "Hello", **options: Any) -> str:
    client = cassette.client(max_retries=0)
    answer = client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": text}], **options)
    return str(answer.choices[0].message.content)


def counting(*answers: Any) -> Any:
    """A host that answers in turn, and counts what it is asked."""

    def upstream(request: Request) -> Response:
        upstream.asked.append(request)
        number = min(len(upstream.asked), len(answers)) - 1
        answer = answers[number]
        if callable(answer):
            return answer(request)
        import orjson

        return Response(200, Headers({"content-type": "application/json"}), orjson.dumps(answer))

    upstream.asked = []
    return upstream


def said(text: str, **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {"id": "chatcmpl-AbCdEf12345678", "choices": [{"index": 0, "message": message}], **more}


def test_everything_a_fake_can_do_is_recorded_and_played(path: Path) -> None:
    def use(cassette: Cassette) -> list[Any]:
        client = cassette.client()
        told: list[Any] = [
            client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "a\nb"}])
        ]
        told += client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "a"}], stream=True)
        file = client.files.create(file=("a.txt", b"hi"), purpose="assistants")
        told += [file, client.files.retrieve(file.id)]
        told += client.responses.create(model="gpt-5", input="Hi", stream=True)
        told.append(client.embeddings.create(model="text-embedding-3-small", input="x"))
        speech = client.audio.speech.create(model="tts-1", voice="alloy", input="hi").content
        heard = client.audio.transcriptions.create(model="whisper-1", file=("a.mp3", speech))
        return [*(each.to_dict() for each in told), speech, heard.to_dict(), client.files.content(file.id).content]

    with Cassette(path, "once", upstream=FakeOpenAI(seed=3)) as cassette:
        recorded = use(cassette)
    with Cassette(path, "strict") as cassette:
        assert use(cassette) == recorded
        cassette.assert_all_played()
        assert {call.status for call in cassette.journal} == {200}
    assert cassette.journal[0].answered_by == "recording 1 of test.yaml"
    cassette.assert_called(operation="files.create", times=1)


async def test_it_is_played_in_every_colour_and_to_clients_of_others(path: Path) -> None:
    messages: Any = [{"role": "user", "content": "Hello"}]
    with Cassette(path, upstream=FakeOpenAI()) as cassette:
        whole = ask(cassette)
        client = cassette.client()
        stream = client.chat.completions.create(model="gpt-5", messages=messages, stream=True)
        pieces = [chunk.choices[0].delta.content for chunk in stream]
    cassette = Cassette(path, "none")

    answer = await cassette.async_client().chat.completions.create(model="gpt-5", messages=messages)
    assert answer.choices[0].message.content == whole
    official = openai.OpenAI(api_key="any", http_client=httpx2.Client(transport=cassette.official_transport()))
    again = official.chat.completions.create(model="gpt-5", messages=messages, stream=True)
    assert [chunk.choices[0].delta.content for chunk in again] == pieces
    both = openai.AsyncOpenAI(api_key="any", http_client=httpx2.AsyncClient(transport=cassette.official_transport()))
    assert (await both.chat.completions.create(model="gpt-5", messages=messages)).choices[0].message.content == whole

    body = {"model": "gpt-5", "messages": messages}
    address = "https://api.openai.com/v1/chat/completions"
    with intercepted(cassette):
        answered = await asyncio.to_thread(requests.post, address, json=body, timeout=5)
        assert answered.json()["choices"][0]["message"]["content"] == whole
        assert httpx2.post(address, json=body).json()["choices"][0]["message"]["content"] == whole
        import aiohttp

        async with aiohttp.ClientSession() as session, session.post(address, json=body) as response:
            assert (await response.json())["choices"][0]["message"]["content"] == whole
        plain = antiphon.OpenAI(api_key="any", base_url="https://api.openai.com/v1")
        assert plain.chat.completions.create(model="gpt-5", messages=messages).choices[0].message.content == whole
    with cassette.start(port=0) as server:
        assert httpx2.post(f"{server.base_url}/chat/completions", json=body).json()["choices"][0]["index"] == 0
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(cassette.asgi())) as inside:
        assert (await inside.post("http://here.test/v1/chat/completions", json=body)).status_code == 200
    cassette.assert_called(text="Hello", times=9)


async def test_it_records_through_every_front_door(tmp_path: Path) -> None:
    body = {"model": "gpt-5", "messages": [{"role": "user", "content": "Hello"}]}
    key = {"authorization": "Bearer any"}
    with FakeOpenAI("echo").start(port=0) as real:
        cassette = Cassette(tmp_path / "a.yaml", "all", upstream=real.base_url)
        with intercepted(cassette):  # requests that are sent on are not intercepted
            address = "https://api.openai.com/v1/chat/completions"
            answered = await asyncio.to_thread(requests.post, address, json=body, headers=key, timeout=9)
            assert answered.json()["choices"][0]["message"]["content"] == "Hello"
            async with httpx2.AsyncClient() as client:
                async with client.stream("POST", address, json={**body, "stream": True}, headers=key) as response:
                    events = [line async for line in response.aiter_lines() if line]
            assert events[-1] == "data: [DONE]"
            await antiphon.AsyncOpenAI(api_key="x", base_url="https://api.openai.com/v1").models.retrieve("gpt-5")
        with cassette.start(port=0) as server:
            assert (
                httpx2.post(f"{server.base_url}/chat/completions", json={**body, "n": 1}, headers=key).status_code
                == 200
            )
        await cassette.aclose()
        url = real.base_url
    assert [each.url for each in cassette.recordings] == [
        f"{url}/chat/completions", f"{url}/chat/completions", f"{url}/models/gpt-5", f"{url}/chat/completions"
    ]  # fmt: skip
    assert len(Cassette(tmp_path / "a.yaml", "none").recordings) == 4


# Modes


def test_once_records_where_there_is_no_file_and_then_plays(path: Path) -> None:
    upstream = counting(said("one"), said("two"))
    with Cassette(path, "once", upstream=upstream) as cassette:
        assert [ask(cassette), ask(cassette)] == ["one", "two"]
    with Cassette(path, "once", upstream=upstream) as cassette:
        assert [ask(cassette), ask(cassette), ask(cassette)] == ["one", "two", "two"]
        with pytest.raises(antiphon.NotFoundError, match="the mode new"):
            ask(cassette, "something else")
    assert len(upstream.asked) == 2
    assert len(cassette.misses) == 1


def test_none_sends_nothing(path: Path) -> None:
    upstream = counting(said("one"))
    with Cassette(path, "none", upstream=upstream) as cassette:
        with pytest.raises(antiphon.NotFoundError, match="there is no cassette") as failed:
            ask(cassette)
    assert failed.value.code == "no_recording"
    assert upstream.asked == []
    assert not path.exists()


def test_new_adds_what_is_not_there_and_keeps_what_was_written_by_hand(path: Path) -> None:
    with Cassette(path, "once", upstream=counting(said("one"))) as cassette:
        ask(cassette)
    path.write_text("# by hand\n" + path.read_text())
    upstream = counting(said("two"))
    with Cassette(path, "new", upstream=upstream) as cassette:
        assert [ask(cassette), ask(cassette, "Bye"), ask(cassette, "Bye"), ask(cassette)] == [
            "one",
            "two",
            "two",
            "one",
        ]
    assert len(upstream.asked) == 1
    assert path.read_text().startswith("# by hand\n")
    with Cassette(path, "strict") as cassette:
        assert [ask(cassette), ask(cassette, "Bye")] == ["one", "two"]


def test_all_replaces_what_was_there(path: Path) -> None:
    for answer in ("one", "two"):
        with Cassette(path, "all", upstream=counting(said(answer))) as cassette:
            assert ask(cassette) == answer
    cassette = Cassette(path, "strict")
    assert [each.value["answer"]["json"]["choices"][0]["message"]["content"] for each in cassette.recordings] == ["two"]


def test_what_a_cassette_says_is_a_secret_is_one_when_it_is_recorded_anew(path: Path) -> None:
    with Cassette(path, "once", upstream=counting(said("one")), scrub=[r"customer-\d+"]) as cassette:
        ask(cassette, "Who is customer-1?")
    with Cassette(path, "all", upstream=counting(said("two"))) as cassette:
        ask(cassette, "Who is customer-2?")
    assert path.read_text().startswith("antiphon cassette: 1\nscrub:\n- customer-\\d+\nexchanges:\n")
    assert "Who is SCRUBBED?" in path.read_text()
    path.write_text("something: else")
    with pytest.raises(CassetteError):
        Cassette(path, "all", upstream=counting(said("two")))


def test_strict_plays_each_recording_once_and_wants_all_of_them(path: Path) -> None:
    with Cassette(path, "once", upstream=counting(said("one"), said("two"))) as cassette:
        ask(cassette)
        ask(cassette, "Bye")
    cassette = Cassette(path, "strict")
    assert ask(cassette) == "one"
    with pytest.raises(antiphon.NotFoundError, match=r"is recorded once in .*, and was asked once more"):
        ask(cassette)
    with pytest.raises(AssertionError, match=r"recording 2, at line \d+: POST /v1/chat/completions -> 200"):
        cassette.assert_all_played()


def test_an_answer_about_the_key_and_a_host_that_is_not_there_are_not_recorded(path: Path) -> None:
    refused = Response(401, Headers({"content-type": "application/json"}), b'{"error": {"message": "Incorrect key"}}')
    with Cassette(path, "once", upstream=counting(lambda request: refused)) as cassette:
        with pytest.raises(antiphon.AuthenticationError):
            ask(cassette)
    with Cassette(path, "once", upstream="http://127.0.0.1:9") as cassette:
        with pytest.raises(antiphon.InternalServerError, match=r"http://127.0.0.1:9 could not be reached"):
            ask(cassette)
    assert not path.exists()


def test_options_that_cannot_be_are_refused(path: Path) -> None:
    for options in ({"mode": "twice"}, {"speed": -1}, {"speed": True}, {"scrub": ["("]}, {"volatile": ["("]},
                    {"scrub": [".*"]}, {"ignore": "a"}, {"volatile": "a"}, {"upstream": "api.openai.com"}):  # fmt: skip
        with pytest.raises(ValueError, match=r"mode|speed|scrub|volatile|pattern|ignore|upstream"):
            Cassette(path, **options)
    with pytest.raises(ValueError, match="has to be told what"):
        Cassette(path, "all").start()


# Matching


def test_ids_of_an_answer_are_those_of_later_turns_and_the_second_leg_is_another_recording(path: Path) -> None:
    """A person is asked in between: the same request is sent twice, and is answered with other things."""

    def converse(cassette: Cassette) -> list[str]:
        client = cassette.client()
        first = client.responses.create(model="gpt-5", input="Book it")
        legs = [client.responses.retrieve(first.id).output_text for _ in range(2)]
        last = client.responses.create(model="gpt-5", input="Yes", previous_response_id=first.id)
        return [first.id, *legs, last.output_text]

    def response(text: str, number: int = 1) -> dict[str, Any]:
        content = [{"type": "output_text", "text": text, "annotations": []}]
        return {"id": f"resp_{number:024}", "output": [{"type": "message", "role": "assistant", "content": content}]}

    upstream = counting(response("?"), response("waiting"), response("approved"), response("booked", 2))
    with Cassette(path, "once", upstream=upstream) as cassette:
        recorded = converse(cassette)
    assert recorded[1:] == ["waiting", "approved", "booked"]
    assert converse(Cassette(path, "strict")) == recorded


def test_what_a_client_makes_up_stands_for_what_it_makes_up_now(path: Path) -> None:
    def run(cassette: Cassette) -> tuple[str, list[str]]:
        call = f"call_{uuid4().hex}"
        run_id = str(uuid4())
        client = cassette.client()
        echoed = [
            client.responses.create(
                model="gpt-5",
                input=[
                    {"role": "user", "content": f"Run {run_id} at {time.time():.0f}, {time.strftime('%B %d, %Y')}"},
                    {"type": "function_call", "call_id": call, "name": "f", "arguments": "{}"},
                    {"type": "function_call_output", "call_id": call, "output": text},
                ],
                metadata={"run": run_id},
            ).metadata["run"]
            for text in ("one", "two")
        ]
        return run_id, echoed

    with Cassette(path, "once", upstream=FakeOpenAI()) as cassette:
        then, _ = run(cassette)
    cassette = Cassette(path, "strict")
    now, echoed = run(cassette)
    assert echoed == [now, now] != [then, then]
    assert cassette.journal[-1].answered_by == "recording 2 of test.yaml, for other ids"
    cassette.assert_all_played()


def test_two_things_are_told_apart_and_an_id_that_is_recorded_is_that_one(path: Path) -> None:
    with Cassette(path, "once", upstream=FakeOpenAI()) as cassette:
        client = cassette.client()
        files = [client.files.create(file=(f"{name}.txt", b"x"), purpose="assistants").id for name in "ab"]
        names = [client.files.retrieve(each).filename for each in files]
        client.files.delete(files[1])
    client = Cassette(path, "none").client(max_retries=0)
    assert [client.files.retrieve(each).filename for each in reversed(files)] == names[::-1]
    with pytest.raises(antiphon.NotFoundError, match="is not in") as failed:
        client.files.delete(files[0])  # which was not
    assert failed.value.code == "no_recording"
    assert f"recorded '/v1/files/{files[1]}', asked '/v1/files/{files[0]}'" in str(failed.value)


@pytest.mark.parametrize(
    "form",
    [
        "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S.123456Z", "%Y-%m-%d %H:%M:%S+00:00", "%Y/%m/%d", "%Y年%m月%d日", "%A, %B %d, %Y at %I:%M %p",
        "%d %b %Y", "%a, %d %b %Y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y", "%a %b %d %H:%M:%S UTC %Y", "%m/%d/%Y", "%d.%m.%Y, %H:%M",
        "%B %d, %Y", "%s", "%s000",
    ],
)  # fmt: skip
def test_the_present_is_known_however_it_is_written(path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    at = 1_764_000_000.0
    monkeypatch.setattr(time, "time", lambda: at)
    form = form.replace("%s", str(int(at)))
    with Cassette(path, "once", upstream=counting(said("one"))) as cassette:
        ask(cassette, f"It is {time.strftime(form, time.gmtime(at))}!")
    at += 300 * 86_400 + 4321
    form = form.replace("1764000000", str(int(at)))
    assert ask(Cassette(path, "strict"), f"It is {time.strftime(form, time.gmtime(at))}!") == "one"


def test_the_present_is_the_present_and_another_day_is_another(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Cassette(path, "once", upstream=counting(said("one"))) as cassette:
        ask(cassette, time.strftime("Today is %Y-%m-%d %H:%M:%S."))
        ask(cassette, "What happened on 2024-02-03?")
    later = time.time() + 400 * 86_400
    monkeypatch.setattr(time, "time", lambda: later)
    cassette = Cassette(path, "none")
    assert ask(cassette, time.strftime("Today is %Y-%m-%d %H:%M:%S.", time.gmtime(later)))
    with pytest.raises(antiphon.NotFoundError, match=r"recorded 'What happened on 2024-02-03\?', asked"):
        ask(cassette, "What happened on 2024-02-04?")
    with pytest.raises(antiphon.NotFoundError):
        ask(cassette, "Today is 2025-01-01 10:00:00.")


def test_what_is_ignored_or_volatile_does_not_matter(path: Path) -> None:
    options: Any = {"ignore": ["metadata.trace", "messages[*].name", "user"], "volatile": [r"#\w+"]}

    def go(cassette: Cassette, trace: str, name: str) -> None:
        cassette.client(max_retries=0).chat.completions.create(
            model="gpt-5",
            messages=[{"role": "user", "content": f"Ticket #{trace}", "name": name}],
            metadata={"trace": trace},
            user=trace,
        )

    with Cassette(path, "once", upstream=counting(said("one")), **options) as cassette:
        go(cassette, "a", "A")
    go(Cassette(path, "strict", **options), "b", "B")
    with pytest.raises(antiphon.NotFoundError, match=r"metadata.trace: recorded 'a', asked 'b'"):
        go(Cassette(path, "strict"), "b", "A")


def test_the_order_of_keys_and_of_fields_does_not_matter(path: Path) -> None:
    def form(*fields: tuple[str, str]) -> Request:
        mark = uuid4().hex
        body = "".join(
            f'--{mark}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{text}\r\n' for name, text in fields
        )
        kind = f"multipart/form-data; boundary={mark}"
        return Request("POST", "/v1/x", "b=2&a=1", Headers({"content-type": kind}), f"{body}--{mark}--\r\n".encode())

    from antiphon.transports.handler import HandlerTransport

    with Cassette(path, "once", upstream=counting(said("one"))) as cassette:
        HandlerTransport(cassette).send(form(("a", "1"), ("b", "2")), None, False)
    transport = HandlerTransport(Cassette(path, "strict"))
    request = form(("b", "2"), ("a", "1"))._replace(query="a=1&b=2", origin="http://elsewhere.test")
    assert transport.send(request, None, False).status == 200
    fields = yaml.safe_load(path.read_text())["exchanges"][0]["request"]["form"]
    assert fields == [{"name": "a", "text": "1"}, {"name": "b", "text": "2"}]


def test_a_miss_shows_the_nearest_recording_and_is_in_the_journal(path: Path) -> None:
    with Cassette(path, "once", upstream=counting(said("one"))) as cassette:
        ask(cassette, "The first")
        ask(cassette, "A long story about a lighthouse and " + "the sea " * 20 + "in Norway", temperature=0)
        cassette.client().models.list()
    cassette = Cassette(path, "none")
    with pytest.raises(antiphon.NotFoundError) as failed:
        ask(cassette, "A long story about a lighthouse and " + "the sea " * 20 + "in Sweden")
    told = str(failed.value)
    line = path.read_text().splitlines().index("- request:", 5) + 1
    assert f"The nearest is recording 2, at line {line}:" in told
    assert "body.messages[0].content: recorded …' the sea in Norway', asked …' the sea in Sweden'" in told
    assert "body.temperature: recorded 0, asked has nothing" in told
    assert "The nearest is recording 2" in cassette.journal[-1].answered_by
    assert [each.message for each in cassette.misses] == [told.partition(" - ")[2] or told]


def test_secrets_of_a_request_do_not_matter_and_are_not_written(path: Path) -> None:
    def go(cassette: Cassette, secret: str) -> None:
        tool: Any = {
            "type": "mcp",
            "server_label": "x",
            "server_url": f"https://u:{secret}@mcp.test",
            "authorization": secret,
        }
        cassette.client(api_key=secret).responses.create(model="gpt-5", input=f"My key is {secret}", tools=[tool])

    with Cassette(path, "once", upstream=counting(said("one", api_key="shown-once-abcdef"))) as cassette:
        go(cassette, "a-key-of-mine-1")
    text = path.read_text()
    assert "a-key-of-mine" not in text
    assert "shown-once" not in text
    assert text.count("SCRUBBED") == 4
    go(Cassette(path, "strict"), "another-key-of-mine")


def test_what_is_a_secret_only_where_it_is_played_does_not_matter(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Cassette(path, "once", upstream=counting(said("one"))) as cassette:
        ask(cassette, "Log in with postgres-of-tests")
    monkeypatch.setenv("DATABASE_PASSWORD", "postgres-of-tests")
    assert ask(Cassette(path, "strict"), "Log in with postgres-of-tests") == "one"


# Time


def paced(path: Path) -> list[float]:
    """Record a stream that takes its time, under a clock of its own."""
    clock = VirtualClock()
    with Cassette(path, "all", upstream=FakeOpenAI("echo", latency=(2.0, 0.5), clock=clock)) as cassette:
        client = cassette.client()
        for _ in client.chat.completions.create(
            model="gpt-5", messages=[{"role": "user", "content": "one two three"}], stream=True
        ):
            pass
        answer = yaml.safe_load(path.read_text())["exchanges"][0]["answer"] if path.exists() else None
    answer = yaml.safe_load(path.read_text())["exchanges"][0]["answer"]
    return [event.get("after", 0.0) for event in answer["events"]]


def test_time_is_kept_and_passes_at_any_speed(path: Path) -> None:
    pauses = paced(path)
    assert sum(pauses) >= 3.0
    assert 2.0 in pauses
    for speed, takes in ((1, sum(pauses)), (4, sum(pauses) / 4), (0, 0.0)):
        clock = VirtualClock()
        began = clock.now()
        cassette = Cassette(path, "none", speed=speed, clock=clock)
        client = cassette.client()
        for _ in client.chat.completions.create(
            model="gpt-5", messages=[{"role": "user", "content": "one two three"}], stream=True
        ):
            pass
        assert clock.now() - began == pytest.approx(takes)
        assert cassette.journal[0].pieces[-1][0] == pytest.approx(takes)


def test_what_a_client_is_told_to_wait_is_shortened(path: Path) -> None:
    busy = Response(
        429, Headers({"content-type": "application/json", "retry-after": "20"}), b'{"error": {"message": "later"}}'
    )
    with Cassette(path, "once", upstream=counting(lambda request: busy, said("one"))) as cassette:
        with pytest.raises(antiphon.RateLimitError):
            ask(cassette)
        ask(cassette)
    assert "retry-after: '20'" in path.read_text()
    for speed, wait in ((0, "1"), (1, None), (10, "2000")):
        cassette = Cassette(path, "none", speed=speed)
        with pytest.raises(antiphon.RateLimitError) as failed:
            ask(cassette)
        assert failed.value.response.headers.get("retry-after-ms") == wait
    began = time.monotonic()
    messages: Any = [{"role": "user", "content": "Hello"}]
    cassette = Cassette(path, "none")
    assert cassette.client().chat.completions.create(model="gpt-5", messages=messages)
    assert time.monotonic() - began < 20  # which is what was recorded
    assert [call.status for call in cassette.journal] == [429, 200]
    cassette.assert_well_behaved()
    cassette.assert_tokens_at_most(1000)


# Ends


def test_who_leaves_with_the_whole_answer_has_it_recorded(path: Path) -> None:
    body = b'{"id": "resp_1"}'

    def upstream(request: Request) -> Response:
        said = {"content-type": "application/json"}
        if request.path == "/v1/responses":
            said["content-length"] = str(len(body))
        return Response(200, Headers(said), iter([body[:5], body[5:]]))

    with Cassette(path, "once", upstream=upstream) as cassette:
        for address, pieces in (("/v1/responses", 2), ("/v1/responses", 1), ("/v1/files", 2)):
            answer = cassette(Request("GET", address))
            while not isinstance(answer, Response):
                try:
                    next(answer)
                except StopIteration as done:
                    answer = done.value
            read: Any = iter(answer.body)
            assert [next(read) for _ in range(pieces)] == [body[:5], body[5:]][:pieces]
            read.close()  # a client does so once it has as many bytes as were announced
    assert [(each.path, each.status) for each in cassette.recordings] == [("/v1/responses", 200)]


def test_a_stream_that_was_left_says_so_when_it_is_read_on(path: Path) -> None:
    def read(cassette: Cassette, most: int) -> list[str]:
        client = cassette.client(max_retries=0)
        stream = client.chat.completions.create(
            model="gpt-5", messages=[{"role": "user", "content": "one two three"}], stream=True
        )
        told: list[str] = []
        for chunk in stream:
            told.append(str(chunk.choices[0].delta.content))
            if len(told) == most:
                break
        stream.close()
        return told

    with Cassette(path, "once", upstream=FakeOpenAI("echo", latency=(0.0, 0.2))) as cassette:
        recorded = read(cassette, 2)
    assert "cut: it was left here" in path.read_text()
    cassette = Cassette(path, "none")
    assert read(cassette, 2) == recorded
    assert cassette.misses == []
    with pytest.raises(antiphon.APIError, match="The recording ends here, before the stream does"):
        read(Cassette(path, "none"), 99)


def test_a_stream_that_breaks_off_is_not_recorded(path: Path) -> None:
    def breaking(request: Request) -> Response:
        def pieces() -> Any:
            yield b'data: {"choices": []}\n\n'
            raise antiphon.APIConnectionError(message="gone", request=request)

        return Response(200, Headers({"content-type": "text/event-stream"}), pieces())

    with Cassette(path, "once", upstream=breaking) as cassette:
        with pytest.raises(antiphon.APIConnectionError, match="gone"):
            list(cassette.client().chat.completions.create(model="gpt-5", messages=[], stream=True))
        assert cassette.recordings == []
    assert not path.exists()


def test_large_bodies_are_recorded_as_digests(path: Path) -> None:
    def send(cassette: Cassette, byte: bytes) -> Any:
        client = cassette.client(max_retries=0)
        return client.files.create(file=("big.bin", byte * (2 * 1024 * 1024)), purpose="assistants").to_dict()

    with Cassette(path, "once", upstream=FakeOpenAI()) as cassette:
        recorded = send(cassette, b"a")
    assert path.stat().st_size < 4096
    assert "digest: sha256 " in path.read_text()
    assert send(Cassette(path, "none"), b"a") == recorded
    with pytest.raises(antiphon.NotFoundError, match="digest: recorded"):
        send(Cassette(path, "none"), b"b")


def test_an_upstream_has_an_address_and_a_key_of_its_own() -> None:
    request = Request("POST", "/v1/models", "a=1", Headers({"authorization": "Bearer mine", "host": "x", "te": "x"}))
    sent = Upstream("https://host.test/api/v1", api_key="theirs").addressed(request)
    assert sent.url == "https://host.test/api/v1/models?a=1"
    assert sent.headers.pairs == [("authorization", "Bearer theirs"), ("accept-encoding", "identity")]
    assert Upstream("http://host.test:8000").addressed(request).url == "http://host.test:8000/v1/models?a=1"
    assert (
        Upstream("http://host.test/v1beta/openai/").addressed(request).url
        == "http://host.test/v1beta/openai/models?a=1"
    )
    assert Upstream().addressed(request).url == request.url
    for wrong in ("host.test", "ftp://host.test", "http://", "http://host.test/?a=1"):
        with pytest.raises(ValueError, match="an upstream is an address"):
            Upstream(wrong)


def test_where_the_host_has_its_api_does_not_matter(path: Path) -> None:
    from antiphon.kernel.flow import World

    class There(World):
        closed = False

        def send(self, request: Request, timeout: Any, stream: bool) -> Response:
            assert request.url == "https://host.test/api/v3/chat/completions"
            return Response(
                200,
                Headers({"content-type": "application/json"}),
                iter([b'{"choices":[{"message":{"content":"Hi"}}]}']),
            )

        asend = World.asend

        def close(self) -> None:
            self.closed = True

    there = There()
    with Cassette(path, "once", upstream=Upstream("https://host.test/api/v3", transport=there)) as cassette:
        assert ask(cassette) == "Hi"
    assert there.closed
    assert "url: https://host.test/v1/chat/completions\n" in path.read_text()
    assert ask(Cassette(path, "strict")) == "Hi"


def test_secrets_in_a_form_of_an_address_are_not_written(path: Path) -> None:
    from antiphon.transports.handler import HandlerTransport

    kind = Headers({"content-type": "application/x-www-form-urlencoded"})
    body = b"grant_type=exchange&subject_token=abc&client_secret=x%20y&password=p"
    with Cassette(path, "once", upstream=counting(said("one"))) as cassette:
        HandlerTransport(cassette).send(Request("POST", "/oauth", "", kind, body), None, False)
    fields = yaml.safe_load(path.read_text())["exchanges"][0]["request"]["form"]
    assert [each["text"] for each in fields] == ["exchange", "SCRUBBED", "SCRUBBED", "SCRUBBED"]


# Several at once


def test_several_writers_of_one_file_lose_nothing(path: Path) -> None:
    def write(number: int) -> None:
        with Cassette(path, "new", upstream=counting(said(str(number)))) as cassette:
            for turn in range(5):
                ask(cassette, f"{number} {turn}")
                cassette.save()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cassette = Cassette(path, "strict")
    assert len(cassette.recordings) == 30
    for number in range(6):
        assert ask(cassette, f"{number} 4") == str(number)
    assert [each.name for each in path.parent.iterdir()] == ["test.yaml"]


async def test_requests_at_the_same_time_are_answered_each_with_its_own(path: Path) -> None:
    upstream = FakeOpenAI("echo", latency=0.02)

    async def go(cassette: Cassette) -> list[str]:
        client = cassette.async_client()

        async def one(number: int) -> str:
            answer = await client.responses.create(model="gpt-5", input=f"Number {number}")
            return answer.output_text

        return await asyncio.gather(*(one(number) for number in range(20)))

    async with Cassette(path, "once", upstream=upstream) as cassette:
        recorded = await go(cassette)
    assert await go(Cassette(path, "strict")) == recorded == [f"Number {number}" for number in range(20)]


def test_a_file_that_becomes_something_else_is_not_overwritten(path: Path) -> None:
    cassette = Cassette(path, "new", upstream=counting(said("one")))
    ask(cassette)
    path.parent.mkdir(parents=True)
    path.write_text("something: else\n")
    with pytest.raises(CassetteError, match="this is no cassette"):
        cassette.close()
    assert path.read_text() == "something: else\n"
    path.unlink()
    cassette.close()  # what could not be written is still there
    assert len(Cassette(path, "none").recordings) == 1
