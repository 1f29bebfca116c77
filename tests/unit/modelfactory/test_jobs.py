"""Jobs in child processes: they succeed, fail with reason and log, can be killed, stopped and started again.

The children are real; their ends are awaited, never slept for.
"""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from headwater.errors import Conflict, InvalidInput, JobFailed, NotFound
from headwater.modelfactory import job_spec as files
from headwater.modelfactory import worker
from headwater.modelfactory.data import Example
from headwater.modelfactory.job_spec import JobSpec
from headwater.modelfactory.jobs import ChildProcessExecutor, JobState, finished, prepare_job
from headwater.modelfactory.trainer import TrainingResult, run_training

PATIENCE = 300.0


def with_epochs(spec: JobSpec, epochs: int) -> JobSpec:
    return replace(spec, recipe=replace(spec.recipe, epochs=epochs))


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def pid_of(folder: Path) -> int:
    return int((folder / files.LOCK_FILE).read_text())


def wait_for_first_step(executor: ChildProcessExecutor, folder: Path) -> None:
    for _ in range(600):
        if executor.wait(folder, 0.2).metrics:
            return
    pytest.fail("the worker never did a step")


def test_a_killed_trainer_fails_with_reason_and_trains_again_to_the_same_digests(
    tmp_path: Path, train_spec: JobSpec, examples: tuple[Example, ...]
) -> None:
    spec = with_epochs(train_spec, 20)
    prepare_job(tmp_path / "here", spec, examples)
    undisturbed = run_training(tmp_path / "here", spec, lambda line: None)
    executor, folder = ChildProcessExecutor(), tmp_path / "child"
    prepare_job(folder, spec, examples)
    assert executor.status(folder).state is JobState.QUEUED

    executor.start(folder)
    wait_for_first_step(executor, folder)
    os.kill(pid_of(folder), signal.SIGKILL)
    status = executor.wait(folder, PATIENCE)
    assert (status.state, status.reason) == (JobState.FAILED, "the worker was killed by SIGKILL")
    assert any("24 records, 120 steps" in line for line in status.log_tail)
    with pytest.raises(JobFailed, match="SIGKILL") as caught:
        finished(status)
    assert caught.value.details["log_tail"] == list(status.log_tail)
    # A node that was started afresh did not see how its child ended, and still tells that it did.
    assert ChildProcessExecutor().status(folder).reason == "the worker ended without a word"

    executor.start(folder)
    status = finished(executor.wait(folder, PATIENCE))
    assert TrainingResult.from_bytes((folder / files.RESULT_FILE).read_bytes()).outcome == undisturbed.outcome
    assert status.metrics["step"] == status.metrics["steps"] == 120
    executor.start(folder)
    assert ChildProcessExecutor().status(folder).state is JobState.SUCCEEDED


def test_a_second_start_joins_the_running_worker_and_it_can_be_stopped(
    tmp_path: Path, train_spec: JobSpec, examples: tuple[Example, ...]
) -> None:
    folder, executor = tmp_path / "job", ChildProcessExecutor()
    prepare_job(folder, with_epochs(train_spec, 5_000), examples)
    executor.start(folder)
    pid = pid_of(folder)
    restarted_node = ChildProcessExecutor()
    restarted_node.start(folder)
    assert pid_of(folder) == pid
    assert restarted_node.status(folder).state is JobState.RUNNING
    wait_for_first_step(executor, folder)
    stopped = executor.stop(folder)
    assert (stopped.state, stopped.reason) == (JobState.FAILED, "the job was stopped on request")


def test_a_full_disk_while_writing_the_checkpoint_fails_the_job_with_reason(
    tmp_path: Path, train_spec: JobSpec, examples: tuple[Example, ...]
) -> None:
    """The child may write files of at most 8 KiB, so the adapter's file cannot be finished."""
    limited = tmp_path / "limited-python"
    limited.write_text(f'#!/bin/sh\nulimit -f 16\nexec "{sys.executable}" "$@"\n')
    limited.chmod(0o700)
    folder, executor = tmp_path / "job", ChildProcessExecutor(str(limited))
    prepare_job(folder, replace(train_spec, recipe=replace(train_spec.recipe, rank=16)), examples)
    executor.start(folder)
    status = executor.wait(folder, PATIENCE)
    assert status.state is JobState.FAILED
    assert "the disk is full" in status.reason
    assert status.next_step.startswith("free space")
    assert not (folder / files.RESULT_FILE).exists()


def test_an_expected_failure_is_written_as_the_jobs_reason(
    tmp_path: Path, train_spec: JobSpec, examples: tuple[Example, ...]
) -> None:
    folder = tmp_path / "job"
    prepare_job(folder, replace(train_spec, recipe=replace(train_spec.recipe, rank=33)), examples)
    (folder / files.LOG_FILE).touch()
    assert worker.main([str(folder)]) == InvalidInput.exit_code
    status = ChildProcessExecutor().status(folder)
    assert status.state is JobState.FAILED
    assert "rank 33 is more than the smaller side" in status.reason


def test_the_status_is_told_as_json(tmp_path: Path, train_spec: JobSpec, examples: tuple[Example, ...]) -> None:
    prepare_job(tmp_path, train_spec, examples)
    assert ChildProcessExecutor().status(tmp_path).to_json() == {
        "kind": "train",
        "state": "queued",
        "reason": "",
        "next_step": "",
        "log_tail": [],
        "metrics": {},
    }


def test_a_prepared_folder_is_private_and_belongs_to_one_job(
    tmp_path: Path, train_spec: JobSpec, examples: tuple[Example, ...]
) -> None:
    folder = tmp_path / "job"
    prepare_job(folder, train_spec, examples)
    prepare_job(folder, train_spec, examples)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / files.TRAIN_FILE).stat().st_mode) == 0o600
    with pytest.raises(Conflict):
        prepare_job(folder, replace(train_spec, threads=2), examples)


def test_a_job_without_records_or_folder_is_refused(tmp_path: Path, train_spec: JobSpec) -> None:
    with pytest.raises(InvalidInput, match="no records"):
        prepare_job(tmp_path / "job", train_spec, [])
    for ask in (ChildProcessExecutor().start, ChildProcessExecutor().status, ChildProcessExecutor().stop):
        with pytest.raises(NotFound):
            ask(tmp_path / "job")
