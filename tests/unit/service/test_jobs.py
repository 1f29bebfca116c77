"""The queue on disk: one request is one job; what failed runs again when asked; what was killed goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from headwater.clock import ManualClock
from headwater.errors import InvalidInput, JobFailed, NotFound
from headwater.service.jobs import Handler, JobRows, JobWorker
from headwater.storage.database import Database
from headwater.testing.chains import until


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(100)


@pytest.fixture
def rows(database: Database, clock: ManualClock) -> JobRows:
    return JobRows(database, clock)


Work = Callable[..., JobWorker]


@pytest.fixture
def work(rows: JobRows) -> Any:
    """Start workers; their threads have ended after the test."""
    made: list[JobWorker] = []

    def start(**handlers: Handler) -> JobWorker:
        worker = JobWorker(rows, handlers)
        worker.start()
        made.append(worker)
        return worker

    yield start
    for worker in made:
        worker.stop()
        worker._thread.join(10)
        assert not worker._thread.is_alive()


# -- rows --------------------------------------------------------------------------------------------------------


def test_the_same_request_is_the_same_job_whatever_order_its_members_have(rows: JobRows) -> None:
    one = rows.submit("train", {"a": 1, "b": [2, {"c": 3, "d": 4}]})
    assert rows.submit("train", {"b": [2, {"d": 4, "c": 3}], "a": 1}) == one
    assert len(rows.all()) == 1


def test_another_kind_or_request_is_another_job(rows: JobRows) -> None:
    ids = {rows.submit("train", {}), rows.submit("evaluate", {}), rows.submit("train", {"a": 1})}
    assert len(ids) == 3


def test_a_request_that_has_no_canonical_form_is_refused(rows: JobRows) -> None:
    with pytest.raises(InvalidInput):
        rows.submit("train", {"rate": 0.5})


@pytest.mark.parametrize("state", ["queued", "running", "done"])
def test_asking_again_joins_a_job_that_waits_runs_or_is_done(rows: JobRows, state: str) -> None:
    job_id = rows.submit("train", {})
    if state == "running":
        rows.started(job_id)
    if state == "done":
        rows.done(job_id, {"loss": 1})
    before = rows.get(job_id)
    assert rows.submit("train", {}) == job_id
    assert rows.get(job_id) == before


def test_asking_again_for_a_failed_job_queues_it_anew(rows: JobRows, clock: ManualClock) -> None:
    job_id = rows.submit("train", {})
    rows.failed(job_id, JobFailed("killed", "again", log_tail=["a", "b"]))
    failed = rows.get(job_id)
    assert (failed.state, failed.reason, failed.log_tail) == ("failed", "killed; again", ("a", "b"))
    clock.advance(50)
    rows.submit("train", {})
    again = rows.get(job_id)
    assert (again.state, again.reason, again.log_tail, again.ended_at) == ("queued", "", (), None)


@pytest.mark.parametrize("tail", [None, "a line", 5])
def test_a_log_tail_that_is_no_list_is_none(rows: JobRows, tail: Any) -> None:
    job_id = rows.submit("train", {})
    rows.failed(job_id, JobFailed("killed", "again", log_tail=tail))
    assert rows.get(job_id).log_tail == ()


def test_jobs_are_worked_off_in_the_order_of_their_arrival(rows: JobRows, clock: ManualClock) -> None:
    ids = []
    for n in range(3):
        ids.append(rows.submit("train", {"n": n}))
        clock.advance(1)
    taken = []
    while (job := rows.next_queued()) is not None:
        taken.append(job.job_id)
        rows.started(job.job_id)
    assert taken == ids


def test_times_are_the_clocks(rows: JobRows, clock: ManualClock) -> None:
    job_id = rows.submit("train", {})
    clock.advance(7)
    rows.done(job_id, {})
    assert (rows.get(job_id).created_at, rows.get(job_id).ended_at) == (100, 107)


def test_events_have_numbers_of_their_own_in_each_job(rows: JobRows) -> None:
    one, two = rows.submit("train", {"n": 1}), rows.submit("train", {"n": 2})
    for job_id, count in ((one, 3), (two, 2)):
        for step in range(count):
            rows.report(job_id, {"step": step})
    assert rows.events(one, 0) == ((1, {"step": 0}), (2, {"step": 1}), (3, {"step": 2}))
    assert rows.events(two, 1) == ((2, {"step": 1}),)
    assert rows.events(one, 3) == ()


def test_reading_on_after_any_event_misses_and_repeats_nothing(rows: JobRows) -> None:
    job_id = rows.submit("train", {})
    for step in range(6):
        rows.report(job_id, {"step": step})
    whole = rows.events(job_id, 0)
    for seen in range(8):
        assert whole[:seen] + rows.events(job_id, seen) == whole


def test_an_unknown_job_is_told(rows: JobRows) -> None:
    with pytest.raises(NotFound, match="no job"):
        rows.get("none")


# -- the worker --------------------------------------------------------------------------------------------------


def test_a_job_runs_reports_and_keeps_its_result(work: Work, rows: JobRows) -> None:
    def train(job_id: str, request: Mapping[str, Any], report: Callable[[Any], None]) -> Any:
        report({"step": request["first"]})
        return {"steps": 1}

    worker = work(train=train)
    job_id = worker.submit("train", {"first": 1})
    until(lambda: rows.get(job_id).state == "done")
    assert rows.get(job_id).result == {"steps": 1}
    assert rows.events(job_id, 0) == ((1, {"step": 1}),)


def test_a_kind_that_nobody_does_is_refused_and_leaves_no_row(work: Work, rows: JobRows) -> None:
    worker = work(train=lambda *_: {})
    with pytest.raises(NotFound, match="Use one of train"):
        worker.submit("mine", {})
    assert rows.all() == ()


def test_one_job_at_a_time(work: Work, rows: JobRows) -> None:
    inside, most, go = [0], [0], threading.Event()

    def train(*_: Any) -> Any:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        assert go.wait(10)
        inside[0] -= 1
        return {}

    worker = work(train=train)
    ids = [worker.submit("train", {"n": n}) for n in range(3)]
    until(lambda: rows.get(ids[0]).state == "running")
    go.set()
    until(lambda: all(rows.get(i).state == "done" for i in ids))
    assert most == [1]


@pytest.mark.parametrize(
    ("error", "reason"),
    [(JobFailed("the trainer was killed by signal 9", "run it again", log_tail=["x"]), "killed by signal 9"),
     (ZeroDivisionError("division by zero"), "a defect: ZeroDivisionError")],
)  # fmt: skip
def test_a_job_that_fails_leaves_the_queue_alive(work: Work, rows: JobRows, error: Exception, reason: str) -> None:
    def train(job_id: str, request: Mapping[str, Any], report: Any) -> Any:
        if request["fails"]:
            raise error
        return {}

    worker = work(train=train)
    bad = worker.submit("train", {"fails": True})
    good = worker.submit("train", {"fails": False})
    until(lambda: rows.get(good).state == "done")
    assert rows.get(bad).state == "failed"
    assert reason in rows.get(bad).reason


def test_a_result_that_cannot_be_kept_fails_the_job_and_not_the_queue(work: Work, rows: JobRows) -> None:
    worker = work(train=lambda _, request, __: {"loss": 0.5} if request["bad"] else {})
    bad, good = worker.submit("train", {"bad": True}), worker.submit("train", {"bad": False})
    until(lambda: rows.get(good).state == "done")
    assert rows.get(bad).state == "failed"


def test_what_ran_when_the_node_was_killed_is_taken_up_again(work: Work, rows: JobRows) -> None:
    job_id = rows.submit("train", {})
    rows.started(job_id)
    work(train=lambda *_: {"resumed": True})
    until(lambda: rows.get(job_id).state == "done")
    assert rows.get(job_id).result == {"resumed": True}


def test_a_job_that_stopping_interrupts_is_not_failed_but_goes_on_at_the_next_start(
    work: Work, rows: JobRows
) -> None:
    entered, stop = threading.Event(), threading.Event()

    def train(*_: Any) -> Any:
        entered.set()
        assert stop.wait(10)
        raise JobFailed("the child is gone", "run it again")

    first = work(train=train)
    job_id = first.submit("train", {})
    assert entered.wait(10)
    first.stop()
    stop.set()
    first._thread.join(10)
    assert rows.get(job_id).state == "running"
    work(train=lambda *_: {})
    until(lambda: rows.get(job_id).state == "done")
