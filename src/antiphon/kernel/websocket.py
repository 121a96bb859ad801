"""What is said about a websocket connection: how it is made, when it is made again, what its library is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypedDict

if TYPE_CHECKING:
    from websockets.extensions import ClientExtensionFactory
    from websockets.typing import Subprotocol

    from .options import Headers, Query

__all__ = (
    "Dial",
    "ReconnectingEvent",
    "ReconnectingOverrides",
    "SyncWebSocketConnectionOptions",
    "WebSocketConnectionOptions",
    "WebsocketConnectionOptions",
    "is_recoverable_close",
)


class ReconnectingEvent(NamedTuple):
    """What `on_reconnecting` is told before each attempt to connect again."""

    attempt: int
    """Which attempt this is, from 1."""
    max_attempts: int
    """How many there are at most."""
    delay: float
    """Seconds until the attempt."""
    close_code: int
    """Why the connection was closed, as a code of RFC 6455; 1006 where the other side said nothing."""
    extra_query: Query
    """Parameters the connection was made with."""
    extra_headers: Headers
    """Headers the connection was made with."""


class ReconnectingOverrides(TypedDict, total=False):
    """What `on_reconnecting` may answer."""

    extra_query: Query
    """Parameters to connect with from now on."""
    extra_headers: Headers
    """Headers to connect with from now on."""
    abort: bool
    """`True` to leave the connection closed."""


class SyncWebSocketConnectionOptions(TypedDict, total=False):
    """Arguments of `websockets.sync.client.connect`; the most used are named here, the others are passed on too."""

    extensions: Sequence[ClientExtensionFactory] | None
    subprotocols: Sequence[Subprotocol] | None
    compression: str | None
    """`"deflate"` or `None`, the default unless `max_size` is given."""
    max_size: int | None
    """Most bytes of one message received; any number without it."""
    max_queue: int | tuple[int | None, int | None] | None
    """How many frames are held that have not been read."""


class WebSocketConnectionOptions(SyncWebSocketConnectionOptions, total=False):
    """Arguments of `websockets.asyncio.client.connect`; the most used are named here."""

    write_limit: int | tuple[int, int | None]
    """How many bytes are held that have not been written."""


WebsocketConnectionOptions: TypeAlias = WebSocketConnectionOptions
"""The older name."""

_RECOVERABLE = frozenset(
    (
        1001,  # going away
        1005,  # no code given
        1006,  # no goodbye at all
        1011,  # internal error
        1012,  # restart
        1013,  # try again later
        1015,  # TLS failed
    )
)


def is_recoverable_close(code: int) -> bool:
    """Whether a connection that was closed with this code of RFC 6455 is worth making again."""
    return code in _RECOVERABLE


class Dial(NamedTuple):
    """What there is to know of a connection before there is one."""

    path: str
    """Below the base URL, such as `/realtime`."""
    query: dict[str, Any]
    """Parameters of the connection; the caller's `extra_query` goes before them."""
    fixed_query: dict[str, Any]
    """Parameters that go before the caller's."""
    headers: dict[str, str]
    """Headers of the connection; the caller's go before them."""
    options: dict[str, Any]
    """Arguments of the library's `connect`."""
    extra_query: Query
    extra_headers: Headers
    on_reconnecting: Any
    """Called before each attempt to connect again; without it there is none."""
    max_retries: int
    initial_delay: float
    max_delay: float
    max_queue_size: int
