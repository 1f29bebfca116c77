"""`headwater payout`: what everybody is owed, and taking it home."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.cli.home import account, in_credits, workbench
from headwater.cli.session import Session, Shown, command, table
from headwater.service.claims import Claims

app = typer.Typer(help="Payouts of final epochs.", no_args_is_help=True)


@command(app, "list")
def list_payouts(session: Session) -> Shown:
    """List every account of the newest final epoch: earned so far, claimed so far."""
    with workbench(session) as bench:
        claims = Claims(bench)
        rows = claims.rows(claims.final())
    data = [
        {"account": r.account, "cumulative_wei": str(r.cumulative_wei), "claimed_wei": str(r.claimed_wei)}
        for r in rows
    ]
    shown = [(r.account, in_credits(r.cumulative_wei), in_credits(r.claimed_wei)) for r in rows]
    return Shown({"payouts": data}, table=table("Payouts", ("account", "earned", "claimed"), shown))


@command(app, "claim")
def claim(
    session: Session,
    who: Annotated[str, typer.Argument(help="Wallet or address that is owed (or the contract Staking).")],
    wallet: Annotated[str, typer.Option(help="Wallet that sends; anybody may claim for anybody.")] = "",
) -> Shown:
    """Pay out what an account is owed; it can only go to the account or its payee."""
    with workbench(session) as bench:
        claims = Claims(bench)
        if who == "Staking":
            target = bench.contract_address("Staking")
            moved = claims.claim(wallet or "validator", target)
        else:
            target = account(bench, who)
            moved = claims.claim(wallet or who, target)
    return Shown({"account": target, "claimed_wei": str(moved)}, f"{in_credits(moved)} credits to {target}")


@command(app, "withdraw-credit")
def withdraw_credit(
    session: Session, wallet: Annotated[str, typer.Argument(help="A validator's wallet.")] = "validator"
) -> Shown:
    """Take a validator's part of the fees out of Staking."""
    with workbench(session) as bench:
        moved = Claims(bench).withdraw_validator_credit(wallet, bench.address(wallet))
        target = bench.address(wallet)
    return Shown({"account": target, "withdrawn_wei": str(moved)}, f"{in_credits(moved)} credits to {target}")
