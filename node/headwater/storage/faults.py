"""What a database driver's error means to a person.

In: an exception from SQLAlchemy or sqlite3. Out: the HeadwaterError to raise instead, or None when the statement
itself was at fault (a violated constraint, bad SQL) and the caller must see the original. Knows no connection.
Codes: https://sqlite.org/rescode.html; SQLSTATE classes 53 and 57: PostgreSQL manual, appendix A.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from sqlalchemy.exc import DBAPIError

from headwater.errors import DiskFull, HeadwaterError, Unavailable, VerificationFailed

FREE_SPACE: Final = "free space on the disk that holds the home, then repeat: nothing acknowledged was lost"
_PRIMARY_CODE: Final = 0xFF


def fault_of(error: BaseException) -> HeadwaterError | None:
    """The storage fault behind `error`; None if storage is sound and the statement was wrong.

    A fresh object on every call, so that each waiting thread may raise its own.
    """
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        return _sqlite_fault(cause)
    state = getattr(cause, "sqlstate", None)
    if isinstance(error, DBAPIError) and isinstance(state, str):
        return _postgresql_fault(cause, state)
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return Unavailable(f"the database server went away: {cause}", "start it again, then repeat")
    return None


def is_disk_error(error: BaseException) -> bool:
    """True if the disk itself failed a read, write or fsync.

    After a failed fsync the kernel may drop the dirty pages and report success the next time, so trying again
    proves nothing (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020).
    """
    cause = error.orig if isinstance(error, DBAPIError) else error
    return isinstance(cause, sqlite3.Error) and _primary_code(cause) == sqlite3.SQLITE_IOERR


def _primary_code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & _PRIMARY_CODE


def _sqlite_fault(error: sqlite3.Error) -> HeadwaterError | None:
    match _primary_code(error):
        case sqlite3.SQLITE_FULL:
            return DiskFull("the disk is full, so the database refused the write", FREE_SPACE)
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return Unavailable(
                "another process held the database for longer than the busy timeout",
                "end the other command, then repeat",
            )
        case sqlite3.SQLITE_IOERR:
            return Unavailable(f"the disk failed under the database ({error})", "check the disk, then start again")
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return VerificationFailed(
                f"the database file is damaged ({error})", "restore the home from its last backup"
            )
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            return Unavailable(
                f"the database cannot be written here ({error})", "check owner and permissions of the home folder"
            )
    return None


def _postgresql_fault(error: BaseException | None, state: str) -> HeadwaterError | None:
    if state == "53100":
        return DiskFull("the database server's disk is full", FREE_SPACE)
    if state[:2] in ("08", "53", "57", "58"):
        return Unavailable(f"the database server cannot serve ({error})", "look into its log, then repeat")
    return None
