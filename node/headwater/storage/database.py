"""The node's database: `write` is acknowledged when it is on disk, `read` sees one consistent moment.

In: a URL and functions of a SQLAlchemy connection. Out: what they return. Several processes may open one SQLite
file (a command beside the node); each has one writer. Knows no table by name: those are in `schema`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Self, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from headwater.storage.engines import open_engines
from headwater.storage.faults import fault_of
from headwater.storage.group_commit import GroupCommit
from headwater.storage.upgrade import upgrade

T = TypeVar("T")


class Database:
    """An open database at the newest schema.

    Raises on opening: InvalidInput (bad URL), Conflict (written by a newer Headwater), DiskFull, Unavailable,
    VerificationFailed (damaged file).
    """

    def __init__(self, url: str) -> None:
        self._engines = open_engines(url)
        try:
            upgrade(self._engines)
        except DBAPIError as error:
            self._engines.dispose()
            raise fault_of(error) or error from error
        except BaseException:
            self._engines.dispose()
            raise
        self._writer = GroupCommit(self._engines.write)

    def write(self, function: Callable[[Connection], T]) -> T:
        """Run `function` in a writing transaction; return its result after the commit is on disk.

        It shares the transaction with others that wait, and is rolled back alone if it raises; its exception comes
        through. It runs on the writer thread: keep it short, let it touch nothing but the connection. Raises
        DiskFull or Unavailable, and then nothing of it is stored.
        """
        if self._writer.is_writer_thread():
            raise RuntimeError("Database.write called inside a write: use the connection that was passed in")
        return self._writer.submit(function).result()

    def submit(self, function: Callable[[Connection], T]) -> Future[T]:
        """Like `write`, without waiting: the future resolves after the commit."""
        return self._writer.submit(function)

    async def write_async(self, function: Callable[[Connection], T]) -> T:
        """Like `write`, for a coroutine; no thread waits."""
        return await asyncio.wrap_future(self._writer.submit(function))

    def read(self, function: Callable[[Connection], T]) -> T:
        """Run `function` on a reading connection, in one snapshot; a statement that writes raises Unavailable."""
        try:
            with self._engines.read.connect() as connection, connection.begin():
                return function(connection)
        except DBAPIError as error:
            raise fault_of(error) or error from error

    async def read_async(self, function: Callable[[Connection], T]) -> T:
        """Like `read`, in a thread."""
        return await asyncio.to_thread(self.read, function)

    def close(self) -> None:
        """Commit what waits and let go of the file. May be called twice."""
        self._writer.close()
        self._engines.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
