"""The files of cassettes: what they look like, what is refused and where, secrets in them, those of others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from antiphon import FakeOpenAI
from antiphon.fake.cassettes import Cassette, CassetteError, Scrubber
from antiphon.fake.cassettes.pairs import told_apart
from antiphon.fake.cassettes.safety import cassettes_in, verified
from antiphon.kernel.http import Headers, Request, Response
from antiphon.transports.handler import HandlerTransport

GOOD = """\
antiphon cassette: 1
exchanges:
- request:
    method: POST
    url: https://api.openai.com/v1/chat/completions
    json:
      model: gpt-5
      messages:
      - role: user
        content: Hello
  answer:
    status: 200
    headers:
      content-type: application/json
    json:
      choices:
      - index: 0
        message: {role: assistant, content: Good day}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "test.yaml"


def test_a_cassette_may_be_written_by_hand(path: Path) -> None:
    path.write_text(GOOD)
    client = Cassette(path, "strict").client()
    answer = client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "Hello"}])
    assert answer.choices[0].message.content == "Good day"


@pytest.mark.parametrize(
    ("before", "after", "line", "says"),
    [
        (
            "antiphon cassette: 1",
            "cassette: 1",
            1,
            "this is no cassette: one begins with the line `antiphon cassette: 1`",
        ),
        ("antiphon cassette: 1", "antiphon cassette: 2", 1, "reads cassettes of version 1, not 2"),
        ("exchanges:", "scrub:\n- a\n- (\nexchanges:", 4, "scrub[1]: a pattern to scrub is a regular expression"),
        ("exchanges:", "exchange:", 2, "there is no 'exchange' here"),
        ("method: POST", "method: BREW", 4, "exchanges[0].request.method: one of DELETE, GET, .* not 'BREW'"),
        ("    method: POST\n", "", 3, "exchanges[0].request: the method is missing: one of"),
        ("url: https://api.openai.com/v1", "url: /v1", 5, "an address such as https"),
        ("https://api.openai.com/v1", "https://[x/v1", 5, "an address such as https"),
        ("status: 200", "status: fine", 12, "a number from 100 to 599 was expected, not 'fine'"),
        ("    status: 200\n", "", 11, "the status is missing"),
        ("    status: 200\n", "    status: 200\n    after: soon\n", 13, "a number of seconds was expected, not 'soon'"),
        ("content-type: application/json", "x-count: 3", 14, "a header is a text, .* not a number; put it in quotes"),
        (
            "    json:\n      choices",
            "    text: x\n    json:\n      choices",
            15,
            "there is one body: json or text, not both",
        ),
        ("    json:\n      choices", "    base64: '%%'\n    jsn:\n      choices", 16, "there is no 'jsn' here"),
        ("      model: gpt-5", "      1: gpt-5", 6, "this cannot be JSON: .* put what is a name in quotes"),
        ("  answer:", "  answers:", 11, "there is no 'answers' here; there are request, answer, dialogue, recorded"),
        ("- request:", "- request: [", 5, "this is not YAML"),
        ("Good day}", "Good day", 19, "this is not YAML"),
    ],
)
def test_a_cassette_that_is_wrong_is_refused_with_its_line(
    path: Path, before: str, after: str, line: int, says: str
) -> None:
    assert before in GOOD
    path.write_text(GOOD.replace(before, after, 1))
    with pytest.raises(CassetteError, match=says.replace("[", r"\[").replace("]", r"\]")) as failed:
        Cassette(path, "none")
    assert str(failed.value).startswith(f"{path}:{line}: ")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("base64: '%%'", "this is not base64"),
        ("events: none", "a list of events was expected, not a text"),
        ("events: [{data: 1, text: x}]", "there is one body: data or text"),
        ("events: [{name: 1}]", "there is no 'name' here; there are after, event, data, text, raw, base64"),
        ("events: [{after: -1}]", "a number of seconds was expected, not -1"),
        ("events: [3]", "a mapping was expected"),
        ("layout: pretty", "one of compact, indented"),
        ("line_ends: cr", "'lf' or 'crlf' was expected"),
        ("each: [1]", "a mapping was expected, of what is in each event"),
        ("cut: [1]", "a text was expected"),
    ],
)
def test_an_answer_that_is_wrong_is_refused(path: Path, body: str, says: str) -> None:
    path.write_text(GOOD.partition("    json:\n      choices")[0] + f"    {body}\n")
    with pytest.raises(CassetteError, match=says) as failed:
        Cassette(path, "none")
    assert failed.value.line == 15


