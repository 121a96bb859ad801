"""Recording what a model's host answers, and playing it again.

    cassette = Cassette("cassettes/weather.yaml")       # records where there is no file, else plays
    with cassette:
        cassette.client().responses.create(...)

A cassette is a handler like any other: a client calls it in process, requests of other libraries can be intercepted by
it, and it can be started on a port.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Self, TypeAlias

from ...kernel.errors import NotFoundError
from ...kernel.flow import Flow, Pause, Step
from ...kernel.http import Headers, Request, Response
from ...kernel.spool import Spooled
from ...kernel.sse import Decoder
from ...server.clock import RealClock
from .. import asserts
from ..faults.behaviours import relayed
from ..journal import LAST, Journal, under_way
from .bodies import body_of, events_of, request_body
from .comparing import differences
from .files import CassetteError, Mark, lines_of, load, save
from .matching import Candidate, Choice, Likeness, Matcher, Sought, renamed
from .recording import Recording, kept_answer_headers, kept_request_headers, stamp, wall_clock
from .safety import clean
from .scrubbing import Scrubber
from .similar import Similar
from .spread import gathered
from .upstream import Upstream

if TYPE_CHECKING:
    from ...client import AsyncOpenAI, OpenAI
    from ...hosting.asgi import ASGI
    from ...hosting.run import Running
    from ...kernel.dialogue import Dialogue
    from ...kernel.flow import World
    from ...kernel.http import Handler
    from ...server.clock import Clock
    from ...transports.httpx2 import HandlerTransport
    from ..verdict import Verdict
    from .opening import Websockets
    from .similar import Embeds, Near

__all__ = ("MODES", "Cassette", "Miss", "Mode")

Mode: TypeAlias = Literal["none", "once", "new", "all", "strict"]

MODES: Final[Mapping[str, str]] = {
    "none": "plays what is recorded, and refuses the rest",
    "once": "records everything where there is no file, and is as none where there is one",
    "new": "plays what is recorded, and records the rest",
    "all": "records everything anew",
    "strict": "as none, but plays each recording once, and all of them have to be played",
}
"""The modes, and what each does."""

_MOST_SHOWN: Final = 12


class Miss(NamedTuple):
    """A request for which there is no recording."""

    message: str

    def __repr__(self) -> str:
        return f"<no recording: {self.message}>"


class _Played(NamedTuple):
    """Who has answered, for the journal."""

    name: str
    number: int
    others: bool
    likeness: float | None = None

    def __repr__(self) -> str:
        near = "" if self.likeness is None else f", whose last words are {self.likeness:.2f} like these"
        return f"recording {self.number} of {self.name}{', for other ids' if self.others else ''}{near}"


class Cassette:
    """Recordings in a file, as a handler.

    `path` is the file, which is made when there is something to write. What is done is up to `mode`:

    - `none` plays what is recorded; for the rest it answers 404 with the code `no_recording`,
    - `once` records everything where there is no file yet, and is as `none` where there is one,
    - `new` plays what is recorded and records the rest,
    - `all` records everything anew; what was there is replaced,
    - `strict` is as `none`, but plays each recording once; `assert_all_played` sees that all were.

    `upstream` is what is recorded: an address, or a handler, such as a fake; without one a request is sent to where it
    is addressed. `speed` is how fast the recorded time passes again: 1 as it did, 10 ten times as fast, 0 not at all;
    `clock` is whose time passes. `scrub` are regular expressions for what is not to be written, besides what everybody
    wants to keep secret. `ignore` and `volatile` say what does not matter when a request is looked for: places of its
    body, and patterns for what is another each time. With `similarity`, the cosine from which two texts are alike, what
    the user says last may be about the same only; `embeddings` makes vectors of texts, otherwise it goes by the words
    that they have in common. `journal` is how many exchanges are kept in `cassette.journal`.

    It writes when it is closed, or with `autosave` after each recording. Raises `CassetteError` for a file that is no
    cassette, and `ValueError` for an option that cannot be.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        mode: Mode = "once",
        *,
        upstream: str | Handler | None = None,
        speed: float = 0.0,
        scrub: Iterable[str] = (),
        ignore: Sequence[str] = (),
        volatile: Sequence[str] = (),
        similarity: float | None = None,
        embeddings: Embeds | None = None,
        clock: Clock | None = None,
        journal: int = 1000,
        autosave: bool = False,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"the mode is one of {', '.join(MODES)}, not {mode!r}")
        if speed.__class__ not in (int, float) or not 0 <= speed < 1e9:
            raise ValueError(f"speed is how fast recorded time passes, 0 for not at all, not {speed!r}")
        self.path = Path(path)
        self.mode: Mode = mode
        self.speed = float(speed)
        exists = self.path.exists()
        self._plays = mode in ("none", "new", "strict") or (mode == "once" and exists)
        self._records = mode in ("new", "all") or (mode == "once" and not exists)
        contents = load(self.path) if exists else None
        patterns = () if contents is None else contents.scrub
        if mode == "all":
            contents = None  # but for what it says is a secret
        given = [scrub] if isinstance(scrub, str) else list(scrub)
        self._scrubber = Scrubber((*patterns, *(each for each in given if each not in patterns)))
        self._matcher = Matcher(Likeness(ignore, volatile), lambda body: clean(self._scrubber, body))
        for each in () if contents is None else contents.recordings:
            self._matcher.add(each)
        self._similar = None if similarity is None else Similar(similarity, embeddings)
        self._upstream: Any = None
        if self._records:
            self._upstream = upstream if callable(upstream) else Upstream(upstream)
        self._elsewhere = upstream is not None
        found: Any = clock or getattr(upstream, "clock", None) or RealClock()
        self.clock: Clock = found
        """Whose time passes while something is played."""
        self.journal = Journal(self.clock, journal)
        """What was asked and answered, played and recorded alike."""
        self.misses: list[Miss] = []
        """The requests for which there was no recording."""
        self.max_body = 513 * 1024 * 1024
        """The largest request body, in bytes."""
        self._new: list[Recording] = []
        self._autosave = autosave
        self._mark: Mark | None = None
        self._replaced = mode != "all"
        self._lock = threading.RLock()
        self._answered = self.journal(self._answer)
        self._websockets: Websockets | None = None

    def __call__(self, request: Request) -> Response | Flow[Response]:
        """Answer a request."""
        return self._answered(request)

    def dialogue(self, request: Request) -> Dialogue | Response:
        """Open a websocket that is played or recorded, or refuse to."""
        if self._websockets is None:
            from .opening import Websockets

            self._websockets = Websockets(self)
        return self._websockets.opened(request)

    @property
    def world(self) -> World:
        """How flows let time pass here: by the cassette's clock."""
        return self.clock.world()

    @property
    def recordings(self) -> list[Recording]:
        """What is recorded, new recordings too."""
        return [recording for _, recording in self._matcher.every]

    @property
    def records(self) -> bool:
        """Whether something may be recorded, and sent for it."""
        return self._records

    def __repr__(self) -> str:
        return f"<Cassette {str(self.path)!r}, mode {self.mode}, {len(self.recordings)} recordings>"

    # Answering

    def _answer(self, request: Request) -> Response | Flow[Response]:
        self._scrubber.learn(request.headers.pairs)
        asked = self._asked(request)
        sought = self._matcher.sought(request.method, asked["url"], _body(asked))
        if self._plays:
            with self._lock:
                choice = self._matcher.choose(sought, again=self.mode != "strict")
                near = None if choice is not None else self._near(sought)
                if near is not None:
                    choice = self._matcher.choice(Candidate(near.theirs, near.ours, near.recording))
            if choice is not None:
                return self._play(choice, near)
        if self._records:
            return self._record(request, asked)
        return self._refuse(sought)

    def _asked(self, request: Request) -> dict[str, Any]:
        """A request as it is recorded: to whom it went, and what was asked for, wherever that is there."""
        kept = request_body(request.body, request.headers.get("content-type") or "")
        sent = self._upstream.addressed(request) if isinstance(self._upstream, Upstream) else request
        query = f"?{self._scrubber.query(sent.query)}" if sent.query else ""
        asked: dict[str, Any] = {
            "method": request.method,
            "url": self._scrubber.text(f"{sent.origin}{request.path}{query}"),
        }
        headers = {
            name: self._scrubber.header(name, value) for name, value in kept_request_headers(request.headers).items()
        }
        if headers:
            asked["headers"] = headers
        asked.update(clean(self._scrubber, kept))
        return asked

    # Playing

    def _near(self, sought: Sought, *, least: float | None = None) -> Near | None:
        """A recording with other last words, where they are near enough."""
        if self._similar is None:
            return None
        near = self._similar.nearest(self._matcher, sought, again=self.mode != "strict")
        enough = self._similar.threshold if least is None else least
        return near if near is not None and near.likeness >= enough else None

    def _play(self, choice: Choice, near: Near | None = None) -> Response | Flow[Response]:
        recording, replaced = choice
        exchange = under_way.get()
        if exchange is not None:
            exchange.engine = _Played(
                self.path.name, recording.number, bool(replaced), None if near is None else near.likeness
            )
        headers = self._paced(recording.headers)
        body: Any = self._stream(recording, replaced) if recording.is_stream else recording.body()
        if replaced:
            pairs = [(name, renamed(value.encode(), replaced).decode()) for name, value in headers.pairs]
            headers = Headers.of(pairs)
            body = renamed(body, replaced) if isinstance(body, bytes) else body
        answer = Response(recording.status, headers, body)
        if self.speed and recording.after:
            return _later(recording.after / self.speed, answer)
        return answer

    def _stream(self, recording: Recording, replaced: Mapping[str, str]) -> Generator[bytes | Step[Any], Any, None]:
        speed = self.speed
        for after, piece in recording.pieces():
            if speed and after:
                yield Pause(after / speed)
            yield renamed(piece, replaced)
        if recording.cut is not None:
            # No miss: clients read a little on when they leave.
            message = f"The recording ends here, before the stream does: {recording.cut}."
            error = NotFoundError.because(message, code="no_recording")
            import orjson

            yield b"event: error\ndata: " + orjson.dumps({"error": error.body}) + b"\n\n"

    def _paced(self, headers: Headers) -> Headers:
        """Headers with the time that a client is told to wait at the cassette's speed."""
        waits = [name for name in ("retry-after", "retry-after-ms") if name in headers]
        if not waits or self.speed == 1:
            return headers
        try:
            told = headers.get("retry-after-ms")
            seconds = float(headers["retry-after"]) if told is None else float(told) / 1000
        except ValueError:  # a date, which is over
            seconds = 0.0
        # Clients take 0 for no answer to the question, and wait as long as they like.
        shortened = max(0.001, seconds / self.speed) if self.speed else 0.001
        return headers.replaced({"retry-after": None, "retry-after-ms": f"{shortened * 1000:g}"})

    # Recording

    def _record(self, request: Request, asked: dict[str, Any]) -> Flow[Response]:
        began = self.clock.now()
        answer: Any = self._upstream(request)
        if not isinstance(answer, Response):
            answer = yield from answer
        said = answer.body
        if isinstance(said, Spooled):
            self._keep(asked, answer, [(0.0, said.read())], self.clock.now() - began)
            return answer  # type: ignore[no-any-return]
        if isinstance(said, bytes):
            self._keep(asked, answer, [(0.0, said)], self.clock.now() - began)
            return answer  # type: ignore[no-any-return]
        return answer._replace(body=self._copied(asked, answer, self.clock.now() - began))  # type: ignore[no-any-return]

    def _copied(self, asked: dict[str, Any], answer: Response, after: float) -> Generator[bytes | Step[Any], Any, None]:
        """The body of an answer, which is recorded once it is over."""
        pieces: list[tuple[float, bytes]] = []
        now, began = self.clock.now, self.clock.now()

        def feed(piece: bytes) -> Iterable[bytes]:
            pieces.append((now() - began, piece))
            return (piece,)

        def end() -> Iterable[bytes]:
            self._keep(asked, answer, pieces, after)
            return ()

        try:
            yield from relayed(answer.body, feed, end=end)
        except GeneratorExit:
            self._keep(asked, answer, pieces, after, left=True)
            raise

    def _keep(
        self,
        asked: dict[str, Any],
        answer: Response,
        pieces: list[tuple[float, bytes]],
        after: float,
        *,
        left: bool = False,
    ) -> None:
        """Take an exchange into the recordings. One that is about the key is none of the test's."""
        if answer.status == 401 or (answer.status in (502, 504) and _is_ours(answer, pieces)):
            return
        streamed = (answer.headers.get("content-type") or "").startswith("text/event-stream")
        if left and not streamed and not _is_whole(answer, pieces):
            return
        told: dict[str, Any] = {"status": answer.status}
        seconds = after if streamed else after + (pieces[-1][0] if pieces else 0.0)
        if round(seconds, 3) > 0:
            told["after"] = round(seconds, 3)
        headers = {
            name: [self._scrubber.header(name, each) for each in value]
            if isinstance(value, list)
            else self._scrubber.header(name, value)
            for name, value in kept_answer_headers(answer.headers).items()
        }
        if headers:
            told["headers"] = headers
        if streamed:
            told.update(events_of(pieces, lambda event: clean(self._scrubber, event)))
            gathered(self._scrubber, told["events"])
            if left and not _is_over(pieces):
                told["cut"] = "it was left here when it was recorded"
        else:
            told.update(clean(self._scrubber, body_of(b"".join(piece for _, piece in pieces))))
        recording = Recording({"request": asked, "answer": told, "recorded": stamp(wall_clock())})
        exchange = under_way.get()
        if exchange is not None:
            exchange.engine = _Recorded(self.path.name)
        self._added(recording)

    def _added(self, recording: Recording) -> None:
        """Take in what was recorded just now."""
        recording.played = 1
        with self._lock:
            self._new.append(recording)
            self._matcher.add(recording)
        if self._autosave:
            self.save()

    def save(self) -> None:
        """Write what is new. Raises `OSError`, and `CassetteError` where the file has become something else."""
        with self._lock:
            new, self._new = self._new, []
            if not new:
                return
            try:
                patterns = self._scrubber.patterns
                self._mark = save(self.path, new, patterns, append=self._replaced, known=self._mark)
            except BaseException:
                self._new = new
                raise
            self._replaced = True

    # Refusing

    def _refuse(self, sought: Sought) -> Response:
        with self._lock:
            message = self._explained(sought)
        exchange = under_way.get()
        if exchange is not None:
            exchange.engine = Miss(message)
        self._miss(message)
        return NotFoundError.because(message, code="no_recording").to_response()

    def _miss(self, message: str) -> None:
        self.misses.append(Miss(message))

    def _explained(self, sought: Sought) -> str:
        """Why there is no recording of a request."""
        asked = f"{sought.method} {sought.path}"
        name = _short(self.path)
        if not self.path.exists() and not self._matcher.every:
            how = "To record it, use the mode once (with pytest: --antiphon-record=once)."
            return f"{asked} cannot be played: there is no cassette {name} (mode {self.mode}).\n{how}"
        how = (
            "To record it, use the mode new (with pytest: --antiphon-record=new); the mode all records everything anew."
        )
        alike = self._matcher.alike(sought)
        if self.mode == "strict" and alike and all(each.played for each in alike):
            times = "once" if len(alike) == 1 else f"{len(alike)} times"
            return f"{asked} is recorded {times} in {name}, and was asked once more (mode strict).\n{how}"
        near = self._matcher.nearest(sought)
        if near is None:
            return f"{asked} is not in {name}, which has no recordings (mode {self.mode}).\n{how}"
        theirs, recording = near
        told = _differing(theirs, sought)
        close = self._near(sought, least=-1.0)
        if close is not None and self._similar is not None:
            told += (
                f"\n  what the user says last: {close.likeness:.2f} like that of recording {close.recording.number}, "
                f"and {self._similar.threshold:g} is enough (similarity)"
            )
        return f"{asked} is not in {name} (mode {self.mode}). The nearest is {self._where(recording)}:{told}\n{how}"

    def _told_apart(self, asked: str, ours: Sought, theirs: Sought | None, recording: Recording) -> str:
        """Why what is said in a websocket is not what was recorded."""
        name = _short(self.path)
        where = self._where(recording)
        how = "To record it, use the mode all (with pytest: --antiphon-record=all), which records everything anew."
        if theirs is None:
            return f"{asked} is not in {name} (mode {self.mode}): {where} has ended there.\n{how}"
        return f"{asked} is not in {name} (mode {self.mode}). The nearest is {where}:{_differing(theirs, ours)}\n{how}"

    def _where(self, recording: Recording) -> str:
        told = f"recording {recording.number}"
        try:
            line, _ = lines_of(self.path)(("exchanges", recording.number - 1))
        except (OSError, CassetteError):
            return told
        return f"{told}, at line {line}"

    # Asserting

    @property
    def unplayed(self) -> list[Recording]:
        """The recordings that were not played."""
        return [recording for recording in self.recordings if not recording.whole]

    def assert_all_played(self) -> None:
        """See that everything that is recorded was played. Raises `AssertionError` with what was not."""
        left = self.unplayed
        if left:
            told = "\n".join(f"  {self._where(each)}: {str(each)[1:-1]}" for each in left)
            raise AssertionError(f"expected everything in {_short(self.path)} to be played, and this was not:\n{told}")

    def assert_called(self, *, times: int | None = None, **query: Any) -> None:
        """See that something was asked, as `FakeOpenAI.assert_called` does."""
        asserts.called(self.journal, times, query)

    def assert_not_called(self, **query: Any) -> None:
        """See that something was not asked, as `FakeOpenAI.assert_not_called` does."""
        asserts.not_called(self.journal, query)

    def assert_called_in_order(self, *queries: Mapping[str, Any]) -> None:
        """See that these were asked one after the other, as `FakeOpenAI.assert_called_in_order` does."""
        asserts.in_order(self.journal, queries)

    def assert_tokens_at_most(self, most: int, **query: Any) -> None:
        """See that no more tokens were used, as `FakeOpenAI.assert_tokens_at_most` does."""
        asserts.tokens_at_most(self.journal, most, query)

    def verdict(self, **query: Any) -> Verdict:
        """What the code under test did wrong, as `FakeOpenAI.verdict` has it."""
        from ..verdict import verdict

        return verdict(self.journal, query)

    def assert_well_behaved(self, *, ignore: Collection[str] = (), warnings: bool = False, **query: Any) -> None:
        """See that the code under test did nothing wrong, as `FakeOpenAI.assert_well_behaved` does."""
        from ..verdict import well_behaved

        well_behaved(self.verdict(**query), ignore, warnings)

    # Ways to it

    def client(self, **options: Any) -> OpenAI:
        """A client of this package over the cassette, in process. Takes the options of `OpenAI`."""
        from ...client import OpenAI

        return OpenAI(**self._connected(options))

    def async_client(self, **options: Any) -> AsyncOpenAI:
        """An async client of this package over the cassette, in process. Takes the options of `AsyncOpenAI`."""
        from ...client import AsyncOpenAI

        return AsyncOpenAI(**self._connected(options))

    def _connected(self, options: dict[str, Any]) -> dict[str, Any]:
        key = os.environ.get("OPENAI_API_KEY") or "sk-of-a-recording"
        return {"api_key": key, "transport": self, **options}

    def official_transport(self) -> HandlerTransport:
        """A transport of httpx2 over the cassette, for clients of the official package. Needs `httpx2`."""
        from ...transports.httpx2 import HandlerTransport

        return HandlerTransport(self)

    def start(self, port: int = 0, host: str = "127.0.0.1") -> Running:
        """Serve on a port from a thread of its own, as `FakeOpenAI.start` does.

        Raises `ValueError` where it records and was not told from whom: requests are addressed to this port.
        """
        from ...hosting.run import serve_in_background

        self._has_upstream()
        return serve_in_background(self, host, port)

    def asgi(self) -> ASGI:
        """The cassette as an ASGI application. Raises `ValueError` as `start` does."""
        from ...hosting.asgi import ASGI

        self._has_upstream()
        return ASGI(self)

    def _has_upstream(self) -> None:
        if self._records and not self._elsewhere:
            raise ValueError("a cassette that records on a port has to be told what: upstream='https://api.openai.com'")

    # Its end

    def close(self) -> None:
        """Write what is new, and let go of connections."""
        wait = None if self._websockets is None else self._websockets.finish()
        self.save()
        if wait is not None:
            wait()
        if isinstance(self._upstream, Upstream):
            self._upstream.close()

    async def aclose(self) -> None:
        """`close` for an event loop."""
        wait = None if self._websockets is None else self._websockets.finish()
        self.save()
        if wait is not None:
            await asyncio.to_thread(wait)
        if isinstance(self._upstream, Upstream):
            await self._upstream.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()


