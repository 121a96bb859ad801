"""What all readers of wire formats are: what a route writes, read back as events."""

from __future__ import annotations

from typing import Any, ClassVar

from orjson import JSONDecodeError, loads

from ...events import Error, Event, Finish, Start, Usage

__all__ = ("AnswerReader", "decoded", "error_of", "text_of", "usage_of")


class AnswerReader:
    """Reads one answer. What it gives begins with a `Start` and ends with a `Finish` or an `Error`."""

    key: ClassVar[str]
    silent: ClassVar[bool] = False
    """Whether the end of the stream is the end of the answer; otherwise the format says that it is."""

    def __init__(self) -> None:
        self.begun = False
        self.ended = False
        """Whether the last event was given."""
        self.over = False
        """Whether the format has said that nothing more comes."""
        self.bare = False
        """Whether what said so says nothing else."""
        self.out: list[Event] = []

    @staticmethod
    def knows(name: str | None, data: str, value: Any) -> bool:
        """Whether this is how answers begin in this format; `value` is the data as JSON, if it is any."""
        return False

    def read(self, name: str | None, data: str) -> list[Event]:
        """What one server-sent event says."""
        self.feed(name, data)
        return self._taken()

    def read_frame(self, frame: str) -> list[Event]:
        """What one frame of a websocket says."""
        return self.read(None, frame)

    def close(self) -> list[Event]:
        """What is left to say once the stream has ended. Unless `ended` is set then, it was broken off."""
        if not self.ended:
            self.end()
        return self._taken()

    def feed(self, name: str | None, data: str) -> None:
        """Take one event in."""
        raise NotImplementedError

    def end(self) -> None:
        """The stream has ended; called where no end was said."""
        if self.silent:
            self.finish("stop")

    # What readers say

    def start(self, identity: str = "", model: str = "", created: int = 0) -> None:
        if not self.begun:
            self.begun = True
            self.out.append(Start(identity, model, created))

    def say(self, event: Event) -> None:
        if not self.ended:
            self.start()
            self.out.append(event)

    def finish(self, reason: str) -> None:
        if self.ended:
            return
        self.say(Finish(reason))  # type: ignore[arg-type]
        self.ended = True

    def fail(self, error: Error) -> None:
        self.say(error)
        self.ended = True

    def _taken(self) -> list[Event]:
        taken, self.out = self.out, []
        return taken


def decoded(data: str) -> Any:
    """Data as JSON; `None` where it is none."""
    try:
        return loads(data)
    except (JSONDecodeError, UnicodeEncodeError):
        return None


def text_of(value: Any) -> str:
    """A value that a format has as JSON, as the text it was made of."""
    from orjson import dumps

    return value if isinstance(value, str) else dumps(value).decode()


def _count(given: Any, name: str) -> int | None:
    value = given.get(name) if isinstance(given, dict) else None
    return int(value) if isinstance(value, (int, float)) and abs(value) < 1e15 else None


def error_of(fields: dict[str, Any], message: str) -> Error:
    """An error from the fields of the API's error object, with its `status` beside them."""
    status = fields.get("status")
    return Error(
        str(fields.get("message") or message),
        status if isinstance(status, int) else 500,
        str(fields.get("type") or "server_error"),
        *(None if fields.get(name) is None else str(fields[name]) for name in ("code", "param", "request_id")),
    )


def usage_of(given: Any) -> Usage:
    """Token counts under the names that the AI SDK and AG-UI have for them."""
    return Usage(
        _count(given, "inputTokens"),
        _count(given, "outputTokens"),
        _count(given, "reasoningTokens"),
        _count(given, "cachedInputTokens"),
        _count(given, "cacheWriteTokens"),
    )
