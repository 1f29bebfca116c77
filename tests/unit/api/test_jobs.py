"""Jobs over HTTP: the same request is the same job; events go on after the last one that was seen."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from headwater.api import jobs as api
from headwater.api.jobs import JobsApi
from headwater.clock import ManualClock
from headwater.errors import JobFailed
from headwater.service.jobs import JobRows, JobWorker, Report
from headwater.storage.database import Database
from headwater.testing.chains import until


class Trainer:
    """A handler that reports, waits to be let go on, and does as told."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.fail: JobFailed | None = None
        self.runs = 0

    def __call__(self, job_id: str, request: Mapping[str, Any], report: Report) -> Any:
        self.runs += 1
        report({"step": 1})
        assert self.go.wait(10)
        if self.fail is not None:
            raise self.fail
        report({"step": 2})
        return {"steps": 2}


@pytest.fixture
def trainer() -> Trainer:
    return Trainer()


@pytest.fixture
def worker(tmp_path: Path, trainer: Trainer) -> Iterator[JobWorker]:
    with Database(f"sqlite:///{tmp_path / 'headwater.sqlite'}") as database:
        made = JobWorker(JobRows(database, ManualClock(100)), {"train": trainer})
        made.start()
        yield made
        trainer.go.set()
        made.stop()
        made._thread.join(10)


@pytest.fixture
async def client(with_routes: Any, worker: JobWorker, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(api, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(api, "WAIT_SECONDS", 0.1)
    return await with_routes(JobsApi(worker).routes())


async def submit(client: Any, request: Any) -> Any:
    return await client.post("/api/jobs", json={"kind": "train", "request": request})


async def test_the_same_request_is_the_same_job_and_runs_once(
    client: Any, trainer: Trainer, worker: JobWorker
) -> None:
    first = await submit(client, {"epochs": 4, "rank": 8})
    again = await submit(client, {"rank": 8, "epochs": 4})
    other = await submit(client, {"epochs": 3, "rank": 8})
    ids = [(await answer.json())["job_id"] for answer in (first, again, other)]
    assert first.status == 202
    assert ids[0] == ids[1] != ids[2]
    trainer.go.set()
    until(lambda: all(r.state == "done" for r in worker.rows.all()))
    assert (await (await submit(client, {"epochs": 4, "rank": 8})).json())["result"] == {"steps": 2}
    assert trainer.runs == 2


async def test_events_go_on_after_the_last_one_that_was_seen(
    client: Any, trainer: Trainer, worker: JobWorker
) -> None:
    job_id = (await (await submit(client, {})).json())["job_id"]
    until(lambda: bool(worker.rows.events(job_id, 0)))
    first = await (await client.get(f"/api/jobs/{job_id}/events")).json()
    assert first == {"state": "running", "events": [{"sequence": 1, "event": {"step": 1}}]}
    waiting = await (await client.get(f"/api/jobs/{job_id}/events?after=1")).json()
    assert waiting == {"state": "running", "events": []}
    trainer.go.set()
    until(lambda: bool(worker.rows.events(job_id, 1)))
    second = await (await client.get(f"/api/jobs/{job_id}/events?after=1")).json()
    assert second["events"] == [{"sequence": 2, "event": {"step": 2}}]
    whole = await (await client.get(f"/api/jobs/{job_id}/events?after=0")).json()
    assert [e["sequence"] for e in whole["events"]] == [1, 2]


async def test_a_killed_job_says_why_and_the_same_request_runs_it_again(
    client: Any, trainer: Trainer, worker: JobWorker
) -> None:
    trainer.fail = JobFailed("the trainer was killed by signal 9", "run it again", log_tail=["step 7", "Killed"])
    trainer.go.set()
    job_id = (await (await submit(client, {})).json())["job_id"]
    until(lambda: worker.rows.get(job_id).state == "failed")
    shown = await (await client.get(f"/api/jobs/{job_id}")).json()
    assert "killed by signal 9" in shown["reason"]
    assert shown["log_tail"] == ["step 7", "Killed"]
    trainer.fail = None
    assert (await (await submit(client, {})).json())["job_id"] == job_id
    until(lambda: worker.rows.get(job_id).state == "done")
    shown = await (await client.get(f"/api/jobs/{job_id}")).json()
    assert (shown["reason"], shown["log_tail"], shown["result"]) == ("", [], {"steps": 2})
    assert [j["job_id"] for j in (await (await client.get("/api/jobs")).json())["jobs"]] == [job_id]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"kind": "train"}',
        b'{"kind": "train", "request": []}',
        b'{"kind": "train", "request": {"a": 0.5}}',
        b'{"kind": "train", "request": {}, "now": true}',
        b'{"kind": "train", "kind": "x", "request": {}}',
    ],
)
async def test_what_is_no_job_is_refused(client: Any, body: bytes) -> None:
    answer = await client.post("/api/jobs", data=body)
    assert (answer.status, (await answer.json())["error"]["code"]) == (400, "invalid_input")


async def test_an_unknown_kind_or_job_is_404(client: Any) -> None:
    assert (await client.post("/api/jobs", json={"kind": "mine", "request": {}})).status == 404
    assert (await client.get("/api/jobs/none")).status == 404
    assert (await client.get("/api/jobs/none/events")).status == 404


@pytest.mark.parametrize("after", ["-1", "x", "1.5", "٣", "9" * 30, ""])
async def test_a_place_that_is_no_number_is_refused(client: Any, after: str) -> None:
    job_id = (await (await submit(client, {})).json())["job_id"]
    assert (await client.get(f"/api/jobs/{job_id}/events", params={"after": after})).status == 400
