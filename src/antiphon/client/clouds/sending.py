"""How requests go to a cloud: with its own proof of who is asking, and to where that is meant for."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .provider import Route

__all__ = ("sending",)


def sending(made: Any, route: Route) -> Any:
    """A transport like `made` that follows redirects where the route does, and has no say in who is asking."""
    from ...transports.redirects import following

    if not route.follows:
        made = following(made, False)
    if getattr(made, "authorizes", False):
        made = copy(made)
        made.authorizes = False
    return made
