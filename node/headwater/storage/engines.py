"""A database URL turned into engines that keep what they acknowledge.

In: a SQLAlchemy URL (`sqlite:////path/file`, `postgresql://host/name`). Out: `Engines(write, read)`, whose
transactions begin the right way. Knows nothing of tables or threads.

SQLite runs in WAL mode with `synchronous=FULL`: with NORMAL a power loss takes acknowledged commits
(https://sqlite.org/pragma.html#pragma_synchronous). Writing transactions begin IMMEDIATE, so that two processes
on one file queue for the lock instead of failing when they first write.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError

from headwater.errors import InvalidInput, Unavailable

BUSY_TIMEOUT_MS: Final = 30_000
_SQLITE: Final = "sqlite:///"
_POSTGRESQL: Final = "postgresql+psycopg"
_WRITER_LOCK: Final = 0x4845_4144  # "HEAD": one writing transaction at a time, like BEGIN IMMEDIATE


@dataclass(frozen=True, slots=True)
class Engines:
    """One engine whose transactions may write, and one whose transactions may only read."""

    write: Engine
    read: Engine

    def dispose(self) -> None:
        self.read.dispose()
        self.write.dispose()


def parse_url(url: str) -> URL:
    """Check a database URL. Raises InvalidInput for an unknown kind, or for SQLite without a file.

    What follows `sqlite:///` is a file's path as it is, without escapes or options, so that every home has a URL.
    `postgres://` and `postgresql://` mean the psycopg driver.
    """
    if url.startswith(_SQLITE):
        path = url.removeprefix(_SQLITE)
        if path in ("", ":memory:"):
            raise InvalidInput("a database in memory keeps nothing", "name a file: sqlite:////path/file")
        return URL.create("sqlite", database=path)
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise InvalidInput(
            "the database URL cannot be read", "write sqlite:////path/file or postgresql://host/name"
        ) from None
    if parsed.drivername in ("postgres", "postgresql", _POSTGRESQL):
        return parsed.set(drivername=_POSTGRESQL)
    raise InvalidInput(
        f"there is no support for {parsed.drivername} databases",
        "write sqlite:////path/file or postgresql://host/name",
    )


def open_engines(url: str) -> Engines:
    """Engines for `url`; creates an empty SQLite file (0600) if there is none.

    Raises InvalidInput for a bad URL, Unavailable if PostgreSQL is named and its driver is not installed.
    """
    parsed = parse_url(url)
    if parsed.drivername == _POSTGRESQL:
        return _postgresql(parsed)
    return _sqlite(parsed)


def _sqlite(url: URL) -> Engines:
    path = Path(str(url.database))
    # SQLite gives the -wal and -shm files the permissions of the main file.
    try:
        path.touch(mode=0o600)
    except OSError as error:
        raise Unavailable(
            f"the database {path} cannot be opened: {error.strerror}", "check that its folder is there and yours"
        ) from None
    write, read = create_engine(url), create_engine(url)
    event.listen(write, "connect", _prepare(_enter_wal, "PRAGMA synchronous=FULL", "PRAGMA foreign_keys=ON"))
    event.listen(write, "begin", _begin("BEGIN IMMEDIATE"))
    event.listen(read, "connect", _prepare(None, "PRAGMA query_only=ON"))
    event.listen(read, "begin", _begin("BEGIN"))
    return Engines(write, read)


def _prepare(first: Callable[[Any], None] | None, *pragmas: str) -> Callable[[Any, Any], None]:
    def on_connect(connection: Any, _record: Any) -> None:
        # Autocommit in the driver: only then do we say ourselves how a transaction begins.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        if first:
            first(connection)
        for pragma in pragmas:
            connection.execute(pragma)

    return on_connect


def _enter_wal(connection: Any) -> None:
    """Switch the file to WAL. Two processes that do so at once get SQLITE_BUSY without the busy timeout."""
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _begin(statement: str) -> Callable[[Connection], None]:
    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(statement)

    return on_begin


def _postgresql(url: URL) -> Engines:
    try:
        write = create_engine(url, pool_pre_ping=True)
        read = create_engine(
            url,
            pool_pre_ping=True,
            isolation_level="REPEATABLE READ",
            execution_options={"postgresql_readonly": True},
        )
    except ModuleNotFoundError:
        raise Unavailable("the driver for PostgreSQL is not installed", "run pip install 'psycopg[binary]'") from None
    event.listen(write, "begin", _lock_out_other_writers)
    return Engines(write, read)


def _lock_out_other_writers(connection: Connection) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _WRITER_LOCK})
