"""Configurations from files and from the command line."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.gateway.config import GatewayConfig, KeyConfig, ModelConfig, Patience, TensorConfig
from antiphon.gateway.lines import toml_lines
from antiphon.gateway.loading import ConfigError, example, load, loads, of

ROOT = Path(__file__).parents[3]
HASH = "sha256:" + "a" * 64

FILE = """\
host = "0.0.0.0"
port = "${PORT:-9100}"
workers = "auto"

[models."*"]
concurrency = 8
patience.first = 30
headers = { a = "b" }

[models.chat]
url = "http://localhost:8080"
fallbacks = ["embed"]
patience.total = "none"
headers.authorization = "Bearer ${TOKEN}"

[models.embed]
urls = ["http://a:8001", "https://b:8001/prefix"]
stop = "x"
concurrency = "none"

[[keys]]
name = "alice"
hash = "${ALICE}"
models = ["cha*"]
requests_per_minute = 60
"""


def problems(text: str, **environment: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loads(text, environment=environment)
    return [str(each) for each in caught.value.problems]


def test_a_file_is_read() -> None:
    config = loads(FILE, environment={"TOKEN": "t", "ALICE": HASH})
    assert (config.host, config.port, config.workers) == ("0.0.0.0", 9100, "auto")
    chat, embed = config.models["chat"], config.models["embed"]
    assert chat.urls == ("http://localhost:8080",)
    assert chat.patience == Patience(first=30.0, total=None)
    assert chat.headers == {"a": "b", "authorization": "Bearer t"}
    assert (chat.concurrency, embed.concurrency) == (8, None)
    assert (chat.fallbacks, embed.stop) == (("embed",), ("x",))
    assert config.keys == (KeyConfig("alice", HASH, ("cha*",), 60),)
    assert config.discovered == dataclasses.replace(
        ModelConfig("*"), concurrency=8, patience=Patience(first=30.0), headers={"a": "b"}
    )


def test_everything_that_is_wrong_is_told_at_once_with_its_line() -> None:
    text = """\
