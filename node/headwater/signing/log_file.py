"""The signing log's SQLite file: exclusively ours, synced at every commit.

In: a path. Out: rows and transactions, and SQLite's errors as what they mean. Knows no rule of signing. It shares no
code with the node's database on purpose: it must open, and be read, when nothing else of the node can.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from headwater.errors import DiskFull, HeadwaterError, Unavailable, VerificationFailed

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS slots (
    kind TEXT NOT NULL, separator TEXT NOT NULL, signer TEXT NOT NULL, scope TEXT NOT NULL, height TEXT NOT NULL,
    signing_digest TEXT NOT NULL, struct_digest TEXT NOT NULL,
    PRIMARY KEY (kind, separator, signer, scope, height)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS slots_by_struct ON slots (kind, struct_digest);
CREATE TABLE IF NOT EXISTS watermarks (
    separator TEXT NOT NULL, scope TEXT NOT NULL, height TEXT NOT NULL, PRIMARY KEY (separator, scope)
) STRICT, WITHOUT ROWID;
"""


class LogFile:
    """An open file; the caller lets one thread in at a time."""

    def __init__(self, path: Path, lock_timeout_seconds: float) -> None:
        """Raises Unavailable if another process holds the file, VerificationFailed if it is damaged, DiskFull."""
        self._failed_disk = False
        path.touch(mode=0o600)
        self._connection = sqlite3.connect(
            path, timeout=lock_timeout_seconds, isolation_level=None, check_same_thread=False
        )
        try:
            # EXCLUSIVE keeps the file's lock after the first write, so that no second signer can open it.
            for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL"):
                self._connection.execute(f"PRAGMA {pragma}")
            self._connection.executescript(f"BEGIN EXCLUSIVE;{_SCHEMA}COMMIT;")
        except sqlite3.Error as error:
            self._connection.close()
            raise _fault(error) from error

    def rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(query, values).fetchall()

    def row(self, query: str, *values: str) -> tuple[Any, ...] | None:
        found: tuple[Any, ...] | None = self._connection.execute(query, values).fetchone()
        return found

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is on disk afterwards, or nothing is. Raises DiskFull, Unavailable."""
        if self._failed_disk:
            # After a failed fsync a later one may report success for pages that are lost.
            raise Unavailable("the disk failed under the signing log", "check the disk, then start the signer again")
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._failed_disk = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_IOERR
            self._roll_back()
            raise _fault(error) from error
        except BaseException:
            self._roll_back()
            raise

    def close(self) -> None:
        self._connection.close()

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")


def _fault(error: sqlite3.Error) -> HeadwaterError:
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_FULL:
            return DiskFull("the disk is full, so nothing was signed", "free space, then ask again")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return Unavailable(
                "another signer holds the signing log of this home",
                "let the other command end, or go through the running node's signer",
            )
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return VerificationFailed(f"the signing log is damaged ({error})", "restore it from its last backup")
    return Unavailable(f"the signing log cannot be written ({error})", "check the disk and the home's permissions")
