"""`headwater datanet`: create, contribute, withdraw, snapshot, seal, look."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from headwater.api.intake import SignedContribution, SignedWithdrawal
from headwater.cli.home import node_client, read_file, read_text, workbench
from headwater.cli.session import Session, Shown, command, table
from headwater.datanets.batches import prepare_batch, terms_in_words
from headwater.datanets.formats import format_of, read_records
from headwater.errors import InvalidInput, Refused
from headwater.protocol.contribution import Withdrawal
from headwater.protocol.license import Disclosure, License, Purpose
from headwater.service.datanets import LOG, Datanets
from headwater.types import ZERO_DIGEST, Ppm, digest, hex0x

app = typer.Typer(help="Datanets: data that its contributors own.", no_args_is_help=True)

SIGNATURE_SECONDS: Final = 86_400
READERS: Final = (
    "the node that runs this Datanet and the trainers that it admits; the store holds only ciphertext, "
    "the chain only salted commitments"
)
EXIT: Final = (
    "`headwater datanet withdraw`: no later snapshot may use the records, and their key can be destroyed; "
    "models trained before keep paying you while they are served"
)


@command(app, "create")
def create(
    session: Session,
    name: Annotated[str, typer.Argument(help="The Datanet's name; it fixes the id for this owner.")],
    owner: Annotated[str, typer.Option(help="Wallet that owns it.")],
    license_name: Annotated[str, typer.Option(help="The licence's name.")],
    license_file: Annotated[Path, typer.Option(help="The licence's whole text.")],
    commercial: Annotated[bool, typer.Option(help="Whether answers may be sold.")] = True,
    contributors_minimum_ppm: Annotated[int, typer.Option(help="Least part of a price for contributors.")] = 400_000,
    weakest_disclosure: Annotated[str, typer.Option(help="confidential, public or none.")] = "confidential",
) -> Shown:
    """Create a Datanet on chain with its licence."""
    if weakest_disclosure.upper() not in Disclosure.__members__:
        raise InvalidInput(f"the disclosure {weakest_disclosure!r} is unknown", "use confidential, public or none")
    terms = License(
        name=license_name,
        text=read_text(license_file),
        purposes=(Purpose.TRAIN, Purpose.EVALUATE, Purpose.RETRIEVE),
        commercial=commercial,
        readers=READERS,
        exit=EXIT,
        contributors_minimum_ppm=Ppm(contributors_minimum_ppm),
        weakest_disclosure=Disclosure[weakest_disclosure.upper()],
    )
    with workbench(session) as bench:
        datanet_id = Datanets(bench).create(owner, name, terms)
    data = {"datanet_id": hex0x(datanet_id), "name": name, "license_digest": hex0x(terms.digest())}
    return Shown(data, f"Datanet {name!r}\n  id       {data['datanet_id']}\n  licence  {data['license_digest']}")


@command(app, "contribute")
def contribute(
    session: Session,
    datanet: Annotated[str, typer.Argument(help="Datanet id.")],
    file: Annotated[Path, typer.Argument(help="Records: .jsonl, .json or .csv with a prompt and an answer.")],
    wallet: Annotated[str, typer.Option(help="The contributor's wallet.")],
    prompt: Annotated[str, typer.Option(help="Name of the prompt's column.")] = "prompt",
    answer: Annotated[str, typer.Option(help="Name of the answer's column.")] = "answer",
    yes: Annotated[
        bool, typer.Option("--yes", help="Sign without asking; the terms are printed all the same.")
    ] = False,
) -> Shown:
    """Sign a batch of records, anchor its root, then hand the content over.

    The node learns the root first and the records only after the chain holds it, so nobody can claim your work.
    """
    records = read_records(read_file(file), format_of(file), prompt, answer)
    client = node_client(session)
    terms = License.from_json(client.get(f"/api/datanets/{datanet}/terms"))
    words = terms_in_words(terms, len(records))
    for line in words:
        session.say(f"  {line}")
    if not yes and not typer.confirm("Sign this?", err=True):
        raise Refused("nothing was signed", "run the command again when you agree")
    with workbench(session) as bench:
        deadline = _deadline(bench.chain_time(), bool(session.config.seed))
        account = bench.address(wallet)
        prepared = prepare_batch(records, digest(datanet), account, terms, bench.entropy, deadline)
        signature = bench.signer.sign_typed(wallet, prepared.contribution, bench.domain(LOG))
    anchored = client.post("/api/contributions", SignedContribution(prepared.contribution, signature).to_json())
    name = anchored["contribution_id"]
    delivered = client.post(f"/api/contributions/{name}/content", prepared.batch.to_json())
    data = {
        "contribution_id": name,
        "contributor": account,
        "records": len(records),
        "records_root": hex0x(prepared.contribution.records_root),
        "bundle_cid": delivered["bundle_cid"],
        "terms": list(words),
    }
    return Shown(
        data, f"{len(records)} records are anchored as {name}\n  and stored encrypted under {data['bundle_cid']}"
    )


def _deadline(now: int, seeded: bool) -> int:
    """A day from now; in a seeded home far away and fixed, so that the same batch is the same contribution."""
    return 4_102_444_800 if seeded else now + SIGNATURE_SECONDS


@command(app, "withdraw")
def withdraw(
    session: Session,
    datanet: Annotated[str, typer.Argument(help="Datanet id.")],
    contribution: Annotated[str, typer.Argument(help="Contribution id.")],
    wallet: Annotated[str, typer.Option(help="The contributor's wallet.")],
    alone: Annotated[bool, typer.Option("--alone", help="Send it yourself instead of through the node.")] = False,
) -> Shown:
    """Take a contribution out of every later snapshot."""
    with workbench(session) as bench:
        identity = digest(contribution)
        if alone:
            intent = f"revoke self {contribution}"
            bench.send(wallet, LOG, "revokeSelf", digest(datanet), identity, intent=intent)
        else:
            deadline = bench.chain_time() + SIGNATURE_SECONDS
            wish = Withdrawal(digest(datanet), bench.address(wallet), identity, ZERO_DIGEST, deadline)
            signature = bench.signer.sign_typed(wallet, wish, bench.domain(LOG))
            node_client(session).post("/api/withdrawals", SignedWithdrawal(wish, signature).to_json())
    return Shown({"contribution_id": contribution, "state": "withdrawn"}, f"{contribution} is withdrawn.")


@command(app, "snapshot")
def snapshot(
    session: Session,
    datanet: Annotated[str, typer.Argument(help="Datanet id.")],
    owner: Annotated[str, typer.Option(help="The Datanet owner's wallet.")],
    held_out_ppm: Annotated[int, typer.Option(help="Part of the records held out for evaluation.")] = 200_000,
) -> Shown:
    """Commit the state of a Datanet: canonical order, copies and withdrawals left out."""
    with workbench(session) as bench:
        name = Datanets(bench).snapshot(owner, digest(datanet), held_out_ppm)
    return Shown({"snapshot_id": hex0x(name)}, f"snapshot {hex0x(name)} is committed; seal it next.")


@command(app, "seal")
def seal(
    session: Session,
    snapshot: Annotated[str, typer.Argument(help="Snapshot id.")],
    wallet: Annotated[str, typer.Option(help="Any funded wallet.")],
) -> Shown:
    """Fix the hash of the block after the commit: splits and seeds follow from it, and nobody could choose them."""
    with workbench(session) as bench:
        sealed = Datanets(bench).seal(wallet, digest(snapshot))
    return Shown({"snapshot_id": snapshot, "sealed_hash": hex0x(sealed)}, f"sealed by block hash {hex0x(sealed)}")


@command(app, "list")
def list_datanets(session: Session) -> Shown:
    """List the Datanets of this chain, with what this node holds of each."""
    with workbench(session) as bench:
        cards = Datanets(bench).list()
    rows = [(hex0x(c.datanet_id), c.name, c.owner, c.contributions, c.records) for c in cards]
    columns = ("datanet_id", "name", "owner", "contributions", "records")
    return Shown(
        {"datanets": [dict(zip(columns, r, strict=True)) for r in rows]}, table=table("Datanets", columns, rows)
    )


@command(app, "show")
def show(session: Session, datanet: Annotated[str, typer.Argument(help="Datanet id.")]) -> Shown:
    """Show one Datanet with its licence in words."""
    with workbench(session) as bench:
        datanets = Datanets(bench)
        card, terms = datanets.show(digest(datanet)), datanets.terms(digest(datanet))
    data = {
        "datanet_id": datanet,
        "name": card.name,
        "owner": card.owner,
        "license": terms.to_json(),
        "contributions": card.contributions,
        "records": card.records,
    }
    return Shown(data, "\n".join((f"{card.name}  (owner {card.owner})", *terms_in_words(terms, card.records)[1:])))
