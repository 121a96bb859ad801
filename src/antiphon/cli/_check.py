"""`antiphon gateway check`: every model called, and what was found."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from ._errors import REFUSED, UNREACHED, said
from ._output import json_line, show_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..gateway.app import Gateway
    from ..gateway.config import GatewayConfig, ModelConfig

__all__ = ("check",)

QUESTION = "Say hello."
PATIENCE = 5.0
"""How many seconds a server has to say something of itself."""


class Found(NamedTuple):
    """What was found of a model at one of its servers."""

    model: str
    server: str
    live: str
    ready: str
    software: str
    convention: str
    answer: str
    """What it said to a small question, or why it said nothing."""
    code: int
    """The exit code of it alone."""


def check(config: GatewayConfig, *, ask: bool, as_json: bool) -> int:
    """Call every model, print what is found, and give the exit code."""
    from ..gateway.app import Gateway
    from ..kernel.flow import run

    found: list[Found] = []
    with Gateway(replace(config, keys=(), open=True, metrics=False, traces=False)) as gateway:
        if config.discover:
            run(gateway.discovery.refreshed(), gateway.world)
        for name, backend in list(gateway.backends.items()):
            found += _of_model(gateway, backend.config, ask=ask and name in gateway.backends)
    if as_json:
        for each in found:
            json_line({key: value or None for key, value in each._asdict().items() if key != "code"})
    else:
        show_table([("MODEL", "SERVER", "LIVE", "READY", "SOFTWARE", "CONVENTION", "ANSWER"), *(e[:-1] for e in found)])
    if config.discover and not found:
        from ._errors import Problem

        raise Problem(f"no models were found at {', '.join(config.discover)}", UNREACHED)
    return max((each.code for each in found), default=0)


def _of_model(gateway: Gateway, config: ModelConfig, *, ask: bool) -> list[Found]:
    oip = config.backend == "oip"
    places = [_at(gateway, config, url) if oip else _elsewhere(gateway, config, url) for url in config.urls or ("",)]
    reached = any(each.ready == "yes" for each in places)
    if not ask or not reached:
        return places
    answer, code = _answer(gateway, config.name)
    first = next(place for place, each in enumerate(places) if each.ready == "yes")
    places[first] = places[first]._replace(answer=answer, code=max(code, places[first].code))
    return places


def _at(gateway: Gateway, config: ModelConfig, url: str) -> Found:
    """What a server of the Open Inference Protocol says."""
    from ..gateway.conventions import convention, recognised
    from ..gateway.oip.connect import connect

    server = connect(url, config)
    code = 0
    live = ready = software = layout = words = ""
    name, version = config.upstream_name, config.version
    try:
        live, words, code = _yes(gateway, server.live)
        told = None
        if code != UNREACHED:
            told, why, worse = _tried(gateway, server.server)
            if worse == UNREACHED:
                words, code = words or why, worse
        if code != UNREACHED:
            software = "" if told is None else f"{told.name} {told.version}".strip()
            ready, why, worse = _yes(gateway, lambda: server.ready(name, version))
            words, code = words or why, max(code, worse)
            metadata, why, worse = _tried(gateway, lambda: server.metadata(name, version))
            words, code = words or why, max(code, worse)
            if config.convention != "auto":
                layout = convention(config.convention).key
            elif metadata is not None:
                known = recognised(metadata)
                layout = "not recognised" if known is None else known.key
                if known is None:
                    ins = ", ".join(each.name for each in metadata.inputs) or "none"
                    outs = ", ".join(each.name for each in metadata.outputs) or "none"
                    words = words or f'inputs {ins}, outputs {outs}: name a convention = "…"'
                    code = max(code, REFUSED)
    finally:
        server.close()
    return Found(config.name, url, live, ready, software, layout, words, code)


def _elsewhere(gateway: Gateway, config: ModelConfig, url: str) -> Found:
    """What stands behind a model that speaks another language, or runs here."""
    ready, words, code = _yes(gateway, gateway.backends[config.name].ready)
    if ready == "no":
        words, code = "it is not reached, or says that it is not ready", UNREACHED
    return Found(config.name, url or "here", ready, ready, "", config.backend, words, code)


def _tried(gateway: Gateway, ask: Callable[[], Any]) -> tuple[Any, str, int]:
    """What a flow gives, or what went wrong with it and the exit code for that."""
    from ..gateway.patience import hurried
    from ..kernel.errors import APIError
    from ..kernel.flow import run

    try:
        return run(hurried(ask(), PATIENCE), gateway.world), "", 0
    except TimeoutError:
        return None, f"it says nothing for {PATIENCE:g} seconds", UNREACHED
    except APIError as error:
        words, code = said(error)
        return None, words, UNREACHED if getattr(error, "code", None) in _UNREACHED else code


_UNREACHED = frozenset({"upstream_unreachable", "upstream_connect_timeout", "upstream_timeout"})


def _yes(gateway: Gateway, ask: Callable[[], Any]) -> tuple[str, str, int]:
    answer, words, code = _tried(gateway, ask)
    if answer is None:
        return "", words, code
    return ("yes", "", 0) if answer else ("no", "", REFUSED)


def _answer(gateway: Gateway, name: str) -> tuple[str, int]:
    """Ask a model something small, in the way it can be asked, through the whole gateway."""
    from ..kernel.errors import APIError

    kinds = _kinds(gateway, name)
    asked = next((each for each in _QUESTIONS if each in kinds), None)
    if asked is None:
        return f"not asked ({', '.join(sorted(kinds)) or 'it does nothing'})", 0
    began = perf_counter()
    client = gateway.client(max_retries=0)
    try:
        words = _QUESTIONS[asked](client, name)
    except APIError as error:
        return said(error)
    return f"{words} ({(perf_counter() - began) * 1000:.0f} ms)", 0


def _kinds(gateway: Gateway, name: str) -> frozenset[str]:
    """What a model does: what it is configured to do, else what its convention says, else what its backend has."""
    from ..kernel.errors import APIError
    from ..kernel.flow import run

    backend: Any = gateway.backends[name]
    engines = frozenset(backend.engines)
    model = getattr(backend, "model", None)
    if backend.config.kinds or model is None:
        return engines
    try:
        follows = run(model.follows(), gateway.world)
    except APIError:
        return engines  # asking it will say what is wrong
    kinds: frozenset[str] = engines & follows.kinds
    return kinds


def _chat(client: Any, name: str) -> str:
    messages = [{"role": "user", "content": QUESTION}]
    answer = client.chat.completions.create(model=name, messages=messages, max_tokens=16)
    text = " ".join((answer.choices[0].message.content or "").split())
    return f'"{text if len(text) <= 40 else text[:39] + "…"}"'


def _embeddings(client: Any, name: str) -> str:
    answer = client.embeddings.create(model=name, input=QUESTION, encoding_format="float")
    return f"{len(answer.data[0].embedding)} dimensions"


_QUESTIONS: dict[str, Callable[[Any, str], str]] = {"chat": _chat, "embeddings": _embeddings}
