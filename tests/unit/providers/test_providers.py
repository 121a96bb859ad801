"""Hosts and models by name: where a name leads, files and what is wrong in them, clients that follow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import antiphon
from antiphon import Chat, FakeOpenAI, Provider, ProviderError, Providers, providers
from antiphon.kernel.http import Request, Response, json_response
from antiphon.providers.lines import line_in_json, line_in_toml

MESSAGES: Any = [{"role": "user", "content": "hi"}]
REMOTE = "mistral deepseek anthropic nvidia gemini groq azure qwen perplexity xai zai cohere".split()
LOCAL = "ollama lmstudio localai llamacpp".split()


class Hosts:
    """Every host there is: answers all of them and remembers who was asked what."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        choice = {"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}
        return json_response(200, {"id": "c", "object": "chat.completion", "choices": [choice], "data": []})

    @property
    def last(self) -> tuple[str, str | None, str | None]:
        """Address, model, key."""
        request = self.requests[-1]
        body = json.loads(request.content() or b"{}")
        return request.url, body.get("model"), request.headers.get("authorization")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("ANTIPHON_PROVIDERS", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_CUSTOM_HEADERS", "OPENAI_ADMIN_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("OPENAI", "GROQ", "MISTRAL", "ANTHROPIC"):
        monkeypatch.setenv(f"{name}_API_KEY", f"key-{name.lower()}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


# Names


@pytest.mark.parametrize(
    ("name", "provider", "model"),
    [
        ("gpt-5", "openai", "gpt-5"),
        ("groq:llama-3.3-70b-versatile", "groq", "llama-3.3-70b-versatile"),
        ("groq:meta/llama:beta", "groq", "meta/llama:beta"),
        ("ollama:llama3:8b", "ollama", "llama3:8b"),
        ("llama3:8b", "openai", "llama3:8b"),
        ("mistral:7b", "openai", "mistral:7b"),
        ("mistral:7b-instruct-q4_0", "openai", "mistral:7b-instruct-q4_0"),
        ("qwen:0.5b", "openai", "qwen:0.5b"),
        ("mistral:latest", "openai", "mistral:latest"),
        ("mistral:mistral-large-latest", "mistral", "mistral-large-latest"),
        ("deepseek:deepseek-chat", "deepseek", "deepseek-chat"),
        ("groq:", "openai", "groq:"),
        (":x", "openai", ":x"),
        ("fast", "groq", "llama-3.1-8b-instant"),
        ("gpt-4", "mistral", "mistral-large-latest"),
        ("work:7b", "work", "7b"),
    ],
)
def test_where_a_name_leads(name: str, provider: str, model: str) -> None:
    known = Providers(
        {"work": "https://llm.test/v1"},
        {"fast": "groq:llama-3.1-8b-instant", "gpt-4": {"provider": "mistral", "model": "mistral-large-latest"}},
    )
    assert known.split(name) == (provider, model)


def test_the_default_provider_takes_plain_names() -> None:
    known = Providers(default="ollama")
    assert known.split("llama3:8b") == ("ollama", "llama3:8b")
    assert known.split("mistral:7b") == ("ollama", "mistral:7b")
    assert known.resolve("llama3:8b").options["base_url"] == "http://localhost:11434/v1"


def test_a_name_is_resolved_to_the_options_of_a_client() -> None:
    options, model, provider = providers.resolve("groq:llama-3.3-70b-versatile")
    assert (model, provider) == ("llama-3.3-70b-versatile", "groq")
    assert (options["base_url"], options["api_key"]) == ("https://api.groq.com/openai/v1", "key-groq")
    client = antiphon.OpenAI(**options)
    assert str(client.base_url) == "https://api.groq.com/openai/v1/"


def test_the_presets_are_those_of_the_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Providers()
    assert {*REMOTE, *LOCAL} <= set(known.names)
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://me.openai.azure.com/")
    for name in known.names:
        monkeypatch.setenv(f"{name.upper()}_API_KEY", f"key of {name}")
        made = known.options(name)
        assert made["base_url"].startswith(("https://", "http://localhost:"))
        assert made["api_key"] == f"key of {name}"
        assert antiphon.OpenAI(**made).base_url
    assert known.options("azure")["base_url"] == "https://me.openai.azure.com/openai/v1"


def test_keys_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Providers({"my-host": "https://h.test/v1", "given": {"base_url": "https://g.test", "api_key": "${SECRET}"}})
    with pytest.raises(ProviderError, match="set MY_HOST_API_KEY"):
        known.options("my-host")
    monkeypatch.setenv("MY_HOST_API_KEY", "k")
    assert known.options("my-host")["api_key"] == "k"
    with pytest.raises(ProviderError, match="SECRET"):
        known.options("given")
    monkeypatch.setenv("SECRET", "s")
    assert known.options("given")["api_key"] == "s"
    monkeypatch.setenv("GOOGLE_API_KEY", "g")
    assert known.options("gemini")["api_key"] == "g"
    assert known.options("ollama")["api_key"] == "none"
    with pytest.raises(ProviderError, match=r"AZURE_OPENAI_ENDPOINT|AZURE_API_KEY"):
        known.options("azure")


def test_unknown_providers_are_said() -> None:
    with pytest.raises(ProviderError, match="no provider 'grok'; did you mean 'groq'"):
        Providers().options("grok")
    assert "groq" in Providers()
    assert Providers()["groq"].base_url == "https://api.groq.com/openai/v1"


# Clients


def test_a_client_goes_where_the_model_is() -> None:
    hosts = Hosts()
    with Providers(models={"fast": "groq:llama"}, transport=hosts) as known:
        client = known.client()
        assert known.client() is client
        for name, expected in {
            "gpt-5": ("https://api.openai.com/v1/chat/completions", "gpt-5", "Bearer key-openai"),
            "fast": ("https://api.groq.com/openai/v1/chat/completions", "llama", "Bearer key-groq"),
            "mistral:small": ("https://api.mistral.ai/v1/chat/completions", "small", "Bearer key-mistral"),
            "ollama:llama3:8b": ("http://localhost:11434/v1/chat/completions", "llama3:8b", "Bearer none"),
        }.items():
            client.chat.completions.create(model=name, messages=MESSAGES)
            assert hosts.last == expected
            client.chat.completions.with_raw_response.create(model=name, messages=MESSAGES)
            assert hosts.last == expected
        client.embeddings.with_raw_response.create(model="fast", input="x", encoding_format="float")
        assert hosts.last[:2] == ("https://api.groq.com/openai/v1/embeddings", "llama")
        client.audio.transcriptions.create(model="fast", file=("a.wav", b"x"))
        assert hosts.requests[-1].origin == "https://api.groq.com"
        assert b"llama" in hosts.requests[-1].content()
        client.models.list()
        assert hosts.last[0] == "https://api.openai.com/v1/models"
        assert Chat(client, model="fast").ask("hi").text == "hello"
        assert hosts.last[0].startswith("https://api.groq.com")
    assert client.is_closed()
    assert known.client() is not client


async def test_async_clients_do_the_same() -> None:
    hosts = Hosts()
    async with Providers(transport=hosts) as known:
        client = known.async_client("groq")
        await client.chat.completions.create(model="llama", messages=MESSAGES)
        assert hosts.last[:2] == ("https://api.groq.com/openai/v1/chat/completions", "llama")
        await client.chat.completions.create(model="mistral:small", messages=MESSAGES)
        assert hosts.last[:2] == ("https://api.mistral.ai/v1/chat/completions", "small")
        other = known.client("groq")
    assert client.is_closed()
    assert other.is_closed()


def test_a_client_of_a_provider_keeps_to_it() -> None:
    hosts = Hosts()
    client = providers.client("groq:whatever", transport=hosts)
    client.chat.completions.create(model="llama", messages=MESSAGES)
    assert hosts.last[0].startswith("https://api.groq.com")
    client.models.list()
    assert hosts.last[0] == "https://api.groq.com/openai/v1/models"
    assert repr(client) == "<client of groq at https://api.groq.com/openai/v1/>"


def test_copies_go_on_following() -> None:
    hosts = Hosts()
    client = Providers(transport=hosts).client().with_options(default_headers={"x-mine": "1"}, timeout=3, max_retries=0)
    for name in ("gpt-5", "groq:llama"):
        client.chat.completions.create(model=name, messages=MESSAGES)
        assert hosts.requests[-1].headers["x-mine"] == "1"
    assert hosts.last[0].startswith("https://api.groq.com")
    again = client.with_options(default_headers={"x-more": "2"})
    again.chat.completions.create(model="mistral:m", messages=MESSAGES)
    headers = hosts.requests[-1].headers
    assert (headers["x-mine"], headers["x-more"], headers["authorization"]) == ("1", "2", "Bearer key-mistral")


def test_what_is_for_openai_stays_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-mine")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-mine")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Secret: 1")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-admin")
    hosts = Hosts()
    client = Providers(transport=hosts).client()
    client.chat.completions.create(model="anthropic:claude", messages=MESSAGES)
    headers = hosts.requests[-1].headers
    assert headers["x-api-key"] == "key-anthropic"
    assert headers["anthropic-version"] == "2023-06-01"
    for name in ("openai-organization", "openai-project", "x-secret"):
        assert name not in headers
    client.chat.completions.create(model="gpt-5", messages=MESSAGES)
    assert hosts.requests[-1].headers["openai-organization"] == "org-mine"
    with pytest.raises(TypeError, match="admin"):
        Providers(transport=hosts).client("groq").admin.organization.projects.list()


