"""Rules and scripts as data: in YAML and JSON files, and as they are sent by others."""

from __future__ import annotations

import json
import sys
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import antiphon
from antiphon import FakeOpenAI
from antiphon.fake.reading import read
from antiphon.fake.rulefile import RuleError, RuleFileError, add_rule, add_rules
from antiphon.fake.schema import ANSWERS, check, schema

EVERYTHING = r"""
# Everything that can stand in a rule file.
rules:
  - when: {text: weather, model: gpt-5*}
    reply: It is cold.
    comment: About a place in the north.
  - when:
      text: {exactly: "Hi"}
      system: {matches: "^Be (brief|short)", ignore_case: true}
    answers:
      - Hello.
      - {fail: {status: 503, code: busy, retry_after: 0, headers: {x-why: test}}}
      - {reply: Again., times: 2}
  - when: {text: {contains: LOUD, ignore_case: true}}
    template: "{text}!"
  - when: {text: pieces}
    pieces: ["a ", "b"]
  - when: {text: message}
    message: {content: said}
  - when: {text: tools, tools: [get_weather]}
    call_tools:
      - get_time
      - {name: get_weather, arguments: {city: Oslo}}
  - when: {text: tool, headers: {x-case: {contains: on}}, metadata: {run: no}}
    call_tool: get_time
  - when: {text: bad}
    refuse: Not that.
    times: 1
  - when: {operation: embeddings.create, text: cat}
    vector: [1, 0.5]
  - when: {operation: images.*}
    image: cat.png
  - when: {operation: audio.speech.create}
    sound: {base64: UklGRg==}
  - when: {operation: videos.download_content, text: a film}
    video: {base64: AAAACGZ0eXA=}
  - when: {text: kill}
    flag: [violence]
  - when: {text: hate}
    scores: {hate: 0.75}
  - when: {operation: files.content}
    file: data.json
  - when: {operation: files.create, body: {purpose: batch}}
    fail: 500
  - when: {operation: models.retrieve}
    object: &model {id: mine, object: model}
  - when: {operation: models.list}
    object: {object: list, data: [*model]}
scripts:
  - name: small talk
    when: {model: gpt-5}
    legs:
      - {user: ping, call_tool: get_time}
      - tool: {matches: '\d+'}
        reply: pong
      - when: {text: bye}
        answers: [{fail: 429}, Bye.]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "cat.png").write_bytes(b"\x89PNG cat")
    (tmp_path / "data.json").write_text('{"a": 1}')
    (tmp_path / "rules.yaml").write_text(EVERYTHING)
    return tmp_path


def say(fake: FakeOpenAI, text: str, **options: Any) -> Any:
    return fake.client(max_retries=0).responses.create(**{"model": "gpt-5", "input": text, **options})


@pytest.mark.filterwarnings("ignore:.*video API ends:DeprecationWarning")
def test_everything_in_a_yaml_file(folder: Path) -> None:
    fake = FakeOpenAI("echo", rules=folder / "rules.yaml")
    client = fake.client(max_retries=0)
    assert say(fake, "weather?").output_text == "It is cold."
    assert say(fake, "weather?", model="other").output_text == "weather?"
    assert say(fake, "Hi", instructions="be Short").output_text == "Hello."
    with pytest.raises(antiphon.InternalServerError) as busy:
        say(fake, "Hi", instructions="Be brief")
    assert (busy.value.code, busy.value.response.headers["x-why"]) == ("busy", "test")
    assert [say(fake, "Hi", instructions="Be brief").output_text for _ in range(3)] == ["Again."] * 3
    assert say(fake, "Hi").output_text == "Hi"
    assert say(fake, "loud").output_text == "loud!"
    assert say(fake, "message").output_text == "said"
    streamed = client.responses.create(model="gpt-5", input="pieces", stream=True)
    assert [each.delta for each in streamed if each.type == "response.output_text.delta"] == ["a ", "b"]
    tools: Any = [{"type": "function", "name": "get_weather", "parameters": {"type": "object"}, "strict": False}]
    assert [(each.name, each.arguments) for each in say(fake, "tools", tools=tools).output] == [
        ("get_time", "{}"),
        ("get_weather", '{"city":"Oslo"}'),
    ]
    (call,) = say(fake, "a tool", extra_headers={"x-case": "one"}, metadata={"run": "no"}).output
    assert call.name == "get_time"
    assert say(fake, "bad").output[0].content[0].refusal == "Not that."
    assert say(fake, "bad").output_text == "bad"
    made = client.embeddings.create(model="text-embedding-3-small", input="cat", encoding_format="float")
    assert made.data[0].embedding == [1, 0.5]
    assert b64decode(client.images.generate(model="gpt-image-1", prompt="x").data[0].b64_json) == b"\x89PNG cat"
    assert client.audio.speech.create(model="tts-1", voice="alloy", input="x").read() == b"RIFF"
    film = client.videos.create_and_poll(prompt="a film", poll_interval_ms=10)
    assert client.videos.download_content(film.id).read() == b"\0\0\0\x08ftyp"
    kill, hate = client.moderations.create(input=["kill", "hate"]).results
    assert (kill.categories.violence, hate.category_scores.hate) == (True, 0.75)
    assert json.loads(client.files.content("file-1").read()) == {"a": 1}
    with pytest.raises(antiphon.InternalServerError):
        client.files.create(file=b"x", purpose="batch")
    assert client.models.retrieve("mine").id == "mine"
    assert [model.id for model in client.models.list()] == ["mine"]
    assert [rule.where for rule in fake.rules][:2] == ["rules.yaml:4", "rules.yaml:7"]


def test_a_script_in_a_file(folder: Path) -> None:
    fake = FakeOpenAI("echo", rules=str(folder / "rules.yaml"))
    (call,) = say(fake, "ping").output
    first = fake.journal[-1].answer["id"]
    output: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "12"}]
    second = say(fake, output, previous_response_id=first)
    assert second.output_text == "pong"
    with pytest.raises(antiphon.RateLimitError):
        say(fake, "bye", previous_response_id=second.id)
    assert say(fake, "bye", previous_response_id=second.id).output_text == "Bye."
    (script,) = fake.rules.scripts
    script.assert_played(times=1)
    assert str(script).startswith("script 'small talk', of rules.yaml:")


def test_the_same_in_json_without_yaml(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = read(EVERYTHING, yaml=True).data
    (folder / "rules.json").write_text(json.dumps(data, indent=1))
    monkeypatch.setitem(sys.modules, "yaml", None)
    fake = FakeOpenAI("echo", rules=folder / "rules.json")
    assert say(fake, "weather?").output_text == "It is cold."
    assert len(fake.rules) == len(data["rules"])
    (folder / "others.yaml").write_text("- reply: never seen before\n")
    with pytest.raises(ImportError, match=r"pip install 'antiphon\[server\]'"):
        fake.load_rules(folder / "others.yaml")


def test_every_answer_of_the_schema_is_there() -> None:
    from antiphon.fake.rulefile import _ANSWERS

    assert set(_ANSWERS) == set(ANSWERS)
    told = [name for name in ANSWERS if f" {name}:" not in EVERYTHING and f"{{{name}:" not in EVERYTHING]
    assert told == ["vectors", "images"], "what the tests do not have"


def test_rules_as_data() -> None:
    fake = FakeOpenAI("echo")
    rule = add_rule(fake, {"when": {"text": "a"}, "reply": "b"}, where="HTTP")
    assert str(rule) == "rule 1, when(text='a'), of HTTP"
    assert say(fake, "a").output_text == "b"
    encoded = b64encode(b"\x89PNG x").decode()
    add_rules(fake, {"rules": [{"images": [{"base64": encoded}]}, {"when": {"text": "c"}, "reply": "d"}]})
    made = fake.client().images.generate(model="gpt-image-1", prompt="x")
    assert b64decode(made.data[0].b64_json or "") == b"\x89PNG x"
    added = add_rules(fake, [{"when": {"operation": "embeddings.create"}, "vectors": [[1], [2]]}])
    assert len(fake.rules) == 4
    assert [rule.where for rule in added if not isinstance(rule, str)] == ["data"]
    two = fake.client().embeddings.create(model="m", input=["x", "y"], encoding_format="float")
    assert [each.embedding for each in two.data] == [[1], [2]]
    assert say(FakeOpenAI(rules=[{"reply": "of a list"}]), "x").output_text == "of a list"
    assert say(FakeOpenAI(rules={"rules": [{"reply": "of a document"}]}), "x").output_text == "of a document"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (3, "this is an object with conditions (when) and an answer, not 3"),
        ({}, "this has no answer; there are reply, "),
        ({"reply": "a", "fail": 500}, "fail: there is 'reply' already: only one can be; several answers stand in"),
        ({"replay": "a"}, "replay: there is no 'replay' here; did you mean 'reply'?"),
        ({"when": {"txt": "a"}, "reply": "b"}, "when.txt: there is no 'txt' here; did you mean 'text'?"),
        ({"when": {"text": False}, "reply": "b"}, "when.text: text is a text that is in what the user says last"),
        ({"when": {"text": {}}, "reply": "b"}, "when.text: text has none of contains, exactly, matches"),
        ({"when": {"text": {"matches": "["}}, "reply": "b"}, "when.text.matches: '[' is no regular expression"),
        ({"when": {"turn": 0}, "reply": "b"}, "when.turn: turn is a number, 1 for the first"),
        ({"when": {"turn": True}, "reply": "b"}, "when.turn: turn is a number, 1 for the first"),
        ({"when": {"operation": "file.create"}, "fail": 500}, "when.operation: there is no operation 'file.create'"),
        ({"when": {"operation": "embeddings.create"}, "reply": "b"}, "reply: embeddings are answered with a vector"),
        ({"fail": 200}, "fail: fail is the status of an error, or an object with"),
        ({"fail": {"code": "x"}}, "fail: fail has no 'status'"),
        ({"fail": {"status": 500, "retry_after": "soon"}}, "fail.retry_after: retry_after is a number of seconds"),
        ({"flag": "violense"}, "flag: there is no 'violense'; did you mean 'violence'?"),
        ({"scores": {"hate": 2}}, "scores.hate: hate is a number from 0 to 1, not 2"),
        ({"image": "cat.png"}, "image: paths such as 'cat.png' are for rule files; bytes are told as {base64: …}"),
        ({"image": {"base64": "!"}}, "image: this is no base64"),
        ({"template": "{city}"}, "template: there is no {city} in templates"),
        ({"answers": []}, "answers is empty"),
        ({"answers": ["a", {"reply": 3}]}, "answers[1].reply: reply is a text, not 3"),
        ({"answers": [{"template": "{"}]}, "answers[0].template: '{' is no template"),
        ({"call_tools": [{"nam": "x"}]}, "call_tools[0].nam: there is no 'nam' here; did you mean 'name'?"),
        ({"reply": "x", "times": 0}, "times: times is a number of requests, at least 1, not 0"),
        ({"refuse": False}, "refuse: refuse is true, or the words of a refusal, not False"),
        ({"reply": "x", 3: 4}, "the name of a field is a text, not 3: quote it"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_added(data: Any, told: str) -> None:
    fake = FakeOpenAI()
    with pytest.raises(RuleError) as wrong:
        add_rule(fake, data)
    assert told in str(wrong.value)
    with pytest.raises(RuleError) as wrong:
        add_rules(fake, {"rules": [{"reply": "good"}, data]})
    assert "rules[1]" in str(wrong.value)
    assert len(fake.rules) == 0


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"scripts": [{}]}, "scripts[0]: a script has no 'legs'"),
        ({"scripts": [{"legs": []}]}, "scripts[0].legs: legs is empty"),
        (
            {"scripts": [{"legs": [{"usr": "x", "reply": "y"}]}]},
            "scripts[0].legs[0].usr: there is no 'usr' here; did you",
        ),
        ({"scripts": [{"legs": [{"user": "x"}]}]}, "scripts[0].legs[0]: a leg has no answer; there are"),
        ({"scripts": [{"legs": [{"user": "x", "vector": [1]}]}]}, "scripts[0].legs[0].vector: an engine's function"),
        ({"scripts": [{"legs": [{"user": {"matches": "("}, "reply": "x"}]}]}, "scripts[0].legs[0].user.matches: "),
        ({"scripts": {}}, "scripts: scripts is a list of scripts, not {}"),
        ({"script": []}, "script: there is no 'script' here; did you mean 'scripts'?"),
        ("rules", "this is an object with rules, scripts or both, or a list of rules, not 'rules'"),
    ],
)
def test_wrong_scripts(data: Any, told: str) -> None:
    with pytest.raises(RuleError) as wrong:
        add_rules(FakeOpenAI(), data)
    assert told in str(wrong.value)


# Lines and columns

WRONG = """\
rules:
  - when: {text: weather}
    reply: no
  - when:
      txt: x
    reply: 3
  - {reply: a,
     times: 0}
  - image: nothing.png
