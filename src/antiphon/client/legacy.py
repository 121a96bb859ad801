"""Resources that the API once had and the official package has dropped; hosts that still serve them can be asked."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from ..kernel.operation import Resource, V

if TYPE_CHECKING:
    from ..api.edits import Edits
    from ..api.fine_tunes import FineTunes

__all__ = ("Legacy",)


class Legacy(Resource[V]):
    """Deprecated: `fine_tuning` and `chat` took their place."""

    @cached_property
    def edits(self) -> Edits[V]:
        from ..api.edits import Edits

        return Edits(self._core)

    @cached_property
    def fine_tunes(self) -> FineTunes[V]:
        from ..api.fine_tunes import FineTunes

        return FineTunes(self._core)
