"""`antiphon api`: every operation, its fields typed by their schemas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from antiphon.api._index import OPERATIONS
from antiphon.cli import _catalogue
from antiphon.cli._errors import Problem
from antiphon.cli._fields import Files, described, read
from antiphon.cli._progress import Status
from antiphon.schema import Schema

from .conftest import Run

CREATE = ("api", "chat.completions.create", "--model", "gpt-5")
SAY = ("--messages", '{"role": "user", "content": "cba"}')


def test_a_call(antiphon: Run) -> None:
    answer = antiphon(*CREATE, *SAY, "--n", "2", "--temperature=0.5", "--no-store", "--metadata.team", "blue").json()
    assert [choice["message"]["content"] for choice in answer["choices"]] == ["abc", "abc"]


def test_a_stream_is_lines(antiphon: Run) -> None:
    chunks = antiphon(*CREATE, *SAY, "--stream", "--stream-options.include-usage", "true").lines()
    assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"]) == "abc"
    assert chunks[-1]["usage"]["total_tokens"] > 0


def test_a_body_and_fields(antiphon: Run, tmp_path: Path) -> None:
    (tmp_path / "body.json").write_text('{"model": "gpt-5", "messages": [{"role": "user", "content": "x"}], "n": 3}')
    answer = antiphon("api", "chat.completions.create", "--body", "@body.json", *SAY).json()
    assert [choice["message"]["content"] for choice in answer["choices"]] == ["abc"] * 3
    assert antiphon("api", "chat.completions.create", "--body", "-", input='{"new": 1}').err.startswith(
        "antiphon: chat.completions.create needs --messages and --model"
    )
    new = antiphon(*CREATE, *SAY, "--body", '{"new_field": 1}')
    assert new.code == 3 and "new_field" in new.err  # it was sent, and it is the server that does not know it


def test_files_pages_and_bytes(antiphon: Run, tmp_path: Path) -> None:
    ids = set()
    for number in range(3):
        (tmp_path / f"{number}.txt").write_text(f"text {number}")
        made = antiphon("api", "files.create", "--file", f"@{number}.txt", "--purpose", "vision").json()
        assert made["filename"] == f"{number}.txt"
        ids.add(made["id"])
    assert ids == {
        each["id"] for each in antiphon(*"api files.list --purpose vision --limit 2 --page-all".split()).lines()
    }
    page = antiphon(*"api files.list --purpose vision --limit 2".split()).json()
    assert (len(page["data"]), page["has_more"]) == (2, True)
    assert antiphon("api", "files.content", made["id"]).out == "text 2"
    assert antiphon("api", "files.content", made["id"], "-o", "back.txt").out == ""
    assert (tmp_path / "back.txt").read_text() == "text 2"
    assert antiphon("api", "files.delete", made["id"]).json()["deleted"] is True
    gone = antiphon("api", "files.retrieve", made["id"])
    assert gone.code == 3 and gone.err.startswith("antiphon: 404: ") and "(request req_" in gone.err


def test_stdin_as_a_value_and_the_text_of_a_file(antiphon: Run, tmp_path: Path) -> None:
    (tmp_path / "say.json").write_text(json.dumps([{"role": "user", "content": "öä"}]))
    answer = antiphon(*CREATE, "--messages", "@say.json").json()
    assert answer["choices"][0]["message"]["content"] == "äö"
    made = antiphon(
        *"api embeddings.create --model m --dimensions 2 --input one --input @-".split(), input="two"
    ).json()
    assert len(made["data"]) == 2


def test_what_there_is(antiphon: Run) -> None:
    assert "chat.completions\t5 operations" in antiphon("api").out.splitlines()
    assert "chat.completions.create\tPOST /chat/completions" in antiphon("api", "chat.completions").out.splitlines()
    assert antiphon("api", "beta.chat.completions").out == antiphon("api", "chat.completions").out
    page = antiphon("api", "chat.completions.create", "--help").out
    for text in ("POST /chat/completions", "--messages", "list of object (required)", "--logprobs", "boolean"):
        assert text in page
    assert "antiphon api files.retrieve FILE_ID" in antiphon("api", "files.retrieve", "--help").out
    assert "--page-all" in antiphon("api", "--help").out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ("chat.completion.create",),
            "there is no chat.completion.create in the API; did you mean chat.completions.create?",
        ),
        (("Messages",), "`antiphon api` lists what there is"),
        (("messages",), "did you mean"),
        (("chat.completions.create", "--mdel", "x"), "has no field mdel; did you mean model?"),
        (("chat.completions.create", "--max-retrys", "x"), "did you mean max-retries?"),
        (("responses.create", "--reasoning.efort", "low"), "reasoning has no field efort; did you mean effort?"),
        (("chat.completions.create", "--model"), "--model needs a value"),
        (("chat.completions.create", "--model", "--n", "2"), "--model needs a value"),
        (("chat.completions.create", "--model", "m", "--model", "n"), "--model was given 2 times"),
        (("chat.completions.create", "--n", "two"), "--n takes a whole number, not 'two'"),
        (
            ("chat.completions.create", "--messages", "hi"),
            "--messages takes a list in JSON, or for each item of it an object in JSON, not 'hi'",
        ),
        (("chat.completions.create", "--messages", "[{"), "--messages is not JSON"),
        (("chat.completions.create", "x"), "'x' is one too many"),
        (("chat.completions", "x"), "chat.completions is a resource"),
        (("files.retrieve",), "files.retrieve needs FILE_ID"),
        (("files.retrieve", "a", "--page-all"), "--page-all does not apply"),
        (("moderations.create", "--input", "@nofile"), "for a text that begins with @ write @@nofile"),
        (("--sing", "files.list"), "there is no option --sing"),
        (("chat.completions.create", "--body", "[]"), "--body takes an object"),
        (("files.list", "--timeout", "x"), "a number of seconds was expected"),
    ],
)
def test_mistakes_are_one_line(antiphon: Run, arguments: tuple[str, ...], expected: str) -> None:
    done = antiphon("api", *arguments)
    assert (done.code, done.out) == (2, "")
    assert expected in done.err.splitlines()[-1]


def test_options_stand_anywhere(antiphon: Run, reversing: str) -> None:
    nowhere = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    assert antiphon("api", "--base-url", reversing, *CREATE[1:], *SAY, **nowhere).code == 0
    assert antiphon(*CREATE, f"--base-url={reversing}", *SAY, **nowhere).code == 0


def test_every_operation_has_a_page_and_a_schema_for_each_field() -> None:
    for name, *_ in OPERATIONS:
        named = _catalogue.find(name)
        assert named is not None
        assert set(named.fields) == named.operation.parameters - set(named.operation.local)
        page = named.help(100)
        assert f"{named.operation.method} {named.operation.path}" in page
        for field, schema in named.fields.items():
            assert field in page or field.upper() in page
            assert described(schema)


STRING: Schema = {"type": "string"}
UNION: Schema = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "integer"}}]}


@pytest.mark.parametrize(
    ("words", "schema", "expected"),
    [
        (["12"], {"type": "integer"}, 12),
        (["-1.5e3"], {"type": ["number", "null"]}, -1500.0),
        (["null"], {"type": ["number", "null"]}, None),
        (["12"], STRING, "12"),
        (["null"], STRING, "null"),
        (["true"], STRING, "true"),
        (["{"], STRING, "{"),
        (["@@me"], STRING, "@me"),
        (["false"], {"type": "boolean"}, False),
        (["[1, 2]"], UNION, [1, 2]),
        (["[not json"], UNION, "[not json"),
        (["1", "2"], UNION, [1, 2]),
        (["7"], UNION, "7"),
        (["a"], {"type": "array", "items": STRING}, ["a"]),
        (["a", '["b", "c"]'], {"type": "array", "items": STRING}, ["a", '["b", "c"]']),
        (['{"a": 1}'], {"type": "array", "items": {"type": "object"}}, [{"a": 1}]),
        (['{"a": 1}', '[{"b": 2}]'], {"type": "array", "items": {"type": "object"}}, [{"a": 1}, {"b": 2}]),
        (["auto"], {"anyOf": [{"enum": ["auto"]}, {"type": "integer"}]}, "auto"),
        (["new"], {"enum": ["old"]}, "new"),
        (["2"], {"anyOf": [{"enum": ["inf"]}, {"type": "integer"}]}, 2),
        (["1.5"], {}, 1.5),
        (["word"], {}, "word"),
    ],
)
def test_values(words: list[str], schema: Schema, expected: Any) -> None:
    with Status("") as status:
        value = read("x", words, schema, Files(status))
    assert value == expected and type(value) is type(expected)


def test_values_that_make_no_sense() -> None:
    with Status("") as status:
        files = Files(status)
        for words, schema in [
            (["1.5"], {"type": "integer"}),
            (["yes"], {"type": "boolean"}),
            (["a"], {"type": "object"}),
        ]:
            with pytest.raises(Problem):
                read("x", words, schema, files)