class _Recorded(NamedTuple):
    name: str

    def __repr__(self) -> str:
        return f"upstream, recorded in {self.name}"


def _short(path: Path) -> str:
    """A path as it is read: from where one is, where it is below."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except (OSError, ValueError):
        return str(path)


def _body(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if name not in ("method", "url", "headers")}


def _raw(sought: Sought) -> dict[str, Any]:
    return {"path": sought.path, "query": sought.query, "body": dict(sought.body)}


def _differing(theirs: Sought, ours: Sought) -> str:
    lines = differences(theirs.read, ours.read, ("recorded", "asked"))
    if not lines:
        lines = differences(_raw(theirs), _raw(ours), ("recorded", "asked"))
    if len(lines) > _MOST_SHOWN:
        lines = [*lines[:_MOST_SHOWN], f"and {len(lines) - _MOST_SHOWN} more"]
    return "".join(f"\n  {line}" for line in lines)


def _later(seconds: float, answer: Response) -> Flow[Response]:
    yield Pause(seconds)
    return answer


def _is_whole(answer: Response, pieces: list[tuple[float, bytes]]) -> bool:
    """Whether a body is as long as was announced: a client has no reason to read on, and may leave with it."""
    return bool(answer.headers.get("content-length") == str(sum(len(piece) for _, piece in pieces)))


def _is_over(pieces: list[tuple[float, bytes]]) -> bool:
    """Whether a stream has come to the event after which there is no other, whoever left it."""
    import orjson

    events = Decoder().data(b"".join(piece for _, piece in pieces))
    if not events:
        return False
    if events[-1][0] == b"[DONE]":
        return True
    try:
        last = orjson.loads(events[-1][0])
    except ValueError:
        return False
    return isinstance(last, dict) and last.get("type") in LAST


def _is_ours(answer: Response, pieces: list[tuple[float, bytes]]) -> bool:
    """Whether it says that the upstream was not reached."""
    return b'"upstream_unreachable"' in b"".join(piece for _, piece in pieces)
