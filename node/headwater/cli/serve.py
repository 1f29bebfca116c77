"""`headwater serve`: the same node as `up`, for a chain that runs elsewhere."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.cli.session import Session, Shown, command
from headwater.cli.up import run_node
from headwater.config import DEFAULT_BASE
from headwater.errors import InvalidInput


def attach(app: typer.Typer) -> None:
    @command(app, "serve")
    def serve(
        session: Session, base: Annotated[str, typer.Option(help="Base model to serve and train.")] = DEFAULT_BASE
    ) -> Shown:
        """Run pool, workers and API on a chain that somebody else runs (set rpc_url)."""
        if session.config.is_embedded_chain:
            raise InvalidInput("no rpc_url is set", "set rpc_url, or run `headwater up` with the embedded chain")
        run_node(session, base)
        return Shown({"stopped": True}, "stopped; everything acknowledged is on disk")
