"""The chain's file: py-evm's key-value pairs, a log index and settings, written one block at a time.

In: what a block changes. Out: the same after any crash, whole blocks only. Knows nothing of the EVM.

SQLite in WAL mode with `synchronous=FULL`: a commit returns after its fsync. Everything that py-evm writes while it
builds a block waits in memory (`pending`) and goes to disk in one transaction with the block's log rows, so a crash
leaves either the whole block or none of it.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from eth.abc import AtomicWriteBatchAPI
from eth.db.atomic import AtomicDBWriteBatch
from eth.db.backends.base import BaseAtomicDB

from headwater.errors import HomeInUse, Unavailable
from headwater.storage.faults import fault_of, is_disk_error

FILE_NAME: Final = "chain.sqlite"
LOCK_NAME: Final = "chain.lock"

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS kv (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS log (
  block INT, log_index INT, transaction_index INT, transaction_hash BLOB, address BLOB,
  topic0 BLOB, topic1 BLOB, topic2 BLOB, topic3 BLOB, data BLOB, PRIMARY KEY (block, log_index)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS log_by_address ON log (address, topic0, block, log_index);
CREATE INDEX IF NOT EXISTS log_by_topic ON log (topic0, block, log_index);
"""

LogRow = tuple[int, int, int, bytes, bytes, bytes | None, bytes | None, bytes | None, bytes | None, bytes]
"""block, log index, transaction index, transaction hash, address, topics 0 to 3, data."""


class ChainFile(BaseAtomicDB):  # type: ignore[misc]  # py-evm's base class is untyped here
    """One chain's storage, held by one process. Not thread-safe: its owner serialises every access.

    Raises HomeInUse if another node holds the file, Unavailable or VerificationFailed if it cannot be opened.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(folder / LOCK_NAME)
        self._failed = False
        self.pending: dict[bytes, bytes] = {}
        try:
            self._connection = _connect(folder / FILE_NAME)
        except sqlite3.Error as error:
            os.close(self._lock)
            raise fault_of(error) or error from error

    # What py-evm asks of a database.

    def __getitem__(self, key: bytes) -> bytes:
        if key in self.pending:
            return self.pending[key]
        row = self._connection.execute("SELECT value FROM kv WHERE key = ?", (key,)).fetchone()
        if row is None:
            raise KeyError(key)
        return bytes(row[0])

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self.pending[key] = value

    def __delitem__(self, key: bytes) -> None:
        raise NotImplementedError("only a reorganisation deletes, and this chain has none")

    def atomic_batch(self) -> AbstractContextManager[AtomicWriteBatchAPI]:
        batch: AbstractContextManager[AtomicWriteBatchAPI] = AtomicDBWriteBatch._commit_unless_raises(self)
        return batch

    # What the chain asks of it.

    def commit(self, logs: Iterable[LogRow] = (), settings: Mapping[str, bytes] | None = None) -> None:
        """Put everything pending, these log rows and settings on disk, all or nothing; returns after the fsync.

        Raises DiskFull, Unavailable or VerificationFailed; then nothing of it is there.
        """
        with self._transaction() as connection:
            connection.executemany("REPLACE INTO kv VALUES (?, ?)", self.pending.items())
            connection.executemany("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", logs)
            connection.executemany("REPLACE INTO setting VALUES (?, ?)", (settings or {}).items())

    def rollback(self) -> None:
        self.pending.clear()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        if self._failed:
            raise Unavailable(
                "the disk failed under the chain earlier, so nothing more is written",
                "check the disk, then start the node again",
            )
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            with self._connection:
                yield self._connection
        except sqlite3.Error as error:
            # After a failed fsync, trying again proves nothing (see storage.faults.is_disk_error).
            self._failed = is_disk_error(error)
            raise fault_of(error) or error from error
        finally:
            self.pending.clear()

    def setting(self, name: str) -> bytes | None:
        row = self._connection.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
        return bytes(row[0]) if row else None

    def select(self, query: str, parameters: Sequence[object]) -> list[LogRow]:
        return self._connection.execute(query, parameters).fetchall()

    def close(self) -> None:
        self._connection.close()
        os.close(self._lock)


def _connect(path: Path) -> sqlite3.Connection:
    path.touch(mode=0o600)  # the -wal and -shm files inherit it
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.executescript(_SCHEMA)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _lock(path: Path) -> int:
    """Hold `path` until close or death. flock: the kernel lets go when the process ends, however it ends."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise HomeInUse(
            f"another node runs the chain in {path.parent}", "stop that node, or choose another folder with --home"
        ) from None
    return descriptor
