"""How commands reach the API: the options they share, and the client these make."""

from __future__ import annotations

import argparse
import math
import os
from typing import TYPE_CHECKING, Any

from ._errors import USAGE, Problem

if TYPE_CHECKING:
    from ..client import OpenAI

__all__ = ("connect", "connection", "count", "model_option", "seconds")


def connection(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which API is asked, and how patiently."""
    group = parser.add_argument_group("connection")
    group.add_argument(
        "--provider",
        metavar="NAME",
        help="a host by its name, such as groq or ollama, or one of your providers file; its key is in {NAME}_API_KEY",
    )
    group.add_argument("--base-url", metavar="URL", help="the address of the API (default: OPENAI_BASE_URL)")
    group.add_argument(
        "--api-key",
        metavar="KEY",
        help="the key (default: OPENAI_API_KEY, which other users of the machine cannot see)",
    )
    group.add_argument(
        "--timeout", type=seconds, metavar="SECONDS", help="how long to wait for an answer (default: 600)"
    )
    group.add_argument(
        "--max-retries", type=count, metavar="N", help="how often to try again what may succeed (default: 2)"
    )
    group.add_argument("-v", "--verbose", action="store_true", help="log requests, answers and retries on stderr")


def model_option(parser: argparse.ArgumentParser, default: str) -> None:
    """Add `--model`."""
    parser.add_argument("-m", "--model", metavar="NAME", help=f"the model, or provider:model (default: {default})")


def seconds(text: str) -> float:
    """A time of the command line. Raises `ArgumentTypeError`."""
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 < found < math.inf:
        raise argparse.ArgumentTypeError(f"a number of seconds was expected, not {text!r}")
    return found


def count(text: str) -> int:
    """A number of the command line that is not negative. Raises `ArgumentTypeError`."""
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"a whole number was expected, not {text!r}")
    return int(text)


def connect(options: argparse.Namespace, model: str | None = None, default: str = "") -> tuple[OpenAI, str]:
    """The client the options ask for, and the model as its host calls it.

    `default` is the model of OpenAI's that is meant where none was named; other hosts have others. Raises `Problem`
    where that leaves none, `OpenAIError` where there is no key.
    """
    if options.verbose:
        _log()
    from ..client import OpenAI
    from ._patience import Interruptible

    given = {
        name: value
        for name in ("base_url", "api_key", "timeout", "max_retries")
        if (value := getattr(options, name)) is not None
    }
    if options.base_url is not None:
        if options.provider is not None:
            raise Problem("--base-url and --provider are two ways to say which API is asked: give one", USAGE)
        settings: dict[str, Any] = {}
        found = model or default
    else:
        settings, found = _provided(options, model, default)
    settings.update(given)
    if "api_key" not in settings and not any(map(os.environ.get, ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY"))):
        raise Problem("there is no key: set OPENAI_API_KEY, or give --api-key")
    try:
        return OpenAI(**settings, transport=Interruptible()), found
    except ValueError as error:
        raise Problem(str(error), USAGE) from None


def _provided(options: argparse.Namespace, model: str | None, default: str) -> tuple[dict[str, Any], str]:
    """The settings of the provider that is meant, none for OpenAI as the environment has it, and the model."""
    from dataclasses import replace

    from ..providers import Providers

    providers = Providers()
    name, found = options.provider or providers.default, model
    if model and options.provider is None:
        name, found = providers.split(model)
    provider = providers[name]
    if not found and default:
        if name != "openai":
            raise Problem(f"say which model of {name} is meant", USAGE)
        found = default
    if name == "openai" and provider.file is None:
        return {}, found or ""
    if options.api_key is not None:
        provider = replace(provider, key_needed=False)
    return provider.options(), found or ""


def _log() -> None:
    import logging

    log = logging.getLogger("antiphon")
    log.setLevel(logging.DEBUG)
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("antiphon: %(message)s"))
    log.addHandler(handler)
    log.propagate = False
