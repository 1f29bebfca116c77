"""Putting the contracts on a chain for one operator, and remembering where they stand."""

from __future__ import annotations

from headwater.chain.client import RpcChain
from headwater.chain.contracts import DeployedContracts
from headwater.chain.deploy import deploy_all
from headwater.chain.deployment_plan import DEVNET, PRODUCTION, contracts_plan
from headwater.chain.transactions import TransactionManager, WalletSigner
from headwater.clock import Clock
from headwater.config import Config
from headwater.service.workbench import contracts_path
from headwater.signing.client import SignerClient
from headwater.storage.database import Database
from headwater.storage.home import Home
from headwater.storage.outbox import Outbox
from headwater.types import Address


def deploy_contracts(
    config: Config,
    home: Home,
    signer: SignerClient,
    database: Database,
    clock: Clock,
    operator: str = "operator",
    underlying: Address | None = None,
) -> DeployedContracts:
    """Deploy what is missing from the operator's wallet; the same artefacts give the same addresses everywhere.

    With `underlying`, an ERC-20 behind the credits, production's parameters are fixed; without, a devnet's.
    """
    chain = RpcChain(config.chain_rpc_url, config.chain_id)
    manager = TransactionManager(chain, Outbox(database, clock))
    plan = contracts_plan(signer.address(operator), PRODUCTION if underlying else DEVNET, underlying)
    deployed = deploy_all(chain, manager, WalletSigner(signer, operator), plan)
    deployed.save(contracts_path(home))
    return deployed
