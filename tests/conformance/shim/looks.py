"""How the suite looks at what helpers did: objects printed in an order of its own, and pauses instead of waiting."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import pydantic
import pytest

from antiphon.kernel.flow import Pause, World
from antiphon.kernel.operation import Resource
from antiphon.kernel.view import View

# Objects


def _fields(view: View) -> Iterator[tuple[str, Any]]:
    """What is declared and what was sent, by name."""
    for name in sorted({*view.__view_fields__, *view.model_extra}):
        yield name, getattr(view, name)


def print_obj(value: object, monkeypatch: pytest.MonkeyPatch) -> str:
    """An object as text, its fields and those of all below it by name, without the arguments of generic types."""
    from tests.utils import rich_print_str

    as_made = pydantic.BaseModel.__repr_args__
    with monkeypatch.context() as patch:
        patch.setattr(pydantic.BaseModel, "__repr_args__", lambda model: sorted(as_made(model)))
        patch.setattr(View, "__rich_repr__", _fields)
        return re.sub(r"(\w)\[[^\[\]]+\](?=\()", r"\1", rich_print_str(value))


# Pauses


async def _asleep(seconds: float) -> None:
    """A pause without a loop's own clock."""


def _sleep(seconds: float) -> None:
    """A pause without the machine's clock."""


_instead: list[Any] = []
"""What is called for a pause while a case has set it as some resource's `_sleep`."""


class _Pausing:
    """`_sleep` of a resource, which cases set."""

    def __get__(self, resource: Any, owner: Any) -> Any:
        client = getattr(resource._core, "client", resource._core)
        return _asleep if client._is_async else _sleep

    def __set__(self, resource: Any, function: Any) -> None:
        _instead[:] = [] if function in (_asleep, _sleep) else [function]

    def __delete__(self, resource: Any) -> None:
        _instead.clear()


Resource._sleep = _Pausing()  # type: ignore[attr-defined]

_perform, _aperform = Pause.perform, Pause.aperform


def _paused(self: Pause, world: World) -> None:
    if _instead:
        _instead[0](self.seconds)
    else:
        _perform(self, world)


async def _apaused(self: Pause, world: World) -> None:
    if not _instead:
        await _aperform(self, world)
        return
    done = _instead[0](self.seconds)
    if inspect.isawaitable(done):
        await done


Pause.perform, Pause.aperform = _paused, _apaused  # type: ignore[method-assign]