prot = 9000
port = 99999
log = "jsn"
metrics = true
[models.chat]
convension = "x"
convention = "seldon-cht"
urls = ["localhost:8080", "ftp://x", "http://", "http://x:99999", "http://x/?a=1", "grpc://x"]
concurrency = 0
stream = 3
fallbacks = ["chat", "caht"]
[models.chat.patience]
first = "soon"
[models.e]
defaults = 3
inputs = [{nme = "x"}]
headers = {x = "${NOPE}", y = "${"}
[models.f]
[models.g]
url = "http://a"
urls = ["http://b"]
kinds = ["chta"]
[models.h]
url = "http://a"
convention = "custom"
[[keys]]
nam = 1
[[keys]]
name = "a"
hash = "secret"
models = ["cat"]
tokens_per_minute = 1.5
[[keys]]
name = "b"
hash = 3
"""
    found = problems(text)
    expected = [
        (1, "prot", "did you mean port?"),
        (2, "port", "a number from 0 to 65535 was expected, not 99999"),
        (3, "log", "line, json or off was expected, not 'jsn'; did you mean json?"),
        (6, "models.chat.convension", "the model chat has no such setting; did you mean convention?"),
        (7, "models.chat.convention", "there is no convention 'seldon-cht'; did you mean seldon-chat?"),
        (8, "models.chat.urls[0]", "http://localhost:8080 would be one"),
        (8, "models.chat.urls[1]", "an address begins with http:// or https:// or grpc:// or grpcs://"),
        (8, "models.chat.urls[2]", "there is no host in 'http://'"),
        (8, "models.chat.urls[3]", "is no address"),
        (8, "models.chat.urls[4]", "an address of a server has no query"),
        (8, "models.chat.urls[5]", "grpc://x:8001 would be one"),
        (9, "models.chat.concurrency", "a number from 1 on was expected, not 0"),
        (10, "models.chat.stream", "auto, infer, infer_stream or generate was expected, not the number 3"),
        (11, "models.chat.fallbacks[0]", "a model cannot stand in for itself"),
        (11, "models.chat.fallbacks[1]", "there is no model caht; did you mean chat?"),
        (13, "models.chat.patience.first", "a number was expected, not the text 'soon'"),
        (15, "models.e.defaults", "a table was expected, not the number 3"),
        (16, "models.e.inputs[0].nme", "did you mean name?"),
        (16, "models.e.inputs[0].name", "a tensor needs one"),
        (17, "models.e.headers.x", "the environment has no NOPE"),
        (17, "models.e.headers.y", "a variable is written ${NAME}"),
        (18, "models.f", "there is no address of its server"),
        (20, "models.g.url", "either url or urls is written, not both"),
        (22, "models.g.kinds", "there is no kind of model 'chta'; did you mean chat?"),
        (23, "models.h", "the convention custom needs inputs: [[models.h.inputs]]"),
        (26, "keys[0].name", "a key needs one"),
        (26, "keys[0].hash", "a key needs one"),
        (27, "keys[0].nam", "a key has no such setting; did you mean name?"),
        (30, "keys[1].hash", "antiphon gateway hash-key a makes one"),
        (31, "keys[1].models[0]", "no model is called 'cat'; did you mean chat?"),
        (32, "keys[1].tokens_per_minute", "a whole number was expected, not the number 1.5"),
        (35, "keys[2].hash", "a text in quotes was expected, not the number 3"),
    ]
    for (line, what, message), told in zip(expected, found, strict=True):
        assert told.startswith(f"gateway.toml:{line}: {what}: "), told
        assert message in told
    assert "secret" not in "\n".join(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = \n", "gateway.toml:1: this is not TOML: Invalid value"),
        ('models = "x"', "gateway.toml:1: models: a table [models.NAME] for each model was expected, not the text 'x'"),
        ("[models]\nchat = 3", "gateway.toml:2: models.chat: a table was expected, not the number 3"),
        ("keys = 3", "gateway.toml:1: keys: a list was expected, not the number 3"),
        ("open = 1", "gateway.toml:1: open: true or false was expected, not the number 1"),
        (
            "open = false",
            "gateway.toml:1: open: nobody could ask: there are no keys; make one with: antiphon gateway hash-key",
        ),
        ("workers = 0", "gateway.toml:1: workers: a number from 1 to 512 was expected, not 0"),
        ("certificate = 'x'", "gateway.toml:1: certificate: TLS needs private_key as well"),
        ("[[keys]]\nname = 'a'", "gateway.toml:1: keys[0].hash: a key needs one"),
        ("[models.x]\nurl = 'http://a'\ninputs = []\nstop = [1]", "gateway.toml:4: models.x.stop[0]: a text in quotes"),
        (
            "[models.x]\nurl='http://a'\n[[models.x.outputs]]\nname='a'",
            "gateway.toml:3: models.x.outputs: outputs are of",
        ),
        ("[models.'*']\nconvention='nope'", "gateway.toml:2: models.\"*\".convention: there is no convention 'nope'"),
        (
            "[models.x]\nurl='http://me:secret@a'",
            "gateway.toml:2: models.x.urls[0]: an address has no name and password",
        ),
        (
            "[models.x]\nurl='https://a'\nroots='nothing.pem'",
            "gateway.toml:3: models.x.roots: there is no file nothing.pem",
        ),
        (
            "[models.x]\nurl='http://a'\nconvention='custom'\noutputs=[{name='B'}]\ninputs=[{name='A', datatype='FP33'}]",
            "gateway.toml:5: models.x.inputs[0].datatype: there is no datatype 'FP33'; did you mean FP32?",
        ),
        (
            "[models.x]\nbackend='local'\nmodel='smollm9'",
            "gateway.toml:3: models.x.model: there is no local model 'smollm9'; did you mean smollm2?",
        ),
        ("[models.smollm9]\nbackend='local'", "gateway.toml:1: models.smollm9: there is no local model 'smollm9'"),
        (
            "[models.x]\nbackend='local'\nmodel='nothing.gguf'",
            "gateway.toml:3: models.x.model: there is no file nothing.gguf",
        ),
        (
            "[models.x]\nurl='http://a'\nurl='http://b'",
            "gateway.toml:3: this is not TOML: Cannot overwrite a value, where url is set",
        ),
    ],
)
def test_mistakes(text: str, expected: str) -> None:
    (told,) = problems(text)
    assert told.startswith(expected)


def test_only_servers_of_the_api_have_responses_of_their_own() -> None:
    text = "[models.x]\nurl='http://a'\nkinds=['chat', 'responses']\n"
    assert loads(text + "backend='openai'").models["x"].kinds == {"chat", "responses"}
    (told,) = problems(text)
    assert told.startswith("gateway.toml:3: models.x.kinds: there is no kind of model 'responses'")


def test_what_a_server_of_the_api_does_itself_is_not_set() -> None:
    text = "[models.x]\nurl='http://a/v1'\nconvention='seldon-chat'\ntemplate='chatml'\ntool_parser='hermes'\n"
    assert loads(text).models["x"].tool_parser == "hermes"
    found = problems(text + "backend='openai'")
    for line, name, told in zip((3, 4, 5), ("convention", "template", "tool_parser"), found, strict=True):
        assert told == (
            f'gateway.toml:{line}: models.x.{name}: {name} is of backend = "oip"; a server of the OpenAI API '
            "does this itself: leave it out"
        )
    # What all models have is for those it fits.
    every = text.replace("models.x", "models.'*'") + "[models.x]\nbackend='openai'\nconvention='auto'\n"
    assert loads(every).models["x"].backend == "openai"
    (told,) = problems(every.replace("'auto'", "'triton-vllm'"))
    assert told.startswith("gateway.toml:8: models.x.convention: ")


def test_two_keys_of_one_name_or_hash() -> None:
    key = f"[[keys]]\nname = 'a'\nhash = '{HASH}'\n"
    assert problems("[models.m]\nurl='http://x'\n" + key + key) == [
        "gateway.toml:7: keys[1].name: two keys have this name",
        "gateway.toml:8: keys[1].hash: two keys have this hash",
    ]


def test_variables() -> None:
    text = "[models.m]\nurl = 'http://${HOST:-localhost}:${PORT}'\npipeline = '${P}'\nversion = '$${x'\nqueue = '${Q}'"
    model = loads(text, environment={"PORT": "81", "HOST": "", "P": "true", "Q": "7"}).models["m"]
    assert (model.urls, model.pipeline, model.version, model.queue) == (("http://localhost:81",), True, "${x", 7)
    assert problems(text, PORT="81", P="yes", Q="x") == [
        "gateway.toml:3: models.m.pipeline: true or false was expected, not the text 'yes'",
        "gateway.toml:5: models.m.queue: a whole number was expected, not the text 'x'",
    ]


def test_paths_begin_where_the_file_is(tmp_path: Path) -> None:
    (tmp_path / "chat.jinja").write_text("{{ messages }}")
    file = tmp_path / "gateway.toml"
    file.write_text(
        "[models.m]\nurl='http://x'\ntemplate='chat.jinja'\n[models.n]\nurl='http://x'\ntemplate='chatml'\n"
    )
    models = load(file).models
    assert models["m"].template == str(tmp_path / "chat.jinja")
    assert models["n"].template == "chatml"
    file.write_text("certificate = 'a.pem'\nprivate_key = 'b.pem'\n")
    with pytest.raises(ConfigError, match=re.escape(f"there is no file {tmp_path / 'a.pem'}")):
        load(file)
    file.write_bytes(b"host = '\xff'")
    with pytest.raises(ConfigError, match="this is not UTF-8"):
        load(file)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nothing.toml")
    file.write_text("[models.m]\nurl = 'https://x'\nroots = 'roots.pem'\n")
    (tmp_path / "roots.pem").write_text("nothing")
    with pytest.raises(ConfigError, match=r"toml:3: models\.m\.roots: there is no certificate in "):
        load(file)


def test_models_on_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text("[models.old]\nurl = 'http://old'\nfallbacks = ['new']\n")
    argument = 'new=http://a:1,http://b:2,patience.first=3,stop=["a,b","c"],convention=seldon-chat,model=m.1,queue=0'
    config = load(file, models=[argument])
    assert config.models["new"] == ModelConfig(
        "new",
        ("http://a:1", "http://b:2"),
        model="m.1",
        convention="seldon-chat",
        stop=("a,b", "c"),
        patience=Patience(first=3.0),
        queue=0,
    )
    assert list(config.models) == ["old", "new"]
    for given_, expected in (
        ("chat=localhost:8080", "--model chat=localhost:8080: models.chat.urls[0]: an address begins with"),
        ("=x", "--model =x: there is no name; NAME=URL[,option=value…] was expected"),
        ("chat", "--model chat: there is no address; NAME=URL"),
        ("chat=", "--model chat=: models.chat: there is no address of its server"),
        ("a=http://x,zz", "--model a=http://x,zz: 'zz' is neither an address nor option=value"),
        (
            "a=http://x,que=1",
            "--model a=http://x,que=1: models.a.que: the model a has no such setting; did you mean queue?",
        ),
    ):
        with pytest.raises(ConfigError) as caught:
            load(models=[given_])
        assert str(caught.value).startswith(expected)


def test_a_model_given_twice_on_the_command_line_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(models=["a=http://one", "b=http://b", "a=http://two"])
    assert str(caught.value) == (
        "--model a=http://two: models.a: the model is given twice; several servers of one are written --model a=URL,URL"
    )
    file = tmp_path / "gateway.toml"
    file.write_text("[models.a]\nurl = 'http://old'\n")
    assert load(file, models=["a=http://one"]).models["a"].urls == ("http://one",)  # one of a file may be another here


def test_data_has_the_shape_of_the_file() -> None:
    config = of({"models": {"chat": "http://x", "other": {"url": "http://y"}}, "port": 0})
    assert config == GatewayConfig(
        {"chat": ModelConfig("chat", ("http://x",)), "other": ModelConfig("other", ("http://y",))}, port=0
    )
    with pytest.raises(ConfigError, match=r"^models\.chat\.que: the model chat"):
        of({"models": {"chat": {"url": "http://x", "que": 1}}})


def uncommented() -> str:
    lines = (re.sub(r"^#(?=\[\[|[a-z_]+ = )", "", line) for line in example().splitlines())
    text = "\n".join(lines)
    return re.sub(r"certificate = .*|private_key = .*|roots = .*", "", text)


def test_the_example_loads_as_it_is_and_with_all_its_lines() -> None:
    assert set(loads(example(), environment={}).models) == {"chatgpt", "embeddings", "chat"}
    config = loads(uncommented(), environment={"CHATGPT_TOKEN": "x"})
    assert config.keys[0].name == "alice"


def test_the_example_has_every_setting_and_tells_the_defaults() -> None:
    data = tomllib.loads(uncommented())
    models = data["models"]
    seen: dict[type, set[str]] = {
        GatewayConfig: {*data, "certificate", "private_key"},
        ModelConfig: {"roots", *(key for model in models.values() for key in model)},
        Patience: set(models["*"]["patience"]),
        TensorConfig: {key for tensor in models["chat"]["inputs"] for key in tensor},
        KeyConfig: set(data["keys"][0]),
    }
    for cls, keys in seen.items():
        assert {each.name for each in dataclasses.fields(cls)} - keys <= {"name", "discovered"}, cls
    plain: dict[str, Any] = tomllib.loads(example())
    told = {key: value for key, value in plain.items() if key != "models"}
    assert told == {key: getattr(GatewayConfig(), key) for key in told}
    assert plain["models"]["*"].pop("patience") == dataclasses.asdict(Patience())
    for model in (plain["models"]["*"], {"batch": plain["models"]["embeddings"]["batch"]}):
        assert model == {key: getattr(ModelConfig("x"), key) for key in model}


NAMES = st.sampled_from(["a", "b-c", "d.e", 'f"g', "h i", "ü"])
LEAVES = st.one_of(st.integers(), st.text(max_size=8), st.booleans())
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=6
)


def quoted(text: str) -> str:
    body = "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in text)
    return f'"{body}"'


def written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"""\n[x]\ny = 1 {quoted(value)[1:-1]}"""' if len(value) % 2 else quoted(value)
    if isinstance(value, list):
        return "[ # ]\n" + "".join(f"  {written(each)},\n" for each in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(key)} = {written(each)}" for key, each in value.items()) + "}"
    return str(value)


def ways(value: Any, way: tuple[str | int, ...]) -> list[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way, *(found for key, each in inner for found in ways(each, (*way, key)))]


@given(st.dictionaries(NAMES, VALUES, max_size=4), st.lists(st.dictionaries(NAMES, VALUES, max_size=2), max_size=3))
def test_every_key_has_the_line_it_stands_on(top: dict[str, Any], tables: list[dict[str, Any]]) -> None:
    parts: list[tuple[tuple[str | int, ...], str]] = [((k,), f"{quoted(k)} = {written(v)}") for k, v in top.items()]
    for place, table in enumerate(tables):
        parts.append((("tables", place), "[[ tables ]] # [no]"))
        parts += [(("tables", place, k), f"{quoted(k)}={written(v)}") for k, v in table.items()]
    text, lines = "# \n", {}
    for way, part in parts:
        lines[way] = text.count("\n") + 1
        text += part + "\n"
    data = tomllib.loads(text)
    found = toml_lines(text)
    assert {way: found[way] for way in lines} == lines
    expected = set(ways(data, ())) - {()}
    assert set(found) == expected


def test_the_guide_has_every_setting_and_its_default() -> None:
    text = (ROOT / "docs" / "gateway.md").read_text()
    rows = dict(re.findall(r"^\| (`[^|]+`) \|([^|]*)\|", text, re.MULTILINE))
    told = {name: default.strip() for names, default in rows.items() for name in re.findall(r"`(\w+)`", names)}
    hidden = {"name", "keys", "models", "discovered"}
    for cls in (GatewayConfig, ModelConfig, KeyConfig):
        for each in dataclasses.fields(cls):
            if each.name in hidden:
                continue
            assert each.name in told, f"{cls.__name__}.{each.name}"
            if isinstance(each.default, (bool, int, float)) or (isinstance(each.default, str) and each.default):
                value = tomllib.loads(f"value = {told[each.name].strip('`')}")["value"]
                assert value == each.default, each.name


class Anything(dict[str, str]):
    """An environment that has whatever is asked for."""

    def get(self, name: str, default: object = None) -> str:
        return HASH if name.endswith("HASH") else "x"


def test_every_file_of_the_guide_loads(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "gateway.md").read_text()
    blocks = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert len(blocks) >= 2
    for block in blocks:
        for name in re.findall(r'"([\w/.-]+\.(?:json|jinja|pem))"', block):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(
                "-----BEGIN CERTIFICATE-----" if name.endswith(".pem") else '{"chat_template": "{{ messages }}"}'
            )
        others = {
            name for names in re.findall(r"fallbacks = \[(.*)\]", block) for name in re.findall(r'"(\w+)"', names)
        }
        for name in sorted(others):
            if f"[models.{name}]" not in block:  # it shows a part of a file
                block += f'\n[models.{name}]\nurl = "http://x"\n'
        loads(block, "docs/gateway.md", base=tmp_path, environment=Anything())
