"""The engines of a gateway: each asks a model the way its convention says, and gives what the server renders."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from .errors import broken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..kernel.flow import Flow, Step
    from ..server.engine import ChatRequest, EmbeddingRequest, ImageRequest
    from ..server.turns import Piece
    from .conventions import Convention
    from .model import Model

__all__ = ("ChatModel", "EmbeddingModel", "ImageModel")


class ChatModel:
    """Speaks for a model."""

    never_blocks: ClassVar[bool] = True

    def __init__(self, model: Model) -> None:
        self.model = model

    def __call__(self, request: ChatRequest) -> Generator[Piece | Step[Any], Any, None]:
        model = self.model
        follows = model.known or (yield from model.follows())
        prompt = self._prompt(request, follows) if follows.takes_prompt else None
        stream = request.stream and model.config.stream != "infer"
        asked = follows.ask(request, prompt, stream=stream)
        reader = follows.reader(request, stream=stream)
        if not stream:
            yield from reader.feed((yield from model.infer(asked)))
        else:
            answers = yield from model.open(asked)
            try:
                said = False
                while parts := (yield from answers.more()):
                    said = True
                    for part in parts:
                        yield from reader.feed(part)
                if not said:
                    raise broken(model.config.name, "there was nothing in it")
            finally:
                answers.close()
        yield from reader.end()

    def _prompt(self, request: ChatRequest, follows: Convention) -> str:
        if request.dialect == "completions":
            return request.user_text
        raise NotImplementedError  # templates


class EmbeddingModel:
    """Embeds for a model, in as many requests as it needs."""

    never_blocks: ClassVar[bool] = True

    def __init__(self, model: Model) -> None:
        self.model = model

    def __call__(self, request: EmbeddingRequest) -> Flow[list[Any]]:
        model = self.model
        follows = model.known or (yield from model.follows())
        batch = model.config.batch or follows.batch or len(request.inputs)
        vectors: list[Sequence[float]] = []
        for at in range(0, len(request.inputs), batch):
            inputs = request.inputs[at : at + batch]
            response = yield from model.infer(follows.ask_vectors(request, inputs))
            vectors += follows.vectors(response, len(inputs))
        return vectors


class ImageModel:
    """Draws for a model."""

    never_blocks: ClassVar[bool] = True

    def __init__(self, model: Model) -> None:
        self.model = model

    def __call__(self, request: ImageRequest) -> Flow[list[bytes]]:
        model = self.model
        follows = model.known or (yield from model.follows())
        found = follows.images((yield from model.infer(follows.ask_images(request))), request)
        if isinstance(found, dict):
            raise NotImplementedError
        while len(found) < request.n:
            more = replace(request, n=request.n - len(found))
            got = follows.images((yield from model.infer(follows.ask_images(more))), more)
            assert isinstance(got, list)
            found += got
        return found
