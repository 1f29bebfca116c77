"""Jobs: start, look, stop. A job is a folder; the service keeps the rows.

In: a spec and records. Out: a `JobStatus` at any time, also after the node was killed and started again: whether a
worker lives is told by a lock that it inherits, not by a process id that another process may have by then. A job that
failed keeps its reason and its last log lines, and the same start trains it again to the same digests.
"""

from __future__ import annotations

import enum
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from headwater.errors import Conflict, InvalidInput, JobFailed, NotFound
from headwater.modelfactory import job_spec as files
from headwater.modelfactory.data import Example, write_examples
from headwater.modelfactory.job_spec import JobKind, JobSpec
from headwater.protocol.canonical import parse_json
from headwater.storage.files import make_folder, write_durably

LOG_LINES: Final = 20
_TAIL_BYTES: Final = 16_384
_OUTPUTS: Final = (
    files.METRICS_FILE, files.LOG_FILE, files.FAILURE_FILE, files.RESULT_FILE, files.STEPS_FILE,
    files.REPORT_FILE, files.ANSWERS_FILE, files.ADAPTER_FOLDER, files.CHECKPOINT_FOLDER,
)  # fmt: skip


class JobState(enum.Enum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class JobStatus:
    """Where a job stands. `reason` and `next_step` are empty unless it failed; `metrics` is the last line, if any."""

    kind: JobKind
    state: JobState
    reason: str
    next_step: str
    log_tail: tuple[str, ...]
    metrics: dict[str, int]

    def to_json(self) -> dict[str, object]:
        return {
            "kind": self.kind.value,
            "state": self.state.value,
            "reason": self.reason,
            "next_step": self.next_step,
            "log_tail": list(self.log_tail),
            "metrics": self.metrics,
        }


class Executor(Protocol):
    """Where jobs run. The contract: `start` on a finished job does nothing, on a failed one begins anew."""

    def start(self, folder: Path) -> None: ...

    def status(self, folder: Path) -> JobStatus: ...

    def wait(self, folder: Path, seconds: float) -> JobStatus: ...

    def stop(self, folder: Path) -> JobStatus: ...


def prepare_job(folder: Path, spec: JobSpec, examples: Sequence[Example], held_out: Sequence[Example] = ()) -> None:
    """Write the job's folder (readable by this user only: it holds plain records). Repeating it is harmless.

    Raises InvalidInput for no records, Conflict if the folder holds another job, DiskFull.
    """
    if not examples:
        raise InvalidInput("there are no records", "contribute records, or choose another snapshot")
    if spec.kind is JobKind.EVALUATE and (spec.evaluation is None or not held_out):
        raise InvalidInput("an evaluation needs a plan and held-out records", "hold out a part of the snapshot")
    path = folder / files.SPEC_FILE
    if path.is_file():
        if path.read_bytes() != spec.canonical_bytes():
            raise Conflict(f"{folder} holds another job", "use a folder of its own for each job")
        return
    make_folder(folder)
    write_examples(folder / files.TRAIN_FILE, examples)
    if held_out:
        write_examples(folder / files.HELD_OUT_FILE, held_out)
    write_durably(path, spec.canonical_bytes())


class ChildProcessExecutor:
    """Each job in a child process of its own, which outlives this one if it must."""

    def __init__(self, interpreter: str = sys.executable) -> None:
        self._interpreter = interpreter
        self._children: dict[Path, subprocess.Popen[bytes]] = {}

    def start(self, folder: Path) -> None:
        """Begin the job, or join it if a worker is on it already. Raises NotFound for a folder without a job."""
        _spec(folder)
        if (folder / files.RESULT_FILE).is_file():
            return
        lock = os.open(folder / files.LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if not _take(lock):
                return
            _clear(folder)
            with (folder / files.LOG_FILE).open("ab") as log:
                child = subprocess.Popen(
                    self._command(folder),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    pass_fds=(lock,),
                )
            self._children[folder] = child
            os.truncate(lock, 0)
            os.pwrite(lock, str(child.pid).encode(), 0)
        finally:
            os.close(lock)

    def status(self, folder: Path) -> JobStatus:
        """Raises NotFound for a folder without a job."""
        spec = _spec(folder)
        child = self._children.get(folder)
        code = child.poll() if child else None
        running = _is_held(folder / files.LOCK_FILE)
        # Read after the lock: a worker writes its last file before it lets go.
        if (folder / files.RESULT_FILE).is_file():
            return _status(folder, spec, JobState.SUCCEEDED)
        if running:
            return _status(folder, spec, JobState.RUNNING)
        if (folder / files.FAILURE_FILE).is_file():
            words = parse_json((folder / files.FAILURE_FILE).read_bytes(), files.FAILURE_FILE)
            return _status(folder, spec, JobState.FAILED, words["cause"], words["next_step"])
        if (folder / files.LOG_FILE).is_file():
            return _status(
                folder, spec, JobState.FAILED, _silent_end(code), "read the log lines, then start it again"
            )
        return _status(folder, spec, JobState.QUEUED)

    def wait(self, folder: Path, seconds: float) -> JobStatus:
        """Wait for the end of the job, at most `seconds`; a worker of an earlier node is only looked at."""
        child = self._children.get(folder)
        if child is not None:
            with suppress(subprocess.TimeoutExpired):
                child.wait(seconds)
        return self.status(folder)

    def stop(self, folder: Path) -> JobStatus:
        """Ask the worker to end; it becomes `failed` with that reason. Raises NotFound."""
        _spec(folder)
        path = folder / files.LOCK_FILE
        if _is_held(path) and (text := path.read_text("ascii")):
            with suppress(ProcessLookupError):
                os.kill(int(text), signal.SIGTERM)
        return self.wait(folder, 10.0)

    def _command(self, folder: Path) -> list[str]:
        # `env` and not a changed environment of ours: idle OpenMP threads must sleep, or two busy programs on one
        # machine slow each other down tenfold; cuBLAS needs a workspace setting to repeat itself.
        return [
            *("/usr/bin/env", "OMP_WAIT_POLICY=PASSIVE", "CUBLAS_WORKSPACE_CONFIG=:4096:8"),
            *(self._interpreter, "-m", "headwater.modelfactory.worker", str(folder)),
        ]


def finished(status: JobStatus) -> JobStatus:
    """The status of a job that succeeded. Raises JobFailed with reason and log lines for any other."""
    if status.state is not JobState.SUCCEEDED:
        raise JobFailed(
            status.reason or f"the job is {status.state.value}",
            status.next_step or "wait for it",
            log_tail=list(status.log_tail),
        )
    return status


def _spec(folder: Path) -> JobSpec:
    path = folder / files.SPEC_FILE
    if not path.is_file():
        raise NotFound(f"{folder} holds no job", "prepare the job first")
    return JobSpec.from_bytes(path.read_bytes())


def _take(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_held(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return not _take(file.fileno())


def _clear(folder: Path) -> None:
    for name in _OUTPUTS:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _status(folder: Path, spec: JobSpec, state: JobState, reason: str = "", next_step: str = "") -> JobStatus:
    metrics: dict[str, Any] = {}
    if lines := _tail(folder / files.METRICS_FILE, 1):
        metrics = parse_json(lines[-1], files.METRICS_FILE)
    return JobStatus(spec.kind, state, reason, next_step, _tail(folder / files.LOG_FILE, LOG_LINES), metrics)


def _tail(path: Path, lines: int) -> tuple[str, ...]:
    """The last whole lines."""
    if not path.is_file():
        return ()
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        text = file.read().decode("utf-8", "replace")
    whole = text if text.endswith("\n") else text[: text.rfind("\n") + 1]
    return tuple(whole.splitlines()[-lines:])


def _silent_end(code: int | None) -> str:
    if code is None:
        return "the worker ended without a word"
    if code < 0:
        return f"the worker was killed by {signal.Signals(-code).name}"
    return f"the worker ended with exit code {code}"
