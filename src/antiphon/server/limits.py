"""Rate limits that are kept: token buckets of requests and of tokens a minute, for each key and model.

    Server(engines, rate_limits={"gpt-5": RateLimit(requests=60, tokens=10_000), "*": RateLimit(requests=500)})

A bucket holds a minute's worth and is filled evenly, so a limit of 60 lets 60 requests through at once and then one a
second. A request over the limit takes nothing out; it is answered with 429, the time until it would pass in
`retry-after` (seconds, rounded up) and `retry-after-ms`. The tokens of a request are counted before it is answered, as
the API does: its characters, four to a token, and the most it may be answered with.

Buckets are kept in the store, so snapshots carry them, and filled by the server's clock.

API reference: https://platform.openai.com/docs/guides/rate-limits
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from hashlib import blake2b
from math import ceil
from types import GeneratorType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, TypeGuard

import orjson

from ..kernel.errors import APIStatusError, BadRequestError, RateLimitError
from ..kernel.http import Headers, Response
from ..kernel.spool import Spooled
from .intake import is_form, read_form

if TYPE_CHECKING:
    from ..kernel.flow import Flow
    from ..kernel.http import Filter, Handler, Request, Upload
    from .app import Server

__all__ = ("RateLimit", "RateLimits", "Wanted", "drawn", "left_headers", "limited", "rate_limits", "telling", "wanted")

BUCKETS: Final = "rate_limits"
"""The collection of the buckets: what is left of each, and when that was so."""


class RateLimit(NamedTuple):
    """The most of a minute; `None`: as much as anybody wants."""

    requests: int | None = None
    tokens: int | None = None


RateLimits: TypeAlias = Mapping[str, RateLimit] | RateLimit
"""One limit that each model has for itself, or limits by the name or pattern of a model."""


def rate_limits(given: Any) -> dict[str, RateLimit]:
    """Limits by name or pattern, the name with most literal characters first.

    A limit may also be a mapping such as `{"requests": 60}`. Raises `TypeError` and `ValueError` for what is no limit.
    """
    if isinstance(given, RateLimit) or (isinstance(given, Mapping) and set(given) & set(RateLimit._fields)):
        given = {"*": given}
    if not isinstance(given, Mapping):
        raise TypeError(f"rate_limits is a RateLimit or a mapping from models to them, not {given!r}")
    made = {str(name): _limit(name, limit) for name, limit in given.items()}
    return dict(sorted(made.items(), key=lambda each: -sum(c not in "*?[]" for c in each[0])))


def _limit(name: Any, given: Any) -> RateLimit:
    if isinstance(given, Mapping):
        if unknown := sorted(set(given) - set(RateLimit._fields)):
            raise TypeError(f"the rate limit of {name!r} has {', '.join(unknown)}; there are {RateLimit._fields}")
        given = RateLimit(**given)
    if not isinstance(given, RateLimit):
        raise TypeError(f"the rate limit of {name!r} is a RateLimit(requests=…, tokens=…), not {given!r}")
    values: Any = given  # nobody has looked at them yet
    for field, most in zip(RateLimit._fields, values, strict=True):
        if most is not None and (not isinstance(most, int) or most < 1):
            raise ValueError(f"the {field} a minute of {name!r} are a whole number from 1 on, not {most!r}")
    return given


class Wanted(NamedTuple):
    """What a request asks of its model."""

    model: str
    tokens: int


def limited(server: Server, limits: dict[str, RateLimit]) -> Filter:
    """A filter that keeps the limits and tells on each answer what is left of them."""

    def wrap(handler: Handler) -> Handler:
        def keep(request: Request) -> Response | Flow[Response]:
            asked = wanted(request)
            limit = None if asked is None else _found(limits, asked.model)
            if asked is None or limit is None:
                return handler(request)
            return telling(handler, request, _taken(server, limit, asked, request))

        return keep

    return wrap


def _found(limits: dict[str, RateLimit], model: str) -> RateLimit | None:
    exact = limits.get(model)
    if exact is not None:
        return exact
    return next((limit for pattern, limit in limits.items() if fnmatchcase(model, pattern)), None)


def wanted(request: Request) -> Wanted | None:
    """What is asked of which model; nothing for a request that names none."""
    body = request.body
    if request.method != "POST" or not body or not (isinstance(body, bytes) or _read_anyway(body)):
        return None
    kind = request.headers.get("content-type") or "application/json"
    fields: Any
    try:
        if is_form(kind):
            fields = {name: value for name, value in read_form(body, kind) if isinstance(value, str)}
        else:
            fields = orjson.loads(body if isinstance(body, bytes) else body.read())
    except (ValueError, BadRequestError):
        return None  # it is refused further in, and costs nothing
    model = fields.get("model") if isinstance(fields, dict) else None
    if not isinstance(model, str):
        return None
    most = next((fields[name] for name in _MOST if isinstance(fields.get(name), int)), 0)
    count = fields.get("n")
    times = count if isinstance(count, int) and count > 0 else 1
    asked = sum(map(len, _texts([fields.get(name) for name in _ASKED])))
    return Wanted(model, ceil(asked / 4) + max(most, 0) * times)


def _read_anyway(body: Upload) -> TypeGuard[Spooled]:
    """Whether a body in a file may be asking a model: files alone are larger."""
    return isinstance(body, Spooled) and body.size <= _ASKING


_ASKING: Final = 64 * 1024 * 1024

_MOST: Final = ("max_completion_tokens", "max_output_tokens", "max_tokens")
_ASKED: Final = ("messages", "input", "prompt", "instructions")


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value, but for data that stands in one."""
    if isinstance(value, str):
        if not value.startswith("data:"):
            yield value
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, dict):
        for name, each in value.items():
            if name not in ("type", "role", "id", "data"):
                yield from _texts(each)


