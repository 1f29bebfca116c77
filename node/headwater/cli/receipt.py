"""`headwater receipt`: list, show, export, submit, verify."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from headwater.cli.home import in_credits, read_file, workbench, write_file
from headwater.cli.session import Session, Shown, command, table
from headwater.errors import InvalidInput, VerificationFailed
from headwater.provenance.verifier import read_export, verify_export
from headwater.types import Digest, digest, hex0x

TrustedEpoch = Callable[[int], Digest | None]

app = typer.Typer(help="Receipts: who answered, who taught the answer, and the proof.", no_args_is_help=True)


@command(app, "list")
def list_receipts(session: Session) -> Shown:
    """List this node's receipts."""
    from headwater.api.receipts import summary
    from headwater.service.receipt_rows import ReceiptRows

    with workbench(session) as bench:
        rows = [summary(r) for r in ReceiptRows(bench.database, bench.home.path).all()]
    shown = [(r["receipt_id"], r["sequence"], in_credits(int(r["price_wei"])), r["state"]) for r in rows]
    return Shown({"receipts": rows}, table=table("Receipts", ("receipt", "sequence", "credits", "state"), shown))


@command(app, "show")
def show(session: Session, receipt: Annotated[str, typer.Argument(help="Receipt id.")]) -> Shown:
    """Show who taught one answer: records, owners, base part."""
    from headwater.service.explaining import explain

    with workbench(session) as bench:
        told = explain(bench, digest(receipt.removeprefix("chatcmpl-")))
    rows = [(r.position, r.owner, r.score, r.record or "(sealed)") for r in told.rows]
    return Shown(
        told.to_json(),
        told.words,
        table("Records that carried the answer", ("row", "owner", "score", "record"), rows),
    )


@command(app, "export")
def export(
    session: Session,
    receipt: Annotated[str, typer.Argument(help="Receipt id.")],
    target: Annotated[Path, typer.Argument(help="File to write.")],
    with_answer: Annotated[bool, typer.Option(help="Put prompt and answer in (their owner decides).")] = False,
) -> Shown:
    """Write the answer's whole chain of evidence into one file that verifies offline."""
    from headwater.service.exporting import export_receipt

    with workbench(session) as bench:
        made = export_receipt(bench, digest(receipt.removeprefix("chatcmpl-")), with_answer)
    write_file(target, made.canonical_bytes() + b"\n")
    root = None if made.place is None else f"{made.place.epoch.epoch_id}:{hex0x(made.place.epoch.digest())}"
    return Shown({"file": str(target), "root": root}, f"{target}\n  epoch root for --root: {root}")


@command(app, "submit")
def submit(
    session: Session,
    receipt: Annotated[str, typer.Argument(help="Receipt id.")],
    wallet: Annotated[str, typer.Option(help="Wallet that pays the gas.")] = "provider",
) -> Shown:
    """Anchor one signed receipt and attribution on chain by itself; it pays nobody."""
    from headwater.service.exporting import anchor_receipt

    with workbench(session) as bench:
        mined = anchor_receipt(bench, wallet, digest(receipt.removeprefix("chatcmpl-")))
    data = {"receipt_id": receipt, "transaction": hex0x(mined.transaction_hash), "gas": mined.gas_used}
    return Shown(data, f"anchored in transaction {data['transaction']} for {mined.gas_used} gas")


@command(app, "verify")
def verify(
    session: Session,
    file: Annotated[Path, typer.Argument(help="An exported receipt.")],
    root: Annotated[str, typer.Option(help="EPOCH:DIGEST of the committed epoch that you trust.")] = "",
    rpc: Annotated[str, typer.Option(help="JSON-RPC of a chain that you trust.")] = "",
) -> Shown:
    """Verify a receipt without node or network: exit 3 = consistent, chain not checked; 0 = with a trusted root;
    1 = a link is broken, and which."""
    if root and rpc:
        raise InvalidInput("--root and --rpc say the same", "pass one of them")
    data = read_file(file)
    trusted = _by_hand(root) if root else _by_chain(data, rpc) if rpc else None
    found = verify_export(data, trusted)
    shown = {"summary": found.summary, "links": list(found.links), "anchored": found.is_anchored}
    text = "\n".join((*(f"  ok  {link}" for link in found.links), found.summary))
    return Shown(shown, text, exit_code=0 if found.is_anchored else 3)


def _by_hand(root: str) -> TrustedEpoch:
    number, _, text = root.partition(":")
    if not number.isascii() or not number.isdigit():
        raise InvalidInput(f"--root {root!r} is not EPOCH:DIGEST", "write e.g. --root 1:0x…")
    wanted, trusted = int(number), digest(text)
    return lambda epoch_id: trusted if epoch_id == wanted else None


def _by_chain(data: bytes, rpc: str) -> TrustedEpoch:
    from headwater.service.exporting import epoch_digest_on_chain

    export = read_export(data)

    def find(epoch_id: int) -> Digest | None:
        found = epoch_digest_on_chain(rpc, export.chain_id, export.ledger, epoch_id)
        if export.place is not None and found is None:
            raise VerificationFailed(
                f"broken link: epoch on chain: epoch {epoch_id} was never committed there, or was invalidated",
                "do not rely on this file",
                link="epoch on chain",
            )
        return found

    return find
