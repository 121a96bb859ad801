"""What goes wrong: the answer comes late, is another, or is not one of the API."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from types import GeneratorType
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias

from ...kernel.flow import Pause, Step, through
from ...kernel.http import Headers, Response
from .parts import Part, choice, integer, number, seconds, text

if TYPE_CHECKING:
    from datetime import datetime
    from random import Random

    from ...kernel.flow import Flow
    from ...kernel.http import Request
    from ...server.clock import Clock
    from ...server.engine import ChatRequest
    from ...server.turns import Turn
    from .fault import Fault
    from .triggers import Seen, When

__all__ = (
    "Behaviour",
    "Both",
    "Delay",
    "Nothing",
    "RateLimit",
    "ReturnResponse",
    "ReturnStatus",
    "Scene",
    "relayed",
)

MESSAGES: Final = {
    400: "We could not parse the JSON body of your request.",
    401: "Incorrect API key provided.",
    403: "You are not allowed to do this.",
    404: "There is nothing here.",
    408: "The request took too long.",
    409: "The resource is being changed by another request.",
    429: "Rate limit reached for requests.",
    500: "The server had an error while processing your request. Sorry about that!",
    503: "The engine is currently overloaded, please try again later.",
}


if TYPE_CHECKING:
    Before: TypeAlias = Response | Flow[Response | None] | None


class Scene:
    """One strike: the request, and what a behaviour may use."""

    seal: Callable[[Response], Response]
    """Gives an answer the headers that the API puts on its answers."""

    def __init__(self, seen: Seen, random: Random, clock: Clock, memory: dict[str, Any]) -> None:
        self.seen = seen
        self.random = random
        """Dice that fall the same for a seed."""
        self.clock = clock
        self.memory = memory
        """What the behaviour remembers from strike to strike, as long as the fault is set."""


class Behaviour(Part):
    """Something that goes wrong. Behaviours are joined with `&`; with a trigger they are a `Fault`."""

    twists: ClassVar[bool] = False
    """Whether it is the model that misbehaves."""

    def suits(self, seen: Seen) -> bool:
        """Whether it can happen to a request. Others are neither struck nor counted."""
        return True

    def insists(self, seen: Seen, memory: dict[str, Any]) -> bool | None:
        """Whether it strikes (or does not) whatever its trigger says; `None`: the trigger says."""
        return None

    def before(self, scene: Scene) -> Before:
        """What happens before the request is acted upon: nothing, a response that is the answer instead, or a flow to
        either.
        """
        return None

    def request(self, request: Request, scene: Scene) -> Request:
        """The request that is acted upon."""
        return request

    def altered(self, answer: Response, scene: Scene) -> Response:
        """The answer that is given."""
        return answer

    def twist(self, turn: Turn, request: ChatRequest, scene: Scene) -> Turn:
        """What the model says."""
        return turn

    def when(self, *triggers: When) -> Fault:
        """The fault of behaving so when all of these hold."""
        from .fault import fault

        return fault(self, when=triggers) if triggers else fault(self)

    def until(self, limit: int | str | datetime | When) -> Fault:
        """The fault of behaving so for the first `limit` requests, for so long, or until a trigger holds."""
        return self.when().until(limit)

    def then(self, other: Behaviour | Fault) -> Fault:
        """The fault of behaving so, and otherwise once that is over."""
        return self.when().then(other)

    def __and__(self, other: object) -> Behaviour:
        return Both((self, other)) if isinstance(other, Behaviour) else NotImplemented


@dataclass(frozen=True, repr=False)
class Both(Behaviour):
    """All of these happen to the same request."""

    name: ClassVar[str] = "several"
    behaviours: tuple[Behaviour, ...]

    def __post_init__(self) -> None:
        flat: list[Behaviour] = []
        for each in self.behaviours:
            flat += each.behaviours if isinstance(each, Both) else [each]
        object.__setattr__(self, "behaviours", tuple(flat))

    @property
    def twists(self) -> bool:  # type: ignore[override]
        return any(each.twists for each in self.behaviours)

    def suits(self, seen: Seen) -> bool:
        return all(each.suits(seen) for each in self.behaviours)

    def insists(self, seen: Seen, memory: dict[str, Any]) -> bool | None:
        said = [each.insists(seen, memory) for each in self.behaviours]
        return True if True in said else False if False in said else None

    def before(self, scene: Scene) -> Before:
        return first_answer((each, scene) for each in self.behaviours)

    def request(self, request: Request, scene: Scene) -> Request:
        for each in self.behaviours:
            request = each.request(request, scene)
        return request

    def altered(self, answer: Response, scene: Scene) -> Response:
        for each in self.behaviours:
            answer = each.altered(answer, scene)
        return answer

    def twist(self, turn: Turn, request: ChatRequest, scene: Scene) -> Turn:
        for each in self.behaviours:
            turn = each.twist(turn, request, scene)
        return turn

    def to_dict(self) -> dict[str, Any]:
        return {"type": self.name, "behaviours": [each.to_dict() for each in self.behaviours]}

    def __str__(self) -> str:
        return " & ".join(map(str, self.behaviours))

    __repr__ = __str__


@dataclass(frozen=True, repr=False)
class Nothing(Behaviour):
    """Nothing goes wrong: a stage in which to wait for the next."""

    name: ClassVar[str] = "none"


@dataclass(frozen=True, repr=False)
class Delay(Behaviour):
    """The answer begins so many seconds late; with `most`, by chance between the two."""

    name: ClassVar[str] = "latency"
    seconds: float = 1.0
    most: float | None = None

    def __post_init__(self) -> None:
        seconds(self, "seconds")
        if self.most is not None:
            seconds(self, "most")
            if self.most < self.seconds:
                raise ValueError(f"latency: most is at least as long as seconds, {self.seconds:g}, not {self.most:g}")

    def before(self, scene: Scene) -> Before:
        return _paused(self.seconds if self.most is None else scene.random.uniform(self.seconds, self.most))


def _paused(seconds: float) -> Flow[None]:
    yield Pause(seconds)


@dataclass(frozen=True, repr=False)
class ReturnStatus(Behaviour):
    """The answer is an error of the API, with its envelope; the request is not acted upon."""

    name: ClassVar[str] = "status"
    status: int = 500
    message: str | None = None
    code: str | None = None
    error_type: str | None = None
    param: str | None = None
    retry_after: float | None = None
    """Seconds that the answer says to wait."""
    headers: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        integer(self, "status", 200, 599)
        for each in ("message", "code", "error_type", "param"):
            text(self, each)
        if self.retry_after is not None:
            number(self, "retry_after")
        checked_headers(self)

    def before(self, scene: Scene) -> Before:
        told = dict(self.headers or {})
        if self.retry_after is not None:
            told["retry-after"] = f"{self.retry_after:g}"
        if self.status < 400:
            return scene.seal(Response(self.status, Headers(told)))
        return scene.seal(refusal(self.status, self.message, self.code, self.error_type, self.param, told))


def refusal(
    status: int,
    message: str | None = None,
    code: str | None = None,
    error_type: str | None = None,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An error of the API as a response."""
    from ...kernel.errors import APIStatusError, InternalServerError, RateLimitError

    kind = InternalServerError if status >= 500 else RateLimitError if status == 429 else APIStatusError
    said = message or MESSAGES.get(status, f"The request was answered with status {status}.")
    error = kind.because(said, code=code, type=error_type, param=param, status=status, headers=headers)
    return error.to_response()


