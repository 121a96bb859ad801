"""Other models that answer where one cannot: asked in their order, and only before anything was said."""

from __future__ import annotations

from dataclasses import replace
from types import GeneratorType
from typing import TYPE_CHECKING, Any, ClassVar

from ..kernel.errors import APIStatusError
from ..kernel.flow import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from ..kernel.flow import Flow

__all__ = ("FallingBack", "falling_back", "may_fall_back")


def falling_back(
    engine: Any, others: Sequence[tuple[str, Any]], told: Callable[[str], object] | None, *, speaks: bool
) -> FallingBack:
    """An engine that asks others, each by its model's name, where the first fails; `told` is called with that name.

    `speaks`: whether they give turns, piece by piece, and not what they have found at once.
    """
    return (_Speaking if speaks else FallingBack)(engine, others, told)


class FallingBack:
    """Asks the next model where one has failed.

    It has not where the caller's request is wrong: another model would refuse it too.
    """

    never_blocks: ClassVar[bool] = True

    def __init__(self, engine: Any, others: Sequence[tuple[str, Any]], told: Callable[[str], object] | None) -> None:
        self.engine = engine
        self.others = others
        self.told = told

    def __call__(self, request: Any) -> Flow[Any]:
        try:
            return (yield from _found(self.engine, request))
        except APIStatusError as error:
            if not may_fall_back(error.status_code):
                raise
            failure = error
        for name, engine in self.others:
            self._tell(name)
            try:
                return (yield from _found(engine, replace(request, model=name)))
            except APIStatusError as error:
                if not may_fall_back(error.status_code):
                    raise
        raise failure

    def _tell(self, name: str) -> None:
        if self.told is not None:
            self.told(name)


class _Speaking(FallingBack):
    def __call__(self, request: Any) -> Generator[Any, Any, None]:
        # It is called now: an engine says when it is called whether it keeps to limits by itself.
        return self._turn(request, self.engine(request))

    def _turn(self, request: Any, turn: Any) -> Generator[Any, Any, None]:
        failure: APIStatusError | None = None
        for name, engine in (("", None), *self.others):
            if engine is not None:
                self._tell(name)
                turn = engine(replace(request, model=name))
            if not isinstance(turn, GeneratorType):
                yield from (turn,) if isinstance(turn, str) else turn
                return
            try:
                item: Any = next(turn)
                while isinstance(item, Step):
                    try:
                        result = yield item
                    except BaseException as error:
                        item = turn.throw(error)
                    else:
                        item = turn.send(result)
            except StopIteration:
                return
            except APIStatusError as error:
                if not may_fall_back(error.status_code):
                    raise
                failure = failure or error
                continue
            # Something was said: from here on it is this model that speaks.
            try:
                yield item
                yield from turn
            finally:
                turn.close()
            return
        if failure is not None:
            raise failure


def _found(engine: Any, request: Any) -> Flow[Any]:
    found = engine(request)
    return (yield from found) if isinstance(found, GeneratorType) else found


def may_fall_back(status: int) -> bool:
    """Whether a model's failure is its own, and not the request's."""
    return status >= 500 or status in (404, 408, 429)
