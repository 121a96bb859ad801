"""Connections that end where they should not."""

from __future__ import annotations

import errno
import pickle

import pytest

from antiphon.kernel.severed import How, Severed


@pytest.mark.parametrize(
    ("how", "kind", "number"),
    [
        ("refused", ConnectionRefusedError, errno.ECONNREFUSED),
        ("reset", ConnectionResetError, errno.ECONNRESET),
        ("closed", ConnectionResetError, errno.ECONNRESET),
    ],
)
def test_a_severed_connection_is_what_a_socket_would_have_raised(how: How, kind: type[OSError], number: int) -> None:
    severed = Severed(how, b"HTTP/1.1 2")
    error = severed.as_os_error()
    assert type(error) is kind
    assert (error.errno, error.strerror) == (number, str(severed))
    assert (severed.how, severed.sent, severed.status_code) == (how, b"HTTP/1.1 2", 444)


def test_it_can_be_sent_to_another_process() -> None:
    again = pickle.loads(pickle.dumps(Severed("reset", b"x")))
    assert (again.how, again.sent, str(again)) == ("reset", b"x", "Connection reset by peer")
