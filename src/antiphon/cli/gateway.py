"""`antiphon gateway` serves the OpenAI API in front of models on servers of one's own."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..version import __version__
from ._errors import FAILED, USAGE, Problem

if TYPE_CHECKING:
    from ..gateway.config import GatewayConfig

__all__ = ("configure", "run")

PORT = 9000
FILE = "gateway.toml"
_EPILOG = """\
examples:
  antiphon gateway --model chatgpt=http://localhost:8080
  antiphon gateway --model 'llama=grpc://gpu1:8001,grpc://gpu2:8001,convention=triton-vllm,concurrency=64'
  antiphon gateway --config gateway.toml --workers auto
  antiphon gateway check --config gateway.toml
  antiphon gateway hash-key --new alice >> gateway.toml

signals: SIGHUP reads the configuration again, without dropping what is under way; SIGTERM and Ctrl-C stop it once
         answers under way are given, a second one at once"""
_ABSENT: Any = argparse.SUPPRESS


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.description = (
        "Serve the OpenAI API in front of models that are served over the Open Inference Protocol (Seldon Core,\n"
        "MLServer, KServe, Triton), by other servers of the API, or in this process."
    )
    parser.epilog = _EPILOG
    _sources(parser)
    where = parser.add_argument_group("where it listens")
    where.add_argument("--host", metavar="ADDRESS", help="address to listen at (default: 127.0.0.1)")
    where.add_argument("--port", type=_port, help=f"port to listen at, 0 for a free one (default: {PORT})")
    where.add_argument(
        "--workers", type=_workers, metavar="N", help="processes, or auto: one for each core (default: 1)"
    )
    where.add_argument("--certificate", metavar="FILE", help="a PEM file, for TLS; --private-key as well")
    where.add_argument("--private-key", metavar="FILE", help="a PEM file")
    who = parser.add_argument_group("who may ask")
    who.add_argument(
        "--key", action="append", type=_key, metavar="NAME=HASH", help="somebody who may ask; hash-key makes hashes"
    )
    who.add_argument("--open", action="store_true", default=None, help="anybody may ask, from other machines too")
    how = parser.add_argument_group("what it tells")
    how.add_argument("--log", choices=("line", "json", "off"), help="how requests are logged (default: line)")
    how.add_argument("--no-metrics", dest="metrics", action="store_false", default=None, help="without /metrics")
    how.add_argument("--traces", action="store_true", default=None, help="send traces, as OTEL_… variables say")
    how.add_argument(
        "--protocol", action="store_true", default=None, help="pass on requests of the Open Inference Protocol itself"
    )
    actions = parser.add_subparsers(title="instead of serving", metavar="ACTION", parser_class=argparse.ArgumentParser)
    check = actions.add_parser("check", help="call every model, and say what is found", allow_abbrev=False)
    check.description = (
        "Call every model that is configured: whether its servers live, whether it is ready, what it says of itself, "
        "how it will be asked; and ask it something small. Exit code 0 where all is well, 3 where a model says no, 4 "
        "where a server was not reached."
    )
    _sources(check, default=_ABSENT)
    check.add_argument("--no-ask", action="store_true", help="ask no model anything")
    check.add_argument("--json", action="store_true", help="a line of JSON for each server of a model")
    check.set_defaults(act=_check)
    make = actions.add_parser("hash-key", help="make a key, or the hash of one", allow_abbrev=False)
    make.description = (
        "Print the lines of a configuration that let somebody ask. The key is read from stdin, or made with --new and "
        "shown once, on stderr."
    )
    make.add_argument("name", metavar="NAME", nargs="?", default="someone", help="what logs call whoever has it")
    make.add_argument("--new", action="store_true", help="make a key")
    make.set_defaults(act=_hash_key)
    shown = actions.add_parser("example", help="print a configuration with everything in it", allow_abbrev=False)
    shown.description = "Print a configuration file with every setting there is, and what each does."
    shown.set_defaults(act=_example)


def _sources(parser: argparse.ArgumentParser, default: Any = None) -> None:
    """Add the options that say which models there are."""
    group = parser.add_argument_group("models")
    group.add_argument(
        "-c", "--config", metavar="FILE", default=default, help=f"the configuration (default: ./{FILE}, where it is)"
    )
    group.add_argument(
        "-m",
        "--model",
        action="append",
        metavar="NAME=URL[,option=value…]",
        default=default,
        help="a model and its server, or servers; the options are those of the file; repeatable",
    )
    group.add_argument(
        "--discover",
        action="append",
        metavar="URL",
        default=default,
        help="a server whose whole repository is served; repeatable",
    )
    group.add_argument(
        "--local", action="store_true", default=default, help="the small models that run in this process, as installed"
    )


def run(options: argparse.Namespace) -> int:
    """Serve, or do what is to be done instead."""
    act = getattr(options, "act", _serve)
    with suppress(KeyboardInterrupt):  # one that comes before or after the serving, which has a handler of its own
        code: int = act(options)
        return code
    return 0


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to 65535, not {text!r}")
    return int(text)


def _workers(text: str) -> Any:
    if text == "auto":
        return text
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 512:
        raise argparse.ArgumentTypeError(f"workers are a number from 1 to 512, or auto, not {text!r}")
    return int(text)


def _key(text: str) -> tuple[str, str]:
    name, equals, hashed = text.partition("=")
    if not equals or not name or not hashed.startswith("sha256:"):
        raise argparse.ArgumentTypeError("NAME=sha256:… was expected; antiphon gateway hash-key makes a hash")
    return name, hashed


# What it is told


class _Told(Exception):
    """What is wrong with a configuration, in lines that are ready."""


def _loader(options: argparse.Namespace) -> Any:
    """What reads the configuration, now and again. Raises `Problem` where there is none to be read."""
    from dataclasses import replace

    from ..gateway.checking import check
    from ..gateway.config import KeyConfig, ModelConfig
    from ..gateway.loading import ConfigError, dotted, load
    from ..gateway.loading import Problem as Wrong

    path = options.config
    models = options.model or []
    if path is None and not models and not options.local and not options.discover:
        if not Path(FILE).is_file():
            raise Problem(
                "there are no models: give --model NAME=URL, a configuration with --config FILE, or try --local",
                USAGE,
            )
        path = FILE
    names = ("host", "port", "workers", "certificate", "private_key", "open", "log", "metrics", "traces", "protocol")
    own = {name: value for name in names if (value := getattr(options, name, None)) is not None}
    if options.discover:
        own["discover"] = tuple(options.discover)
    keys = tuple(KeyConfig(name, hashed) for name, hashed in getattr(options, "key", None) or ())

    def read() -> GatewayConfig:
        config = load(path, models=models)
        local = {name: ModelConfig(name, backend="local") for name in _installed()} if options.local else {}
        config = replace(config, **own, models={**local, **config.models}, keys=(*config.keys, *keys))
        if own or keys:
            problems: list[Wrong] = []
            check(config, lambda way, words: problems.append(Wrong("", dotted(way), words)))
            if problems:
                raise ConfigError(problems)
        return config

    return read


def _installed() -> list[str]:
    from ..gateway.local import MODELS, installed

    found = list(installed())
    if not found:
        raise Problem(f"no local model is installed; {next(iter(MODELS.values())).install} installs one")
    return found


def _configuration(read: Any) -> GatewayConfig:
    from ..gateway.loading import ConfigError

    try:
        config: GatewayConfig = read()
    except ConfigError as error:
        raise _Told("\n".join(f"antiphon: {each}" for each in error.problems)) from None
    except OSError as error:
        raise Problem(f"cannot read {error.filename}: {error.strerror or error}") from None
    if not config.models and not config.discover:
        raise Problem("there are no models in the configuration: write one as [models.NAME], or --model NAME=URL")
    return config


# What it does


def _serve(options: argparse.Namespace) -> int:
    from importlib.util import find_spec

    if find_spec("granian") is None:
        raise Problem("granian is missing; install the gateway with: pip install 'antiphon[gateway]'")
    from ..gateway.serving import serve
    from ..hosting.run import PortInUse, authority, bind

    read = _loader(options)
    try:
        config = _configuration(read)
    except _Told as told:
        print(told, file=sys.stderr)
        return FAILED
    from ..gateway.keys import guarded

    try:
        guarded(config, config.host)
        listener = bind(config.host, config.port)
    except PortInUse as error:
        raise Problem(f"{error}; choose another port with --port, or --port 0 for a free one") from None
    except OSError as error:
        raise Problem(f"cannot listen at {config.host}:{config.port}: {error.strerror or error}") from None
    except ValueError as error:
        raise Problem(str(error)) from None
    scheme = "http" if config.certificate is None else "https"
    url = f"{scheme}://{authority(config.host, listener.getsockname()[1])}"
    with listener:
        try:
            return serve(config, listener, read, lambda: _announce(config, url))
        except (ImportError, ValueError) as error:  # something is not installed, or cannot be as it was told
            raise Problem(str(error)) from None


def _announce(config: GatewayConfig, url: str) -> None:
    names = [*config.models, *(f"those of {each}" for each in config.discover)]
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    key = f"one of {len(config.keys)}" if config.keys and config.open is not True else "anything"
    print(
        f"Antiphon {__version__}, a gateway on {url} to {shown}\n\n"
        f"  export OPENAI_BASE_URL={url}/v1\n"
        f"  export OPENAI_API_KEY={key if key == 'anything' else f'…    # {key}'}\n\n"
        "Ctrl-C stops it.",
        flush=True,
    )


def _check(options: argparse.Namespace) -> int:
    from ._check import check

    try:
        config = _configuration(_loader(options))
    except _Told as told:
        print(told, file=sys.stderr)
        return FAILED
    try:
        return check(config, ask=not options.no_ask, as_json=options.json)
    except (ImportError, ValueError) as error:
        raise Problem(str(error)) from None


def _hash_key(options: argparse.Namespace) -> int:
    from ..gateway.keys import hashed, new_key

    if options.new:
        key = new_key()
        print(f"the key of {options.name}, which is shown this once: {key}", file=sys.stderr, flush=True)
    elif sys.stdin.isatty():
        from getpass import getpass

        key = getpass("key: ").strip()
    else:
        key = sys.stdin.readline().strip()
    if not key:
        raise Problem("there is no key: give it on stdin, or make one with --new", USAGE)
    if len(key) < 16:
        raise Problem("this key is so short that it could be found by trying; --new makes a good one", USAGE)
    name = options.name.replace("\\", "\\\\").replace('"', '\\"')
    print(f'[[keys]]\nname = "{name}"\nhash = "{hashed(key)}"')
    return 0


def _example(options: argparse.Namespace) -> int:
    from ..gateway.loading import example

    print(example(), end="")
    return 0
