"""`headwater chain`: where the chain is; and, on the embedded one, letting time pass."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.chain.client import RpcChain
from headwater.cli.session import Session, Shown, command
from headwater.types import hex0x

app = typer.Typer(help="The chain that this home is on.", no_args_is_help=True)


@command(app, "status")
def status(session: Session) -> Shown:
    """Show id, height, newest hash and time."""
    chain = RpcChain(session.config.chain_rpc_url, session.config.chain_id)
    head = chain.block()
    data = {
        "chain_id": chain.chain_id,
        "height": head.number,
        "hash": hex0x(head.hash),
        "time": head.timestamp,
        "rpc_url": session.config.chain_rpc_url,
        "embedded": session.config.is_embedded_chain,
    }
    return Shown(data, "\n".join(f"{k:<10} {v}" for k, v in data.items()))


@command(app, "advance")
def advance(session: Session, seconds: Annotated[int, typer.Argument(help="How far, in seconds.")]) -> Shown:
    """Let time pass on the embedded chain (a devnet's way through a challenge window); refused elsewhere."""
    chain = RpcChain(session.config.chain_rpc_url, session.config.chain_id)
    chain.advance(seconds)
    chain.mine_empty(1)
    now = chain.block().timestamp
    return Shown(
        {"advanced_seconds": seconds, "time": now}, f"the chain's clock went {seconds} seconds ahead, to {now}"
    )
