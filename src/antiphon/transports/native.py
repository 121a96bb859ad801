"""pyreqwest, imported so that it takes little memory.

It brings an allocator of its own (mimalloc), which asks the kernel for huge pages and so takes memory in steps of
2 MiB: 7 MB more for a first call and 15 MB more for a thousand at once than is used. Told to take what it needs, it
costs no more time. It can be told by the environment only, which it reads while it is loaded.
"""

from __future__ import annotations

import os

__all__ = ("ClientBuilder", "SyncClientBuilder", "failures")

_OPTION = "MIMALLOC_ARENA_EAGER_COMMIT"
_given = os.environ.get(_OPTION)
if _given is None:
    os.environ[_OPTION] = "0"
try:
    from pyreqwest import exceptions as failures
    from pyreqwest.client import ClientBuilder, SyncClientBuilder
finally:
    if _given is None:
        del os.environ[_OPTION]
