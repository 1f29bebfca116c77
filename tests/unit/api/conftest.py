"""A server on loopback for whatever application a test builds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from headwater.api.errors import error_middleware

Client = TestClient[web.Request, web.Application]
Serve = Callable[[web.Application], Awaitable[Client]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start an application; every client that it gave is closed after the test."""
    clients: list[Client] = []

    async def start(app: web.Application) -> Client:
        client: Client = TestClient(TestServer(app))
        await client.start_server()
        clients.append(client)
        return client

    yield start
    for client in clients:
        await client.close()


@pytest.fixture
def with_routes(serve: Serve) -> Callable[[Iterable[web.RouteDef]], Awaitable[Client]]:
    """The routes of one room behind the error middleware."""

    def start(routes: Iterable[web.RouteDef], **options: Any) -> Awaitable[Client]:
        app = web.Application(middlewares=[error_middleware], **options)
        app.add_routes(list(routes))
        return serve(app)

    return start
