"""A websocket of the real thing, as a dialogue: what is heard goes over the network, and what comes is said unasked.

It has threads of its own, so whoever holds the dialogue, blocking or in an event loop, never waits for the network.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ...kernel.dialogue import Goodbye, Turn
from ...kernel.http import Headers, Response

if TYPE_CHECKING:
    from ...kernel.http import Request

__all__ = ("Relay",)

_LANE: Final = "upstream"
_CONNECTS_WITHIN: Final = 30.0
_CLOSES_WITHIN: Final = 2.0
_OF_THE_HANDSHAKE: Final = ("sec-websocket-", "accept-encoding", "content-type", "origin")


class Relay:
    """A dialogue with a server on the network. `resolve` finds its address, as `socket.getaddrinfo` does.

    `refused` is told the response to a handshake that comes to nothing, and gives what is said of it.
    """

    def __init__(
        self, request: Request, resolve: Callable[..., Any], refused: Callable[[Response], list[bytes]]
    ) -> None:
        self._request = request
        self._resolve = resolve
        self._refused = refused
        self._speak: Callable[[Turn], None] = lambda turn: None
        self._outgoing: SimpleQueue[bytes | None] = SimpleQueue()
        self._left = False
        self._threads: list[Thread] = []

    def may_speak(self, speak: Callable[[Turn], None]) -> None:
        self._speak = speak

    def begun(self) -> Turn | None:
        self._start(self._listen)
        return None

    def heard(self, message: bytes) -> Turn | None:
        self._outgoing.put(message)
        return None

    def ended(self) -> None:
        self._left = True
        self._outgoing.put(None)

    def join(self, seconds: float) -> None:
        """Wait until the connection is closed, but not for long."""
        for thread in self._threads:
            thread.join(seconds)

    def _start(self, work: Callable[..., None], *arguments: Any) -> None:
        thread = Thread(target=work, args=arguments, name="antiphon-relay", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _listen(self) -> None:
        from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

        try:
            with self._connected() as connection:
                self._start(self._send, connection)
                while True:
                    message = connection.recv()
                    self._say(message.encode() if isinstance(message, str) else message)
        except ConnectionClosed:
            pass
        except InvalidStatus as error:
            answer = error.response
            headers = Headers([(name, value) for name, value in answer.headers.raw_items()])
            self._say(*self._refused(Response(answer.status_code, headers, bytes(answer.body or b""))))
        except (OSError, WebSocketException, ValueError) as error:
            from .upstream import unreached

            told = unreached(f"{self._request.origin} could not be reached: {str(error) or type(error).__name__}", 502)
            self._say(*self._refused(told))
        self._outgoing.put(None)
        if not self._left:
            self._speak(Turn(_LANE, _goodbye()))

    def _say(self, *messages: bytes) -> None:
        if messages and not self._left:
            self._speak(Turn(_LANE, list(messages)))

    def _send(self, connection: Any) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            while (message := self._outgoing.get()) is not None:
                try:
                    connection.send(message.decode())
                except UnicodeDecodeError:
                    connection.send(message)
        except ConnectionClosed:
            return
        connection.close()

    def _connected(self) -> Any:
        from urllib.request import getproxies, proxy_bypass

        from websockets.sync.client import connect

        request = self._request
        parts = urlsplit(request.origin)
        secure = parts.scheme in ("https", "wss")
        host, port = parts.hostname or "", parts.port or (443 if secure else 80)
        told = request.headers.get("sec-websocket-protocol") or ""
        options: dict[str, Any] = {
            "additional_headers": [
                (name, value) for name, value in request.headers.pairs if not name.startswith(_OF_THE_HANDSHAKE)
            ],
            "subprotocols": [each.strip() for each in told.split(",") if each.strip()] or None,
            "user_agent_header": None,
            "open_timeout": _CONNECTS_WITHIN,
            "close_timeout": _CLOSES_WITHIN,
            "max_size": None,
        }
        if not getproxies() or proxy_bypass(host):
            options["sock"] = self._socket(host, port)
        query = f"?{request.query}" if request.query else ""
        if secure:
            import ssl

            options["ssl"] = ssl.create_default_context()
        return connect(f"{'wss' if secure else 'ws'}://{parts.netloc}{request.path}{query}", **options)

    def _socket(self, host: str, port: int) -> socket.socket:
        last: OSError | None = None
        for family, kind, protocol, _, address in self._resolve(host, port, type=socket.SOCK_STREAM):
            sock = socket.socket(family, kind, protocol)
            sock.settimeout(_CONNECTS_WITHIN)
            try:
                sock.connect(address)
            except OSError as error:
                sock.close()
                last = error
            else:
                sock.settimeout(None)
                return sock
        raise last or OSError(f"{host} has no address")


def _goodbye() -> Iterator[bytes]:
    yield from ()
    raise Goodbye