@pytest.mark.parametrize("mode", ["none", "once", "new", "all", "strict"])
def test_a_directory_is_refused(tmp_path: Path, mode: Any) -> None:
    with pytest.raises(CassetteError, match="this is a directory, and a cassette is a file in it"):
        Cassette(tmp_path, mode)


def test_files_that_are_no_text_are_refused(path: Path) -> None:
    for data, says in (
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"", "no cassette"),
        (b"- 1", "no cassette"),
        (b"a: !!python/name:os.system", "YAML"),
    ):
        path.write_bytes(data)
        with pytest.raises(CassetteError, match=says):
            Cassette(path, "none")
    path.write_text(GOOD.replace("exchanges:", "scrub: x\nexchanges:"))
    with pytest.raises(CassetteError, match="a list of regular expressions was expected, not a text"):
        Cassette(path, "none")


def test_it_reads_well(path: Path) -> None:
    fake = FakeOpenAI("echo")
    with Cassette(path, "once", upstream=fake, scrub=["Norway"]) as cassette:
        client = cassette.client()
        messages: Any = [{"role": "user", "content": "Is it cold\nin Norway?"}]
        list(client.chat.completions.create(model="gpt-5", messages=messages, stream=True))
    text = path.read_text()
    assert text.startswith("antiphon cassette: 1\nscrub:\n- Norway\nexchanges:\n- request:\n    method: POST\n")
    assert "content: |-\n          Is it cold\n          in SCRUBBED?\n" in text
    assert "\n    each: {id: chatcmpl-" in text
    assert "\n    - {text: '[DONE]'}\n" in text
    events = [line for line in text.splitlines() if line.startswith("    - {")]
    assert len(events) > 3
    assert all(len(line) < 130 for line in events)


# Secrets


def test_secrets_are_found_with_their_lines_wherever_they_are(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "of-the-environment")
    key = "sk-proj-abcdefghijklmnop1234"
    path.write_text(
        GOOD.replace("content: Hello", f"content: |\n          Hello\n          {key}\n          Bye")
        .replace("content-type: application/json", f"x-key: {key}\n      authorization: Bearer x\n      # {key}")
        .replace("content: Good day", "content: 'the key is of-the-environment'")
        .replace("/v1/chat/completions", "/v1/chat/completions?api_key=abc&x=1")
    )
    found = [str(each).removeprefix(str(path)) for each in verified(path)]
    assert found == [
        ":5: exchanges[0].request.url: a secret in an address, ab…",
        ":12: exchanges[0].request.json.messages[0].content: a key of OpenAI's or of a host like it, sk-pro…",
        ":17: exchanges[0].answer.headers.x-key: a key of OpenAI's or of a host like it, sk-pro…",
        ":18: exchanges[0].answer.headers.authorization: what is named authorization, Be…",
        ":19: a key of OpenAI's or of a host like it, sk-pro…",
        ":23: exchanges[0].answer.json.choices[0].message.content: a secret of the environment, of-the…",
    ]
    assert not any(key in each for each in found)


def test_a_secret_over_several_events_is_found_where_it_begins(path: Path) -> None:
    deltas = ["The key is sk", "-proj-abcdef", "ghijklmnopqrst", "uv."]
    events = "".join(f"    - {{data: {{choices: [{{index: 0, delta: {{content: '{each}'}}}}]}}}}\n" for each in deltas)
    path.write_text(GOOD.partition("    json:\n      choices")[0] + f"    events:\n{events}")
    (secret,) = verified(path)
    assert (secret.line, secret.place) == (16, "exchanges[0].answer.events[0].data.choices[0].delta.content")
    assert (secret.what, secret.text) == ("a secret that goes on in the events after", "sk-pro…")


