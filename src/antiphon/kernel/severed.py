"""A connection that ends where it should not."""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

__all__ = ("How", "Severed")

How: TypeAlias = Literal["refused", "reset", "closed"]


class Severed(Exception):
    """Raised by a handler, or by a streamed body, to have its connection end here instead of the answer.

    `refused` is a connection that was never made, `reset` one that the other side broke off, `closed` one that it
    closed. In process the client sees `APIConnectionError`, and code that is intercepted the error of its library. A
    host ends the connection as nearly so as it can; `sent` are bytes of the answer's head that go out before.
    """

    status_code: ClassVar[int] = 444
    """What logs say in place of a status."""

    def __init__(self, how: How, sent: bytes = b"") -> None:
        super().__init__(
            {
                "refused": "Connection refused",
                "reset": "Connection reset by peer",
                "closed": "The server closed the connection before the end of its answer",
            }[how]
        )
        self.how: How = how
        self.sent = sent

    def __reduce__(self) -> tuple[type[Severed], tuple[How, bytes]]:
        return type(self), (self.how, self.sent)

    def as_os_error(self) -> OSError:
        """The error that a socket would have raised."""
        import errno

        if self.how == "refused":
            return ConnectionRefusedError(errno.ECONNREFUSED, str(self))
        return ConnectionResetError(errno.ECONNRESET, str(self))
