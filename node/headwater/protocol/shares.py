"""Dividing a price without losing a wei: every part rounds down, a named taker gets the rest.

In: integer weights; a price, its split, an attribution's shares, the payees. Out: ppm by largest remainder; parts
that add up to the whole, exactly (PROTOCOL.md, head and §5), each in a numbered slot, so that a contract can compute
any one of them alone. The remainder goes to `protocol`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from headwater.errors import InvalidInput
from headwater.protocol.attribution import AttributionBody
from headwater.protocol.model import PriceSplit
from headwater.types import WHOLE_PPM, ZERO_ADDRESS, Address, Digest, Ppm, Wei, address_bytes

Role = Literal["contributor", "model_owner", "datanet_owner", "provider", "validators", "protocol", "base", "refund"]
ROLES: Final[tuple[Role, ...]] = (
    "contributor",
    "model_owner",
    "datanet_owner",
    "provider",
    "validators",
    "protocol",
    "base",
    "refund",
)

REFUND_SLOT: Final = 0
MODEL_OWNER_SLOT: Final = 1
PROVIDER_SLOT: Final = 2
VALIDATORS_SLOT: Final = 3
PROTOCOL_SLOT: Final = 4
CONTRIBUTORS_BASE_SLOT: Final = 5
DATANET_OWNERS_BASE_SLOT: Final = 6
FIRST_SHARE_SLOT: Final = 7
"""Share j has two slots: 7 + 2j pays its contributor, 8 + 2j the owner of its Datanet."""


def largest_remainder(weights: Mapping[Address, int], whole: int = WHOLE_PPM) -> dict[Address, Ppm]:
    """Split `whole` in proportion to `weights` (>= 0, not all zero); ties go to the lower address.

    Hamilton's method in exact integers: floors first, then one more each to the largest remainders.
    """
    total = sum(weights.values())
    if total <= 0 or any(w < 0 for w in weights.values()):
        raise InvalidInput(
            "shares need weights that are not negative and not all zero", "leave them to the base part"
        )
    floors = {a: w * whole // total for a, w in weights.items()}
    rest = whole - sum(floors.values())
    order = sorted(weights, key=lambda a: (-(weights[a] * whole % total), address_bytes(a)))
    for account in order[:rest]:
        floors[account] += 1
    return {a: Ppm(n) for a, n in floors.items()}


@dataclass(frozen=True, slots=True)
class Payees:
    """Who stands behind each part of a price. A zero base payee sends the base part back to the user."""

    model_owner: Address
    provider: Address
    validators: Address
    protocol: Address
    user: Address
    base: Address
    datanet_owners: Mapping[Digest, Address]


@dataclass(frozen=True, slots=True)
class Part:
    """One payment out of one price; `slot` says where in the division it comes from."""

    account: Address
    role: Role
    wei: Wei
    slot: int


def divide_price(price: Wei, split: PriceSplit, body: AttributionBody, payees: Payees) -> tuple[Part, ...]:
    """All parts of one price above zero, one a slot, ascending by slot; Σ wei = price.

    Raises InvalidInput if a share names a Datanet without an owner in `payees`.
    """
    contributors = price * split.contributors_ppm // WHOLE_PPM
    datanet_owners = price * split.datanet_owners_ppm // WHOLE_PPM
    base_account, base_role = _base_goes_to(payees)
    parts = [
        Part(payees.model_owner, "model_owner", _part(price, split.model_owner_ppm), MODEL_OWNER_SLOT),
        Part(payees.provider, "provider", _part(price, split.provider_ppm), PROVIDER_SLOT),
        Part(payees.validators, "validators", _part(price, split.validators_ppm), VALIDATORS_SLOT),
        Part(base_account, base_role, _part(contributors, body.base_ppm), CONTRIBUTORS_BASE_SLOT),
        Part(base_account, base_role, _part(datanet_owners, body.base_ppm), DATANET_OWNERS_BASE_SLOT),
    ]
    for j, share in enumerate(body.shares):
        if share.datanet_id not in payees.datanet_owners:
            raise InvalidInput(f"Datanet 0x{share.datanet_id.hex()} has no known owner", "read it from the registry")
        owner, slot = payees.datanet_owners[share.datanet_id], FIRST_SHARE_SLOT + 2 * j
        parts.append(Part(share.account, "contributor", _part(contributors, share.ppm), slot))
        parts.append(Part(owner, "datanet_owner", _part(datanet_owners, share.ppm), slot + 1))
    rest = Wei(price - sum(p.wei for p in parts))
    parts.append(Part(payees.protocol, "protocol", rest, PROTOCOL_SLOT))
    return tuple(sorted((p for p in parts if p.wei), key=lambda p: p.slot))


def refund_price(price: Wei, user: Address) -> tuple[Part, ...]:
    """The parts of a struck receipt: all of it goes back to its user."""
    return (Part(user, "refund", price, REFUND_SLOT),) if price else ()


def _base_goes_to(payees: Payees) -> tuple[Address, Role]:
    return (payees.user, "refund") if payees.base == ZERO_ADDRESS else (payees.base, "base")


def _part(amount: int, ppm: int) -> Wei:
    return Wei(amount * ppm // WHOLE_PPM)
