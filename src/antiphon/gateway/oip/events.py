"""Answers that come over HTTP as events, of `infer_stream` and of `generate_stream`.

Neither marks its end, which is that of the body; so a body that is cut off is an error, and so is one without events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from ...kernel.errors import APIConnectionError, APIStatusError, APITimeoutError
from ...kernel.flow import Pause, Read
from ...kernel.sse import Decoder
from ..errors import broken, failed, lost, message_of, reason
from ..world import leave, running

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...kernel.flow import Flow
    from ...kernel.http import Response
    from .messages import InferResponse

__all__ = ("Events",)


class Events:
    """The answers in a streamed response. `read` makes them of decoded events, and raises `ValueError` for others."""

    __slots__ = ("_ahead", "_decoder", "_ended", "_failure", "_loop", "_model", "_pieces", "_read", "_reading", "_said")

    def __init__(self, model: str, response: Response, read: Callable[[Any], InferResponse]) -> None:
        self._model = model
        self._pieces: Any = response.body
        self._reading: Read = Read(self._pieces)
        self._read = read
        self._decoder = Decoder()
        self._ended = False
        self._said = False
        self._failure: APIStatusError | None = None
        self._ahead: list[InferResponse] | None = None
        self._loop = running()

    def begin(self) -> Flow[bool]:
        """Wait for the first answer. False where the body ended, or broke off, without one."""
        try:
            self._ahead = yield from self.more()
        except BaseException as error:
            self.close()
            if isinstance(error.__cause__, APIConnectionError) and not isinstance(error.__cause__, APITimeoutError):
                return False  # MLServer says in this way only that a model failed, or that there is none
            raise
        return bool(self._ahead)

    def more(self) -> Flow[list[InferResponse]]:
        ahead = self._ahead
        if ahead is not None:
            self._ahead = None
            return ahead
        if self._failure is not None:
            yield Pause(0.0)  # whoever sends what came before it has the time to
            raise self._failure
        found: list[InferResponse] = []
        while not (found or self._ended):
            try:
                piece = yield self._reading
            except APITimeoutError as error:
                raise lost(self._model, error) from error
            except APIConnectionError as error:
                raise broken(self._model, reason(error)) from error
            if piece is None:
                self._ended = True
                if self._decoder.close():
                    raise broken(self._model, "its last event is not whole")
                break
            try:
                for data, _ in self._decoder.data(piece):
                    if data != b"[DONE]":
                        found.append(self._answer(data))
                        self._said = True
            except APIStatusError as error:
                if not found:
                    raise
                self._failure = error  # what came before it is heard first
        return found

    def _answer(self, data: bytes) -> InferResponse:
        try:
            said = orjson.loads(data)
            if isinstance(said, dict) and "error" in said and "outputs" not in said:
                raise failed(self._model, message_of(data), begun=self._said)
            return self._read(said)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise broken(self._model, f"an event is not of the protocol: {error}") from error

    def close(self) -> None:
        if self._ended:
            return
        self._ended = True
        leave(self._pieces, self._loop)
