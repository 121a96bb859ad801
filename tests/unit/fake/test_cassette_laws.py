"""Laws of cassettes: what is recorded is played to the byte, and what is scrubbed has nothing in it that is found."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from antiphon.fake.cassettes import Cassette, CassetteError
from antiphon.fake.cassettes.files import document, load
from antiphon.fake.cassettes.recording import Recording
from antiphon.fake.cassettes.safety import verified
from antiphon.fake.cassettes.scrubbing import SCRUBBED, Scrubber
from antiphon.kernel.flow import World, iterate, run
from antiphon.kernel.http import Headers, Request, Response

pytestmark = pytest.mark.timeout(300)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
JSON: Any = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False), TEXT
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=12,
)
LAYOUTS = (
    orjson.dumps,
    lambda value: orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n",
    lambda value: json.dumps(value).encode(),
    lambda value: json.dumps(value, ensure_ascii=False, indent=4).encode(),
)
DOCUMENTS = st.builds(lambda value, dump: dump(value), JSON, st.sampled_from(LAYOUTS))
LINES = st.one_of(
    st.sampled_from(
        [b"data: [DONE]", b": comment", b"event: a", b"", b"retry: 3", b"data:x", b"id: 1", b"data: ", b"\xff"]
    ),
    DOCUMENTS.map(lambda data: b"data: " + data.replace(b"\n", b"")),
    st.binary(max_size=8),
)
STREAMS = st.builds(
    lambda blocks, end: b"".join(b"".join(line + end for line in block) + end for block in blocks),
    st.lists(st.lists(LINES, max_size=3), max_size=6),
    st.sampled_from([b"\n", b"\r\n"]),
)
BODIES = st.one_of(
    st.tuples(st.just("application/json"), st.one_of(DOCUMENTS, st.binary(max_size=40), TEXT.map(str.encode))),
    st.tuples(st.just("text/event-stream"), STREAMS),
    st.tuples(st.just("audio/mpeg"), st.binary(max_size=300)),
)

FEW = settings(max_examples=60, deadline=None)


def said(handler: Any, request: Request) -> tuple[int, bytes]:
    answer = handler(request)
    if not isinstance(answer, Response):
        answer = run(answer, World())
    body = answer.body
    return answer.status, body if isinstance(body, bytes) else b"".join(iterate(body, World()))


def asked(number: int, body: bytes = b"") -> Request:
    return Request("POST", f"/v1/things/{number}", "", Headers({"content-type": "application/json"}), body)


@FEW
@given(
    st.lists(st.tuples(BODIES, st.lists(st.integers(0, 400), max_size=5), st.sampled_from([200, 400, 503])), max_size=4)
)
@example(
    [
        (
            ("text/event-stream", b'event: a\ndata: {"a": 1, "b":2}\n\ndata: {"a": 1, "c": 3}\n\ndata: [DONE]\n\n'),
            [7],
            200,
        )
    ]
)
@example([(("application/json", b'{"a": 1.0, "b": 1e16, "c": "\\u2028 \\u0085"}'), [], 200)])
@example([(("application/json", b'{"t":"- a: b\\n #x\\n\\n end "}'), [], 200)])
@example([(("audio/mpeg", b"!\n!\n\n"), [], 200), (("audio/mpeg", b""), [], 200)])
def test_what_is_recorded_is_played_to_the_byte(answers: list[Any]) -> None:
    def upstream(request: Request) -> Response:
        (kind, data), cuts, status = answers[int(request.path.rpartition("/")[2])]
        places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
        pieces = [data[here:there] for here, there in pairwise(places)]
        return Response(status, Headers({"content-type": kind}), iter(pieces))

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "a.yaml")
        scrubber = Scrubber()
        with Cassette(path, "all", upstream=upstream) as cassette:
            recorded = [said(cassette, asked(number)) for number in range(len(answers))]
        if not answers:
            assert not path.exists()
            return
        assert [data for _, data in recorded] == [data for (_, data), _, _ in answers]
        cassette = Cassette(path, "strict")
        played = [said(cassette, asked(number)) for number in range(len(answers))]
        for here, there in zip(played, recorded, strict=True):
            if scrubber.data(there[1]) == there[1]:
                assert here == there
        cassette.assert_all_played()
        assert Cassette(path).recordings[0].value == cassette.recordings[0].value


SECRETS = st.sampled_from(
    [
        "sk-proj-abcdefghijklmnopqrstuv",
        "Bearer abcdefghijklmnop",
        "https://user:secret@host/",
        "org-abcdefghij1234567890",
        "AKIAABCDEFGHIJKLMNOP",
        "ghp_abcdefghijabcdefghijabcdefghij1234",
        "customer-42",
        "api_key=abcdefghijkl",
        "-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
        "https://x.test/?sig=abc%3D&x=1",
        '{"password": "hunter2hunter2"}',
        SCRUBBED,
        "\n",
        " ",
        '"',
        ":",
        "&key=",
        "=",
    ]
)
DIRTY = st.lists(st.one_of(SECRETS, st.text(st.characters(exclude_categories=["Cs"]), max_size=4)), max_size=6).map(
    "".join
)
NAMES = st.one_of(
    TEXT, st.sampled_from(["api_key", "Authorization", "password", "client_secret", "token", "customer-1"])
)
DIRTY_JSON: Any = st.recursive(
    st.one_of(st.none(), st.integers(), DIRTY),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.one_of(NAMES, DIRTY), inner, max_size=3)),
    max_leaves=8,
)


@given(DIRTY_JSON)
def test_nothing_is_found_in_what_was_scrubbed(value: Any) -> None:
    scrubber = Scrubber([r"customer-\d+"])
    clean = scrubber.scrubbed(value)
    assert list(scrubber.findings(clean)) == []
    assert scrubber.scrubbed(clean) == clean


@FEW
@given(
    st.dictionaries(NAMES, DIRTY_JSON, max_size=3),
    DIRTY,
    DIRTY,
    st.lists(DIRTY_JSON, max_size=3),
    st.binary(max_size=30),
    DIRTY,
)
def test_nothing_is_found_in_what_was_recorded(
    asked_json: dict[str, Any], text: str, query: str, events: list[Any], binary: bytes, filename: str
) -> None:
    from urllib.parse import quote

    def upstream(request: Request) -> Response:
        if request.path == "/stream":
            stream = b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in events)
            return Response(200, Headers({"content-type": "text/event-stream"}), iter([stream]))
        data = binary + text.encode() if request.path == "/binary" else text.encode()
        headers = [("x-note", text.replace("\n", " ")), ("set-cookie", "a=b"), ("openai-organization", "mine")]
        return Response(200, Headers([*headers, ("content-type", "text/plain")]), data)

    form = (
        f'--b\r\ncontent-disposition: form-data; name="password"\r\n\r\n{text}\r\n'
        f'--b\r\ncontent-disposition: form-data; name="f"; filename="{quote(filename)}"\r\n\r\n{text}\r\n--b--\r\n'
    ).encode()
    key = Headers({"authorization": "Bearer my-own-key-of-this-test", "content-type": "application/json"})
    requests = [
        Request("POST", "/a", quote(query, safe="=&?/:"), key, json.dumps(asked_json).encode()),
        Request("POST", "/binary", "", key, b"my-own-key-of-this-test" + binary),
        Request("GET", "/stream", "api_key=abc", key),
        Request("POST", "/form", "", key.replaced({"content-type": "multipart/form-data; boundary=b"}), form),
    ]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "a.yaml")
        with Cassette(path, "once", upstream=upstream, scrub=[r"customer-\d+"]) as cassette:
            for each in requests:
                said(cassette, each)
        assert verified(path) == []
        written = path.read_text()
        assert "my-own-key" not in written
        assert "sk-proj-" not in written
        # What was scrubbed is found again by what was sent, with its secrets.
        cassette = Cassette(path, "strict")
        assert [said(cassette, each)[0] for each in requests] == [200] * 4


@FEW
@given(st.lists(SECRETS, max_size=4).map("".join), st.lists(st.integers(0, 120), max_size=12), st.booleans())
@example("my key is sk-proj-abcdefghijklmnopqrstuv.", [12, 14, 20, 30], True)
@example("a my-own-key-of-this-test b", [4, 9, 20], False)
def test_a_secret_is_not_written_in_pieces_either(text: str, cuts: list[int], chat: bool) -> None:
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[here:there] for here, there in pairwise(places)]

    def chunk(piece: str) -> Any:
        return {"choices": [{"index": 0, "delta": {"content": piece}}]} if chat else {"type": "x.delta", "delta": piece}

    def upstream(request: Request) -> Response:
        stream = b"".join(b"data: " + orjson.dumps(chunk(piece)) + b"\n\n" for piece in pieces)
        return Response(200, Headers({"content-type": "text/event-stream"}), iter([stream]))

    key = Headers({"authorization": "Bearer my-own-key-of-this-test"})
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "a.yaml")
        with Cassette(path, "once", upstream=upstream) as cassette:
            said(cassette, Request("GET", "/stream", "", key))
        assert verified(path) == []
        _, data = said(Cassette(path, "strict"), Request("GET", "/stream", "", key))
    told = [orjson.loads(line[6:]) for line in data.split(b"\n\n") if line]
    assert len(told) == len(pieces)
    whole = "".join(each["choices"][0]["delta"]["content"] if chat else each["delta"] for each in told)
    scrubber = Scrubber()
    scrubber.learn(key.pairs)
    assert list(scrubber.findings(whole)) == []
    if not any(list(scrubber.findings(each)) for each in (text, *pieces)):
        assert whole == text


VALUES = st.dictionaries(TEXT, JSON, max_size=4)


@FEW
@given(VALUES, JSON)
def test_values_are_read_as_they_were_written(value: dict[str, Any], other: Any) -> None:
    recording = Recording(
        {
            "request": {"method": "POST", "url": "http://a/b", "json": value},
            "answer": {"status": 200, "events": [{"data": other}, {"text": json.dumps(other)}], "each": value},
        }
    )
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "a.yaml")
        path.write_text(document([recording]), "utf-8", newline="\n")
        read = load(path).recordings[0].value
    assert orjson.dumps(read) == orjson.dumps(recording.value)


WHOLE: Any = {
    "antiphon cassette": 1,
    "scrub": ["x1y2"],
    "exchanges": [
        {
            "request": {"method": "POST", "url": "https://a/v1/x?y=1", "headers": {"a": "b"}, "json": {"a": [1, "b"]}},
            "answer": {
                "status": 200,
                "after": 0.1,
                "headers": {"x": ["a", "b"]},
                "json": {"a": 1},
                "layout": "indented",
            },
            "recorded": "2026-11-28T16:20:00Z",
        },
        {
            "request": {
                "method": "POST",
                "url": "https://a/y",
                "form": [{"name": "f", "filename": "x", "base64": "QQ=="}],
            },
            "answer": {
                "status": 200,
                "each": {"id": 1},
                "events": [{"after": 1, "event": "e", "data": {"x": "y"}}, {"text": "[DONE]"}, {"raw": ": c"}],
                "line_ends": "crlf",
                "cut": "left",
            },
        },
        {
            "request": {"method": "GET", "url": "https://a/z", "digest": "d"},
            "answer": {"status": 404, "base64": "QQ=="},
        },
    ],
}


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if place:
        yield place
    for name, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(each, (*place, name))


ODD: Any = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-5, 700), st.floats(), st.dates(), st.sampled_from(["GET", "QQ==", ""])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(
            st.one_of(st.integers(), st.sampled_from(["status", "text", "json", "events", "data"])), inner, max_size=2
        ),
    ),
    max_leaves=4,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(list(places(WHOLE))), ODD, st.booleans())
@example(("exchanges", 1, "request", "form", 0, "filename"), {0: None}, False)
def test_what_is_wrong_is_refused_with_its_line_and_all_else_is_played(place: Any, value: Any, missing: bool) -> None:
    changed = copy.deepcopy(WHOLE)
    holder = changed
    for step in place[:-1]:
        holder = holder[step]
    if missing:
        del holder[place[-1]]
    else:
        holder[place[-1]] = value
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "a.yaml")
        path.write_text(yaml.safe_dump(changed))
        try:
            cassette = Cassette(path, "none", speed=1e6)
        except CassetteError as error:
            refused = error
        else:
            refused = None
        if refused is not None:
            assert refused.line >= 1
            return
        verified(path)
        for recording in cassette.recordings:
            said(cassette, Request(recording.method, recording.path, "", Headers({}), b"{}"))
            assert isinstance(recording.body(), bytes)
