"""Who may call: this machine's names, and under /api/ only bearers of the token."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from headwater.api.auth import COOKIE, auth_middleware
from headwater.api.errors import error_middleware

TOKEN = "a-token"
Start = Callable[..., Awaitable[Any]]


@pytest.fixture
def node(serve: Start) -> Start:
    async def reached(request: web.Request) -> web.Response:
        return web.json_response({"reached": True})

    def start(host: str = "127.0.0.1") -> Awaitable[Any]:
        app = web.Application(middlewares=[error_middleware, auth_middleware(TOKEN, host)])
        app.add_routes([web.route("*", path, reached) for path in ("/", "/v1/x", "/api/x")])
        return serve(app)

    return start


def bearer(token: str = TOKEN) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LocalHost:8080", "127.0.0.1:1", "[::1]", "[::1]:8080"])
async def test_this_machines_names_reach_it(node: Start, host: str) -> None:
    client = await node()
    for path in ("/", "/v1/x", "/api/x"):
        assert (await client.get(path, headers={"Host": host, **bearer()})).status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "evil.example:8080", "localhost:80:80", "169.254.1.1", "::1", ""],
)
async def test_a_foreign_host_is_refused_everywhere_though_it_bears_the_token(node: Start, host: str) -> None:
    client = await node()
    for path in ("/", "/v1/x", "/api/x"):
        answer = await client.get(path, headers={"Host": host, **bearer()})
        assert answer.status == 403
        assert "not called" in await answer.text()


async def test_the_configured_host_reaches_it(node: Start) -> None:
    client = await node(host="Node.internal")
    assert (await client.get("/", headers={"Host": "node.internal:9"})).status == 200


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1", "http://[::1]:8080"])
async def test_pages_of_this_machine_may_call(node: Start, origin: str) -> None:
    client = await node()
    assert (await client.post("/v1/x", headers={"Origin": origin})).status == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost.evil.example", "http://[", "http://::1"]
)
async def test_pages_of_others_may_not_make_a_browser_call(node: Start, origin: str) -> None:
    """A form or a plain fetch reaches loopback without asking first; it must have no effect."""
    client = await node()
    answer = await client.post("/v1/x", headers={"Origin": origin}, data=b"{}")
    assert (answer.status, (await answer.json())["error"]["code"]) == (403, "refused")


@pytest.mark.parametrize("headers", [bearer(), {"Authorization": TOKEN}, {"Cookie": f"{COOKIE}={TOKEN}"}])
async def test_the_token_opens_the_api_by_header_or_cookie(node: Start, headers: dict[str, str]) -> None:
    assert (await (await node()).get("/api/x", headers=headers)).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer(""),
        bearer("a-toke"),
        bearer("a-token2"),
        bearer("A-TOKEN"),
        {"Cookie": f"{COOKIE}=wrong"},
        {"Cookie": f"other={TOKEN}"},
        {"X-Token": TOKEN},
    ],
)
async def test_without_the_token_the_api_is_closed_and_the_rest_is_open(node: Start, headers: dict[str, str]) -> None:
    client = await node()
    answer = await client.get("/api/x", headers=headers)
    assert (answer.status, (await answer.json())["error"]["code"]) == (403, "invalid_api_key")
    assert (await client.get("/v1/x", headers=headers)).status == 200
    assert (await client.get("/", headers=headers)).status == 200


@pytest.mark.parametrize("header", [b"Authorization: Bearer \xff\xfe", b"Cookie: headwater-token=\xff"])
async def test_a_token_that_is_no_text_is_a_wrong_token(node: Start, header: bytes) -> None:
    client = await node()
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(b"GET /api/x HTTP/1.1\r\nHost: localhost\r\n" + header + b"\r\nConnection: close\r\n\r\n")
    assert b"403" in await reader.readline()
    writer.close()
    await writer.wait_closed()
