"""What is sent to a fake, or written into its files, so that it would fall over, hang or eat the memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from antiphon import FakeOpenAI
from antiphon.fake.cassettes import Cassette, CassetteError
from antiphon.fake.cassettes.bodies import Framed
from antiphon.fake.faults import (
    Behaviour,
    EmptyBody,
    MalformedJSON,
    Reorder,
    ReturnResponse,
    Truncate,
    UnknownFields,
    fault_of,
)
from antiphon.fake.faults.streams import events
from antiphon.fake.fuzz import Liberties
from antiphon.fake.rulefile import RuleFileError
from antiphon.kernel.flow import run
from antiphon.kernel.http import Headers, Request, Response
from antiphon.kernel.sse import Blocks
from antiphon.server.clock import VirtualClock

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "one two three four five six"}]}


def ask(
    fake: FakeOpenAI,
    path: str = "/v1/chat/completions",
    body: Any = CHAT,
    method: str = "POST",
    origin: str = "http://fake.test",
    query: str = "",
    sender: str | None = None,
) -> Response:
    sent = body if isinstance(body, bytes) else orjson.dumps(body)
    own = {"content-type": "application/json", "authorization": "Bearer sk-any"}
    own |= {} if sender is None else {"origin": sender}
    answer = fake(Request(method, path, query, Headers(own), sent, origin))
    return answer if isinstance(answer, Response) else run(answer, fake.world)


def within(seconds: float, act: Callable[[], Any]) -> Any:
    """What comes of it, on a thread of its own that is given up when it hangs."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(act()), daemon=True)
    thread.start()
    thread.join(seconds)
    assert found, "it hangs"
    return found[0]


def error_of(answer: Response) -> Any:
    assert isinstance(answer.body, bytes)
    return orjson.loads(answer.body)["error"]


# Faults


def test_a_condition_may_change_what_goes_wrong() -> None:
    fake = FakeOpenAI()

    def last(asked: Any) -> bool:
        fake.behave()
        return True

    fake.misbehave("status=503", when=last)
    assert within(20, lambda: [ask(fake).status, ask(fake).status]) == [503, 200]


