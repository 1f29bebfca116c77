"""Jobs of a node: a durable queue, one at a time, with live events that a reader may join at any moment.

In: a kind and a request. Out: rows that say where the job stands, why it failed, and its result. The same request is
the same job: asking again joins it, or starts it anew if it failed. A node that was killed goes on with what ran.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Connection, func, insert, select, update

from headwater.clock import Clock
from headwater.errors import HeadwaterError, JobFailed, NotFound
from headwater.protocol.canonical import Json, canonical_json, parse_json
from headwater.storage.database import Database
from headwater.storage.schema import job_events, jobs

POLL_SECONDS: Final = 0.5
ENDED: Final = ("done", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job as it stands."""

    job_id: str
    kind: str
    request: Mapping[str, Any]
    state: str
    reason: str
    log_tail: tuple[str, ...]
    result: Mapping[str, Any] | None
    created_at: int
    ended_at: int | None

    def to_json(self) -> dict[str, Any]:
        return {
            "job_id": self.job_id,
            "kind": self.kind,
            "request": dict(self.request),
            "state": self.state,
            "reason": self.reason,
            "log_tail": list(self.log_tail),
            "result": None if self.result is None else dict(self.result),
            "created_at": self.created_at,
            "ended_at": self.ended_at,
        }


Report = Callable[[Json], None]
Handler = Callable[[str, Mapping[str, Any], Report], Json]
"""(job id, request, report) -> result. Raises HeadwaterError; JobFailed may carry `log_tail`."""


class JobRows:
    """The tables `jobs` and `job_events`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def submit(self, kind: str, request: Mapping[str, Any]) -> str:
        """Queue a job, join the one that runs or is done, or queue a failed one again; its id."""
        text = canonical_json(dict(request))
        job_id = sha256(kind.encode() + b"\0" + text).hexdigest()[:20]
        now = self._clock.now()

        def work(connection: Connection) -> None:
            values = {"job_id": job_id, "kind": kind, "request": text.decode(), "state": "queued", "created_at": now}
            connection.execute(insert(jobs).prefix_with("OR IGNORE").values(values))
            again = (jobs.c.job_id == job_id) & jobs.c.state.in_(("failed", "cancelled"))
            connection.execute(
                update(jobs).where(again).values(state="queued", reason=None, log_tail=None, ended_at=None)
            )

        self._database.write(work)
        return job_id

    def get(self, job_id: str) -> JobRow:
        """Raises NotFound."""
        row = self._database.read(lambda c: c.execute(select(jobs).where(jobs.c.job_id == job_id)).one_or_none())
        if row is None:
            raise NotFound(f"no job {job_id} is here", "see the list of jobs")
        return _row(row)

    def all(self) -> tuple[JobRow, ...]:
        rows = self._database.read(lambda c: c.execute(select(jobs).order_by(jobs.c.created_at)).all())
        return tuple(_row(r) for r in rows)

    def next_queued(self) -> JobRow | None:
        query = select(jobs).where(jobs.c.state == "queued").order_by(jobs.c.created_at).limit(1)
        row = self._database.read(lambda c: c.execute(query).one_or_none())
        return None if row is None else _row(row)

    def requeue_running(self) -> None:
        """After a start: what ran when the node ended is taken up again."""
        self._database.write(
            lambda c: c.execute(update(jobs).where(jobs.c.state == "running").values(state="queued"))
        )

    def started(self, job_id: str) -> None:
        self._set(job_id, state="running", started_at=self._clock.now())

    def done(self, job_id: str, result: Json) -> None:
        self._set(job_id, state="done", result=canonical_json(result).decode(), ended_at=self._clock.now())

    def failed(self, job_id: str, error: HeadwaterError) -> None:
        tail = error.details.get("log_tail") or []
        lines = canonical_json([str(line) for line in tail]) if isinstance(tail, list) else b"[]"
        reason = f"{error.cause}; {error.next_step}"
        self._set(job_id, state="failed", reason=reason, log_tail=lines.decode(), ended_at=self._clock.now())

    def report(self, job_id: str, document: Json) -> None:
        """Append a live event."""
        text = canonical_json(document).decode()

        def work(connection: Connection) -> None:
            last = connection.scalar(select(func.max(job_events.c.sequence)).where(job_events.c.job_id == job_id))
            values = {"job_id": job_id, "sequence": (last or 0) + 1, "document": text}
            connection.execute(insert(job_events).values(values))

        self._database.write(work)

    def events(self, job_id: str, after: int) -> tuple[tuple[int, Json], ...]:
        """Events with a sequence above `after`, in order."""
        where = (job_events.c.job_id == job_id) & (job_events.c.sequence > after)
        query = select(job_events).where(where).order_by(job_events.c.sequence)
        return tuple(
            (r.sequence, parse_json(r.document)) for r in self._database.read(lambda c: c.execute(query).all())
        )

    def _set(self, job_id: str, **values: Any) -> None:
        self._database.write(lambda c: c.execute(update(jobs).where(jobs.c.job_id == job_id).values(**values)))


class JobWorker:
    """One thread that works the queue off; `handlers` by kind."""

    def __init__(self, rows: JobRows, handlers: Mapping[str, Handler]) -> None:
        self.rows = rows
        self._handlers = handlers
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="headwater-jobs", daemon=True)

    def start(self) -> None:
        self.rows.requeue_running()
        self._thread.start()

    def submit(self, kind: str, request: Mapping[str, Any]) -> str:
        """Raises NotFound for a kind that this node does not do."""
        if kind not in self._handlers:
            raise NotFound(f"this node does no jobs of kind {kind!r}", "use one of " + ", ".join(self._handlers))
        job_id = self.rows.submit(kind, request)
        self._wake.set()
        return job_id

    def stop(self) -> None:
        """Let the thread end after the step it is in; a child process goes on and is joined at the next start."""
        self._stopping.set()
        self._wake.set()

    @property
    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            job = self.rows.next_queued()
            if job is None:
                self._wake.wait(POLL_SECONDS)
                self._wake.clear()
                continue
            self._work(job)

    def _work(self, job: JobRow) -> None:
        self.rows.started(job.job_id)
        try:
            result = self._handlers[job.kind](
                job.job_id, job.request, lambda document: self.rows.report(job.job_id, document)
            )
            self.rows.done(job.job_id, result)
        except HeadwaterError as error:
            if not self._stopping.is_set():
                self.rows.failed(job.job_id, error)
        except Exception as error:  # a defect of ours must not end the queue: it is kept where people look
            self.rows.failed(job.job_id, JobFailed(f"a defect: {error!r}", "report it with the job's log"))


def _row(row: Any) -> JobRow:
    return JobRow(
        row.job_id,
        row.kind,
        parse_json(row.request),
        row.state,
        row.reason or "",
        tuple(parse_json(row.log_tail)) if row.log_tail else (),
        None if row.result is None else parse_json(row.result),
        row.created_at,
        row.ended_at,
    )
