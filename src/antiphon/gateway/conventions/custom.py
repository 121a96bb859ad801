"""Tensors as the configuration describes them: names, datatypes, shapes, and where contents come from or go to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ...server.turns import Finish, Reasoning, Usage
from ..oip.messages import Tensor
from . import Convention, _converted
from ._options import tools_of
from ._pictures import picture_files
from ._reading import TextReader, json_object
from ._vectors import vectors_in
from .seldon_chat import _calls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ...server.engine import EmbeddingRequest, ImageRequest
    from ...server.turns import Piece
    from ..config import ModelConfig, TensorConfig
    from ..oip.messages import InferRequest, InferResponse, ModelMetadata, ServerMetadata
    from . import Question

__all__ = ("Custom",)

_STEP: Final = re.compile(r"\.?([A-Za-z_][\w-]*)|\[(-?\d+)\]")
_MISSING: Final = object()

OUTPUTS: Final = {
    "text": "chat",
    "cumulative_text": "chat",
    "reasoning": "chat",
    "tool_calls": "chat",
    "finish_reason": "chat",
    "input_tokens": "",
    "output_tokens": "",
    "vectors": "embeddings",
    "images": "images",
    "body": "",
}
"""What an output can be, and what a model does that has such a one."""

_QUESTION: Final[Mapping[str, Callable[[Question], Any]]] = {
    "$prompt": lambda question: question.prompt,
    "$messages": lambda question: list(question.request.messages),
    "$tools": lambda question: tools_of(question.request) or None,
    "$text": lambda question: question.request.user_text,
    "$instructions": lambda question: question.request.instructions or None,
    "$stream": lambda question: question.stream,
    "$max_tokens": lambda question: question.limit,
    "$stop": lambda question: question.stop or None,
    "$seed": lambda question: question.seed,
    "$schema": lambda question: question.schema,
    "$images": lambda question: list(question.images) or None,
    "$options": lambda question: question.options,
}
"""Contents of inputs that are no field of a body."""

_OTHERS: Final = ("$inputs", "$prompt", "$width", "$height", "$n", "$format", "$dimensions")


class Custom(Convention):
    """What the configuration says. Raises `ValueError` for what it cannot mean."""

    key: ClassVar[str] = "custom"

    def __init__(
        self, model: ModelConfig, metadata: ModelMetadata | None = None, server: ServerMetadata | None = None
    ) -> None:
        super().__init__(model, metadata, server)
        if not model.inputs or not model.outputs:
            raise ValueError("the convention 'custom' needs inputs and outputs")
        for each in model.inputs:
            _check_input(each)
        self._outputs: dict[str, list[TensorConfig]] = {}
        for each in model.outputs:
            if each.path not in OUTPUTS:
                raise ValueError(
                    f"the output {each.name!r} is {each.path!r}; an output is one of {', '.join(sorted(OUTPUTS))}"
                )
            self._outputs.setdefault(each.path, []).append(each)
        told = frozenset(OUTPUTS[path] for path in self._outputs) - {""}
        self.kinds = model.kinds or told or frozenset({"chat"})
        paths = {each.path for each in model.inputs}
        self.limits = bool(paths & {"max_tokens", "max_completion_tokens", "$max_tokens", "$options"})
        self.guides = "$schema" in paths
        self.shortens = "$dimensions" in paths
        self.reads_images = "$images" in paths
        self.takes_prompt = "$prompt" in paths and "chat" in self.kinds
        sizes = [each.shape[0] for each in model.inputs if each.path == "$inputs" and each.shape]
        self._batch = 1 if sizes and sizes[0] == 1 else 0

    @property
    def batch(self) -> int:
        return self._batch

    def _asked(self, found: Callable[[TensorConfig], Any]) -> InferRequest:
        inputs: list[Tensor] = []
        for each in self.model.inputs:
            value = found(each)
            if value is _MISSING or value is None:
                value = each.default
            if value is not None:
                inputs.append(_tensor(each, value))
        return self.asking(inputs)

    # Chat

    def ask(self, question: Question) -> InferRequest:
        body = {**question.request.body, **question.options, "messages": list(question.request.messages)}

        def found(tensor: TensorConfig) -> Any:
            read = _QUESTION.get(tensor.path)
            return read(question) if read is not None else _at(body, tensor.path)

        return self._asked(found)

    def reader(self, question: Question, place: int) -> _Reader:
        return _Reader(self._outputs, question, place)

    # Vectors and pictures

    def ask_vectors(self, request: EmbeddingRequest, inputs: Sequence[str]) -> InferRequest:
        known = {"$inputs": list(inputs), "$prompt": list(inputs), "$dimensions": request.dimensions}
        return self._asked(
            lambda tensor: known.get(tensor.path, _MISSING) if tensor.path in known else _at(request.body, tensor.path)
        )

    def vectors(self, response: InferResponse, count: int) -> Sequence[Sequence[float]] | dict[str, Any]:
        body = self._body(response, "data")
        if body is not None:
            return body
        for each in self._outputs.get("vectors", ()):
            tensor = response.output(each.name)
            if tensor is not None:
                return vectors_in(tensor, count)
        raise ValueError(_absent(self._outputs.get("vectors", ()), response))

    def ask_images(self, request: ImageRequest) -> InferRequest:
        known = {
            "$prompt": request.prompt,
            "$width": request.width,
            "$height": request.height,
            "$n": request.n,
            "$format": request.format,
        }
        return self._asked(
            lambda tensor: known[tensor.path] if tensor.path in known else _at(request.body, tensor.path)
        )

    def images(self, response: InferResponse, request: ImageRequest) -> list[bytes] | dict[str, Any]:
        body = self._body(response, "data")
        if body is not None and request.whole:
            return body
        wanted = {each.name for each in self._outputs.get("images", ())}
        response.outputs = [each for each in response.outputs if each.name in wanted] or response.outputs
        return picture_files(response, request)

    def _body(self, response: InferResponse, key: str) -> dict[str, Any] | None:
        for each in self._outputs.get("body", ()):
            tensor = response.output(each.name)
            if tensor is not None and tensor.data:
                body = json_object(tensor.texts[0])
                if body is not None and key in body:
                    return body
        return None


def _check_input(tensor: TensorConfig) -> None:
    path = tensor.path
    if path.startswith("$"):
        known = {*_QUESTION, *_OTHERS}
        if path not in known:
            raise ValueError(f"the input {tensor.name!r} is from {path!r}; there are {', '.join(sorted(known))}")
    elif path and "".join(match.group() for match in _STEP.finditer(path)) != path:
        raise ValueError(f"the input {tensor.name!r} is from {path!r}, which is no way such as 'messages[-1].content'")
    elif not path and tensor.default is None:
        raise ValueError(f"the input {tensor.name!r} has neither a path nor a default")


def _at(body: Any, path: str) -> Any:
    """The value at a way through a body, such as `messages[-1].content`."""
    if not path:
        return _MISSING
    for name, place in _STEP.findall(path):
        try:
            body = body[int(place)] if place else body[name]
        except (LookupError, TypeError):
            return _MISSING
    return body


def _tensor(told: TensorConfig, value: Any) -> Tensor:
    values = value if isinstance(value, list) and (told.datatype != "BYTES" or _plain(value)) else [value]
    elements = tuple(_converted(each, told.datatype) for each in values)
    shape = tuple(told.shape) if told.shape is not None else (len(elements),)
    if -1 in shape:
        rest = 1
        for size in shape:
            rest *= 1 if size == -1 else size
        free = shape.index(-1)
        shape = tuple(
            len(elements) // rest if at == free else 1 if size == -1 else size for at, size in enumerate(shape)
        )
    return Tensor(told.name, told.datatype, shape, elements)


def _plain(values: list[Any]) -> bool:
    return all(isinstance(each, str) for each in values)


def _absent(wanted: Sequence[TensorConfig], response: InferResponse) -> str:
    names = " or ".join(repr(each.name) for each in wanted) or "that has vectors"
    there = ", ".join(each.name for each in response.outputs) or "none"
    return f"there is no output {names} in it; there are {there}"


class _Reader:
    """Reads each output as what it is."""

    def __init__(self, outputs: Mapping[str, list[TensorConfig]], question: Question, place: int) -> None:
        self.silent = True
        self._outputs = outputs
        texts = outputs.get("cumulative_text") or outputs.get("text") or []
        self._texts = [
            self._reading(each.name, question, place, bool(outputs.get("cumulative_text"))) for each in texts
        ]
        self._counts: list[int | None] = [None, None]

    def _reading(self, name: str, question: Question, place: int, cumulative: bool) -> TextReader:
        made = TextReader(place, prompt=question.prompt, cumulative=cumulative and question.stream)
        made.text = name
        made.read = made.said = ()
        made.finish = self._name("finish_reason") or ""
        return made

    def _name(self, path: str) -> str | None:
        found = self._outputs.get(path)
        return found[0].name if found else None

    def feed(self, response: InferResponse) -> Iterator[Piece]:
        thought = response.output(self._name("reasoning") or "")
        if thought is not None and thought.data and thought.texts[0]:
            yield Reasoning(thought.texts[0])
        if not any(response.output(each.name) for group in self._outputs.values() for each in group):
            raise ValueError(_absent([each for group in self._outputs.values() for each in group], response))
        for reader in self._texts:
            if response.output(reader.text) is not None:
                yield from reader.feed(response)
                self.silent = self.silent and reader.silent
        calls = response.output(self._name("tool_calls") or "")
        if calls is not None:
            self.silent = False
            yield from _calls(calls.texts)
        for at, path in enumerate(("input_tokens", "output_tokens")):
            found = response.number(self._name(path) or "")
            if found is not None:
                self._counts[at] = found

    def end(self) -> Iterator[Piece]:
        if self._counts != [None, None]:
            yield Usage(*self._counts)
        finish = self._texts[0]._finish if self._texts else None
        if finish is not None:
            yield Finish(finish)
