"""The suite of Headwater's contracts: which, in what order, with which parameters, and who may call what.

In: the operator's account and the parameters of PROTOCOL.md §10. Out: a `Plan` for `deploy.deploy_all`. Escrow,
staking, quorum and ledger name each other; the plan's addresses are known before anything is deployed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from headwater.chain.contracts import Artifact, shipped_artifacts
from headwater.chain.deploy import Addresses, Deployment, Plan, Read, Wiring
from headwater.types import WEI_PER_CREDIT, ZERO_ADDRESS, Address

ACCESS: Final = "ProtocolAccess"
ROLES: Final = {"ADMIN": 0, "FAUCET": 1, "GUARDIAN": 2, "PARAMETER": 3}
"""ProtocolAccess names them; ADMIN is its own, and in production the timelock's."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """PROTOCOL.md §10, one column."""

    terms_delay_seconds: int
    minimum_stake_wei: int
    provider_bond_wei: int
    stake_exit_delay_seconds: int
    evidence_window_seconds: int
    quorum: tuple[int, int]
    lane_close_delay_seconds: int
    minimum_epoch_seconds: int
    window_seconds: int
    attempt_timeout_seconds: int
    ring_size: int
    expiry_slash_ppm: int
    refund_after_epochs: int
    attestation_fee_wei: int
    price_rise_delay_seconds: int
    attestation_window_seconds: int
    operator_roles: tuple[str, ...]
    """Which of ROLES the operator holds; on a production chain nobody mints credits."""


DEVNET: Final = Parameters(
    terms_delay_seconds=0,
    minimum_stake_wei=100 * WEI_PER_CREDIT,
    provider_bond_wei=100 * WEI_PER_CREDIT,
    stake_exit_delay_seconds=600,
    evidence_window_seconds=60,
    quorum=(2, 3),
    lane_close_delay_seconds=420,
    minimum_epoch_seconds=180,
    window_seconds=120,
    attempt_timeout_seconds=150,
    ring_size=8,
    expiry_slash_ppm=10_000,
    refund_after_epochs=3,
    attestation_fee_wei=1 * WEI_PER_CREDIT,
    price_rise_delay_seconds=0,
    attestation_window_seconds=3_600,
    operator_roles=("FAUCET", "GUARDIAN", "PARAMETER"),
)
PRODUCTION: Final = Parameters(
    terms_delay_seconds=7 * 86_400,
    minimum_stake_wei=10_000 * WEI_PER_CREDIT,
    provider_bond_wei=10_000 * WEI_PER_CREDIT,
    stake_exit_delay_seconds=14 * 86_400,
    evidence_window_seconds=7 * 86_400,
    quorum=(2, 3),
    lane_close_delay_seconds=48 * 3_600,
    minimum_epoch_seconds=3_600,
    window_seconds=24 * 3_600,
    attempt_timeout_seconds=30 * 60,
    ring_size=32,
    expiry_slash_ppm=10_000,
    refund_after_epochs=24,
    attestation_fee_wei=10 * WEI_PER_CREDIT,
    price_rise_delay_seconds=7 * 86_400,
    attestation_window_seconds=3 * 86_400,
    operator_roles=("PARAMETER",),
)


def contracts_plan(operator: Address, chosen: Parameters = DEVNET) -> Plan:
    """All contracts; the operator administers, holds the roles that `chosen` names, and is the protocol's payee."""
    p = chosen
    return Plan(
        (
            Deployment(ACCESS, lambda a: (operator,)),
            Deployment("CreditToken", lambda a: (a[ACCESS],)),
            Deployment("DatanetRegistry", lambda a: (p.terms_delay_seconds,)),
            Deployment("ContributionLog", lambda a: (a["DatanetRegistry"],)),
            Deployment("Staking", lambda a: _staking(a, p)),
            Deployment("EcdsaQuorum", lambda a: (a["Staking"], *p.quorum)),
            Deployment("CreditEscrow", lambda a: _escrow(a, p)),
            Deployment("AttributionLedger", lambda a: _ledger(a, p)),
            Deployment("ModelRegistry", lambda a: _models(a, p, operator)),
        ),
        (*_function_roles(shipped_artifacts()), *(_grant(operator, ROLES[name]) for name in p.operator_roles)),
    )


def _staking(a: Addresses, p: Parameters) -> tuple[Any, ...]:
    token, ledger = a["CreditToken"], a["AttributionLedger"]
    stakes = (p.minimum_stake_wei, p.provider_bond_wei)
    # The court's address stays empty until the disputes' contract exists: nobody can slash but the ledger.
    return (token, ledger, ZERO_ADDRESS, *stakes, p.stake_exit_delay_seconds, p.evidence_window_seconds)


def _escrow(a: Addresses, p: Parameters) -> tuple[Any, ...]:
    return (a[ACCESS], a["CreditToken"], a["AttributionLedger"], a["Staking"], p.lane_close_delay_seconds)


def _ledger(a: Addresses, p: Parameters) -> tuple[Any, ...]:
    times = (p.minimum_epoch_seconds, p.window_seconds, p.attempt_timeout_seconds)
    chosen = (*times, p.ring_size, p.expiry_slash_ppm, p.refund_after_epochs)
    return (a[ACCESS], a["CreditToken"], a["CreditEscrow"], a["Staking"], a["EcdsaQuorum"], ZERO_ADDRESS, chosen)


def _models(a: Addresses, p: Parameters, operator: Address) -> tuple[Any, ...]:
    parts = (a[ACCESS], a["CreditToken"], a["DatanetRegistry"], a["ContributionLog"], a["Staking"], a["EcdsaQuorum"])
    return (*parts, operator, (p.attestation_fee_wei, p.price_rise_delay_seconds, p.attestation_window_seconds))


def _function_roles(artifacts: Mapping[str, Artifact]) -> list[Wiring]:
    """Each restricted function gets the role that its source names."""
    out = []
    for name in sorted(artifacts):
        for restricted in artifacts[name].document.get("roles", {}).values():
            selector, role = bytes.fromhex(restricted["selector"].removeprefix("0x")), ROLES[restricted["role"]]
            out.append(_function_role(name, selector, role))
    return out


def _function_role(name: str, selector: bytes, role: int) -> Wiring:
    def is_done(read: Read, a: Addresses) -> bool:
        return bool(read(ACCESS, "getTargetFunctionRole", a[name], selector) == role)

    return Wiring(ACCESS, "setTargetFunctionRole", lambda a: (a[name], [selector], role), is_done)


def _grant(operator: Address, role: int) -> Wiring:
    def is_done(read: Read, a: Addresses) -> bool:
        return bool(read(ACCESS, "hasRole", role, operator)[0])

    return Wiring(ACCESS, "grantRole", lambda a: (role, operator, 0), is_done)
