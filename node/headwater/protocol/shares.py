"""Dividing without losing a wei: ppm by largest remainder, money by floor with a named taker of the rest.

In: integer weights, a price, its split, an attribution's shares, the payees. Out: parts that add up to the whole,
exactly (PROTOCOL.md, head and §5). Rounding goes down for everybody; the remainder goes to `protocol`.
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
    """One payment out of one price."""

    account: Address
    role: Role
    wei: Wei


def divide_price(price: Wei, split: PriceSplit, body: AttributionBody, payees: Payees) -> tuple[Part, ...]:
    """All parts of one price, merged by (account, role), in the order of ROLES then address; Σ wei = price.

    Raises InvalidInput if a share names a Datanet without an owner in `payees`.
    """
    amounts: dict[tuple[Address, Role], int] = {}

    def pay(account: Address, role: Role, wei: int) -> None:
        if wei:
            amounts[account, role] = amounts.get((account, role), 0) + wei

    contributors = price * split.contributors_ppm // WHOLE_PPM
    datanet_owners = price * split.datanet_owners_ppm // WHOLE_PPM
    base_goes_to: tuple[Address, Role] = (
        (payees.user, "refund") if payees.base == ZERO_ADDRESS else (payees.base, "base")
    )
    for share in body.shares:
        if share.datanet_id not in payees.datanet_owners:
            raise InvalidInput(f"Datanet 0x{share.datanet_id.hex()} has no known owner", "read it from the registry")
        pay(share.account, "contributor", contributors * share.ppm // WHOLE_PPM)
        pay(payees.datanet_owners[share.datanet_id], "datanet_owner", datanet_owners * share.ppm // WHOLE_PPM)
    for part in (contributors, datanet_owners):
        pay(*base_goes_to, part * body.base_ppm // WHOLE_PPM)
    pay(payees.model_owner, "model_owner", price * split.model_owner_ppm // WHOLE_PPM)
    pay(payees.provider, "provider", price * split.provider_ppm // WHOLE_PPM)
    pay(payees.validators, "validators", price * split.validators_ppm // WHOLE_PPM)
    pay(payees.protocol, "protocol", price - sum(amounts.values()))
    order = {role: i for i, role in enumerate(ROLES)}
    rows = sorted(amounts.items(), key=lambda kv: (order[kv[0][1]], address_bytes(kv[0][0])))
    return tuple(Part(account, role, Wei(wei)) for (account, role), wei in rows)
