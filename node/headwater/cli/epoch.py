"""`headwater epoch`: propose, seal, commit, look."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.cli.home import in_credits, workbench
from headwater.cli.session import Session, Shown, command, table
from headwater.errors import NotFound
from headwater.service.dividing import divided
from headwater.service.epochs import CommittedEpoch, Epochs
from headwater.types import hex0x

app = typer.Typer(help="Epochs: from covered receipts to a root that pays.", no_args_is_help=True)


@command(app, "propose")
def propose(
    session: Session, wallet: Annotated[str, typer.Option(help="The validator's wallet in turn.")] = "validator"
) -> Shown:
    """Freeze everything that is due: lanes, receipts, attributions and the public bundle."""
    with workbench(session) as bench:
        bundle = Epochs(bench).propose(wallet)
    total = sum(s.receipt.price for s in bundle.receipts)
    data = {
        "epoch_id": bundle.epoch_id,
        "attempt": bundle.attempt,
        "receipts": len(bundle.receipts),
        "price_total_wei": str(total),
        "bundle_digest": hex0x(bundle.digest()),
    }
    return Shown(
        data, f"epoch {bundle.epoch_id}: {len(bundle.receipts)} receipts, {in_credits(total)} credits, frozen"
    )


@command(app, "seal")
def seal(session: Session, wallet: Annotated[str, typer.Option(help="Any funded wallet.")] = "validator") -> Shown:
    """Fix the hash of the block after the proposal, from which the validators' draw follows."""
    with workbench(session) as bench:
        sealed = Epochs(bench).seal(wallet)
        single = bench.config.is_embedded_chain
    note = "\n  a single-operator chain has no independent beacon" if single else ""
    return Shown({"sealed_hash": hex0x(sealed), "independent_beacon": not single}, f"sealed by {hex0x(sealed)}{note}")


@command(app, "commit")
def commit(session: Session, wallet: Annotated[str, typer.Option(help="Any funded wallet.")] = "validator") -> Shown:
    """Send the epoch that the quorum signed."""
    with workbench(session) as bench:
        committed = Epochs(bench).commit(wallet)
        window = bench.call("AttributionLedger", "parameters")["windowSeconds"]
    data = _facts(committed) | {"final_at": committed.committed_at + window}
    return Shown(data, f"epoch {data['epoch_id']} is committed; it is final {window} seconds later")


@command(app, "list")
def list_epochs(session: Session) -> Shown:
    """List committed epochs."""
    with workbench(session) as bench:
        found = [_facts(c) for c in Epochs(bench).committed()]
    rows = [(f["epoch_id"], f["attempt"], f["committed_at"], f["payout_total_wei"], f["digest"]) for f in found]
    columns = ("epoch", "attempt", "committed at", "total (wei)", "digest")
    return Shown({"epochs": found}, table=table("Epochs", columns, rows))


@command(app, "show")
def show(session: Session, epoch: Annotated[int, typer.Argument(help="Epoch id.")]) -> Shown:
    """Show one committed epoch with its payouts."""
    with workbench(session) as bench:
        epochs = Epochs(bench)
        committed = next((c for c in epochs.committed() if c.epoch.epoch_id == epoch), None)
        if committed is None:
            raise NotFound(f"no epoch {epoch} is committed", "see `headwater epoch list`")
        payouts = epochs.payouts(committed.epoch)
        parts = divided(bench, epochs, committed)
        validators = bench.contract_address("Staking")
    data = _facts(committed) | {
        "epoch": committed.epoch.to_json(),
        "payouts": {a: str(w) for a, w in payouts.items()},
        "parts": [{"account": p.account, "role": p.role, "wei": str(p.wei)} for p in parts],
        "validators_payee": validators,
    }
    rows = [(p.account, p.role.replace("_", " "), in_credits(p.wei)) for p in parts]
    return Shown(data, table=table(f"Epoch {epoch}: every price, divided", ("account", "role", "credits"), rows))


def _facts(committed: CommittedEpoch) -> dict[str, object]:
    epoch = committed.epoch
    return {
        "epoch_id": epoch.epoch_id,
        "attempt": epoch.attempt,
        "digest": hex0x(epoch.digest()),
        "payout_root": hex0x(epoch.payout_root),
        "payout_total_wei": str(epoch.payout_total),
        "committed_at": committed.committed_at,
    }
