"""Rule files at an address, read as those of a disk are."""

from __future__ import annotations

import os
from errno import EIO, ENOENT
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from http.client import HTTPResponse

__all__ = ("Remote", "is_address", "source_of")

MOST: Final = 16 * 1024 * 1024
"""Bytes of a rule file at an address, at most."""

PATIENCE: Final = 30.0
"""Seconds until it is given up."""


class Remote:
    """What is at an address of http or https. It has what is asked of a `Path`, and nothing beside it."""

    parent: None = None

    def __init__(self, url: str) -> None:
        self.url = url
        place = urlsplit(url)
        self.name = unquote(place.path.rpartition("/")[2]) or place.netloc
        self.suffix = Path(self.name).suffix

    def read_bytes(self) -> bytes:
        """Fetch it. Raises `OSError` with the reason where that cannot be."""
        from http.client import HTTPException
        from urllib.error import HTTPError, URLError
        from urllib.request import urlopen

        try:
            answer: HTTPResponse
            with urlopen(self.url, timeout=PATIENCE) as answer:  # noqa: S310  # `is_address` saw to its scheme
                data = answer.read(MOST + 1)
        except HTTPError as error:
            error.close()
            raise self._cannot(f"{error.code} {error.reason}", ENOENT if error.code == 404 else EIO) from None
        except URLError as error:
            reason = error.reason
            raise self._cannot(getattr(reason, "strerror", None) or str(reason)) from None
        except (HTTPException, ValueError, OSError) as error:
            raise self._cannot(str(error) or type(error).__name__) from None
        if len(data) > MOST:
            raise self._cannot(f"a rule file has {MOST // 1024 // 1024} MiB at most")
        return data

    def _cannot(self, why: str, number: int = EIO) -> OSError:
        return OSError(number, why, self.url)

    def __str__(self) -> str:
        return self.url


def is_address(told: object) -> bool:
    """Whether something names a place of the web and not of a disk."""
    return isinstance(told, str) and told.lower().startswith(("http://", "https://"))


def source_of(told: str | os.PathLike[str]) -> Path | Remote:
    """Where a rule file is read from."""
    return Remote(str(told)) if is_address(told) else Path(told)
