"""A page that talks to the routes of a router: what `OpenAIAPIRouter.playground` serves.

The page is one document with its style and its script inside, put together of the files beside this one when it is
first asked for. It knows the routes from a list that is written into it, and their addresses from its own: both are
under the same prefixes, whatever the application or a proxy puts before them.
"""

from __future__ import annotations

from .listing import Place, listed
from .page import page_of

__all__ = ("Place", "listed", "page_of")