@pytest.mark.parametrize("error", [TypeError("mine"), KeyError("mine")])
def test_a_condition_that_fails_is_an_error_of_the_server(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    fake = FakeOpenAI()

    def broken(asked: Any) -> bool:
        raise error

    fake.misbehave("status=503", when=broken)
    answer = ask(fake)
    assert (answer.status, error_of(answer)["param"]) == (500, None)
    assert "mine" in caplog.text


def test_a_behaviour_that_fails_is_an_error_of_the_server(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Behaviour):
        def altered(self, answer: Response, scene: Any) -> Response:
            raise KeyError("mine")

    fake = FakeOpenAI()
    fake.misbehave(Broken())
    assert ask(fake).status == 500
    assert "mine" in caplog.text


@pytest.mark.parametrize("fault", [MalformedJSON() & UnknownFields(), EmptyBody() & UnknownFields()])
def test_what_one_fault_has_broken_another_leaves(fault: Behaviour) -> None:
    fake = FakeOpenAI()
    fake.misbehave(fault)
    assert ask(fake).status == 200


@pytest.mark.parametrize(("kind", "body"), [("application/json", "{no"), ("text/event-stream", "data: {no\n\n")])
def test_what_a_fault_has_broken_is_not_varied(kind: str, body: str) -> None:
    fake = FakeOpenAI()
    fake.misbehave(ReturnResponse(200, body, {"content-type": kind}))
    fake.fuzz(Liberties(spaces=True))
    said: Any = ask(fake).body
    assert b"{no" in (said if isinstance(said, bytes) else b"".join(said))


def test_streams_that_are_mixed_up_at_the_same_time_stay_apart() -> None:
    fake = FakeOpenAI("echo", latency=(0.0, 1.0), clock=VirtualClock(0))
    plain: Any = ask(fake, body={**CHAT, "stream": True}).body
    count = b"".join(each for each in plain if isinstance(each, bytes)).count(b"data: ")
    fake.misbehave(Reorder(within=4))
    asked = [{"model": name, "messages": CHAT["messages"], "stream": True} for name in ("gpt-4o", "gpt-4.1")]
    bodies: list[Any] = [iter(ask(fake, body=each).body) for each in asked]
    told: list[list[bytes]] = [[], []]
    going = True
    while going:
        going = False
        for stream, found in zip(bodies, told, strict=True):
            piece = next(stream, None)
            if piece is not None:
                going = True
                found += [piece] if isinstance(piece, bytes) else []
    for found, other in zip(told, ("gpt-4.1", "gpt-4o"), strict=True):
        assert b"".join(found).count(b"data: ") == count
        assert f'"{other}'.encode() not in b"".join(found)


def test_streams_with_other_line_ends_are_cut_by_events_too() -> None:
    fake = FakeOpenAI("echo")
    fake.fuzz(Liberties(endings=True))
    fake.misbehave(Truncate(after=2))
    said = b"".join(each for each in ask(fake, body={**CHAT, "stream": True}).body if isinstance(each, bytes))
    assert said.count(b"\r\n\r\n") == 2


def test_faults_are_not_nested_without_end() -> None:
    deep: Any = {"type": "status"}
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(ValueError, match="nested"):
        fault_of(deep)
    with pytest.raises(ValueError, match="commas"):
        fault_of(", ,")
    for path in ("/chaos/activate/new", "/_antiphon/faults"):
        answer = ask(FakeOpenAI(), path, b"[" * 900 + b"]" * 900)
        assert (answer.status, error_of(answer)["code"]) == (400, "invalid_fault")


# The control API, the usage


@pytest.mark.parametrize("path", ["/chaos/status", "/_antiphon/journal"])
def test_a_host_that_is_none_may_do_nothing(path: str) -> None:
    fake = FakeOpenAI()
    door: Any = fake.door("127.0.0.1")
    answer = door(Request("GET", path, "", Headers({}), b"", "http://["))
    assert (answer.status, error_of(answer)["code"]) == (403, "control_off")
    ask(fake, origin="http://[")
    assert fake.verdict() is not None


def test_an_origin_that_is_none_is_foreign() -> None:
    answer = ask(FakeOpenAI(), "/_antiphon/journal", b"", "GET", origin="http://127.0.0.1:1")
    assert answer.status == 200
    for origin in ("http://[", "null", "http://127.0.0.1:2"):
        fake = FakeOpenAI()
        answer = ask(fake, "/_antiphon/journal", b"", "GET", origin="http://127.0.0.1:1", sender=origin)
        assert error_of(answer)["code"] == "foreign_origin"


def test_what_is_no_answer_of_the_api_was_not_used() -> None:
    fake = FakeOpenAI()
    odd = '{"output": [1], "usage": [1], "data": 5, "duration": "x"}'
    fake.misbehave(ReturnResponse(200, odd, {"content-type": "application/json"}).until(3))
    ask(fake, "/v1/responses", {"model": "gpt-4o", "input": "x"})
    ask(fake, "/v1/audio/transcriptions", {"model": "whisper-1"})
    ask(fake, "/v1/images/generations", {"model": "dall-e-3", "prompt": "x"})
    for kind in ("completions", "web_search_calls", "audio_transcriptions", "images"):
        assert ask(fake, f"/v1/organization/usage/{kind}", b"", "GET", query="start_time=0").status == 200


# Trigger phrases


@pytest.mark.parametrize(
    "phrase",
    [
        'raise error {"status": 429, "headers": "x"}',
        'raise error {"status": 429, "headers": [1]}',
        'raise error {"status": 429, "message": 5}',
        'raise error {"status": 429, "retry_after": [1]}',
        "fake: wait 1" + "0" * 400 + "\nfake: reply with x",
    ],
)
def test_phrases_that_cannot_be_are_refused(phrase: str) -> None:
    answer = ask(FakeOpenAI(triggers=True), body={**CHAT, "messages": [{"role": "user", "content": phrase}]})
    assert (answer.status, error_of(answer)["code"]) == (400, "invalid_trigger")


# Files


def lists_of_lists(levels: int) -> str:
    """Values of which each is ten of the one before."""
    first = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]"
    return ", ".join([first, *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels))])


