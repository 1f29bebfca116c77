"""The suite of Headwater's contracts: which, in what order, with which parameters, and who may call what.

In: the operator's account, the parameters of PROTOCOL.md §10 and, in production, the token that stands behind
credits. Out: a `Plan` for `deploy.deploy_all`. Escrow, staking, ledger and court name each other; the plan's
addresses are known before anything is deployed. In production a timelock ends up as the only admin.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from headwater.chain.contracts import Artifact, shipped_artifacts
from headwater.chain.deploy import Addresses, Deployment, Plan, Read, Wiring
from headwater.errors import InvalidInput
from headwater.types import WEI_PER_CREDIT, Address

ACCESS: Final = "ProtocolAccess"
TIMELOCK: Final = "ProtocolTimelock"
TIMELOCK_ROLES: Final = ("PARAMETER", "ADMIN")
COURT: Final = "EpochDisputes"
PROOFS: Final = ("ReceiptProofs", "LaneProofs", "PayoutProofs", "AttributionProofs")
"""In the order of the court's constructor."""
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
    equivocation_slash_ppm: int
    invalid_epoch_slash_ppm: int
    timelock_delay_seconds: int
    """Zero: no timelock, the operator administers."""
    operator_roles: tuple[str, ...]
    """Which of ROLES the operator holds in the end; on a production chain nobody mints credits."""


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
    equivocation_slash_ppm=1_000_000,
    invalid_epoch_slash_ppm=500_000,
    timelock_delay_seconds=0,
    operator_roles=("ADMIN", "FAUCET", "GUARDIAN", "PARAMETER"),
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
    equivocation_slash_ppm=1_000_000,
    invalid_epoch_slash_ppm=500_000,
    timelock_delay_seconds=7 * 86_400,
    operator_roles=("GUARDIAN",),
)


def contracts_plan(operator: Address, chosen: Parameters = DEVNET, underlying: Address | None = None) -> Plan:
    """All contracts. The operator deploys, holds the roles that `chosen` names, and is the protocol's first payee.

    `underlying`: the ERC-20 that credits stand for; without it they come from a faucet. Raises InvalidInput if that
    does not fit the roles: credits that anybody could mint have no business on a production chain.
    """
    p = chosen
    if ("FAUCET" in p.operator_roles) is (underlying is not None):
        raise InvalidInput(
            "a chain has either a faucet or a token behind its credits",
            "name the token for production, none for a devnet",
        )
    deployments = (
        Deployment(ACCESS, lambda a: (operator,)),
        _credits(underlying),
        Deployment("DatanetRegistry", lambda a: (a[ACCESS], p.terms_delay_seconds)),
        Deployment("ContributionLog", lambda a: (a[ACCESS], a["DatanetRegistry"])),
        Deployment("Staking", lambda a: _staking(a, p)),
        Deployment("EcdsaQuorum", lambda a: (a["Staking"], *p.quorum)),
        Deployment("CreditEscrow", lambda a: _escrow(a, p)),
        Deployment("AttributionLedger", lambda a: _ledger(a, p)),
        Deployment("ModelRegistry", lambda a: _models(a, p, operator)),
        *_court(p),
        *_timelock(p, operator),
    )
    return Plan(deployments, (*_function_roles(deployments, shipped_artifacts()), *_holders(p, operator)))


def _credits(underlying: Address | None) -> Deployment:
    if underlying is None:
        return Deployment("CreditToken", lambda a: (a[ACCESS],))
    return Deployment("CreditToken", lambda a: (underlying,), made_of="CreditWrapper")


def _timelock(p: Parameters, operator: Address) -> tuple[Deployment, ...]:
    if not p.timelock_delay_seconds:
        return ()
    return (Deployment(TIMELOCK, lambda a: (p.timelock_delay_seconds, operator)),)


