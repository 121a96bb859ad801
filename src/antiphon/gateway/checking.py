"""Whether the parts of a configuration fit each other, and name what there is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from fnmatch import fnmatchcase
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import urlsplit

from .reading import EVERY, nearest

if TYPE_CHECKING:
    from .config import GatewayConfig, KeyConfig, ModelConfig
    from .lines import Way

__all__ = ("check",)

Wrong: TypeAlias = Callable[["Way", str], None]

HASH: Final = re.compile(r"sha256:[0-9a-f]{64}")
KINDS: Final = ("chat", "embeddings", "images", "moderations", "speech", "transcriptions")
SCHEMES: Final[dict[str, tuple[str, ...]]] = {
    "oip": ("http", "https", "grpc", "grpcs"),
    "openai": ("http", "https"),
}


def check(config: GatewayConfig, wrong: Wrong) -> None:
    """Tell everything that is wrong with a configuration, with the way to it."""
    for model in config.models.values():
        _model(config, model, ("models", model.name), wrong)
    _named(config.discovered, ("models", EVERY), wrong)
    for place, url in enumerate(config.discover):
        _url(url, "oip", ("discover", place), wrong)
    if config.embedder is not None and config.embedder not in config.models and not config.discover:
        known = nearest(config.embedder, list(config.models))
        wrong(("embedder",), f"there is no model {config.embedder}; {known}")
    _keys(config, wrong)
    _tls(config, wrong)


def _model(config: GatewayConfig, model: ModelConfig, way: Way, wrong: Wrong) -> None:
    if not model.urls and model.backend in SCHEMES:
        wrong(way, 'there is no address of its server; urls = ["http://host:8080"] would be one')
    for place, url in enumerate(model.urls):
        _url(url, model.backend, (*way, "urls", place), wrong)
    for place, name in enumerate(model.fallbacks):
        if name == model.name:
            wrong((*way, "fallbacks", place), "a model cannot stand in for itself")
        elif name not in config.models and not config.discover:
            wrong((*way, "fallbacks", place), f"there is no model {name}; {nearest(name, list(config.models))}")
    if model.backend == "local":
        _local(model, way, wrong)
    if model.backend == "openai":
        _untranslated(model, config.discovered, way, wrong)
    if model.roots is not None:
        _certificates(model.roots, (*way, "roots"), wrong)
    _named(model, way, wrong)


def _local(model: ModelConfig, way: Way, wrong: Wrong) -> None:
    from .local import MODELS

    name = model.upstream_name
    way = (*way, "model") if model.model else way
    if not name.endswith(".gguf"):
        if name not in MODELS:
            wrong(way, f"there is no local model {name!r}; {nearest(name, MODELS)}, or the path of a .gguf file")
    elif not Path(name).is_file():
        wrong(way, f"there is no file {name}")


def _untranslated(model: ModelConfig, every: ModelConfig, way: Way, wrong: Wrong) -> None:
    """Settings that would do nothing, but for those that all models have, which may be there for others."""
    for field, unset in (("convention", "auto"), ("template", None), ("tool_parser", None)):
        if getattr(model, field) not in (unset, getattr(every, field)):
            words = f'{field} is of backend = "oip"; a server of the OpenAI API does this itself: leave it out'
            wrong((*way, field), words)


def _certificates(path: str, way: Way, wrong: Wrong) -> None:
    try:
        if b"-----BEGIN CERTIFICATE-----" not in Path(path).read_bytes():
            wrong(way, f"there is no certificate in {path}: a PEM file was expected")
    except FileNotFoundError:
        wrong(way, f"there is no file {path}")
    except OSError as error:
        wrong(way, f"cannot read {path}: {error.strerror or error}")


def _named(model: ModelConfig, way: Way, wrong: Wrong) -> None:
    """What is named in it exists."""
    from .backends import backends
    from .conventions import convention, conventions
    from .oip.datatypes import DATATYPES
    from .templates import template
    from .toolcalls import parsers

    _one_of(model.backend, backends(), "backend", (*way, "backend"), wrong)
    _one_of(
        model.convention,
        {"auto": None, "custom": None, **dict.fromkeys(conventions())},
        "convention",
        (*way, "convention"),
        wrong,
    )
    # Only another server of the API has Responses of its own.
    known = (*KINDS, "responses") if model.backend == "openai" else KINDS
    for kind in sorted(model.kinds):
        _one_of(kind, known, "kind of model", (*way, "kinds"), wrong)
    for name in model.price:
        _one_of(name, ("input", "output"), "kind of price", (*way, "price", name), wrong)
    for field in ("inputs", "outputs"):
        if getattr(model, field) and model.convention != "custom":
            wrong((*way, field), f'{field} are of the convention custom; write convention = "custom" as well')
        if model.convention == "custom" and not getattr(model, field):
            wrong(way, f"the convention custom needs {field}: [[models.{model.name}.{field}]]")
    for field in ("inputs", "outputs"):
        for place, tensor in enumerate(getattr(model, field)):
            _one_of(tensor.datatype, DATATYPES, "datatype", (*way, field, place, "datatype"), wrong)
    if model.convention == "custom" and model.inputs and model.outputs:
        _right(lambda: convention("custom")(model), way, wrong)
    if model.template is not None:
        _right(lambda: template(model.template), (*way, "template"), wrong)
    if model.tool_parser is not None:
        _one_of(model.tool_parser, parsers(), "parser of tool calls", (*way, "tool_parser"), wrong)


def _right(make: Callable[[], object], way: Way, wrong: Wrong) -> None:
    try:
        make()
    except ValueError as error:
        wrong(way, str(error))
    except ImportError as error:
        wrong(way, f"{error.name} is missing; install it with: pip install 'antiphon[gateway]'")


def _one_of(name: str, known: Collection[str], what: str, way: Way, wrong: Wrong) -> None:
    if name not in known:
        wrong(way, f"there is no {what} {name!r}; {nearest(name, known)}")


def _url(url: str, backend: str, way: Way, wrong: Wrong) -> None:
    schemes = SCHEMES.get(backend, ("http", "https"))
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        wrong(way, f"{url!r} is no address: {error}")
        return
    if parts.scheme not in schemes:
        would = f"; {schemes[0]}://{url} would be one" if "://" not in url and url else ""
        begins = " or ".join(f"{each}://" for each in schemes)
        wrong(way, f"an address begins with {begins}; {url!r} does not{would}")
    elif not parts.hostname:
        wrong(way, f"there is no host in {url!r}")
    elif parts.username is not None:
        # The address is told in metrics and logs, so it is not repeated either.
        wrong(way, 'an address has no name and password; headers = { Authorization = "Basic …" } sends them')
    elif parts.query or parts.fragment:
        wrong(way, f"an address of a server has no {'query' if parts.query else 'fragment'}: {url!r}")
    elif parts.scheme.startswith("grpc"):
        if port is None:
            wrong(way, f"gRPC has no port of its own; {url}:8001 would be one")
        elif find_spec("grpc") is None:
            wrong(way, "grpcio is missing; install it with: pip install 'antiphon[gateway]'")


def _keys(config: GatewayConfig, wrong: Wrong) -> None:
    for place, key in enumerate(config.keys):
        way: Way = ("keys", place)
        if not key.name:
            wrong((*way, "name"), "a key needs a name to be told apart in logs")
        if not HASH.fullmatch(key.hash):
            wrong((*way, "hash"), _no_hash(key))
        for at, pattern in enumerate(key.models):
            if pattern != "*" and not config.discover and not any(fnmatchcase(name, pattern) for name in config.models):
                near = nearest(pattern, list(config.models))
                wrong((*way, "models", at), f"no model is called {pattern!r}; {near}")
    for field in ("name", "hash"):
        for value in _twice(getattr(key, field) for key in config.keys):
            second = [place for place, key in enumerate(config.keys) if getattr(key, field) == value][1]
            wrong(("keys", second, field), f"two keys have this {field}")
    if config.open is False and not config.keys:
        wrong(("open",), "nobody could ask: there are no keys; make one with: antiphon gateway hash-key --new NAME")


def _no_hash(key: KeyConfig) -> str:
    # The key itself would be there for all to read, so it is not repeated.
    return (
        "this is no hash of a key: `sha256:` and 64 hexadecimal digits were expected; "
        f"antiphon gateway hash-key {key.name or 'NAME'} makes one"
    )


def _twice(values: Iterable[str]) -> list[str]:
    return [value for value, times in Counter(values).items() if value and times > 1]


def _tls(config: GatewayConfig, wrong: Wrong) -> None:
    pair = {"certificate": config.certificate, "private_key": config.private_key}
    for name, path in pair.items():
        other = "private_key" if name == "certificate" else "certificate"
        if path is not None and pair[other] is None:
            wrong((name,), f"TLS needs {other} as well")
        elif path is not None and not Path(path).is_file():
            wrong((name,), f"there is no file {path}")
    if config.certificate and config.private_key and all(Path(str(path)).is_file() for path in pair.values()):
        from ssl import PROTOCOL_TLS_SERVER, SSLContext, SSLError

        try:
            SSLContext(PROTOCOL_TLS_SERVER).load_cert_chain(config.certificate, config.private_key)
        except (SSLError, OSError) as error:
            why = getattr(error, "reason", None) or error
            wrong(("certificate",), f"the certificate and its key cannot be used: {why}")