def test_the_patterns_of_a_cassette_go_with_it(path: Path) -> None:
    path.write_text(GOOD.replace("exchanges:", "scrub:\n- customer-\\d+\nexchanges:").replace("Hello", "customer-12"))
    assert [(each.line, each.what) for each in verified(path)] == [(12, "what 'customer-\\\\d+' finds")]
    path.write_text(GOOD.replace("Hello", "customer-12"))
    assert verified(path) == []
    assert [each.line for each in verified(path, ["customer-12"])] == [10]


def test_what_only_looks_like_a_secret_is_left(path: Path) -> None:
    scrubber = Scrubber()
    for harmless in (
        {"token": "Hello", "logprob": -1.0},
        {"max_tokens": 100, "prompt_tokens": "12"},
        {"properties": {"password": {"type": "string"}}, "required": ["password", "api_key"]},
        {"type": "eq", "key": "year"},
        "the desk-and-chair-of-a-friend, risk-free-investments-2026",
        "https://host.test/v1?after=file-abc&limit=20",
        "Bearer of bad news: what is a password?",
        "org-chart and user-friendly proj_x",
        {"model": "gpt-4o", "id": "chatcmpl-AdGitlFzpYKa0Ttcqb52piPcOTeaG", "safety_identifier": "abc"},
    ):
        assert scrubber.scrubbed(harmless) == harmless
        assert list(scrubber.findings(harmless)) == []


def test_directories_are_looked_through(tmp_path: Path) -> None:
    for name in ("tests/cassettes/a/one.yaml", "tests/cassettes/b/two.yml", "tests/other.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(GOOD)
    assert [each.name for each in cassettes_in([str(tmp_path)]).cassettes] == ["one.yaml", "two.yml"]
    assert [each.name for each in cassettes_in([str(tmp_path / "tests/other.yaml")]).cassettes] == ["other.yaml"]
    with pytest.raises(FileNotFoundError):
        cassettes_in([str(tmp_path / "nowhere")])


# Two cassettes


def test_two_cassettes_are_told_apart(tmp_path: Path) -> None:
    from antiphon.fake.cassettes.files import load

    def recorded(name: str, seed: int, *questions: str, engine: str = "echo") -> Any:
        with Cassette(tmp_path / name, "all", upstream=FakeOpenAI(engine, seed=seed)) as cassette:
            for each in questions:
                cassette.client().responses.create(model="gpt-5", input=each)
        return load(tmp_path / name).recordings

    one = recorded("one.yaml", 1, "a", "b")
    assert told_apart(one, recorded("two.yaml", 2, "a", "b")) == []
    assert told_apart(recorded("one.yaml", 1, "a", "b"), recorded("two.yaml", 2, "a", "c")) == [
        "! 2 POST /v1/responses: the request is another",
        "    input: first 'b', second 'c'",
        "! 2 POST /v1/responses: the answer is another",
        "    json.output[0].content[0].text: first 'b', second 'c'",
    ]
    lines = told_apart(recorded("one.yaml", 1, "ab"), recorded("two.yaml", 1, "ab", "c", engine="reverse"))
    assert lines == [
        "! 1 POST /v1/responses: the answer is another",
        "    json.output[0].content[0].text: first 'ab', second 'ba'",
        "+ 2 POST /v1/responses: only in the second",
    ]


# Those of vcrpy


def test_bodies_are_as_they_were_whatever_they_are(path: Path) -> None:
    bodies = {
        "/json": b'{\n  "a": [],\n  "b": {"c": 1}\n}\n',
        "/text": "Zeile\r\nund noch eine \u2028 mit\tTab".encode(),
        "/binary": bytes(range(256)) * 3,
        "/empty": b"",
        "/big": b'{"n": 123456789012345678901234567890}',
    }

    def upstream(request: Request) -> Response:
        headers = [("content-type", "text/plain"), ("x-twice", "1"), ("x-twice", "2"), ("date", "now"), ("cf-ray", "1")]
        return Response(200, Headers(headers), bodies[request.path])

    with Cassette(path, "once", upstream=upstream) as cassette:
        for each in bodies:
            HandlerTransport(cassette).send(Request("GET", each), None, False)
    transport = HandlerTransport(Cassette(path, "strict"))
    for each, body in bodies.items():
        answer = transport.send(Request("GET", each), None, False)
        assert answer.content == body
        assert answer.headers.pairs == [("content-type", "text/plain"), ("x-twice", "1"), ("x-twice", "2")]