def test_what_the_default_provider_lacks_is_said_when_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    hosts = Hosts()
    client = Providers(transport=hosts).client()
    client.chat.completions.create(model="groq:llama", messages=MESSAGES)
    with pytest.raises(ProviderError, match="OPENAI_API_KEY"):
        client.chat.completions.create(model="gpt-5", messages=MESSAGES)
    with pytest.raises(ProviderError, match="OPENAI_API_KEY"):
        Providers().client("openai")


def test_a_stream_and_a_fake_behind_it() -> None:
    known = Providers(
        {"here": {"base_url": "http://fake.test/v1", "key_needed": False}}, transport=FakeOpenAI("echo").server
    )
    chunks = known.client().chat.completions.create(model="here:m", messages=MESSAGES, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "hi"


# Files

TOML = """
default = "work"

[providers.work]
base_url = "https://llm.test/v1"
api_key = "${WORK_KEY:-open}"
timeout = 20
max_retries = 0
headers = { "x-team" = "${TEAM}" }
query = { "v" = "1" }

[providers.groq]   # a preset
timeout = 5

[models]
smart = { provider = "work", model = "big" }
fast = "groq:llama"
"""


@pytest.mark.parametrize("kind", ["toml", "json"])
def test_a_file_says_all_of_it(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tomllib

    data = tomllib.loads(TOML)
    path = tmp_path / f"hosts.{kind}"
    path.write_text(TOML if kind == "toml" else json.dumps(data, indent=2))
    monkeypatch.setenv("TEAM", "blue")
    hosts = Hosts()
    known = Providers(file=path, transport=hosts)
    assert known.default == "work"
    assert known.models == {"smart": ("work", "big"), "fast": ("groq", "llama")}
    assert known.options("groq")["timeout"] == 5
    client = known.client()
    assert (client.timeout, client.max_retries) == (20, 0)
    client.chat.completions.create(model="smart", messages=MESSAGES)
    assert hosts.last == ("https://llm.test/v1/chat/completions?v=1", "big", "Bearer open")
    assert hosts.requests[-1].headers["x-team"] == "blue"
    monkeypatch.delenv("TEAM")
    with pytest.raises(ProviderError, match=rf"hosts.{kind}:\d+: provider 'work' needs the variable TEAM"):
        known.options("work")


def test_the_file_of_4d_is_understood(tmp_path: Path) -> None:
    path = tmp_path / "AIProviders.json"
    data = {
        "providers": {"corp": {"baseURL": "https://corp.test/v1", "apiKey": "k", "organization": "o", "project": "p"}},
        "models": {"chat": {"provider": "corp", "model": "m"}},
    }
    path.write_text(json.dumps(data))
    options, model, _ = Providers(file=path).resolve("chat")
    assert (options["base_url"], options["api_key"], options["organization"], model) == (
        "https://corp.test/v1",
        "k",
        "o",
        "m",
    )


def test_files_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def alias(name: str) -> str:
        return f'[models]\n{name} = "groq:x"\n'

    assert Providers().file is None
    config = tmp_path / "config" / "antiphon"
    config.mkdir(parents=True)
    (config / "providers.json").write_text('{"models": {"home-json": "groq:x"}}')
    assert set(Providers().models) == {"home-json"}
    (config / "providers.toml").write_text(alias("home"))
    assert set(Providers().models) == {"home"}
    (tmp_path / "antiphon-providers.json").write_text('{"models": {"here-json": "groq:x"}}')
    assert set(Providers().models) == {"here-json"}
    (tmp_path / "antiphon-providers.toml").write_text(alias("here"))
    assert set(Providers().models) == {"here"}
    (tmp_path / "named.toml").write_text(alias("named"))
    monkeypatch.setenv("ANTIPHON_PROVIDERS", str(tmp_path / "named.toml"))
    assert set(Providers().models) == {"named"}
    assert Providers(file=False).models == {}
    assert set(Providers(models={"mine": "groq:y"}).models) == {"named", "mine"}
    monkeypatch.setenv("ANTIPHON_PROVIDERS", "nowhere.toml")
    with pytest.raises(ProviderError, match=r"ANTIPHON_PROVIDERS names nowhere\.toml"):
        Providers()


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("[providers.a]\nbase_url = \n", 2, "not TOML"),
        ("[providers.a]\nbase_url = 'ftp://x'\n", 2, "must begin with http"),
        ("\n[providers.a]\napi_key = 'x'\n", 2, "needs a base_url"),
        ("[providers.groq]\ntimeout = 3\nbase_ulr = 'x'\n", 3, "unknown key 'base_ulr'"),
        ("[providers.groq]\n\ntimeout = 'long'\n", 3, "number of seconds"),
        ("[providers.groq]\nmax_retries = 1.5\n", 2, "whole number"),
        ("[providers.groq]\nheaders = { a = 1 }\n", 2, "'a' in 'headers'"),
        ("[providers.groq.headers]\nb = 'x'\na = 1\n", 3, "'a' in 'headers'"),
        ("[providers.groq]\nkey_needed = 'no'\n", 2, "true or false"),
        ("[providers.groq]\nkey_names = 5\n", 2, "list of names"),
        ("[providers]\ngroq = 5\n", 2, "must be a table"),
        ('[providers."a:b"]\nbase_url = "https://x"\n', 1, "no colon"),
        ("[models]\nx = 'groq:y'\nfast = 'plain'\n", 3, "'provider:model'"),
        ("[models]\nfast = 'nobody:x'\n", 2, "'nobody', which there is not"),
        ("[models.fast]\nprovider = 'groq'\n", 1, "'model' of alias 'fast'"),
        ("[models]\nfast = 5\n", 2, "must be a table"),
        ("default = 'nobody'\n", 1, "none there is"),
        ("\n\nwhat = 1\n", 3, "unknown key 'what'"),
        ("models = 5\n", 1, "'models' must be a table"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_its_line(text: str, line: int, said: str, tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text(text)
    with pytest.raises(ProviderError, match=said) as raised:
        Providers(file=path)
    assert (raised.value.file, raised.value.line) == (str(path), line)
    assert str(raised.value).startswith(f"{path}:{line}: ")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('{\n"providers": {,}}', 2, "not JSON"),
        ('{\n "providers": {\n  "groq": {\n   "timeout": "x"\n  }\n }\n}', 4, "number of seconds"),
        ('{\n "models": {\n  "a": "groq:b",\n  "c": {"provider": "nobody", "model": "m"}\n }\n}', 4, "nobody"),
        ('{"providers": {"groq": [\n"timeout"]}}', 1, "must be a table"),
        ("[]", None, "the file must be a table"),
    ],
)
def test_json_has_lines_too(text: str, line: int | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text(text)
    with pytest.raises(ProviderError, match=said) as raised:
        Providers(file=path)
    assert raised.value.line == line


def test_lines() -> None:
    text = "a.b = 1\n[c]\nd = { e = 1 }\n[c.'f g']\nh = 2\n"
    assert [line_in_toml(text, path.split("/")) for path in ("a/b", "c", "c/d/e", "c/f g/h", "c/x", "z")] == [
        1,
        2,
        3,
        5,
        2,
        None,
    ]
    text = '{"a": [{"b": 1}, {"c": "x:y"}],\n "d": {"e\\"f": null}}'
    assert [line_in_json(text, path.split("/")) for path in ("a", 'd/e"f', "d/x", "z")] == [1, 2, 2, None]


def test_arguments_are_checked_as_files_are() -> None:
    with pytest.raises(ProviderError, match="unknown key 'url'"):
        Providers({"x": {"url": "https://x"}})
    with pytest.raises(ProviderError, match="nobody"):
        Providers(models={"x": ("nobody", "m")})
    with pytest.raises(ProviderError, match="default"):
        Providers(default="nobody")
    own = Provider("ignored", "https://x.test", api_key="k")
    assert Providers({"x": own}, models={"y": ("x", "m")}).resolve("y").options["base_url"] == "https://x.test"
