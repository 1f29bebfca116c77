"""Acknowledged is on disk; a failing write fails alone; a full disk acknowledges nothing."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, insert, select, text

from headwater.errors import DiskFull, InvalidInput, Unavailable, VerificationFailed
from headwater.storage import database as database_module
from headwater.storage.database import Database
from headwater.storage.engines import open_engines, parse_url
from headwater.storage.schema import settings


def url_of(path: Path) -> str:
    return f"sqlite:///{path / 'headwater.sqlite'}"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(url_of(tmp_path)) as opened:
        yield opened


def put(name: str, value: str = "x") -> Callable[[Connection], None]:
    def work(connection: Connection) -> None:
        connection.execute(insert(settings).values(name=name, value=value))

    return work


def names(connection: Connection) -> set[str]:
    return set(connection.scalars(select(settings.c.name)))


def count(connection: Connection) -> int:
    return connection.scalar(select(func.count()).select_from(settings)) or 0


def test_a_write_is_there_when_the_file_is_opened_again(tmp_path: Path) -> None:
    with Database(url_of(tmp_path)) as first:
        assert first.write(lambda c: put("a")(c) or "returned") == "returned"
    with Database(url_of(tmp_path)) as second:
        assert second.read(names) == {"a"}


def test_it_runs_in_wal_mode_with_full_sync_and_foreign_keys(database: Database) -> None:
    def pragmas(connection: Connection) -> list[object]:
        wanted = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        return [connection.execute(text(f"PRAGMA {name}")).scalar() for name in wanted]

    assert database.write(pragmas) == ["wal", 2, 1, 30_000]


def test_the_file_is_for_its_owner_only(tmp_path: Path, database: Database) -> None:
    database.write(put("a"))
    assert {oct(p.stat().st_mode & 0o777) for p in tmp_path.iterdir()} == {"0o600"}


def test_those_who_wait_together_share_one_transaction(database: Database) -> None:
    may_go, transactions = threading.Event(), []

    def block(connection: Connection) -> None:
        may_go.wait()

    def remember(connection: Connection) -> None:
        transactions.append(id(connection.get_transaction()))

    first = database.submit(block)
    rest = [database.submit(remember) for _ in range(20)]
    may_go.set()
    for future in [first, *rest]:
        future.result()
    assert len(set(transactions)) == 1


def test_a_failing_function_is_rolled_back_alone_and_its_error_comes_through(database: Database) -> None:
    may_go = threading.Event()

    def fail(connection: Connection) -> None:
        put("half")(connection)
        raise LookupError("mine")

    blocked = database.submit(lambda _: may_go.wait())
    futures = [database.submit(put("before")), database.submit(fail), database.submit(put("after"))]
    may_go.set()
    blocked.result()
    futures[0].result()
    futures[2].result()
    with pytest.raises(LookupError, match="mine"):
        futures[1].result()
    assert database.read(names) == {"before", "after"}


def test_a_cancelled_write_that_has_not_begun_is_not_done(database: Database) -> None:
    may_go = threading.Event()
    blocked = database.submit(lambda _: may_go.wait())
    cancelled = database.submit(put("never"))
    assert cancelled.cancel()
    may_go.set()
    blocked.result()
    database.write(put("last"))
    assert database.read(names) == {"last"}


def test_a_write_inside_a_write_is_a_defect_and_not_a_deadlock(database: Database) -> None:
    with pytest.raises(RuntimeError, match="inside a write"):
        database.write(lambda _: database.write(put("inner")))


def test_a_coroutine_writes_and_reads_without_blocking_its_loop(database: Database) -> None:
    async def story() -> set[str]:
        await asyncio.gather(*(database.write_async(put(str(i))) for i in range(5)))
        return await database.read_async(names)

    assert asyncio.run(story()) == {"0", "1", "2", "3", "4"}


def test_reading_sees_one_moment_and_cannot_write(database: Database) -> None:
    def look_twice(connection: Connection) -> tuple[int, int]:
        before = count(connection)
        database.write(put("meanwhile"))
        return before, count(connection)

    assert database.read(look_twice) == (0, 0)
    with pytest.raises(Unavailable):
        database.read(put("by a reader"))


def test_after_close_nothing_is_accepted_and_what_waited_is_there(tmp_path: Path) -> None:
    database = Database(url_of(tmp_path))
    waiting = [database.submit(put(str(i))) for i in range(50)]
    database.close()
    database.close()
    assert all(future.done() and future.exception() is None for future in waiting)
    with pytest.raises(Unavailable, match="closed"):
        database.write(put("late"))


def test_two_processes_worth_of_writers_take_turns(tmp_path: Path) -> None:
    with Database(url_of(tmp_path)) as node, Database(url_of(tmp_path)) as command:
        futures = [(node if i % 2 else command).submit(put(str(i))) for i in range(60)]
        for future in futures:
            future.result()
        assert node.read(count) == command.read(count) == 60


def fill_up(database: Database) -> None:
    """Let the file grow by a few pages only: SQLite then says what it says when the disk is full."""
    database.write(lambda c: c.execute(text("PRAGMA max_page_count=1")) and None)


def test_when_the_disk_is_full_nobody_in_the_transaction_is_acknowledged(database: Database) -> None:
    database.write(put("kept"))
    fill_up(database)
    may_go = threading.Event()
    blocked = database.submit(lambda _: may_go.wait())
    futures = [
        database.submit(put("small")),
        database.submit(put("large", "x" * 10**6)),
        database.submit(put("next")),
    ]
    may_go.set()
    for future in [blocked, *futures]:
        with pytest.raises(DiskFull):
            future.result()
    assert database.read(names) == {"kept"}
    database.write(lambda c: c.execute(text("PRAGMA max_page_count=100000")) and None)
    database.write(put("large", "x" * 10**6))
    assert database.read(names) == {"kept", "large"}


def test_each_waiting_thread_gets_an_exception_of_its_own(database: Database) -> None:
    fill_up(database)
    may_go = threading.Event()
    blocked = database.submit(lambda _: may_go.wait())
    futures = [database.submit(put(str(i), "x" * 10**6)) for i in range(2)]
    may_go.set()
    assert len({id(f.exception()) for f in [blocked, *futures]}) == 3


def test_after_a_failed_disk_nothing_is_tried_again(database: Database) -> None:
    def broken_disk(connection: Connection) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
        raise error

    with pytest.raises(Unavailable, match="disk failed"):
        database.write(broken_disk)
    with pytest.raises(Unavailable, match="earlier"):
        database.write(put("a"))
    assert database.read(names) == set()


def test_a_killed_writer_loses_nothing_acknowledged(tmp_path: Path) -> None:
    """Property: after SIGKILL at any moment the file holds every row whose write had returned."""
    script = (
        "import sys\n"
        "from headwater.storage.database import Database\n"
        "from headwater.storage.schema import settings\n"
        "from sqlalchemy import insert\n"
        "import threading\n"
        "db, lock = Database(sys.argv[1]), threading.Lock()\n"
        "def work(t):\n"
        "    i = 0\n"
        "    while True:\n"
        "        name = f'{t}-{i}'\n"
        "        db.write(lambda c: c.execute(insert(settings).values(name=name, value='x')) and None)\n"
        "        with lock: print(name, flush=True)\n"
        "        i += 1\n"
        "for t in range(4): threading.Thread(target=work, args=(t,)).start()\n"
    )
    acknowledged: set[str] = set()
    for round_, lines_before_kill in enumerate((1, 17, 60)):
        folder = tmp_path / str(round_)
        folder.mkdir()
        process = subprocess.Popen([sys.executable, "-c", script, url_of(folder)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        acknowledged = {process.stdout.readline().strip() for _ in range(lines_before_kill)}
        process.kill()
        acknowledged |= {line.strip() for line in process.stdout if line.endswith("\n")}
        process.wait()
        process.stdout.close()
        with Database(url_of(folder)) as again:
            assert acknowledged <= again.read(names)
            assert again.read(lambda c: c.execute(text("PRAGMA integrity_check")).scalar()) == "ok"
    assert len(acknowledged) >= 60


def test_opening_a_new_file_from_many_threads_makes_one_schema(tmp_path: Path) -> None:
    errors: list[BaseException] = []

    def open_and_write(i: int) -> None:
        try:
            with Database(url_of(tmp_path)) as opened:
                opened.write(put(str(i)))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=open_and_write, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with Database(url_of(tmp_path)) as again:
        assert again.read(count) == 6


def test_a_damaged_file_is_named_as_damaged(tmp_path: Path) -> None:
    (tmp_path / "headwater.sqlite").write_bytes(b"this is no database, it only lies in its place" * 200)
    with pytest.raises(VerificationFailed, match="damaged"):
        Database(url_of(tmp_path))


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("sqlite:///", "memory"),
        ("sqlite:///:memory:", "memory"),
        ("mysql://host/name", "mysql"),
        ("not a url", "cannot be read"),
    ],
)
def test_a_url_that_would_keep_nothing_is_refused(url: str, cause: str) -> None:
    with pytest.raises(InvalidInput, match=cause):
        Database(url)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="gone"):
        Database(url_of(tmp_path / "gone"))


@pytest.mark.parametrize("prefix", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_is_known_by_its_url(prefix: str) -> None:
    url = parse_url(f"{prefix}://user:secret@db.example/headwater")
    assert (url.drivername, url.host, url.database) == ("postgresql+psycopg", "db.example", "headwater")


def test_a_missing_postgresql_driver_is_named() -> None:
    try:
        import psycopg  # noqa: F401
    except ModuleNotFoundError:
        with pytest.raises(Unavailable, match="driver"):
            open_engines("postgresql://db.example/headwater")
    else:
        engines = open_engines("postgresql://db.example/headwater")
        engines.dispose()


def test_a_database_that_cannot_be_opened_leaves_no_writer_behind(tmp_path: Path) -> None:
    before = threading.active_count()
    (tmp_path / "headwater.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(VerificationFailed):
        database_module.Database(url_of(tmp_path))
    assert threading.active_count() == before
