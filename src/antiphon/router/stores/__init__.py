"""Where layers keep what outlives a question: sessions, what was spent.

    MemoryStore     in the process
    SQLiteStore     in a file, for several workers on one machine

Any other is a class with the methods of `Store`.
"""

from .base import Store as Store
from .memory import MemoryStore as MemoryStore
from .sqlite import SQLiteStore as SQLiteStore

__all__ = ("MemoryStore", "SQLiteStore", "Store")
