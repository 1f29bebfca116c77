"""`headwater contracts`: deploy, addresses, interfaces."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.chain.contracts import DeployedContracts, shipped_artifacts
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
