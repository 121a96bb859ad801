"""The two ways of saying nothing: `omit` leaves a parameter or header out, `not_given` keeps the client's default.

Both are falsy. `None` is a value of its own: it is sent as JSON `null`.
"""

from __future__ import annotations

from typing import Final, Literal

__all__ = ("NOT_GIVEN", "NotGiven", "Omit", "not_given", "omit")


class Omit:
    """The type of `omit`."""

    __slots__ = ()

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "omit"

    def __copy__(self) -> Omit:
        return self

    def __deepcopy__(self, memo: object) -> Omit:
        return self

    def __reduce__(self) -> str:
        return "omit"


class NotGiven:
    """The type of `not_given`."""

    __slots__ = ()

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "NOT_GIVEN"

    def __copy__(self) -> NotGiven:
        return self

    def __deepcopy__(self, memo: object) -> NotGiven:
        return self

    def __reduce__(self) -> str:
        return "not_given"


omit: Final = Omit()
not_given: Final = NotGiven()
NOT_GIVEN: Final = not_given
