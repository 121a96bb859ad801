"""Results instead of exceptions: what calls answer in the voice `with_result`.

    match client.models.with_result.retrieve("gpt-5"):
        case Ok(model):
            print(model.id)
        case Err(Failure(status=404)):
            print("no such model")
        case Err(failure):
            print(failure.message, failure.request_id)

Both know how the call went: `success`, `errors`, `status`, `headers`, `request_id`, `rate_limit`, `usage`,
`retries_taken`. What a caller does wrong (an unknown argument, no key) raises as ever.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Generic, Literal, NamedTuple, NoReturn, TypeAlias, TypeVar

from .errors import APIError
from .http import Headers, Request, Response

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")
D = TypeVar("D")

__all__ = ("Err", "Failure", "Limit", "Ok", "RateLimit", "Result", "duration")


class Failure(NamedTuple):
    """Why a call has no result."""

    method: str
    url: str
    status: int | None
    """The HTTP status; `None` where no response came."""
    message: str
    request_id: str | None
    """The server's `x-request-id`."""
    error: Exception
    """What the call would have raised."""

    @classmethod
    def of(cls, error: Exception, request: Request, response: Response | None) -> Failure:
        """The failure an error stands for."""
        return cls(
            request.method,
            request.url,
            None if response is None else response.status,
            error.message if isinstance(error, APIError) else str(error),
            None if response is None else response.headers.get("x-request-id"),
            error,
        )

    @property
    def code(self) -> str | None:
        """The API's code for the error, such as `model_not_found`."""
        return getattr(self.error, "code", None)

    @property
    def param(self) -> str | None:
        """The parameter the API does not like."""
        return getattr(self.error, "param", None)

    @property
    def type(self) -> str | None:
        """The API's type of the error, such as `invalid_request_error`."""
        return getattr(self.error, "type", None)

    @property
    def body(self) -> object | None:
        """The error as the server sent it: decoded, or the text where it was no JSON."""
        return getattr(self.error, "body", None)


class Limit(NamedTuple):
    """How much may be asked for; `None` for what the server did not say."""

    limit: int | None
    remaining: int | None
    reset: float | None
    """Seconds until `limit` is available again."""


class RateLimit(NamedTuple):
    """The `x-ratelimit-…` headers of a response."""

    requests: Limit
    tokens: Limit

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> RateLimit:
        """What the headers of a response say, whoever made it."""
        return cls(_limit(headers, "requests"), _limit(headers, "tokens"))


def _limit(headers: Mapping[str, str], what: str) -> Limit:
    numbers = [headers.get(f"x-ratelimit-{which}-{what}", "") for which in ("limit", "remaining")]
    limit, remaining = (int(number) if re.fullmatch(r"-?\d+", number.strip()) else None for number in numbers)
    return Limit(limit, remaining, duration(headers.get(f"x-ratelimit-reset-{what}", "")))


_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h|d)"


def duration(text: str) -> float | None:
    """Seconds of a duration such as `6m0s`, `20ms`, `1h2m3.5s` or `60`; `None` for anything else."""
    text = text.strip()
    if re.fullmatch(r"\d+(?:\.\d*)?|\.\d+", text):
        return float(text)
    if not re.fullmatch(f"(?:{_PART})+", text):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(_PART, text))


class _Outcome:
    __slots__ = ("response", "retries_taken")
    response: Response | None
    """The response; `None` where none came."""
    retries_taken: int
    """How often the call was tried again."""

    @property
    def status(self) -> int | None:
        """The HTTP status; `None` where no response came."""
        return None if self.response is None else self.response.status

    @property
    def headers(self) -> Headers:
        """The headers of the response; none where none came."""
        return Headers() if self.response is None else self.response.headers

    @property
    def request_id(self) -> str | None:
        """The server's `x-request-id`."""
        found: str | None = self.headers.get("x-request-id")
        return found

    @property
    def rate_limit(self) -> RateLimit:
        """How much may still be asked for, as the server says."""
        return RateLimit.of(self.headers)


class Ok(_Outcome, Generic[T_co]):
    """A call that succeeded. `match` it as `Ok(value)`."""

    __slots__ = ("value",)
    __match_args__ = ("value",)
    value: T_co
    """What the call answered."""

    def __init__(self, value: T_co, response: Response | None = None, retries_taken: int = 0) -> None:
        self.value = value
        self.response = response
        self.retries_taken = retries_taken

    @property
    def success(self) -> Literal[True]:
        """That the call succeeded."""
        return True

    @property
    def errors(self) -> list[Failure]:
        """What went wrong: nothing."""
        return []

    @property
    def usage(self) -> Any:
        """The `usage` of the value, such as the tokens of a completion; `None` where it has none."""
        return getattr(self.value, "usage", None)

    def unwrap(self) -> T_co:
        """The value."""
        return self.value

    def unwrap_or(self, default: object) -> T_co:
        """The value."""
        return self.value

    def __bool__(self) -> Literal[True]:
        return True

    def __eq__(self, other: object) -> bool:
        return self.value == other.value if isinstance(other, Ok) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # values are views, which change

    def __repr__(self) -> str:
        return f"Ok({self.value!r})"


class Err(_Outcome):
    """A call that failed. `match` it as `Err(failure)`."""

    __slots__ = ("failure",)
    __match_args__ = ("failure",)
    failure: Failure
    """Why."""

    def __init__(self, failure: Failure, response: Response | None = None, retries_taken: int = 0) -> None:
        self.failure = failure
        self.response = response
        self.retries_taken = retries_taken

    @property
    def success(self) -> Literal[False]:
        """That the call did not succeed."""
        return False

    @property
    def errors(self) -> list[Failure]:
        """What went wrong."""
        return [self.failure]

    @property
    def usage(self) -> None:
        """Nothing: there is no value that could tell."""
        return

    def unwrap(self) -> NoReturn:
        """Raise the error the call would have raised."""
        raise self.failure.error

    def unwrap_or(self, default: D) -> D:
        """The default."""
        return default

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return f"Err({self.failure!r})"


Result: TypeAlias = Ok[T] | Err
"""What a call in the voice `with_result` answers."""