"""


def test_faults_of_a_yaml_file_have_their_places(tmp_path: Path) -> None:
    path = tmp_path / "rules.yml"
    path.write_text(WRONG)
    with pytest.raises(RuleFileError) as wrong:
        FakeOpenAI(rules=path)
    assert str(wrong.value).splitlines() == [
        f"{path}:5:7: there is no 'txt' here; did you mean 'text'?",
        f"{path}:6:12: reply is a text, not 3",
        f"{path}:8:13: times is a number of requests, at least 1, not 0",
        f"{path}:9:12: the file 'nothing.png' cannot be read: No such file or directory",
    ]
    assert [(each.line, each.column) for each in wrong.value.faults] == [(5, 7), (6, 12), (8, 13), (9, 12)]


def test_faults_of_a_json_file_have_their_places(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    path.write_text('[\n  {"reply": "a"},\n  {"when": {"text": "\\u00e9",\n    "txt": 3}, "reply": 4}\n]')
    with pytest.raises(RuleFileError) as wrong:
        FakeOpenAI(rules=path)
    assert [(each.line, each.column) for each in wrong.value.faults] == [(4, 5), (4, 25)]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.yaml", "- reply: 'x\n", ": this is not YAML: "),
        ("a.yaml", "- {reply: a, reply: b}\n", ":1:14: there is another 'reply' above"),
        ("a.yaml", "- &a\n  message: *a\n", ":1:3: this contains itself"),
        (
            "a.yaml",
            "- reply: !!python/name:os.system x\n",
            ":1:10: there is no tag 'tag:yaml.org,2002:python/name:os.system'",
        ),
        ("a.yaml", "- ? [a]\n  : b\n", ":1:5: the name of a field is a text"),
        ("a.yaml", "- reply: !!int x\n", "'x' is not what its tag"),
        ("a.yaml", "", ":1:1: this is an object with rules, scripts or both, or a list of rules, not None"),
        ("a.yaml", "[" * 3000 + "]" * 3000, "nest"),
        ("a.json", '[{"reply": "a",}]', ":1:16: this is not JSON: "),
        ("a.json", '[{"reply": "a", "reply": "b"}]', ":1:17: there is another 'reply' above"),
        ("a.json", "", ":1:1: this is not JSON: "),
        ("a.json", "[" * 200 + "]" * 200, ":1:2: a rule is an object"),
    ],
)
def test_files_that_are_none(tmp_path: Path, name: str, text: str, told: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(RuleFileError) as wrong:
        FakeOpenAI(rules=path)
    assert told in str(wrong.value)


def test_bytes_that_are_no_text_and_files_that_are_not_there(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"- reply: a\n- reply: \xff\n")
    with pytest.raises(RuleFileError, match=r":2:10: this is not UTF-8"):
        FakeOpenAI(rules=path)
    with pytest.raises(FileNotFoundError):
        FakeOpenAI(rules=tmp_path / "nothing.yaml")


def test_words_of_yaml_are_those_of_its_version_1_2() -> None:
    text = (
        "a: [no, yes, on, 2024-01-01, 012, 0x10, 1e3, .5, ~, true, 'true', null]\nb: &b {c: 1, d: 2}\ne: {<<: *b, d: 3}"
    )
    assert read(text, yaml=True).data == {
        "a": ["no", "yes", "on", "2024-01-01", 12, 16, 1000.0, 0.5, None, True, "true", None],
        "b": {"c": 1, "d": 2},
        "e": {"c": 1, "d": 3},
    }


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(PLAIN, st.sampled_from([None, 1]))
def test_every_place_of_json_is_where_it_is(data: Any, indent: int | None) -> None:
    text = json.dumps(data, indent=indent)
    document = read(text, yaml=False)
    assert document.data == data
    lines = text.splitlines()
    for path, (line, column) in document.values.items():
        held: Any = data
        for step in path:
            held = held[step]
        found, _ = json.JSONDecoder().raw_decode("\n".join([lines[line - 1][column - 1 :], *lines[line:]]))
        assert found == held


# The schema


def test_the_schema_is_one_and_knows_what_the_check_knows() -> None:
    jsonschema_rs.meta.validate(schema())
    validator = jsonschema_rs.validator_for(schema())
    data = read(EVERYTHING, yaml=True).data
    assert validator.is_valid(data)
    assert not check(data)
    for wrong in ([{}], [{"reply": "a", "fail": 500}], {"rules": 3}, [{"reply": "a", "whn": {}}], [{"vector": []}]):
        assert not validator.is_valid(wrong)
        assert check(wrong)


FIELDS = st.sampled_from(["reply", "fail", "when", "times", "answers", "vector", "call_tool", "refuse", "flag", "x"])
VALUES = st.sampled_from(["a", "hate", 3, 500, 0, True, None, [], ["a"], [1.5], {}, {"text": "x"}, {"reply": "a"}])


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(FIELDS, VALUES, max_size=3))
def test_the_schema_and_the_check_agree(rule: dict[str, Any]) -> None:
    validator = jsonschema_rs.validator_for(schema())
    assert validator.is_valid([rule]) is not bool(check([rule]))


# Changes


def until(holds: Callable[[], object]) -> None:
    for _ in range(500):
        if holds():
            return
        time.sleep(0.02)
    raise AssertionError("it did not happen")


def test_a_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("- when: {text: a}\n  answers: [one, two, three]\n- when: {text: b}\n  reply: bee\n")
    fake = FakeOpenAI("echo")
    fake.when(text="mine").reply("Of the test.")
    told: list[str] = []
    file = fake.load_rules(path)
    fake.when(text="later").reply("Later.")
    file.watch(told.append, every=0.02)
    assert (say(fake, "a").output_text, say(fake, "b").output_text) == ("one", "bee")
    path.write_text("- when: {text: c}\n  reply: sea\n- when: {text: a}\n  answers: [one, two, three]\n")
    until(lambda: told)
    assert told == [f"{path} was read again: 2 rules"]
    assert [say(fake, text).output_text for text in "abc"] == ["two", "b", "sea"], "what was there goes on"
    assert [str(each.conditions) for each in fake.rules] == ["text='mine'", "text='c'", "text='a'", "text='later'"]
    assert [rule.where for rule in file.entries] == ["rules.yaml:1", "rules.yaml:3"]
    path.write_text("- when: {txt: c}\n  reply: sea\n")
    until(lambda: len(told) > 1)
    assert told[1] == (
        f"{path}:1:10: there is no 'txt' here; did you mean 'text'?\nThe rules that were there stay in force."
    )
    assert file.problem is not None
    assert say(fake, "c").output_text == "sea"
    path.unlink()
    until(lambda: len(told) > 2)
    assert "No such file" in told[2]
    path.write_text("- reply: all\n")
    until(lambda: len(told) > 3)
    assert (file.problem, say(fake, "c").output_text) == (None, "all")
    file.stop()


def test_no_request_is_lost_while_rules_change(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    path.write_text('[{"reply": "0"}]')
    fake = FakeOpenAI("echo", rules=path)
    (file,) = fake.rule_files
    seen: list[str] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            seen.append(say(fake, "engine").output_text)

    asking = threading.Thread(target=ask)
    asking.start()
    for number in range(1, 30):
        path.write_text(json.dumps([{"reply": str(number)}]))
        assert file.reload()
    over.set()
    asking.join()
    assert set(seen) <= set(map(str, range(30)))


def test_a_reset_keeps_what_the_fake_was_made_with(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("- answers: [one, two]\n")
    fake = FakeOpenAI("echo", rules=[path])
    fake.when(text="x").reply("of a test")
    assert say(fake, "y").output_text == "one"
    fake.reset()
    assert [str(rule) for rule in fake.rules] == ["rule 1, when(), of rules.yaml:1"]
    assert [say(fake, "x").output_text for _ in range(2)] == ["one", "two"]
    fake.rules.clear()
    assert say(fake, "x").output_text == "x"


def test_what_is_wrong_with_a_watched_file_is_told_on_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rules.json"
    path.write_text("[]")
    fake = FakeOpenAI()
    file = fake.load_rules(path, watch=True)
    path.write_text("[3]")
    until(lambda: file.problem)
    until(lambda: "a rule is an object" in capsys.readouterr().err)
    file.stop()


def test_the_guide_shows_files_that_are_right(tmp_path: Path) -> None:
    import re

    guide = Path(__file__).parents[3] / "docs" / "testing" / "rule-files.md"
    blocks = re.findall(r"```yaml\n(.*?)```", guide.read_text(), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        path = tmp_path / "rules.yaml"
        path.write_text(block)
        fake = FakeOpenAI("echo", rules=path)
    path.write_text(blocks[0])
    fake = FakeOpenAI("echo", rules=path)
    assert say(fake, "My name is Ada").output_text == "Hello Ada."
    told = guide.read_text()
    assert [name for name in ANSWERS if f"`{name}" not in told] == []
