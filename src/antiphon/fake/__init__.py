"""A stand-in for OpenAI: the whole API as one function, with engines that make the answers up.

    fake = FakeOpenAI()
    fake.client().chat.completions.create(...)        # in process, nothing is sent anywhere
    with fake.start(port=0) as server: ...            # on a port, for any client in any language
    app.mount("/openai", fake.asgi())                 # within an ASGI application

Two fakes share nothing, and with the same seed they say the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from ..engines.functions import engine as made
from ..engines.wrapping import Later
from ..kernel.lazy import lazily
from ..server.app import Server
from ..server.clock import RealClock, VirtualClock
from ..server.engine import Engines
from . import asserts
from .asked import exactly
from .asserts import __tracebackhide__ as __tracebackhide__
from .dialects import speak
from .door import PREFIX, Door, controlled, is_loopback
from .faults.setting import Faults, Misbehaviour
from .journal import Exchange, Journal
from .prices import Price, Prices
from .ruled import Ruled, asked_by, at_the_door, ruled
from .rules import Rule, Rules, called_at

if TYPE_CHECKING:
    from os import PathLike
    from re import Pattern

    from opentelemetry.trace import TracerProvider

    from ..client import AsyncOpenAI, OpenAI
    from ..engines.latency import Latency, Paces
    from ..hosting.asgi import ASGI
    from ..hosting.run import Running
    from ..kernel.dialogue import Dialogue
    from ..kernel.flow import Flow, World
    from ..kernel.http import Filter, Request, Response
    from ..server.clock import Clock
    from ..server.engine import (
        ChatEngine,
        ChatRequest,
        EmbeddingEngine,
        ImageEngine,
        ModerationEngine,
        SpeechEngine,
        TranscriptionEngine,
        VideoEngine,
    )
    from ..server.limits import RateLimits
    from ..server.store import Store
    from ..server.usage import Used
    from ..transports.httpx2 import HandlerTransport
    from .asked import Asked, Words
    from .faults.fault import Faulty
    from .faults.triggers import When
    from .fuzz import Fuzzing
    from .fuzz.liberties import Liberties
    from .meters import Meters
    from .rulefiles import RuleFile, Source
    from .scripts import Script
    from .verdict import Verdict

__all__ = ("PORT", "FakeOpenAI", "Latency", "Price", "exactly")

PORT = 45674
"""The port a fake is started on unless told otherwise."""

ORIGIN = "http://fake.test"
"""Where clients in process address the fake. Addresses below `.test` lead nowhere."""

if TYPE_CHECKING:
    from collections.abc import Callable

    Answers: TypeAlias = str | ChatEngine | Callable[[Any], Any] | None
    Embeds: TypeAlias = EmbeddingEngine | Callable[[list[str]], Any] | None
    Draws: TypeAlias = ImageEngine | Callable[[str], Any] | None
    Judges: TypeAlias = ModerationEngine | Callable[[str], Any] | None
    Speaks: TypeAlias = SpeechEngine | Callable[[str], Any] | None
    Listens: TypeAlias = str | TranscriptionEngine | Callable[[bytes], Any] | None
    Films: TypeAlias = VideoEngine | Callable[[str], Any] | None
else:
    Answers = Embeds = Draws = Judges = Speaks = Listens = Films = object


class FakeOpenAI:
    """The OpenAI API over engines that make things up. It is a handler: calling it answers a request.

    What models say:
        `engine` answers for every model: an engine, a function of a request, or the name of a built-in one
        (`default`, `lorem`, `echo`, `reverse`). `engines` has others for some models, by name or by a pattern such
        as `gpt-4o*`. `embeddings` is an engine or a function from texts to vectors, `images` from a prompt to a
        picture, `moderations` from a text to scores by category, `speech` from a text to a sound, `transcriptions` from
        a recording to a text, `videos` from a prompt to an MP4; each may be a mapping from model names. `models` limits
        which models exist; without it any name is answered. `latency` is how long models take: the seconds before the
        first word, a pair of those and the seconds before each further token, the name of a profile such as `typical`,
        a `Latency(...)`, or a mapping from models to these.
    State:
        `seed` decides what is made up: the same requests get the same answers and ids. `store` keeps what is
        created (in memory by default), `clock` says what time it is. Jobs (background responses, batches,
        fine-tuning) end `job_seconds` after they were created, by that clock. With `unknown_ids="conjure"` any id
        that was never created resolves to a plausible object; otherwise it is a 404.
    The rest:
        `organization` is the name in the answers' headers, `max_body` the largest request body in bytes. `rate_limits`
        are requests and tokens a minute, for each key and model: a `RateLimit`, or a mapping from models. `filters`
        wrap the whole, the first outermost. `python_graders` lets graders run the Python that callers send, on this
        machine. `journal` is how many of the last exchanges are kept in `fake.journal`, 0 for none. `prices` are those
        of models, by name or pattern (`antiphon.fake.Price`), for what exchanges cost; there are some for illustration.
        With `strict` what would be asked of an engine, and no rule answers (`when`), is a 404 with the code `no_rule`.
        `rules` are there from the beginning and after each reset: the path of a YAML or JSON file, a list of paths, or
        what stands in such a file.
        `faults` go wrong from the beginning, as `misbehave` takes them; with `fault_header` requests may ask for one
        in the header `x-antiphon-fault`. `control` is whether the control API below `/_antiphon` is there for whoever
        reaches the fake; unless told, it is for those on this machine. With `traces` each request is a span of
        OpenTelemetry's, of the program's tracer provider, or of the one that is given (`antiphon[otel]`).

    Raises `ValueError` for a built-in engine or a latency that does not exist, and `TypeError` for what cannot be one.
    """

    def __init__(
        self,
        engine: Answers = None,
        engines: Mapping[str, Answers] | None = None,
        *,
        embeddings: Embeds | Mapping[str, Embeds] = None,
        images: Draws | Mapping[str, Draws] = None,
        moderations: Judges | Mapping[str, Judges] = None,
        speech: Speaks | Mapping[str, Speaks] = None,
        transcriptions: Listens | Mapping[str, Listens] = None,
        videos: Films | Mapping[str, Films] = None,
        models: Sequence[str] | None = None,
        latency: Paces = 0.0,
        seed: int | str = 0,
        store: Store | None = None,
        clock: Clock | None = None,
        unknown_ids: Literal["error", "conjure"] = "error",
        organization: str = "org-antiphon",
        max_body: int = 513 * 1024 * 1024,
        rate_limits: RateLimits | None = None,
        filters: Iterable[Filter] = (),
        job_seconds: float = 0.1,
        python_graders: bool = False,
        journal: int = 1000,
        strict: bool = False,
        rules: Source | None = None,
        triggers: bool = False,
        prices: Mapping[str, Any] | None = None,
        faults: Faulty | Iterable[Faulty] = (),
        fault_header: bool = False,
        control: bool | None = None,
        traces: bool | TracerProvider = False,
    ) -> None:
        filters = tuple(filters)
        self._given = {name: value for name, value in locals().items() if name != "self"}
        self.rules = ruling = Rules(self, strict=strict, triggers=triggers)
        """What `when` was told."""
        clock = RealClock() if clock is None else clock
        self.journal = _journal(clock, journal, Prices(prices), traces)
        """What was asked and answered."""
        others: Any = {} if engines is None else engines
        if not isinstance(others, Mapping):
            raise TypeError(f"engines is a mapping from models to engines, not a {type(others).__name__}")

        def engines_with(seed: int | str, latency: Paces) -> Engines:
            paced = _paced(latency, clock, seed, lambda: self.server.derived)

            def answering(source: Answers) -> ChatEngine:
                found = Ruled(ruling, made(source, seed=seed))
                return found if paced is None else paced(found)

            return Engines(
                {"*": answering(engine), **{name: answering(source) for name, source in others.items()}},
                ruled(ruling, "embeddings", _by_name("embeddings", embeddings)),
                ruled(ruling, "images", _by_name("images", images, seed=seed)),
                ruled(ruling, "moderations", _by_name("moderations", moderations)),
                ruled(ruling, "speech", _by_name("speech", speech)),
                ruled(ruling, "transcriptions", _by_name("transcriptions", transcriptions, seed=seed)),
                ruled(ruling, "videos", _by_name("videos", videos, seed=seed)),
                models=models,
            )

        self.snapshots: dict[str, Any] = {}
        """Snapshots that the control API keeps, by name."""
        self._control = control
        self._engines_with = engines_with
        self._latency = latency
        self.server = Server(
            engines_with(seed, latency),
            store=store,
            clock=clock,
            seed=seed,
            unknown_ids=unknown_ids,
            organization=organization,
            models=models,
            max_body=max_body,
            rate_limits=rate_limits,
            filters=(*filters, at_the_door(ruling)),
            around=self.journal,
            job_seconds=job_seconds,
            python_graders=python_graders,
        )
        """The server behind it, with its store, clock, ids and engines."""
        self.server.ledger = self._ledger
        speak(self.server)
        self.faults = Faults(self.server, faults, header=fault_header, control=control)
        """What goes wrong (`misbehave`)."""
        self.rule_files: list[RuleFile] = []
        """The files that rules came from."""
        if rules is not None:
            from .rulefiles import add

            self.rule_files += add(ruling, rules)

    def __call__(self, request: Request) -> Response | Flow[Response]:
        """Answer a request, also one to the control API."""
        if request.path.startswith(PREFIX):
            return controlled(self, request, self._control is not False)
        return self.server(request)

    def dialogue(self, request: Request) -> Dialogue | Response:
        """Open a websocket, or refuse to."""
        return self.server.dialogue(request)

    def __repr__(self) -> str:
        return f"<FakeOpenAI, seed {self.server.seed!r}>"

    @property
    def world(self) -> World:
        """How flows of this fake let time pass: by its clock."""
        return self.server.world

    @property
    def max_body(self) -> int:
        """The largest request body, in bytes."""
        return self.server.max_body

    def _ledger(self) -> Iterable[Used]:
        from .ledger import ledger

        return ledger(self.journal, self.server.store)

    @cached_property
    def meters(self) -> Meters:
        """Numbers about what was asked, as `/_antiphon/metrics` tells them to Prometheus."""
        from .meters import Meters

        return Meters(self.journal, self.clock.now, lambda: self.server.derived)

    # State

    @property
    def clock(self) -> Clock:
        """What time it is here. `fake.clock.advance("24h")` lets a day pass, and what was to happen in it."""
        return self.server.clock

    def snapshot(self) -> Any:
        """The state as a value, for `restore`."""
        return self.server.snapshot()

    def restore(self, state: Any) -> None:
        """Go back to a snapshot. Raises `TypeError` for what is no snapshot."""
        self.server.restore(state)

    def reset(self, seed: int | str | None = None) -> None:
        """Forget everything, the journal, the rules and the faults too, and begin anew, with the seed or another."""
        self.server.reset(seed)
        if seed is not None:
            self.server.engines = self._engines_with(seed, self._latency)
        self.journal.clear()
        self.rules.reset()
        self.faults.reset()
        self.__dict__.pop("meters", None)

    @property
    def latency(self) -> Paces:
        """How long models take, as it was given."""
        return self._latency

    @latency.setter
    def latency(self, latency: Paces) -> None:
        self.server.engines = self._engines_with(self.server.seed, latency)
        self._latency = latency

    def another(self, **changes: Any) -> FakeOpenAI:
        """A fake that is made as this one was, apart from `changes`, with a state and a clock of its own."""
        clock = VirtualClock(self.clock.now()) if isinstance(self.clock, VirtualClock) else None
        options: dict[str, Any] = {**self._given, "store": None, "clock": clock, **changes}
        return FakeOpenAI(**options)

    # What it answers

    def when(
        self,
        *,
        operation: str | Pattern[str] | None = None,
        model: str | Pattern[str] | None = None,
        text: Words | None = None,
        system: Words | None = None,
        tools: str | Iterable[str] | None = None,
        tool_result: Words | bool | None = None,
        turn: int | None = None,
        headers: Mapping[str, Words] | None = None,
        metadata: Mapping[str, Words] | None = None,
        response_format: str | None = None,
        body: Mapping[str, Any] | None = None,
        predicate: Callable[[Asked], object] | None = None,
        times: int | None = None,
    ) -> Rule:
        """Begin a rule for requests that meet all of these; its methods say what is answered.

        `text` is what the user says last; a `str` has to be in it, `exactly(...)` to be all of it, a pattern to be
        found in it. `times` is how many requests the rule answers at most. Of several rules the most specific answers,
        and of equally specific ones the last. Raises `TypeError` or `ValueError` for a condition that cannot be one.
        """
        given = {
            "operation": operation,
            "model": model,
            "text": text,
            "system": system,
            "tools": tools,
            "tool_result": tool_result,
            "turn": turn,
            "headers": headers,
            "metadata": metadata,
            "response_format": response_format,
            "body": body,
            "predicate": predicate,
        }
        return self.rules.add(given, times, called_at(1))

    def script(self, name: str | None = None, *, strict: bool = False, **conditions: Any) -> Script:
        """Begin a script: a conversation of several legs. `user`, `tool` and `when` begin one, then its answer follows.

        Any number of conversations can follow it at the same time. `conditions` are those of `when`, for all its legs.
        With `strict` it is an error, a 404 with the code `no_rule`, to say something else than it has; without, rules
        and the engine answer that. Raises as `when` does.
        """
        return self.rules.script(name, conditions, called_at(1), strict=strict)

    def load_rules(self, path: str | PathLike[str], *, watch: bool = False) -> RuleFile:
        """Add the rules and scripts of a YAML or JSON file; with `watch` again whenever it changes.

        Raises `RuleError` for a file with anything wrong in it, with each line and column, `OSError` for one that
        cannot be read, and `ImportError` where YAML cannot be.
        """
        from .rulefiles import RuleFile

        file = RuleFile(self.rules, path)
        self.rule_files.append(file)
        return file.watch() if watch else file

    def explain(self, asked: Exchange | ChatRequest | Mapping[str, Any], operation: str | None = None) -> str:
        """What each rule and each fault makes of a request, as they stand now, and why.

        `asked` is an exchange of the journal, a request to an engine, or a body: of the `operation`, and without one
        of a chat completion, a completion or a Response. Of an exchange it says who answered it then. Raises
        `TypeError` for something else.
        """
        meant = asked_by(asked, operation)
        faults = "".join(f"\n  fault {each}" for each in self.faults.explain(asked, meant))
        told = self.rules.explain(meant) + faults
        return f"answered by {asked.answered_by}\n{told}" if isinstance(asked, Exchange) else told

    # What goes wrong

    def misbehave(self, *faults: Faulty, when: When | None = None) -> Misbehaviour:
        """Have these faults go wrong from now on, and no others; without any, every answer is a 500.

        A fault is a behaviour (`antiphon.fake.faults`), one with a trigger, a text such as `"status=503; once"`, or
        JSON; `when` is a trigger that has to hold for each of them besides. As a context manager it lasts as long as
        the block. Raises `TypeError` or `ValueError` for what cannot be a fault.
        """
        return Misbehaviour(self.faults, faults or ("status=500",), when)

    def return_status(self, status: int) -> Misbehaviour:
        """Have every answer be an error with this status, from now on."""
        return self.misbehave({"type": "status", "status": status})

    def behave(self) -> None:
        """Have nothing go wrong any more."""
        self.faults.clear()

    def fuzz(self, seed: int | str | Liberties = 0) -> Fuzzing:
        """Have what the API is free to vary be varied from now on, anew for each request, the same for a seed.

        `Liberties` say what is varied in each answer. As a context manager it lasts as long as the block. Raises
        `TypeError` for something else.
        """
        from .fuzz import Fuzzing

        fuzzing = Fuzzing(self.faults, seed)
        self.faults.vary(fuzzing)
        return fuzzing

    # What was asked

    def assert_all_rules_used(self) -> None:
        """See that every rule has answered something. Raises `AssertionError` with those that have not."""
        asserts.all_used(self.rules, self.journal)

    def assert_called(self, *, times: int | None = None, **query: Any) -> None:
        """See that something was asked, `times` times or at all; `query` is one of `journal.calls`.

        Raises `AssertionError` with what was asked, and why each was not meant.
        """
        asserts.called(self.journal, times, query)

    def assert_not_called(self, **query: Any) -> None:
        """See that something was not asked; without a query, that nothing was. Raises `AssertionError`."""
        asserts.not_called(self.journal, query)

    def assert_called_in_order(self, *queries: Mapping[str, Any]) -> None:
        """See that these were asked one after the other, whatever came between. Raises `AssertionError`."""
        asserts.in_order(self.journal, queries)

    def assert_tokens_at_most(self, most: int, **query: Any) -> None:
        """See that what was asked and answered has no more tokens in all. Raises `AssertionError`."""
        asserts.tokens_at_most(self.journal, most, query)

    def assert_cost_at_most(self, most: float, **query: Any) -> None:
        """See that what was asked and answered has not cost more, in USD, by the fake's prices.

        Raises `AssertionError`, also where a model has no price.
        """
        asserts.cost_at_most(self.journal, most, query)

    def assert_nothing_unexpected(self, *expected: Mapping[str, Any]) -> None:
        """See that no request was left to an engine or had no address, apart from those that `expected` queries mean.

        Raises `AssertionError` with the others, and the rule that comes nearest to each.
        """
        asserts.nothing_unexpected(self.rules, self.journal, expected)

    # How the client behaved

    def verdict(self, **query: Any) -> Verdict:
        """What the code under test did wrong, as far as the journal shows it.

        With a query, as `journal.calls` takes it, what such requests show.
        """
        from .verdict import verdict

        return verdict(self.journal, query)

    def assert_well_behaved(self, *, ignore: Collection[str] = (), warnings: bool = False, **query: Any) -> None:
        """See that the code under test did nothing wrong that `verdict` finds; `ignore` are codes of findings.

        Warnings, which may be meant so, count only with `warnings=True`. Raises `AssertionError` with the report, and
        `ValueError` for a code that there is none of.
        """
        from .verdict import well_behaved

        well_behaved(self.verdict(**query), ignore, warnings)

    # Ways to it

    def start(self, port: int = PORT, host: str = "127.0.0.1") -> Running:
        """Serve on a port from a thread of its own; port 0 takes a free one.

        The handle has the server's `url`, `base_url`, `host` and `port`, and `stop()`; it is a context manager,
        plain and async. Needs `antiphon[server]`. Raises `PortInUse` when the port is taken.
        """
        from ..hosting.run import serve_in_background

        self.warm()
        return serve_in_background(self.door(host), host, port)

    def door(self, host: str = "") -> Door:
        """The handler for hosts that serve the fake: with the control API, and sessions over HTTP.

        Where `host` can be reached from other machines, or is not known, there is no control API unless the fake was
        made with `control=True`.
        """
        return Door(self, self._control if is_loopback(host) or self._control is not None else False)

    def warm(self) -> None:
        """Load what the first request would have to wait for."""
        from ..server import tokens

        tokens.prepare()

    def asgi(self) -> ASGI:
        """The fake as an ASGI application, to be served or mounted anywhere."""
        from ..hosting.asgi import ASGI

        return ASGI(self.door())

    def client(self, **options: Any) -> OpenAI:
        """A client of this package that calls the fake in process. Takes the options of `OpenAI`."""
        from ..client import OpenAI

        return OpenAI(**self._connected(options))

    def async_client(self, **options: Any) -> AsyncOpenAI:
        """An async client of this package that calls the fake in process. Takes the options of `AsyncOpenAI`."""
        from ..client import AsyncOpenAI

        return AsyncOpenAI(**self._connected(options))

    def _connected(self, options: dict[str, Any]) -> dict[str, Any]:
        return {"api_key": "fake", "base_url": f"{ORIGIN}/v1", "transport": self.server, **options}

    def official_transport(self) -> HandlerTransport:
        """A transport of httpx2 that calls the fake in process, for clients of the official package.

            openai.OpenAI(api_key="any", http_client=httpx2.Client(transport=fake.official_transport()))

        It serves blocking and async clients alike. Needs `httpx2`, which comes with the official package.
        """
        from ..transports.httpx2 import HandlerTransport

        return HandlerTransport(self.server)


def _journal(clock: Clock, size: int, prices: Prices, traces: Any) -> Journal:
    """A journal, which makes spans where they are wanted."""
    if traces is False:
        return Journal(clock, size, prices)
    if traces is not True and not hasattr(traces, "get_tracer"):
        raise TypeError(f"traces is True, False or a tracer provider of OpenTelemetry's, not {traces!r}")
    from .tracing import TracedJournal

    return TracedJournal(clock, size, prices, None if traces is True else traces)


_MAKERS: Final = {
    "embeddings": "embedding_engine",
    "images": "image_engine",
    "moderations": "moderation_engine",
    "speech": "speech_engine",
    "transcriptions": "transcription_engine",
    "videos": "video_engine",
}
"""What makes engines, by what they are asked for, among the names of `antiphon.engines`."""


def _by_name(family: str, given: Any, **how: Any) -> dict[str, Any]:
    """Engines by model, with one for every other; functions as engines. Where none was given it is made once asked."""

    def made(source: Any = None) -> Any:
        from .. import engines

        return getattr(engines, _MAKERS[family])(source, **how)

    named: Mapping[str, Any] = given if isinstance(given, Mapping) else {"*": given}
    return {
        "*": Later(made),
        **{name: Later(made) if source is None else made(source) for name, source in named.items()},
    }


def _paced(
    latency: Paces, clock: Clock, seed: int | str, derived: Callable[[], dict[str, Any]]
) -> Callable[[ChatEngine], ChatEngine] | None:
    """What has engines take their time; `None` where none does."""
    if latency.__class__ is float and not latency:
        return None  # unless told
    from ..engines.latency import Pacing, latencies_of
    from ..engines.paced import Paced

    pacing = Pacing(latencies_of(latency), clock.now, seed, derived)
    return partial(Paced, pacing=pacing) if pacing.latencies else None


if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, {"Latency": "..engines.latency"})