def checked_headers(part: Part) -> None:
    """Check that headers map names to values."""
    given: Any = getattr(part, "headers", None)
    if given is not None and not (
        isinstance(given, Mapping) and all(isinstance(each, str) for pair in given.items() for each in pair)
    ):
        raise TypeError(f"{part.name}: headers map names to texts, not {given!r}")


_LIMITS: Final = {
    "requests": ("requests", "rate_limit_exceeded", "Rate limit reached for requests. Please try again in {}s."),
    "tokens": ("tokens", "rate_limit_exceeded", "Rate limit reached for tokens. Please try again in {}s."),
    "quota": (
        "insufficient_quota",
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
}


@dataclass(frozen=True, repr=False)
class RateLimit(Behaviour):
    """A limit is reached, and `retry-after` is true: whoever asks before it has passed is refused again, and who asks
    after it is answered, at least once.

    With `limit="quota"` waiting is of no use, nor is it promised.
    """

    name: ClassVar[str] = "rate_limit"
    seconds: float = 1.0
    limit: str = "requests"

    def __post_init__(self) -> None:
        seconds(self, "seconds")
        choice(self, "limit", *_LIMITS)

    def insists(self, seen: Seen, memory: dict[str, Any]) -> bool | None:
        until = memory.get("until")
        if until is None or self.limit == "quota":
            return None
        if seen.now < until:
            return True
        del memory["until"]
        return False

    def before(self, scene: Scene) -> Before:
        error_type, code, message = _LIMITS[self.limit]
        if self.limit == "quota":
            return scene.seal(refusal(429, message, code, error_type))
        now = scene.clock.now()
        until = scene.memory.setdefault("until", now + self.seconds)
        left = max(0.0, until - now)
        milliseconds = ceil(left * 1000)
        reset = f"{milliseconds}ms" if milliseconds < 1000 else f"{milliseconds / 1000:g}s"
        told = {
            "retry-after": str(ceil(left)),
            "retry-after-ms": str(milliseconds),
            f"x-ratelimit-remaining-{self.limit}": "0",
            f"x-ratelimit-reset-{self.limit}": reset,
        }
        return scene.seal(refusal(429, message.format(f"{milliseconds / 1000:g}"), code, error_type, None, told))


@dataclass(frozen=True, repr=False)
class ReturnResponse(Behaviour):
    """The answer is this one, as it is; the request is not acted upon."""

    name: ClassVar[str] = "response"
    status: int = 200
    body: str | bytes = ""
    headers: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        integer(self, "status", 200, 599)
        body: Any = self.body
        if not isinstance(body, (str, bytes)):
            raise TypeError(f"response: body is a text or bytes, not {body!r}")
        checked_headers(self)

    def before(self, scene: Scene) -> Before:
        body = self.body.encode() if isinstance(self.body, str) else self.body
        return Response(self.status, Headers(self.headers or {}), body)


def first_answer(several: Iterable[tuple[Behaviour, Scene]]) -> Flow[Response | None]:
    """What happens before a request is acted upon, until one of several behaviours has an answer."""
    for behaviour, scene in several:
        answer = behaviour.before(scene)
        if isinstance(answer, GeneratorType):
            answer = yield from answer
        if answer is not None:
            return answer  # type: ignore[return-value]
    return None


def relayed(
    body: Any,
    feed: Callable[[Any], Iterable[Any]],
    *,
    over: Callable[[], bool] = lambda: False,
    end: Callable[[], Iterable[Any]] = tuple,
) -> Generator[Any, Any, None]:
    """A streamed body, or a turn: each piece becomes what `feed` makes of it, until it is `over`; then what `end` says.

    Steps are passed on, what they give or raise goes back to the body, and the body is closed in the end.
    """
    stopped = False

    def ended() -> bool:
        nonlocal stopped
        stopped = over()
        return stopped

    def each(piece: Any) -> Generator[Any, Any, Any]:
        if isinstance(piece, Step):
            return (yield piece)
        yield from feed(piece)
        return None

    yield from through(body, each, over=ended)
    if not stopped:
        yield from end()
