"""Rule files at an address: fetched when they are asked for, and told of like files."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from antiphon import FakeOpenAI
from antiphon.cli import main
from antiphon.fake import remote
from antiphon.fake.rulefile import RuleError

pytest_plugins = ["pytester"]


@pytest.fixture
def files() -> Iterator[dict[str, bytes]]:
    """What a server on this machine has, by path; `""` is its address."""
    found: dict[str, Any] = {}

    class Serving(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = found.get(self.path.partition("?")[0])
            self.send_response(404 if data is None else 200)
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, format: str, *told: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Serving)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    found[""] = f"http://127.0.0.1:{server.server_port}"
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def said(fake: FakeOpenAI, text: str) -> str:
    return fake.client().responses.create(model="gpt-5", input=text).output_text


def test_rules_come_from_an_address_and_are_fetched_again_when_asked(files: Any, tmp_path: Path) -> None:
    files["/rules.yaml"] = b"- when: {text: hello}\n  reply: From afar.\n"
    files["/rules.json"] = b'[{"when": {"text": "json"}, "reply": "Without YAML."}]'
    (tmp_path / "near.yaml").write_text("- when: {text: near}\n  reply: From here.\n")
    fake = FakeOpenAI("echo", rules=[f"{files['']}/rules.yaml?ref=main", tmp_path / "near.yaml"])
    assert [said(fake, text) for text in ("hello", "near")] == ["From afar.", "From here."]
    assert "rules.yaml:1" in str(next(iter(fake.rules)))
    fake.reset()
    assert said(fake, "hello") == "From afar."
    added = fake.load_rules(f"{files['']}/rules.json")
    assert said(fake, "json") == "Without YAML."
    files["/rules.json"] = b'[{"when": {"text": "json"}, "reply": "Anew."}]'
    assert added.reload()
    assert said(fake, "json") == "Anew."
    files["/rules.json"] = b"["
    assert not added.reload()
    assert added.problem == f"{files['']}/rules.json:1:2: this is not JSON: Expecting value"
    assert said(fake, "json") == "Anew."
    with pytest.raises(ValueError, match=r"files are watched, and http.* is an address"):
        added.watch()


def test_what_is_wrong_there_is_told(files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    files["/wrong.yaml"] = b"- when: {txt: Hi}\n  reply: x\n"
    files["/picture.yaml"] = b"- when: {operation: images.generate}\n  image: cat.png\n"
    fake = FakeOpenAI()
    with pytest.raises(RuleError, match=r"http://.*/wrong\.yaml:1:10: there is no 'txt' here; did you mean 'text'\?"):
        fake.load_rules(f"{files['']}/wrong.yaml")
    with pytest.raises(RuleError, match=r"bytes are told as \{base64: …\}"):
        fake.load_rules(f"{files['']}/picture.yaml")
    with pytest.raises(FileNotFoundError, match="404 Not Found: 'http"):
        fake.load_rules(f"{files['']}/nowhere.yaml")
    with pytest.raises(OSError, match="Connection refused"):
        fake.load_rules("http://127.0.0.1:9/rules.yaml")
    with pytest.raises(OSError, match="nonnumeric port"):
        fake.load_rules("http://127.0.0.1:x/rules.yaml")
    monkeypatch.setattr(remote, "MOST", 8)
    with pytest.raises(OSError, match="a rule file has"):
        fake.load_rules(f"{files['']}/wrong.yaml")
    assert list(fake.rules) == []


def test_they_are_checked_on_the_command_line(files: Any, capsys: pytest.CaptureFixture[str]) -> None:
    files["/rules.yaml"] = b"- reply: x\n"
    assert main(["lint", f"{files['']}/rules.yaml"]) == 0
    assert capsys.readouterr().out == f"{files['']}/rules.yaml: 1 rule\n"
    assert main(["lint", f"{files['']}/nowhere.yaml"]) == 1
    assert capsys.readouterr().err == f"{files['']}/nowhere.yaml: 404 Not Found\n"
    assert main(["serve", "--port", "0", "--rules", f"{files['']}/nowhere.yaml"]) == 1
    assert "nowhere.yaml: 404 Not Found" in capsys.readouterr().err


def test_a_marker_names_one(files: Any, pytester: pytest.Pytester) -> None:
    files["/rules.json"] = b'[{"when": {"text": "hello"}, "reply": "From afar."}]'
    pytester.makepyfile(f"""
import pytest

@pytest.mark.fake_openai(rules="{files[""]}/rules.json")
def test_it(openai_client):
    assert openai_client.responses.create(model="gpt-5", input="hello").output_text == "From afar."
""")
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    options = ("-p", "no:antiphon", "-p", "antiphon.testing.plugin", "-p", "no:cacheprovider", "-p", "no:cov", "-q")
    pytester.runpytest_subprocess(*options).assert_outcomes(passed=1)
