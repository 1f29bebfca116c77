"""The command's side of the API: an error comes back as the error it was; a job is followed to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from headwater import errors
from headwater.api.client import NodeClient
from headwater.api.errors import envelope, json_response, status_of
from headwater.errors import HeadwaterError, JobFailed, Unavailable

Do = Callable[[NodeClient], Any]
KINDS = (
    errors.BadRecord,
    errors.BadSignature,
    errors.UnknownModel,
    errors.Conflict,
    errors.Expired,
    errors.NotEnoughCredit,
    errors.TransactionReverted,
    errors.CorruptContent,
    errors.DiskFull,
)


@pytest.fixture
def ask(serve: Any) -> Callable[..., Awaitable[Any]]:
    """Run a blocking piece of client code against a server with the given routes."""

    async def run(routes: list[web.RouteDef], do: Do, token: str = "token") -> Any:
        app = web.Application()
        app.add_routes(routes)
        server = await serve(app)
        return await asyncio.to_thread(do, NodeClient(str(server.make_url("/")), token))

    return run


def always(error: HeadwaterError) -> list[web.RouteDef]:
    async def handler(request: web.Request) -> web.Response:
        return json_response(envelope(error), status_of(error))

    return [web.get("/x", handler)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.__name__)
async def test_each_error_comes_back_as_the_error_it_was(ask: Any, kind: type[HeadwaterError]) -> None:
    raised = kind("the lane lacks 5 wei (0.1 credits)", "top it up, e.g. with `lane open`", missing_wei="5")
    with pytest.raises(kind) as caught:
        await ask(always(raised), lambda c: c.get("/x"))
    told = caught.value
    assert type(told) is kind
    assert (told.cause, told.next_step, told.details["missing_wei"]) == (raised.cause, raised.next_step, "5")
    assert str(told) == str(raised)


@pytest.mark.parametrize("body", ["<html>", "{}", '{"error": 5}', '{"error": {"code": "refused"}}', ""])
async def test_an_error_in_no_known_form_says_what_came(ask: Any, body: str) -> None:
    async def broken(request: web.Request) -> web.Response:
        return web.Response(status=500, text=body)

    with pytest.raises(Unavailable, match="the node answered"):
        await ask([web.get("/x", broken)], lambda c: c.get("/x"))


async def test_it_bears_the_token_and_sends_json(ask: Any) -> None:
    async def echo(request: web.Request) -> web.Response:
        return json_response({"auth": request.headers["Authorization"], "body": await request.json()})

    found = await ask([web.post("/x", echo)], lambda c: c.post("/x", {"text": "ä"}))
    assert found == {"auth": "Bearer token", "body": {"text": "ä"}}


async def test_no_node_is_unavailable_and_not_up() -> None:
    client = NodeClient("http://127.0.0.1:9", "token")
    with pytest.raises(Unavailable, match="no node answers"):
        await asyncio.to_thread(client.get, "/x")
    assert not await asyncio.to_thread(client.is_up)


async def test_waiting_for_a_node_that_has_ended_stops_at_once() -> None:
    client = NodeClient("http://127.0.0.1:9", "token")
    with pytest.raises(Unavailable, match="did not come up"):
        await asyncio.to_thread(client.wait_until_up, 60.0, lambda: False)


class Job:
    """A job that goes through `pages` of events; `/api/jobs` as `JobsApi` answers."""

    def __init__(self, pages: list[tuple[str, list[int]]], reason: str = "") -> None:
        self.pages = pages
        self.reason = reason
        self.asked_after: list[str] = []

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/api/jobs", self.submit),
            web.get("/api/jobs/j", self.show),
            web.get("/api/jobs/j/events", self.events),
        ]

    def row(self, state: str) -> web.Response:
        result = {"loss": 3} if state == "done" else None
        row = {"job_id": "j", "state": state, "reason": self.reason, "log_tail": ["last line"], "result": result}
        return json_response(row)

    async def submit(self, request: web.Request) -> web.Response:
        return self.row("queued")

    async def show(self, request: web.Request) -> web.Response:
        return self.row(self.pages[-1][0])

    async def events(self, request: web.Request) -> web.Response:
        self.asked_after.append(request.query["after"])
        state, numbers = self.pages.pop(0) if len(self.pages) > 1 else (self.pages[0][0], [])
        return json_response({"state": state, "events": [{"sequence": n, "event": {"step": n}} for n in numbers]})


async def test_a_job_is_followed_from_event_to_event_to_its_result(ask: Any) -> None:
    job, seen = Job([("queued", []), ("running", [1, 2]), ("done", [3]), ("done", [])]), []
    result = await ask(job.routes(), lambda c: c.run_job("train", {}, seen.append))
    assert result == {"loss": 3, "job_id": "j"}
    assert seen == [{"step": 1}, {"step": 2}, {"step": 3}]
    assert job.asked_after[:4] == ["0", "0", "2", "3"]


async def test_a_failed_job_carries_reason_and_last_log_lines(ask: Any) -> None:
    job = Job([("failed", [1]), ("failed", [])], reason="the trainer was killed")
    with pytest.raises(JobFailed, match="the trainer was killed") as raised:
        await ask(job.routes(), lambda c: c.run_job("train", {}, lambda _: None))
    assert raised.value.details["log_tail"] == ["last line"]
