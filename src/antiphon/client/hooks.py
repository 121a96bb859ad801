"""Hooks: functions of the caller's that see every attempt of every call, before it is sent and after it was answered.

def trace(attempt: Attempt) -> None:
    attempt.set_header("x-trace", new_trace())

client = OpenAI(hooks=Hooks(before=trace, after=lambda attempt: record(attempt.elapsed)))
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias

from ..kernel.flow import Await, Send, Step

if TYPE_CHECKING:
    from ..kernel.http import Request, Response

__all__ = ("Attempt", "Hook", "Hooked", "Hooks", "checked", "watched")


class Attempt:
    """One attempt of a call; the same object before and after it.

    - `number`: 1 for the first, 2 for the first retry.
    - `request`: what is sent. Assign another, or use `set_header`; a retry begins with the call's own again.
    - `response`: what came back, of whatever status; its body is read, but for a stream's. `None` before, and where
      nothing came.
    - `error`: why nothing came, such as `APIConnectionError` or `APITimeoutError`.
    - `elapsed`: seconds from the sending until the response was there; of a stream, until its headers were.
    - `state`: for hooks to keep things in.
    """

    __slots__ = ("elapsed", "error", "number", "request", "response", "state")

    def __init__(self, number: int, request: Request) -> None:
        self.number = number
        self.request = request
        self.response: Response | None = None
        self.error: BaseException | None = None
        self.elapsed = 0.0
        self.state: dict[str, Any] = {}

    def set_header(self, name: str, value: str | None) -> None:
        """Send a header with this value in place of what it had; `None` leaves it out."""
        self.request = self.request._replace(headers=self.request.headers.replaced({name: value}))

    def __repr__(self) -> str:
        said = self.error if self.response is None else self.response.status
        outcome = "" if said is None else f", {said!r} after {self.elapsed:.3f} s"
        return f"<attempt {self.number} of {self.request.method} {self.request.path}{outcome}>"


Hook: TypeAlias = Callable[[Attempt], object]
"""A function of an attempt; where what it gives can be awaited, it is."""


class Hooks:
    """What is called around every attempt. Either may be left out, and for an async client be a coroutine function.

    Subclass it where they share something. What a hook raises comes out of the call, which is not tried again.
    """

    def __init__(self, before: Hook | None = None, after: Hook | None = None) -> None:
        for name, hook in (("before", before), ("after", after)):
            if hook is not None:
                if not callable(hook):
                    raise TypeError(f"the hook `{name}` is a function of an Attempt; it was {hook!r}")
                setattr(self, name, hook)

    def before(self, attempt: Attempt) -> Any:
        """Called before an attempt is sent."""

    def after(self, attempt: Attempt) -> Any:
        """Called once an attempt was answered, or came to nothing."""


Hooked: TypeAlias = Hooks | Sequence[Hooks]


def checked(given: Hooked | None) -> tuple[Hooks, ...]:
    """Hooks in order. Raises `TypeError` for what is none."""
    several: Sequence[Any] = () if given is None else (given,) if isinstance(given, Hooks) else given
    for each in several:
        if not isinstance(each, Hooks):
            raise TypeError(f"`hooks` is Hooks(before=…, after=…) or several of them; it was {each!r}")
    return tuple(several)


def watched(
    request: Request, timeout: Any, stream: bool, number: int, hooks: tuple[Hooks, ...], signer: Any = None
) -> Generator[Step[Any], Any, Response]:
    """Send a request with its hooks around it: those before in order, those after in the opposite one.

    A signer signs what the hooks have made of the request.
    """
    attempt = Attempt(number, request)
    for each in hooks:
        yield from _called(each.before, attempt)
    if signer is not None:
        attempt.request = yield from signer.signed(attempt.request, timeout)
    begin = perf_counter()
    try:
        response: Response = yield Send(attempt.request, timeout, stream=stream)
    except BaseException as error:
        attempt.error, attempt.elapsed = error, perf_counter() - begin
        yield from _after(hooks, attempt)
        raise
    attempt.response, attempt.elapsed = response, perf_counter() - begin
    try:
        yield from _after(hooks, attempt)
    except BaseException:
        # Nobody will get this response.
        if hasattr(response.body, "aclose"):
            yield Await(response.aclose())
        else:
            response.close()
        raise
    return response


def _after(hooks: tuple[Hooks, ...], attempt: Attempt) -> Generator[Step[Any], Any, None]:
    for each in reversed(hooks):
        yield from _called(each.after, attempt)


def _called(hook: Callable[[Attempt], Any], attempt: Attempt) -> Generator[Step[Any], Any, None]:
    result = hook(attempt)
    if hasattr(result, "__await__"):
        yield Await(result)
