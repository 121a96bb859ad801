"""A store in a file of SQLite."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import sleep, time
from typing import Final, Self, TypeVar

__all__ = ("SQLiteStore",)

T = TypeVar("T")

_SWEEP: Final = 1024
_TABLES: Final = (
    'CREATE TABLE IF NOT EXISTS "values" (key TEXT PRIMARY KEY, value BLOB NOT NULL, until REAL) WITHOUT ROWID',
    """CREATE TABLE IF NOT EXISTS counters
       (key TEXT, name TEXT, amount REAL NOT NULL, until REAL, PRIMARY KEY (key, name)) WITHOUT ROWID""",
    "CREATE TABLE IF NOT EXISTS claims (key TEXT PRIMARY KEY, owner TEXT NOT NULL, until REAL NOT NULL) WITHOUT ROWID",
)
_SWEEPING: Final = (
    'DELETE FROM "values" WHERE until <= ?',
    "DELETE FROM counters WHERE until <= ?",
    "DELETE FROM claims WHERE until <= ?",
)


class SQLiteStore:
    """A store in a file, for any number of workers on one machine.

    The file is made when it is first needed, in WAL mode; `:memory:` is one in the process. It is read and written on
    a thread of the store's own, one thing after the other; another process that writes is waited for, `patience`
    seconds at most. `clock` gives seconds, and has to be the same for all workers. `close` it, or use it in a `with`
    block, when the application ends. What SQLite cannot do raises `sqlite3.Error`.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, patience: float = 10.0, clock: Callable[[], float] = time
    ) -> None:
        self.path = os.fspath(path)
        self.patience = patience
        self._clock = clock
        self._writes = 0
        self._process = 0
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None
        self._inherited: sqlite3.Connection | None = None

    # What a store does

    async def get(self, key: str) -> bytes | None:
        """See `Store`."""

        def got(database: sqlite3.Connection) -> bytes | None:
            query = 'SELECT value FROM "values" WHERE key = ? AND (until IS NULL OR until > ?)'
            found = database.execute(query, (key, self._clock())).fetchone()
            return None if found is None else bytes(found[0])

        return await self._do(got)

    async def set(self, key: str, value: bytes, seconds: float | None = None) -> None:
        """See `Store`."""

        def kept(database: sqlite3.Connection) -> None:
            self._wrote(database)
            until = None if seconds is None else self._clock() + seconds
            database.execute('REPLACE INTO "values" VALUES (?, ?, ?)', (key, value, until))

        await self._do(kept)

    async def delete(self, key: str) -> None:
        """See `Store`."""

        def gone(database: sqlite3.Connection) -> None:
            with _whole(database):
                database.execute('DELETE FROM "values" WHERE key = ?', (key,))
                database.execute("DELETE FROM counters WHERE key = ?", (key,))

        await self._do(gone)

    async def keys(self, prefix: str) -> list[str]:
        """See `Store`."""

        def found(database: sqlite3.Connection) -> list[str]:
            query = 'SELECT key FROM "values" WHERE key >= ? AND key < ? AND (until IS NULL OR until > ?) ORDER BY key'
            return [row[0] for row in database.execute(query, (prefix, prefix + "\x7f", self._clock()))]

        return await self._do(found)

    async def add(self, key: str, amounts: Mapping[str, float], seconds: float | None = None) -> dict[str, float]:
        """See `Store`."""
        given = dict(amounts)

        def added(database: sqlite3.Connection) -> dict[str, float]:
            now = self._clock()
            if not given:
                return dict(database.execute(_COUNTED, (key, now)).fetchall())
            self._wrote(database)
            with _whole(database):
                database.execute("DELETE FROM counters WHERE key = ? AND until <= ?", (key, now))
                begun = database.execute("SELECT until FROM counters WHERE key = ? LIMIT 1", (key,)).fetchone()
                until = begun[0] if begun is not None else None if seconds is None else now + seconds
                database.executemany(_ADD, [(key, name, float(amount), until) for name, amount in given.items()])
                return dict(database.execute(_COUNTED, (key, now)).fetchall())

        return await self._do(added)

    async def claim(self, key: str, owner: str, seconds: float) -> bool:
        """See `Store`."""

        def claimed(database: sqlite3.Connection) -> bool:
            self._wrote(database)
            now = self._clock()
            return database.execute(_CLAIM, (key, owner, now + seconds, now)).rowcount > 0

        return await self._do(claimed)

    async def release(self, key: str, owner: str) -> None:
        """See `Store`."""

        def released(database: sqlite3.Connection) -> None:
            database.execute("DELETE FROM claims WHERE key = ? AND owner = ?", (key, owner))

        await self._do(released)

    # The file

    async def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._process != os.getpid():
            # A process that was forked has a connection of its own; it leaves that of its parent alone, open.
            self._process, self._inherited, self._connection = os.getpid(), self._connection, None
            self._thread = ThreadPoolExecutor(1, "antiphon-sqlite")
        if self._thread is None:
            raise ValueError(f"the store {self.path} was closed")
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(self._opened()))

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._open()
        return self._connection

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(
            self.path, timeout=self.patience, isolation_level=None, check_same_thread=False, cached_statements=32
        )
        try:
            _wal(database, self.patience)
            database.execute("PRAGMA synchronous = NORMAL")
            with _whole(database):
                for table in _TABLES:
                    database.execute(table)
        except sqlite3.Error:
            database.close()
            raise
        return database

    def _wrote(self, database: sqlite3.Connection) -> None:
        self._writes += 1
        if not self._writes % _SWEEP:
            for statement in _SWEEPING:
                database.execute(statement, (self._clock(),))

    def close(self) -> None:
        """Close the file, once what is being done is done. May be called twice."""
        thread, self._thread = self._thread, None
        if thread is not None and self._process == os.getpid():
            thread.shutdown()
            if self._connection is not None:
                self._connection.close()
        self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_COUNTED: Final = "SELECT name, amount FROM counters WHERE key = ? AND (until IS NULL OR until > ?)"
_ADD: Final = (
    "INSERT INTO counters VALUES (?, ?, ?, ?) ON CONFLICT (key, name) DO UPDATE SET amount = amount + excluded.amount"
)
_CLAIM: Final = (
    "INSERT INTO claims VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, until = excluded.until"
    " WHERE claims.owner = excluded.owner OR claims.until <= ?"
)


class _whole:  # noqa: N801
    """A block of statements that others see whole or not at all."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self.database = database

    def __enter__(self) -> None:
        self.database.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.database.execute("COMMIT")
            return
        with suppress(sqlite3.Error):  # one that was rolled back already
            self.database.execute("ROLLBACK")


def _wal(database: sqlite3.Connection, patience: float) -> None:
    """Let readers read while somebody writes. SQLite does not wait where two change the mode at once: we do."""
    until = time() + patience
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time() >= until:
                raise
            sleep(0.02)
        else:
            return
