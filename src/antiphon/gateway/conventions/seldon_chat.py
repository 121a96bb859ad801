"""Chat models of Seldon's LLM module, behind its API runtime (`output_all`) and its local runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ...server.engine import text_of
from ...server.turns import Finish, Text
from ..oip.messages import InferRequest, Tensor
from . import Convention

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...server.engine import ChatRequest
    from ...server.turns import Piece
    from ..oip.messages import InferResponse, ModelMetadata

__all__ = ("SeldonChat",)


class SeldonChat(Convention):
    """`role`, `content` and `type`, an element a message."""

    key: ClassVar[str] = "seldon-chat"
    kinds: ClassVar[frozenset[str]] = frozenset({"chat"})

    @classmethod
    def fits(cls, metadata: ModelMetadata) -> bool:
        return {"role", "content"} <= {each.name for each in metadata.inputs}

    def ask(self, request: ChatRequest, prompt: str | None, *, stream: bool) -> InferRequest:
        messages = request.messages
        inputs = [
            Tensor.of("role", *(message["role"] for message in messages)),
            Tensor.of("content", *(text_of(message) for message in messages)),
            Tensor.of("type", *("text" for _ in messages)),
        ]
        return InferRequest(self.model.upstream_name, inputs, self.model.version)

    def reader(self, request: ChatRequest, *, stream: bool) -> _Reader:
        return _Reader()


class _Reader:
    def feed(self, response: InferResponse) -> Iterator[Piece]:
        content = response.output("content")
        if content is not None:
            yield Text(content.texts[0])

    def end(self) -> Iterator[Piece]:
        yield Finish("stop")
