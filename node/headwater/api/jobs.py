"""Jobs over HTTP: submit, look, follow. Events are numbered: who lost the connection goes on after the last one."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from headwater.api.errors import json_response
from headwater.errors import InvalidInput
from headwater.protocol.canonical import parse_json
from headwater.service.jobs import ENDED, JobWorker

WAIT_SECONDS: Final = 20
POLL_SECONDS: Final = 0.5
MAX_DIGITS: Final = 18
"""Of a sequence number: what the database can hold."""


class JobsApi:
    def __init__(self, worker: JobWorker) -> None:
        self._worker = worker

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/jobs", self.list),
            web.post("/api/jobs", self.submit),
            web.get("/api/jobs/{job}", self.show),
            web.get("/api/jobs/{job}/events", self.events),
        ]

    async def list(self, request: web.Request) -> web.StreamResponse:
        rows = await asyncio.to_thread(self._worker.rows.all)
        return json_response({"jobs": [r.to_json() for r in rows]})

    async def submit(self, request: web.Request) -> web.StreamResponse:
        raw = parse_json(await request.read(), "the job")
        if not isinstance(raw, dict) or raw.keys() != {"kind", "request"} or not isinstance(raw["request"], dict):
            raise InvalidInput("a job needs exactly a kind and a request", "send both")
        job_id = await asyncio.to_thread(self._worker.submit, str(raw["kind"]), raw["request"])
        row = await asyncio.to_thread(self._worker.rows.get, job_id)
        return json_response(row.to_json(), status=202)

    async def show(self, request: web.Request) -> web.StreamResponse:
        row = await asyncio.to_thread(self._worker.rows.get, request.match_info["job"])
        return json_response(row.to_json())

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Events after `?after=N`; waits up to 20 seconds for the first one, and returns at the job's end."""
        job_id, text = request.match_info["job"], request.query.get("after", "0")
        if not text.isascii() or not text.isdigit() or len(text) > MAX_DIGITS:
            raise InvalidInput(f"after = {text!r} is not a number", "pass the last sequence that you have")
        rows = self._worker.rows
        for _ in range(int(WAIT_SECONDS / POLL_SECONDS)):
            row = await asyncio.to_thread(rows.get, job_id)
            found = await asyncio.to_thread(rows.events, job_id, int(text))
            if found or row.state in ENDED:
                break
            await asyncio.sleep(POLL_SECONDS)
        return json_response({"state": row.state, "events": [{"sequence": s, "event": e} for s, e in found]})
