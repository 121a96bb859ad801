"""Events some of whose fields are worked out when they are first read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from ..kernel.view import View

__all__ = ("Late", "late")


class _Known:
    """What is known of an event, in the place where the fields of a view look for it."""

    __slots__ = ("_data",)

    def __init__(self, data: dict[str, Any]) -> None:
        self._data = data


class Late(View):
    """A view with fields that cost something, such as all the text so far: who does not read them does not pay.

    The dict is complete as soon as anything but a field is asked of the event: `event["snapshot"]`, `to_dict()`,
    `==` and the like.
    """

    __slots__ = ("_known", "_makers")
    _known: _Known
    _makers: dict[str, Callable[[], Any]] | None
    _live: ClassVar[frozenset[str]] = frozenset()
    """Late fields that are worked out each time they are read, because what they show goes on changing."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in cls.__view_fields__:
            accessor = getattr(cls, name)
            if isinstance(accessor, property) and not isinstance(accessor, _Reader):
                setattr(cls, name, _Reader(accessor, cls._keys.get(name, name)))

    if not TYPE_CHECKING:  # a plain field, as far as anybody has to know

        @property
        def _data(self) -> dict[str, Any]:
            makers = self._makers
            if makers:
                known = self._known._data
                for key, make in makers.items():
                    known[key] = make()
                _put_makers(self, {key: make for key, make in makers.items() if key in self._live} or None)
            return self._known._data

        @_data.setter
        def _data(self, data: dict[str, Any]) -> None:
            _put_known(self, _Known(data))
            _put_makers(self, None)


class _Reader(property):
    """A field of an event that does not make the others be worked out."""

    def __init__(self, field: property, key: str) -> None:
        read, write = field.fget, field.fset
        assert read is not None

        def get(self: Late) -> Any:
            makers = self._makers
            if makers is not None and key in makers:
                self._known._data[key] = makers[key]()
                if key not in self._live:
                    del makers[key]
            return read(self._known)

        super().__init__(get, write)


_put_known: Any = Late.__dict__["_known"].__set__
_put_makers: Any = Late.__dict__["_makers"].__set__


def late(cls: Any, data: dict[str, Any], makers: dict[str, Callable[[], Any]]) -> Any:
    """An event with what is known of it, and how the rest is worked out."""
    event = cls.__new__(cls)
    _put_known(event, _Known(data))
    _put_makers(event, makers)
    return event
