"""One writer thread; whoever waits together is committed together.

In: functions of a connection, from any thread. Out: their results, only after the transaction that holds them is on
disk. A function that raises is rolled back alone, by its savepoint. When the transaction itself fails, nobody in it
is acknowledged. Group commit: DeWitt et al., "Implementation Techniques for Main Memory Database Systems", 1984.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine

from headwater.errors import Unavailable
from headwater.storage.faults import fault_of, is_disk_error

T = TypeVar("T")
MAX_GROUP: Final = 256


@dataclass(frozen=True, slots=True)
class _Waiting:
    function: Callable[[Connection], Any]
    future: Future[Any]


@dataclass(frozen=True, slots=True)
class _Outcome:
    value: Any = None
    error: BaseException | None = None


class GroupCommit:
    """The only writer of one database in this process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._connection: Connection | None = None
        self._failed_disk = False
        self._closed = False
        self._gate = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="headwater-writer", daemon=True)
        self._thread.start()

    def submit(self, function: Callable[[Connection], T]) -> Future[T]:
        """Queue `function`; the future resolves after its commit. Raises Unavailable once closed."""
        future: Future[T] = Future()
        with self._gate:
            if self._closed:
                raise Unavailable("the database is closed", "open it again")
            self._queue.put(_Waiting(function, future))
        return future

    def is_writer_thread(self) -> bool:
        return threading.current_thread() is self._thread

    def close(self) -> None:
        """Commit what waits, then stop. May be called twice."""
        with self._gate:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        is_open = True
        while is_open:
            group, is_open = self._next_group()
            group = [w for w in group if w.future.set_running_or_notify_cancel()]
            if group:
                self._commit(group)
        self._drop_connection()

    def _next_group(self) -> tuple[list[_Waiting], bool]:
        """Wait for one, then take all that wait with it; False once closed."""
        group: list[_Waiting] = []
        try:
            while len(group) < MAX_GROUP:
                item = self._queue.get(block=not group)
                if item is None:
                    return group, False
                group.append(item)
        except Empty:
            pass
        return group, True

    def _commit(self, group: list[_Waiting]) -> None:
        try:
            outcomes = self._transact(group)
        except BaseException as error:  # handed to those who wait, as concurrent.futures does
            self._failed_disk = self._failed_disk or is_disk_error(error)
            self._drop_connection()
            for waiting in group:
                waiting.future.set_exception(fault_of(error) or error)
            return
        for waiting, outcome in zip(group, outcomes, strict=True):
            if outcome.error is not None:
                waiting.future.set_exception(outcome.error)
            else:
                waiting.future.set_result(outcome.value)

    def _transact(self, group: list[_Waiting]) -> list[_Outcome]:
        if self._failed_disk:
            # A later fsync may report success for pages that the kernel has already dropped.
            raise Unavailable(
                "the disk failed under the database earlier", "check the disk, then start the node again"
            )
        if self._connection is None:
            self._connection = self._engine.connect()
        with self._connection.begin():
            return [_attempt(self._connection, waiting.function) for waiting in group]

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None


def _attempt(connection: Connection, function: Callable[[Connection], Any]) -> _Outcome:
    """Run one function in its savepoint. Raises only if the whole transaction is lost."""
    savepoint = connection.begin_nested()
    try:
        value = function(connection)
    except BaseException as error:
        if fault_of(error) is not None:
            raise
        savepoint.rollback()
        return _Outcome(error=error)
    savepoint.commit()
    return _Outcome(value)
