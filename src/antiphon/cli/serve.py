"""`antiphon serve` runs the fake in the foreground."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from ..version import __version__

if TYPE_CHECKING:
    from ..fake import FakeOpenAI
    from ..hosting.access import Entry
    from ..kernel.http import Filter

__all__ = ("add_place", "announce", "configure", "run", "serve_handler")

PORT = 45674
PROFILES = ("instant", "small", "typical", "large", "reasoning", "local", "overloaded")
ENGINES = {
    "default": "answers in words, calls the tools it is offered, and gives JSON that is valid for a schema",
    "lorem": "words, and nothing but words",
    "echo": "the last user message",
    "reverse": "the last user message, backwards",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.description = "Serve a fake OpenAI until Ctrl-C: the whole API, with its state in memory."
    parser.epilog = "engines:\n" + "\n".join(f"  {name:<22}{what}" for name, what in ENGINES.items())
    parser.add_argument(
        "--model",
        action="append",
        metavar="NAME",
        help="a model that exists; repeat for more (default: any name is answered, OpenAI's are listed)",
    )
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default="default",
        metavar="NAME",
        help="what answers, see below (default: default)",
    )
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same answers and ids (default: 0)")
    parser.add_argument(
        "--unknown-ids",
        choices=("error", "conjure"),
        default="error",
        help="what becomes of ids that were never created: 404, or a plausible object (default: error)",
    )
    parser.add_argument(
        "--latency",
        type=_latency,
        action="append",
        metavar="[MODEL=]LATENCY",
        help="how long models take: seconds before the first word, those and the seconds before each further token "
        f"(0.5/0.02), or one of {', '.join(PROFILES)}; cache=1000 has prompts that begin alike read faster; repeatable "
        "(default: 0)",
    )
    parser.add_argument(
        "--fault",
        type=_fault,
        action="append",
        metavar="FAULT",
        help="what goes wrong, and when, such as 'status=503; percentage=10'; repeatable (default: nothing)",
    )
    parser.add_argument(
        "--fault-header",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="let requests ask for a fault in the header x-antiphon-fault (default: yes)",
    )
    parser.add_argument(
        "--job-seconds",
        type=_seconds,
        default=0.1,
        metavar="SECONDS",
        help="how long jobs take: background responses, batches, fine-tuning (default: 0.1)",
    )
    parser.add_argument(
        "--rate-limit",
        type=_limit,
        action="append",
        metavar="[MODEL=]REQUESTS[/TOKENS]",
        help="requests, and tokens, a minute for each key and model, as in gpt-5=60/10000; repeatable (default: none)",
    )
    parser.add_argument(
        "--rules",
        action="append",
        metavar="FILE",
        help="rules and scripts, YAML or JSON, a file, read again when it changes, or an address; repeatable",
    )
    parser.add_argument("--strict", action="store_true", help="what no rule answers is a 404, not the engine's")
    parser.add_argument("--triggers", action="store_true", help="answer phrases in messages, such as: raise error 429")
    parser.add_argument(
        "--record", metavar="FILE", help="serve --upstream in place of the fake, and write it to this cassette"
    )
    parser.add_argument(
        "--control",
        action=argparse.BooleanOptionalAction,
        help="the control API below /_antiphon, for tests in any language (default: if only this machine reaches it)",
    )
    parser.add_argument(
        "--traces", action="store_true", help="send a span for each request, as OTEL_… variables say (default: no)"
    )
    parser.add_argument("--upstream", metavar="URL", help="what --record records (default: https://api.openai.com/v1)")
    parser.add_argument("--replay", metavar="FILE", help="serve what this cassette has recorded in place of the fake")
    add_place(parser)


def run(options: argparse.Namespace) -> int:
    """Serve until a signal ends it."""
    wrong = _wrong(options.rules or ())
    if wrong:
        return _fail(wrong)
    if options.record or options.replay or options.upstream:
        return _cassette(options)
    if options.traces and not _has("opentelemetry"):
        return _fail("OpenTelemetry is missing; install it with: pip install 'antiphon[otel]'")
    with suppress(KeyboardInterrupt):  # one that comes before or after the serving, which has a handler of its own
        return _serve(options)
    return 0


def _has(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None


def add_place(parser: argparse.ArgumentParser) -> None:
    """Add the options of whatever serves: where, and what is logged."""
    parser.add_argument(
        "--port", type=_port, default=PORT, help=f"port to listen at, 0 for a free one (default: {PORT})"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: 127.0.0.1)")
    parser.add_argument(
        "--log", choices=("line", "json", "off"), default="line", help="how requests are logged (default: line)"
    )


def _cassette(options: argparse.Namespace) -> int:
    """What `antiphon record` and `antiphon replay` do."""
    from ._errors import USAGE, Problem

    if options.fault or options.latency:
        raise Problem("--fault and --latency are for the fake, and not for --record or --replay", USAGE)
    if options.traces:
        raise Problem("--traces is for the fake, and not for --record or --replay", USAGE)
    if options.record and options.replay:
        raise Problem("--record and --replay are two different things: choose one", USAGE)
    if not options.record and options.upstream:
        raise Problem("--upstream says what --record records: give --record FILE, too", USAGE)
    if options.record:
        from . import record

        options.file, options.mode = options.record, "once"
        options.upstream = options.upstream or record.OPENAI
        return record.run(options)
    from . import replay

    options.file, options.speed, options.strict = options.replay, 0.0, False
    return replay.run(options)


def _wrong(paths: Iterable[str]) -> str:
    """What is wrong with rule files, so that it is told before anything is served."""
    told: list[str] = []
    for path in paths:
        from ..fake.remote import source_of
        from ..fake.rulefile import RuleFileError, load
        from ..fake.rules import Rules

        try:
            load(Rules(), source_of(path))
        except (RuleFileError, ImportError) as error:
            told.append(str(error))
        except OSError as error:
            told.append(f"{path}: {error.strerror or error}")
    return "\n".join(told)


def _note(told: str) -> None:
    """Say what came of a rule file that has changed."""
    with suppress(OSError):
        sys.stderr.write(f"antiphon: {told}\n")
        sys.stderr.flush()


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to 65535, not {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 86_400:
        raise argparse.ArgumentTypeError(f"a number of seconds was expected, not {text!r}")
    return seconds


def _latency(text: str) -> tuple[str, Any]:
    from ..engines.latency import latency_of

    model, equals, told = text.partition("=")
    named = equals and "," not in model and model.strip() not in _SETTINGS
    try:
        return (model, latency_of(told)) if named else ("*", latency_of(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}") from None


_SETTINGS = ("first", "each", "prefill", "jitter", "load", "cache", "block", "least")


def _fault(text: str) -> Any:
    from ..fake.faults import fault_of

    try:
        return fault_of(text)
    except (TypeError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{error}") from None


def _limit(text: str) -> tuple[str, dict[str, int]]:
    model, equals, numbers = text.rpartition("=")
    given = numbers.split("/")
    if not all(each.isascii() and each.isdigit() and int(each) > 0 for each in given) or len(given) > 2:
        raise argparse.ArgumentTypeError(f"limits such as 60, 60/10000 or gpt-5=60/10000 were expected, not {text!r}")
    return model if equals else "*", dict(zip(("requests", "tokens"), map(int, given), strict=False))


def _fail(message: str) -> int:
    print(f"antiphon: {message}", file=sys.stderr)
    return 1


def _serve(options: argparse.Namespace) -> int:
    def made() -> FakeOpenAI:
        from ..fake import FakeOpenAI
        from ..fake.remote import is_address

        fake = FakeOpenAI(
            engine=options.engine,
            models=options.model,
            seed=options.seed,
            unknown_ids=options.unknown_ids,
            latency=dict(options.latency) if options.latency else 0.0,
            faults=options.fault or (),
            fault_header=options.fault_header,
            job_seconds=options.job_seconds,
            rate_limits=dict(options.rate_limit) if options.rate_limit else None,
            rules=options.rules,
            strict=options.strict,
            triggers=options.triggers,
            control=options.control,
            traces=options.traces,
        )
        for file in fake.rule_files:
            if not is_address(str(file.path)):
                file.watch(_note)
        return fake

    def ready(url: str, fake: FakeOpenAI) -> None:
        from ..server import tokens

        announce(url, "a fake OpenAI", control=fake.door(options.host).control is not False)
        tokens.preload(after=tokens.SETTLED)

    return serve_handler(options, made, ready)


H = TypeVar("H", bound=Callable[..., Any])


def serve_handler(options: argparse.Namespace, made: Callable[[], H], ready: Callable[[str, H], None]) -> int:
    """Serve a handler where the options of `add_place` say, until a signal ends it.

    It is made when its port is taken, and `ready` is called with its address when it can be asked.
    """
    with _loading() as loaded:
        return _serve_handler(options, made, ready, loaded)


def _serve_handler(
    options: argparse.Namespace, made: Callable[[], H], ready: Callable[[str, H], None], loaded: Callable[[], None]
) -> int:
    from importlib.util import find_spec

    from ..hosting.run import PortInUse, authority, bind, serve_until_signalled

    try:
        listener = bind(options.host, options.port)
    except PortInUse as error:
        return _fail(f"{error}; choose another port with --port, or --port 0 for a free one")
    except OSError as error:
        return _fail(f"cannot listen at {options.host}:{options.port}: {error.strerror or error}")
    with listener:
        if find_spec("granian") is None:
            return _fail("granian is missing; install the server with: pip install 'antiphon[server]'")
        handler = made()
        url = f"http://{authority(options.host, listener.getsockname()[1])}"
        door = getattr(handler, "door", None)

        def can_be_asked() -> None:
            loaded()
            ready(url, handler)

        serve_until_signalled(
            handler if door is None else door(options.host),
            listener,
            filters=_LOGS[options.log](),
            ready=can_be_asked,
        )
    return 0


@contextmanager
def _loading() -> Generator[Callable[[], None], None, None]:
    """Look for no garbage while modules are loaded, until the function that this gives is called.

    A start makes tens of thousands of objects, all of which stay: they are looked through by no later search either.
    """
    searching = gc.isenabled()

    def loaded() -> None:
        gc.freeze()
        if searching:
            gc.enable()

    gc.disable()
    try:
        yield loaded
    finally:
        gc.unfreeze()
        if searching:
            gc.enable()


def announce(url: str, what: str, *, key: str = "anything", control: bool = False) -> None:
    """Say what is served where, and how it is reached."""
    shown = f"The control API and the journal: {url}/_antiphon/\n" if control else ""
    print(
        f"Antiphon {__version__}, {what} on {url}\n\n"
        f"  export OPENAI_BASE_URL={url}/v1\n"
        f"  export OPENAI_API_KEY={key}\n\n"
        f"{shown}"
        "Ctrl-C stops it.",
        flush=True,
    )


def _lines() -> list[Filter]:
    from functools import lru_cache
    from time import localtime, strftime, time

    from ..hosting.access import logged

    @lru_cache(maxsize=1)
    def clock(second: int) -> str:
        return strftime("%H:%M:%S", localtime(second))

    def note(entry: Entry) -> None:
        method, path, status, seconds, tokens, request_id, whole = entry
        if _is_look(entry):
            return
        used = "" if tokens is None else f" {tokens} tokens"
        name = "" if request_id is None else f" {request_id}"
        cut = "" if whole else " (cut off)"
        _write(f"{clock(int(time()))} {method} {path} {status} {seconds * 1000:.1f} ms{used}{name}{cut}\n")

    return [logged(note)]


def _json() -> list[Filter]:
    from time import time

    import orjson

    from ..hosting.access import logged

    def note(entry: Entry) -> None:
        if _is_look(entry):
            return
        _write(orjson.dumps({"time": time(), **entry._asdict()}).decode() + "\n")

    return [logged(note)]


def _is_look(entry: Entry) -> bool:
    """Whether somebody only looked at the fake, as its page does every second: nothing to be logged."""
    return entry.method == "GET" and entry.path.startswith("/_antiphon")


def _write(line: str) -> None:
    with suppress(OSError):  # whoever read the log has gone; the server is for others
        sys.stdout.write(line)
        sys.stdout.flush()


_LOGS: dict[str, Callable[[], list[Filter]]] = {"line": _lines, "json": _json, "off": list}
