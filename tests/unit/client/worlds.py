"""Handlers with a clock of their own, for the tests: nothing waits, and every wait is written down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from antiphon.kernel.flow import World
from antiphon.kernel.http import Headers, Request, Response, json_response

MODEL = {"id": "m", "object": "model", "created": 1, "owned_by": "o"}
OK = json_response(200, MODEL)


class Virtual(World):
    """Time passes at once."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def asleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class Scripted:
    """A handler that gives answers in turn; an exception among them is raised. The last one is given again."""

    def __init__(self, *answers: Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []
        self.world = Virtual()

    def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def last(self) -> Request:
        return self.requests[-1]


def failure(status: int, headers: dict[str, str] | None = None, body: Any = None) -> Response:
    return json_response(status, body or {"error": {"message": "no"}}, list((headers or {}).items()))


def events(*pieces: bytes) -> Response:
    return Response(200, Headers({"content-type": "text/event-stream"}), iter(pieces))


def both(ask: Callable[[Any], Any], *clients: Any) -> list[Any]:
    """The outcome of a call with a blocking and an async client: the result, or the error it raised."""
    outcomes: list[Any] = []
    for client in clients:
        try:
            result = ask(client)
            if asyncio.iscoroutine(result) or hasattr(result, "__await__"):

                async def awaited(result: Any = result) -> Any:
                    return await result

                result = asyncio.run(awaited())
            outcomes.append(result)
        except Exception as error:
            outcomes.append(error)
    return outcomes


def pieces_of(data: bytes, size: int) -> Iterable[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))
