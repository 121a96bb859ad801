"""Lists that come a page at a time, and how each kind of page says where the next one begins.

    kind                        more to come       the next request's parameter
    SyncPage                    never              -
    SyncCursorPage              has_more           after = id of the last item
    SyncConversationCursorPage  has_more           after = last_id
    SyncNextCursorPage          has_more           after = next
    SyncTokenPage               has_more           page  = next

Iterating a page gives the items of this page and of all that follow. A page remembers the call that made it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, Self, TypeVar, get_args, get_origin

from .view import View, wrapper

if TYPE_CHECKING:
    from .operation import AnyOperation

__all__ = (
    "AsyncConversationCursorPage",
    "AsyncCursorPage",
    "AsyncNextCursorPage",
    "AsyncPage",
    "AsyncPaginator",
    "AsyncTokenPage",
    "Fetch",
    "PageInfo",
    "SyncConversationCursorPage",
    "SyncCursorPage",
    "SyncNextCursorPage",
    "SyncPage",
    "SyncTokenPage",
    "page_type",
)

T = TypeVar("T")
PageT = TypeVar("PageT")


class PageInfo(NamedTuple):
    """What to add to the query of a call to get its next page."""

    params: dict[str, Any]


class Fetch(NamedTuple):
    """How a page was asked for."""

    core: Any
    operation: AnyOperation
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def next(self, info: PageInfo) -> Any:
        kwargs = dict(self.kwargs)
        # The cursor overrides whatever the first call said about where to begin.
        for name, value in info.params.items():
            if name in self.operation.parameters:
                kwargs[name] = value
            else:
                kwargs["extra_query"] = {**(kwargs.get("extra_query") or {}), name: value}
        return self.core._call(self.operation, self.args, kwargs)


class _BasePage(View, Generic[T]):
    __slots__ = ("_fetch", "_item")
    _fetch: Fetch | None
    _item: Callable[[Any], Any] | None
    _cursor: ClassVar[str] = "after"

    if not TYPE_CHECKING:

        def __setattr__(self, name: str, value: Any) -> None:
            if name in _BasePage.__slots__:
                object.__setattr__(self, name, value)
            else:
                super().__setattr__(name, value)

    def _like(self, data: dict[str, Any]) -> Self:
        copy = super()._like(data)
        copy._fetch, copy._item = getattr(self, "_fetch", None), getattr(self, "_item", None)
        return copy

    @property
    def data(self) -> list[T]:
        """The items of this page."""
        items = self._items()
        item = getattr(self, "_item", None)
        return items if item is None else [item(each) for each in items]

    def _items(self) -> list[Any]:
        items = self._data.get("data")
        return items if isinstance(items, list) else []

    def _get_page_items(self) -> list[T]:
        return self.data

    def _next_cursor(self) -> Any:
        return None

    def has_next_page(self) -> bool:
        """Whether the API says there is more and names where it begins."""
        return bool(self._items()) and self._data.get("has_more") is not False and self.next_page_info() is not None

    def next_page_info(self) -> PageInfo | None:
        """The parameters that ask for the next page, or `None` at the end."""
        cursor = self._next_cursor()
        return None if cursor is None else PageInfo({self._cursor: cursor})

    def _next_call(self) -> Any:
        info = self.next_page_info()
        if info is None:
            raise RuntimeError("no next page expected; check `has_next_page()` before calling `get_next_page()`")
        fetch = getattr(self, "_fetch", None)
        if fetch is None:
            raise RuntimeError("this page was not made by a client's call, so there is nobody to ask for the next one")
        return fetch.next(info)


class _Plain(_BasePage[T]):
    __slots__ = ()
    object: str | None = None

    def has_next_page(self) -> bool:
        return False


class _Cursor(_BasePage[T]):
    __slots__ = ()
    has_more: bool | None = None

    def _next_cursor(self) -> Any:
        items = self._items()
        last = items[-1] if items else None
        return last.get("id") or None if isinstance(last, dict) else None


class _Conversation(_BasePage[T]):
    __slots__ = ()
    has_more: bool | None = None
    last_id: str | None = None

    def _next_cursor(self) -> Any:
        return self._data.get("last_id") or None


class _Next(_BasePage[T]):
    __slots__ = ()
    has_more: bool | None = None
    next: str | None = None

    def _next_cursor(self) -> Any:
        return self._data.get("next") or None


class _Token(_Next[T]):
    __slots__ = ()
    _cursor: ClassVar[str] = "page"


class _SyncPages(_BasePage[T]):
    __slots__ = ()

    def __iter__(self) -> Iterator[T]:  # type: ignore[override]
        for page in self.iter_pages():
            yield from page.data

    def iter_pages(self) -> Iterator[Self]:
        """This page and all that follow, each fetched when it is reached."""
        page = self
        while True:
            yield page
            if not page.has_next_page():
                return
            page = page.get_next_page()

    def get_next_page(self) -> Self:
        """Fetch the page after this one. Raises `RuntimeError` at the end."""
        page: Self = self._next_call()
        return page


class _AsyncPages(_BasePage[T]):
    __slots__ = ()

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.iter_pages():
            for item in page.data:
                yield item

    async def iter_pages(self) -> AsyncIterator[Self]:
        """This page and all that follow, each fetched when it is reached."""
        page = self
        while True:
            yield page
            if not page.has_next_page():
                return
            page = await page.get_next_page()

    async def get_next_page(self) -> Self:
        """Fetch the page after this one. Raises `RuntimeError` at the end."""
        page: Self = await self._next_call()
        return page


class SyncPage(_Plain[T], _SyncPages[T]):
    __slots__ = ()


class AsyncPage(_Plain[T], _AsyncPages[T]):
    __slots__ = ()


class SyncCursorPage(_Cursor[T], _SyncPages[T]):
    __slots__ = ()


class AsyncCursorPage(_Cursor[T], _AsyncPages[T]):
    __slots__ = ()


class SyncConversationCursorPage(_Conversation[T], _SyncPages[T]):
    __slots__ = ()


class AsyncConversationCursorPage(_Conversation[T], _AsyncPages[T]):
    __slots__ = ()


class SyncNextCursorPage(_Next[T], _SyncPages[T]):
    __slots__ = ()


class AsyncNextCursorPage(_Next[T], _AsyncPages[T]):
    __slots__ = ()


class SyncTokenPage(_Token[T], _SyncPages[T]):
    __slots__ = ()


class AsyncTokenPage(_Token[T], _AsyncPages[T]):
    __slots__ = ()


class AsyncPaginator(Generic[T, PageT]):
    """What an async list call returns: `await` it for the first page, or `async for` over all items."""

    __slots__ = ("_first",)

    def __init__(self, first: Callable[[], Generator[Any, Any, PageT]]) -> None:
        self._first = first

    def __await__(self) -> Generator[Any, Any, PageT]:
        return self._first()

    async def __aiter__(self) -> AsyncIterator[T]:
        page: Any = await self
        async for item in page:
            yield item


_ASYNC: dict[Any, type[_BasePage[Any]]] = {
    SyncPage: AsyncPage,
    SyncCursorPage: AsyncCursorPage,
    SyncConversationCursorPage: AsyncConversationCursorPage,
    SyncNextCursorPage: AsyncNextCursorPage,
    SyncTokenPage: AsyncTokenPage,
}


def page_type(annotation: Any, *, is_async: bool) -> tuple[type[_BasePage[Any]], Callable[[Any], Any] | None]:
    """The page class an operation's return annotation names, in one colour, and how its items are read."""
    page = get_origin(annotation)
    return (_ASYNC[page] if is_async else page), wrapper(get_args(annotation)[0])
