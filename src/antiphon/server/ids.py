"""Ids in the API's shapes: a prefix the API is known for, and as many characters behind it as the API has.

Ids follow from the seed alone, so two servers with the same seed hand out the same ids in the same order.
"""

from __future__ import annotations

from random import Random
from typing import Any

__all__ = ("Ids",)

_ALPHABET = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ALNUM = bytes(_ALPHABET[byte % 62] for byte in range(256))

_HEX = {
    "req_": 32,
    "resp_": 48,
    "rs_": 48,
    "fc_": 48,
    "ig_": 48,
    "ws_": 48,
    "fs_": 48,
    "ci_": 48,
    "conv_": 48,
    "batch_": 32,
    "batch_req_": 32,
    "vs_": 32,
    "vsfb_": 32,
    "upload_": 32,
    "part_": 32,
    "cntr_": 48,
    "cfile_": 48,
    "eval_": 32,
    "evalrun_": 32,
    "outputitem_": 32,
    "video_": 48,
    "skill_": 48,
    "cthr_": 48,
    "cksess_": 48,
    "fp_": 10,
}
"""Prefixes followed by hexadecimal digits, and how many."""

_MIXED = {"chatcmpl-": 29, "cmpl-": 29, "modr-": 29, "file-": 22}
"""Prefixes followed by letters and digits, where the API has not 24 of them."""


class Ids:
    """A source of ids. Safe to use from several threads; in one thread the sequence is fixed by the seed."""

    __slots__ = ("_random", "_seed")

    def __init__(self, seed: int | str = 0) -> None:
        self._seed = seed
        self._random = Random(f"ids {seed}")

    def new(self, prefix: str, length: int | None = None) -> str:
        """A new id that begins with `prefix`. `length` counts the characters behind it, letters and digits.

        Without it they are what the API has behind that prefix: hexadecimal digits for the newer kinds of
        object, 24 letters and digits for a prefix that is not known.
        """
        if length is None:
            digits = _HEX.get(prefix)
            if digits is not None:
                return prefix + self._random.getrandbits(4 * digits).to_bytes(digits // 2, "big").hex()
            length = _MIXED.get(prefix, 24)
        return prefix + self._random.getrandbits(8 * length).to_bytes(length, "big").translate(_ALNUM).decode()

    def reset(self, seed: int | str | None = None) -> None:
        """Begin the sequence again, or that of another seed."""
        if seed is not None:
            self._seed = seed
        self._random = Random(f"ids {self._seed}")

    def snapshot(self) -> Any:
        """The place in the sequence, for `restore`."""
        return self._random.getstate()

    def restore(self, state: Any) -> None:
        """Go back to where `snapshot` was taken."""
        self._random.setstate(state)
