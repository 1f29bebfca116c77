"""Deploy the whole suite with a devnet's parameters: `scripts/brownie_env brownie run deploy`.

The first account deploys, administers, mints, and is the protocol's payee. Escrow, staking, quorum and ledger name
each other, so the ledger's address is computed before it exists. `headwater contracts deploy` does the same without
Brownie.
"""

import json
from pathlib import Path

from brownie import (
    AttributionLedger,
    ContributionLog,
    CreditEscrow,
    CreditToken,
    DatanetRegistry,
    EcdsaQuorum,
    ModelRegistry,
    ProtocolAccess,
    Staking,
    accounts,
)

ARTIFACTS = Path(__file__).resolve().parent.parent / "node/headwater/chain/artifacts"
CREDIT = 10**18
ROLES = {"ADMIN": 0, "FAUCET": 1, "GUARDIAN": 2, "PARAMETER": 3}
NOBODY = "0x0000000000000000000000000000000000000000"

# PROTOCOL.md §10, column "devnet".
TERMS_DELAY_SECONDS = 0
MINIMUM_STAKE_WEI = PROVIDER_BOND_WEI = 100 * CREDIT
STAKE_EXIT_DELAY_SECONDS = 600
EVIDENCE_WINDOW_SECONDS = 60
QUORUM = (2, 3)
LANE_CLOSE_DELAY_SECONDS = 420
LEDGER = (180, 120, 150, 8, 10_000, 3)  # epoch, window, attempt timeout, ring, expiry slash in ppm, refund after
MODELS = (1 * CREDIT, 0, 3_600)  # attestation fee, price rise delay, attestation window


def main():
    return deploy(accounts[0])


def deploy(operator):
    """All contracts by name. `operator` holds every role afterwards."""
    sender = {"from": operator}
    access = ProtocolAccess.deploy(operator, sender)
    token = CreditToken.deploy(access, sender)
    registry = DatanetRegistry.deploy(TERMS_DELAY_SECONDS, sender)
    log = ContributionLog.deploy(registry, sender)
    ledger_address = operator.get_deployment_address(operator.nonce + 3)
    staking = Staking.deploy(
        token,
        ledger_address,
        NOBODY,
        MINIMUM_STAKE_WEI,
        PROVIDER_BOND_WEI,
        STAKE_EXIT_DELAY_SECONDS,
        EVIDENCE_WINDOW_SECONDS,
        sender,
    )
    quorum = EcdsaQuorum.deploy(staking, *QUORUM, sender)
    escrow = CreditEscrow.deploy(access, token, ledger_address, staking, LANE_CLOSE_DELAY_SECONDS, sender)
    ledger = AttributionLedger.deploy(access, token, escrow, staking, quorum, NOBODY, LEDGER, sender)
    models = ModelRegistry.deploy(access, token, registry, log, staking, quorum, operator, MODELS, sender)
    suite = {c._name: c for c in (access, token, registry, log, staking, quorum, escrow, ledger, models)}
    set_roles(suite, operator)
    for name, contract in suite.items():
        print(f"{name:20} {contract.address}")
    return suite


def set_roles(suite, operator):
    """Give each restricted function the role that its source names, and the operator the roles of a devnet."""
    access = suite["ProtocolAccess"]
    for name, contract in suite.items():
        for function in json.loads((ARTIFACTS / f"{name}.json").read_text())["roles"].values():
            role = ROLES[function["role"]]
            access.setTargetFunctionRole(contract, [function["selector"]], role, {"from": operator})
    for role in ("FAUCET", "GUARDIAN", "PARAMETER"):
        access.grantRole(ROLES[role], operator, 0, {"from": operator})
