"""`headwater contracts`: deploy, addresses, interfaces, storage, gas, verification."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headwater.bench import gas as gas_table
from headwater.chain.contracts import DeployedContracts, shipped_artifacts
from headwater.chain.verification import verify_on
from headwater.chain.waiting import SystemWaiter
from headwater.cli.home import ask_password
from headwater.cli.session import Session, Shown, command, table
from headwater.clock import SystemClock
from headwater.service.deployment import deploy_contracts
from headwater.service.workbench import contracts_path
from headwater.signing.launch import open_signer
from headwater.signing.paths import SignerPaths
from headwater.storage.database import Database
from headwater.storage.home import open_home
from headwater.types import address

app = typer.Typer(help="The contracts: deploy them, find them, read their interfaces.", no_args_is_help=True)


@command(app, "deploy")
def deploy(
    session: Session,
    operator: Annotated[str, typer.Option(help="Wallet that deploys.")] = "operator",
    underlying: Annotated[
        str,
        typer.Option(
            help="Production: the ERC-20 (18 decimals) that credits stand for, one for one; a timelock takes charge."
        ),
    ] = "",
) -> Shown:
    """Deploy what is missing; the same artefacts give the same addresses on every chain."""
    config, home = session.config, open_home(session.config.home)
    with (
        Database(config.database) as database,
        open_signer(
            SignerPaths.of(home.path), lambda: ask_password(session), kdf=config.keystore_kdf, seed=config.seed
        ) as signer,
    ):
        token = address(underlying) if underlying else None
        deployed = deploy_contracts(config, home, signer, database, SystemClock(), operator, token)
    return _shown(deployed)


@command(app, "storage")
def storage(session: Session, name: Annotated[str, typer.Argument(help="Contract name.")]) -> Shown:
    """Print where a contract keeps each variable: slot, offset in bytes, type."""
    layout = shipped_artifacts()[name].document["storageLayout"]
    entries = [{k: v[k] for k in ("slot", "offset", "label", "type")} for v in layout["storage"]]
    rows = [(v["slot"], str(v["offset"]), v["label"], v["type"]) for v in entries]
    head = ("slot", "offset", "variable", "type")
    return Shown(
        {"contract": name, "storage": entries, "types": layout["types"] or {}}, table=table(name, head, rows)
    )


@command(app, "gas")
def gas(
    session: Session, page: Annotated[bool, typer.Option("--page", help="As the Markdown of docs/GAS.md.")] = False
) -> Shown:
    """List what each transaction costs, beside its aim and what others published."""
    text = gas_table.page() if page else ""
    head = ("transaction", "gas", "aim", "published by others")
    shown = None if page else table("Gas of whole transactions", head, gas_table.rows())
    return Shown({"gas": gas_table.figures()}, text, table=shown)


@command(app, "verify")
def verify(
    session: Session,
    url: Annotated[str, typer.Option(help="A verifier with Sourcify's API; https://…")],
    sources: Annotated[Path, typer.Option(help="The repository that the contracts were built from.")] = Path(),
    name: Annotated[str, typer.Option(help="Only this contract.")] = "",
) -> Shown:
    """Show a verifier that the deployed bytes come from these sources."""
    deployed = DeployedContracts.load(contracts_path(open_home(session.config.home)))
    names = [name] if name else sorted(deployed.addresses)
    found = {}
    for one in names:
        where = deployed[one].address
        found[one] = verify_on(url, shipped_artifacts()[one], sources, deployed.chain_id, where, SystemWaiter())
    rows = sorted(found.items())
    return Shown({"chain_id": deployed.chain_id, "verified": found}, table=table(url, ("contract", "match"), rows))


@command(app, "addresses")
def addresses(session: Session) -> Shown:
    """List where the contracts of this home's chain stand."""
    return _shown(DeployedContracts.load(contracts_path(open_home(session.config.home))))


@command(app, "abi")
def abi(session: Session, name: Annotated[str, typer.Argument(help="Contract name.")]) -> Shown:
    """Print a contract's ABI as JSON."""
    import json

    entries = list(shipped_artifacts()[name].document["abi"])
    return Shown({"contract": name, "abi": entries}, json.dumps(entries, indent=1))


def _shown(deployed: DeployedContracts) -> Shown:
    rows = sorted(deployed.addresses.items())
    return Shown(deployed.to_json(), table=table(f"Chain {deployed.chain_id}", ("contract", "address"), rows))
