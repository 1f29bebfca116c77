"""The node's HTTP application: every route of this room over one running node."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from headwater.api.auth import auth_middleware
from headwater.api.chat import ChatApi
from headwater.api.errors import ERROR_PAGES, ErrorPages, error_middleware, json_response
from headwater.api.html import Html
from headwater.api.intake import IntakeApi
from headwater.api.jobs import JobsApi
from headwater.api.pages import Pages
from headwater.api.receipts import ReceiptsApi
from headwater.api.train_pages import TrainPages
from headwater.errors import HeadwaterError, PortInUse, Unavailable
from headwater.service.node import Node
from headwater.service.receipt_rows import ReceiptRows

MAX_BODY_BYTES: Final = 64 * 2**20


def build_app(node: Node) -> web.Application:
    """Routes by room; an API whose part is missing (no base model, no provider) is not there at all."""
    app = web.Application(
        middlewares=[error_middleware, auth_middleware(node.token, node.config.host)], client_max_size=MAX_BODY_BYTES
    )
    app.add_routes(IntakeApi(node.datanets).routes())
    app.add_routes(JobsApi(node.jobs).routes())
    receipts = ReceiptRows(node.bench.database, node.home.path)
    app.add_routes(ReceiptsApi(receipts).routes())
    html = Html(node.token)
    app[ERROR_PAGES] = ErrorPages(html.error)
    app.add_routes(Pages(node, receipts, html).routes())
    app.add_routes(TrainPages(node, html).routes())
    if node.inference is not None and node.attributing is not None:
        app.add_routes(ChatApi(node.inference, node.bench.clock.now, node.attributing.wake).routes())

    async def alive(request: web.Request) -> web.StreamResponse:
        return json_response({"status": "alive"})

    async def status(request: web.Request) -> web.StreamResponse:
        return json_response(await asyncio.to_thread(_status, node))

    app.add_routes([web.get("/livez", alive), web.get("/api/status", status)])
    return app


def _status(node: Node) -> dict[str, object]:
    engine = None if node.pool is None else node.pool.engine.describe()
    return {
        "chain_id": node.config.chain_id,
        "height": node.bench.chain.block().number,
        "serving": node.inference is not None,
        "engine": None if engine is None else {"name": engine.engine, "dtype": engine.dtype, "device": engine.device},
        "models": [] if node.pool is None else [m.name for m in node.pool.models()],
        "attributions_waiting": 0 if node.attributing is None else node.attributing.waiting(),
    }


@asynccontextmanager
async def serving(app: web.Application, host: str, port: int, setting: str) -> AsyncIterator[str]:
    """Listen until the context ends, finishing streams; yields the URL. `setting`: what chooses the port.

    Raises PortInUse, or Unavailable if the address is not this machine's.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=10)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise _cannot_listen(error, host, port, setting) from None
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _cannot_listen(error: OSError, host: str, port: int, setting: str) -> HeadwaterError:
    if error.errno == errno.EADDRINUSE:
        variable = f"HEADWATER_{setting.upper()}"
        return PortInUse(
            f"port {port} on {host} is in use",
            f"stop the program that listens there, or set {variable} ({setting} in headwater.toml)",
            port=port,
        )
    return Unavailable(f"cannot listen on {host}:{port}: {error.strerror}", "use 127.0.0.1 and a port above 1023")
