"""`headwater up`: one node, all of it, until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from typing import Annotated

import typer

from headwater.cli.home import ask_password
from headwater.cli.session import Session, Shown, command
from headwater.config import DEFAULT_BASE


def attach(app: typer.Typer) -> None:
    @command(app, "up")
    def up(
        session: Session, base: Annotated[str, typer.Option(help="Base model to serve and train.")] = DEFAULT_BASE
    ) -> Shown:
        """Run chain, signer, store, database, pool, workers and API as one node; stop it with SIGTERM or Ctrl-C."""
        run_node(session, base)
        return Shown({"stopped": True}, "stopped; everything acknowledged is on disk")


def run_node(session: Session, base: str) -> None:
    """Until SIGTERM or Ctrl-C."""
    asyncio.run(_run(session, ask_password(session), base))


async def _run(session: Session, password: str, base: str) -> None:
    from headwater.api.app import build_app, serving
    from headwater.service.node import running_node

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with (
        running_node(session.config, password, session.say, base) as node,
        serving(build_app(node), session.config.host, session.config.api_port, "api_port") as url,
    ):
        session.say(f"API and pages: {url}")
        session.say(f"OpenAI base URL: {url}/v1")
        session.say(f"token: in {node.home.api_token}")
        session.say(f"to train in a browser, open once: {url}/train?token=$(cat {node.home.api_token})")
        session.say("ready")
        await stop.wait()
        session.say("stopping")