def _taken(server: Server, limit: RateLimit, asked: Wanted, request: Request) -> list[tuple[str, str]]:
    """Take a request out of its buckets. Gives the headers that tell of them; raises `RateLimitError`."""
    key = request.headers.get("authorization") or request.headers.get("api-key") or ""
    name = blake2b(f"{key}\n{asked.model}".encode(), digest_size=16).hexdigest()
    now = server.clock.now()
    with server.lock:
        kept = server.store.get(BUCKETS, name)
        before = {} if kept is None else kept["left"]
        left = drawn(limit, asked, before, 0.0 if kept is None else now - kept["at"], server.organization)
        server.store.put(BUCKETS, name, {"id": name, "left": left, "at": now})
    return left_headers(limit, left)


def drawn(
    limit: RateLimit, asked: Wanted, before: Mapping[str, float], seconds: float, organization: str
) -> dict[str, float]:
    """What is left of a limit after a request; `before` was left some `seconds` ago, of a full bucket nothing is said.

    Raises `RateLimitError` where it is not enough.
    """
    left: dict[str, float] = {}
    for field, most in zip(RateLimit._fields, limit, strict=True):
        if most is not None:
            left[field] = min(most, before[field] + seconds * most / 60) if field in before else most
    need = {"requests": 1, "tokens": asked.tokens}
    for field, has in left.items():
        if need[field] > has + 1e-9:
            raise _refused(field, limit, left, need[field], asked.model, organization)
    return {field: has - need[field] for field, has in left.items()}


def left_headers(limit: RateLimit, left: Mapping[str, float]) -> list[tuple[str, str]]:
    """The headers that tell what is left of a limit."""
    pairs: list[tuple[str, str]] = []
    for field, has in left.items():
        most: int = getattr(limit, field)
        pairs += [
            (f"x-ratelimit-limit-{field}", str(most)),
            (f"x-ratelimit-remaining-{field}", str(int(has + 1e-9))),
            (f"x-ratelimit-reset-{field}", _duration((most - has) * 60 / most)),
        ]
    return pairs


def _refused(
    field: str, limit: RateLimit, left: dict[str, float], need: int, model: str, organization: str
) -> RateLimitError:
    most: int = getattr(limit, field)
    kind = {"requests": "requests per min (RPM)", "tokens": "tokens per min (TPM)"}[field]
    if need > most:
        return RateLimitError.because(
            f"Request too large for {model} in organization {organization} on {kind}: Limit {most}, Requested {need}. "
            "The input or output tokens must be reduced in order to run successfully.",
            type=field,
            code="rate_limit_exceeded",
            headers={**dict(left_headers(limit, left)), "x-should-retry": "false"},
        )
    wait = (need - left[field]) * 60 / most
    return RateLimitError.because(
        f"Rate limit reached for {model} in organization {organization} on {kind}: Limit {most}, "
        f"Used {most - int(left[field] + 1e-9)}, Requested {need}. Please try again in {_duration(wait)}. "
        "Visit https://platform.openai.com/account/rate-limits to learn more.",
        type=field,
        code="rate_limit_exceeded",
        headers={
            **dict(left_headers(limit, left)),
            "retry-after": str(ceil(wait)),
            "retry-after-ms": str(ceil(wait * 1000)),
        },
    )


def _duration(seconds: float) -> str:
    """A time as the API writes it: `0s`, `120ms`, `1.5s`, `6m0s`."""
    milliseconds = ceil(seconds * 1000 - 1e-6)
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds > 0 else "0s"
    minutes, rest = divmod(milliseconds, 60_000)
    text = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    return f"{minutes}m{text}" if minutes else text


def telling(handler: Handler, request: Request, told: list[tuple[str, str]]) -> Response | Flow[Response]:
    """What a handler answers, refusals too, with headers of ours."""
    try:
        answer = handler(request)
    except APIStatusError as error:
        answer = error.to_response()
    if isinstance(answer, GeneratorType):
        return _told_later(answer, told)
    return _told(answer, told)  # type: ignore[arg-type]


def _told(answer: Response, told: list[tuple[str, str]]) -> Response:
    return answer._replace(headers=Headers.of([*answer.headers.pairs, *told]))


def _told_later(flow: Flow[Response], told: list[tuple[str, str]]) -> Flow[Response]:
    try:
        answer = yield from flow
    except APIStatusError as error:
        answer = error.to_response()
    return _told(answer, told)
