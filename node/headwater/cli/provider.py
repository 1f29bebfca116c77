"""`headwater provider`: bond a provider and register its hot key."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.cli.home import credits_to_wei, workbench
from headwater.cli.session import Session, Shown, command
from headwater.service.accounts import Accounts

app = typer.Typer(help="Providers: who serve answers and sign receipts.", no_args_is_help=True)


@command(app, "register")
def register(
    session: Session,
    owner: Annotated[str, typer.Option(help="Wallet that bonds and is paid.")] = "provider",
    hot_key: Annotated[str, typer.Option(help="Wallet that signs receipts.")] = "provider-hot",
    bond: Annotated[str, typer.Option(help="Bond in credits.")] = "100",
) -> Shown:
    """Bond credits and register the key that signs receipts and attributions."""
    with workbench(session) as bench:
        key = Accounts(bench).register_provider(owner, hot_key, credits_to_wei(bond))
        account = bench.address(owner)
    return Shown({"provider": account, "hot_key": key}, f"provider {account} signs with {key}")
