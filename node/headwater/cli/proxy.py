"""`headwater proxy`: the user's side of a lane, as an OpenAI-compatible server on the user's machine."""

from __future__ import annotations

import asyncio
import signal
from typing import Annotated

import typer

from headwater.api.app import serving
from headwater.api.client import NodeClient
from headwater.api.proxy import Proxy
from headwater.cli.home import workbench
from headwater.cli.lane import USER_BOOKS
from headwater.cli.session import Session, Shown, command
from headwater.service.paying import Paying
from headwater.service.version_catalogue import VersionCatalogue
from headwater.types import digest


def attach(app: typer.Typer) -> None:
    @command(app, "proxy")
    def proxy(
        session: Session,
        lane: Annotated[str, typer.Option(help="Lane id; its session key must be in this home.")],
        provider_url: Annotated[str, typer.Option(help="The provider's API (default: this home's node).")] = "",
    ) -> Shown:
        """Hold the lane's session key: check every receipt, pay it with a voucher. Point any OpenAI client here."""
        url = provider_url or session.config.api_url
        asyncio.run(_run(session, lane, url))
        return Shown({"stopped": True}, "stopped")


async def _run(session: Session, lane: str, provider_url: str) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with workbench(session, USER_BOOKS) as bench:
        listing = NodeClient(provider_url, session.config.token)
        catalogue = VersionCatalogue(bench, lambda: listing.get("/v1/models")["data"])
        paying = Paying(bench, digest(lane), catalogue)
        app = Proxy(paying, provider_url, session.config.host).app()
        async with serving(app, session.config.host, session.config.proxy_port, "proxy_port") as url:
            session.say(f"OpenAI base URL: {url}/v1 (paid over lane {lane})")
            session.say("ready")
            await stop.wait()
