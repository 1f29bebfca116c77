"""`headwater validator`: register, and do the duty of one round."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.cli.home import credits_to_wei, workbench
from headwater.cli.session import Session, Shown, command
from headwater.config import DEFAULT_BASE
from headwater.errors import InvalidInput
from headwater.service.accounts import Accounts

app = typer.Typer(help="Validators: who recompute what others claim.", no_args_is_help=True)


@command(app, "register")
def register(
    session: Session,
    owner: Annotated[str, typer.Option(help="Wallet that stakes and is paid.")] = "validator",
    hot_key: Annotated[str, typer.Option(help="Wallet that signs verdicts and epochs.")] = "validator-hot",
    stake: Annotated[str, typer.Option(help="Stake in credits.")] = "100",
) -> Shown:
    """Stake credits, register the signing key and the ends of its two draw chains."""
    with workbench(session) as bench:
        key = Accounts(bench).register_validator(owner, hot_key, credits_to_wei(stake))
        account = bench.address(owner)
        count = bench.call("Staking", "validatorCount")
    note = "\n  one validator: not independent" if count == 1 else ""
    return Shown({"validator": account, "hot_key": key, "validators": count}, f"{account} signs with {key}{note}")


@command(app, "run")
def run(
    session: Session,
    once: Annotated[bool, typer.Option("--once", help="One round, then stop.")] = False,
    hot_key: Annotated[str, typer.Option(help="The validator's hot key.")] = "validator-hot",
    base: Annotated[str, typer.Option(help="Base model.")] = DEFAULT_BASE,
) -> Shown:
    """Verify the sealed epoch: the whole bundle, and every drawn attribution by recomputing it; then sign."""
    if not once:
        raise InvalidInput("only single rounds are offered", "pass --once, from a timer if need be")
    from headwater.modelfactory.assets import assets_folder
    from headwater.modelfactory.bases import prepared_base
    from headwater.service.validating import Validating

    with workbench(session) as bench:
        folder = prepared_base(base, assets_folder(session.config.assets_dir), session.say)
        done = Validating(bench, folder).run_once(hot_key, session.say)
    words = (
        f"epoch {done.epoch_id}: {done.drawn} of {done.receipts} attributions recomputed, "
        f"largest difference {done.largest_error_ppm} ppm, {done.strikes} strikes; signed"
    )
    return Shown(done.to_json(), words)