def _court(p: Parameters) -> tuple[Deployment, ...]:
    """The disputes and its four contracts of proofs, which name each other."""

    def court(a: Addresses) -> tuple[Any, ...]:
        slashes = (p.equivocation_slash_ppm, p.invalid_epoch_slash_ppm)
        return (a["AttributionLedger"], a["CreditEscrow"], a["Staking"], [a[name] for name in PROOFS], slashes)

    def receipts(a: Addresses) -> tuple[Any, ...]:
        return (a[COURT], a["CreditEscrow"], a["AttributionLedger"], a["Staking"], a["ModelRegistry"])

    def payouts(a: Addresses) -> tuple[Any, ...]:
        facts = (a[COURT], a["AttributionLedger"], a["ModelRegistry"], a["DatanetRegistry"], a["Staking"])
        return (facts,)

    return (
        Deployment(COURT, court),
        Deployment("ReceiptProofs", receipts),
        Deployment("LaneProofs", lambda a: (a[COURT], a["CreditEscrow"])),
        Deployment("PayoutProofs", payouts),
        Deployment("AttributionProofs", lambda a: (a[COURT], a["ModelRegistry"])),
    )


def _staking(a: Addresses, p: Parameters) -> tuple[Any, ...]:
    token, ledger = a["CreditToken"], a["AttributionLedger"]
    stakes = (p.minimum_stake_wei, p.provider_bond_wei)
    return (token, ledger, a[COURT], *stakes, p.stake_exit_delay_seconds, p.evidence_window_seconds)


def _escrow(a: Addresses, p: Parameters) -> tuple[Any, ...]:
    return (a[ACCESS], a["CreditToken"], a["AttributionLedger"], a["Staking"], p.lane_close_delay_seconds)


def _ledger(a: Addresses, p: Parameters) -> tuple[Any, ...]:
    times = (p.minimum_epoch_seconds, p.window_seconds, p.attempt_timeout_seconds)
    chosen = (*times, p.ring_size, p.expiry_slash_ppm, p.refund_after_epochs)
    return (a[ACCESS], a["CreditToken"], a["CreditEscrow"], a["Staking"], a["EcdsaQuorum"], a[COURT], chosen)


def _models(a: Addresses, p: Parameters, operator: Address) -> tuple[Any, ...]:
    parts = (a[ACCESS], a["CreditToken"], a["DatanetRegistry"], a["ContributionLog"], a["Staking"], a["EcdsaQuorum"])
    return (*parts, operator, (p.attestation_fee_wei, p.price_rise_delay_seconds, p.attestation_window_seconds))


def _function_roles(deployments: Sequence[Deployment], artifacts: Mapping[str, Artifact]) -> list[Wiring]:
    """Each restricted function gets the role that its source names."""
    out = []
    for deployment in deployments:
        for restricted in artifacts[deployment.artifact].document.get("roles", {}).values():
            selector, role = bytes.fromhex(restricted["selector"].removeprefix("0x")), ROLES[restricted["role"]]
            out.append(_function_role(deployment.name, selector, role))
    return out


def _function_role(name: str, selector: bytes, role: int) -> Wiring:
    def is_done(read: Read, a: Addresses) -> bool:
        return bool(read(ACCESS, "getTargetFunctionRole", a[name], selector) == role)

    return Wiring(ACCESS, "setTargetFunctionRole", lambda a: (a[name], [selector], role), is_done)


def _holders(p: Parameters, operator: Address) -> list[Wiring]:
    """The operator's roles, the timelock's, and last of all what the operator gives up."""
    granted = [_grant(lambda a: operator, ROLES[name]) for name in p.operator_roles if name != "ADMIN"]
    if not p.timelock_delay_seconds:
        return granted
    return [*granted, *(_grant(lambda a: a[TIMELOCK], ROLES[name]) for name in TIMELOCK_ROLES), _renounce(operator)]


def _grant(holder: Callable[[Addresses], Address], role: int) -> Wiring:
    def is_done(read: Read, a: Addresses) -> bool:
        return bool(read(ACCESS, "hasRole", role, holder(a))[0])

    return Wiring(ACCESS, "grantRole", lambda a: (role, holder(a), 0), is_done)


def _renounce(operator: Address) -> Wiring:
    role = ROLES["ADMIN"]

    def is_done(read: Read, a: Addresses) -> bool:
        return not read(ACCESS, "hasRole", role, operator)[0]

    return Wiring(ACCESS, "renounceRole", lambda a: (role, operator), is_done)
