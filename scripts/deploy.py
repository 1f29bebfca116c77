"""Deploy the whole suite with a devnet's parameters: `scripts/brownie_env brownie run deploy`.

The first account deploys, administers, mints, and is the protocol's payee. Escrow, staking, ledger and court name
each other, so addresses are computed before the contracts exist. `headwater contracts deploy` does the same without
Brownie.
"""

import json
from pathlib import Path

from brownie import (
    AttributionLedger,
    AttributionProofs,
    ContributionLog,
    CreditEscrow,
    CreditToken,
    DatanetRegistry,
    EcdsaQuorum,
    EpochDisputes,
    LaneProofs,
    ModelRegistry,
    PayoutProofs,
    ProtocolAccess,
    ReceiptProofs,
    Staking,
    accounts,
)

ARTIFACTS = Path(__file__).resolve().parent.parent / "node/headwater/chain/artifacts"
CREDIT = 10**18
ROLES = {"ADMIN": 0, "FAUCET": 1, "GUARDIAN": 2, "PARAMETER": 3}

# PROTOCOL.md §10, column "devnet".
TERMS_DELAY_SECONDS = 0
MINIMUM_STAKE_WEI = PROVIDER_BOND_WEI = 100 * CREDIT
STAKE_EXIT_DELAY_SECONDS = 600
EVIDENCE_WINDOW_SECONDS = 60
QUORUM = (2, 3)
LANE_CLOSE_DELAY_SECONDS = 420
LEDGER = (180, 120, 150, 8, 10_000, 3)  # epoch, window, attempt timeout, ring, expiry slash in ppm, refund after
SLASHES_PPM = (1_000_000, 500_000)  # equivocation, void epoch
MODELS = (1 * CREDIT, 0, 3_600)  # attestation fee, price rise delay, attestation window


def main():
    return deploy(accounts[0])


def deploy(operator):
    """All contracts by name. `operator` holds every role afterwards."""
    sender = {"from": operator}
    access = ProtocolAccess.deploy(operator, sender)
    token = CreditToken.deploy(access, sender)
    registry = DatanetRegistry.deploy(access, TERMS_DELAY_SECONDS, sender)
    log = ContributionLog.deploy(access, registry, sender)
    # What comes next is known by its place among the operator's transactions.
    nonce = operator.nonce
    ledger_address, court_address, *proofs = (operator.get_deployment_address(nonce + n) for n in (3, 5, 6, 7, 8, 9))
    times = (STAKE_EXIT_DELAY_SECONDS, EVIDENCE_WINDOW_SECONDS)
    stakes = (MINIMUM_STAKE_WEI, PROVIDER_BOND_WEI)
    staking = Staking.deploy(token, ledger_address, court_address, *stakes, *times, sender)
    quorum = EcdsaQuorum.deploy(staking, *QUORUM, sender)
    escrow = CreditEscrow.deploy(access, token, ledger_address, staking, LANE_CLOSE_DELAY_SECONDS, sender)
    ledger = AttributionLedger.deploy(access, token, escrow, staking, quorum, court_address, LEDGER, sender)
    models = ModelRegistry.deploy(access, token, registry, log, staking, quorum, operator, MODELS, sender)
    court = EpochDisputes.deploy(ledger, escrow, staking, proofs, SLASHES_PPM, sender)
    receipts = ReceiptProofs.deploy(court, escrow, ledger, staking, models, sender)
    lanes = LaneProofs.deploy(court, escrow, sender)
    payouts = PayoutProofs.deploy((court, ledger, models, registry, staking), sender)
    attributions = AttributionProofs.deploy(court, models, sender)
    parts = (access, token, registry, log, staking, quorum, escrow, ledger, models)
    suite = {c._name: c for c in (*parts, court, receipts, lanes, payouts, attributions)}
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