def test_aliases_do_not_make_files_huge(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    merged = "".join(f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 10)}]}}\n" for n in range(1, 9))
    for text in ("{" + lists_of_lists(9) + "}", "m0: &m0 {x: 1}\n" + merged):
        path.write_text(text)
        with pytest.raises(RuleFileError, match=r"rules\.yaml:1:1: with all its aliases"):
            FakeOpenAI(rules=path)
    path.write_text(
        "antiphon cassette: 1\nexchanges:\n- request: {method: GET, url: 'https://x/y', json: {"
        + lists_of_lists(9)
        + "}}\n  answer: {status: 200}\n"
    )
    with pytest.raises(CassetteError, match="with all its aliases"):
        Cassette(path, "none")
    path.write_text("rules: [{when: &when {text: a}, reply: one}, {when: *when, reply: two}]")
    assert len(FakeOpenAI(rules=path).rules) == 2


def test_numbers_of_very_many_digits_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    path.write_text(f"[{'1' * 5000}]")
    with pytest.raises(RuleFileError, match="this is not JSON"):
        FakeOpenAI(rules=path)


def test_an_answer_is_not_given_a_billion_times() -> None:
    rule = {"when": {"text": "x"}, "answers": [{"reply": "x", "times": 1_000_000_000}]}
    answer = ask(FakeOpenAI(), "/_antiphon/rules", rule)
    assert (answer.status, error_of(answer)["code"]) == (400, "invalid_rule")
    with pytest.raises(ValueError, match="from 1 to 10000"):
        FakeOpenAI().when(text="x").reply("x", times=10**9)


# Much of it


def growth(work: Callable[[int], Any], size: int) -> float:
    """How many times longer four times as much takes: four where the work grows with it, sixteen for a square."""

    def least(size: int) -> float:
        times: list[float] = []
        for _ in range(3):
            began = time.process_time()
            work(size)
            times.append(time.process_time() - began)
        return min(times)

    return least(4 * size) / max(least(size), 1e-6)


def test_the_work_for_streams_grows_with_their_length() -> None:
    def long(size: int) -> list[bytes]:
        whole = b"data: " + b"x" * size + b"\n\n"
        return [whole[at : at + 1024] for at in range(0, len(whole), 1024)]

    assert list(events(long(10_000))) == [b"".join(long(10_000))]
    assert len(Framed([(0.0, each) for each in long(10_000)]).blocks) == 1
    assert len(Framed([(0.0, b"data: 1\n\n" * 500)]).blocks) == 500
    assert growth(lambda size: list(events(long(size))), 2_000_000) < 10
    assert growth(lambda size: Framed([(0.0, each) for each in long(size)]), 2_000_000) < 10
    assert growth(lambda size: Framed([(0.0, b"data: 1\n\n" * size)]), 25_000) < 10
    assert growth(lambda size: list(events(b"data: 1\n\n" * size)), 25_000) < 10


@pytest.mark.parametrize("size", range(1, 9))
def test_blocks_end_with_their_blank_lines_however_they_come(size: int) -> None:
    text = b"data: a\n\ndata: b\r\n\r\n\n\n: c\n\nleft"
    blocks = Blocks()
    found = [each for at in range(0, len(text), size) for each in blocks.feed(text[at : at + size])]
    assert found == [b"data: a\n\n", b"data: b\r\n\r\n", b"\n\n", b": c\n\n"]
    assert (blocks.close(), blocks.close()) == (b"left", b"")


def test_the_work_for_a_verdict_grows_with_the_journal() -> None:
    before = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}] * 20

    fakes: dict[int, FakeOpenAI] = {}
    for size in (100, 400):
        fake = fakes[size] = FakeOpenAI()
        for number in range(size):
            ask(fake, body={**CHAT, "max_tokens": 3, "messages": [*before, {"role": "user", "content": str(number)}]})
    assert len(fakes[100].verdict()) == 100
    assert growth(lambda size: fakes[size].verdict(), 100) < 10


def test_a_stream_that_is_collected_as_garbage_while_the_journal_is_written_hangs_nobody() -> None:
    fake = FakeOpenAI("echo", latency=(0.0, 1.0), clock=VirtualClock(0))
    long = {**CHAT, "messages": [{"role": "user", "content": "word " * 20_000}], "stream": True}

    def left() -> int:
        body: Any = ask(fake, body=long).body
        next(body)
        with fake.journal._lock:  # as where the collector comes in
            del body
        return len(fake.journal)

    assert within(20, left) == 1
