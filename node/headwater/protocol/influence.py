"""From listed index rows to shares in ppm, and the floor that they are measured against. Integers only.

In: the rows that an attribution lists, its floor, its method's cap. Out: shares and base part. The rule, which
`EpochDisputes` repeats from the same leaves:

1. A row's *mass* is floor(dot x scale / d), d = the number of different rows in its cluster, so near duplicates share
   one record's weight. T is the sum of the listed rows' masses.
2. A listed row *earns* floor((dot - floor) x scale / d), at most T x `record_cap_ppm` / 10**6. Nothing else earns.
3. The contributors' whole is floor(10**6 x sum(earned) / T) ppm, divided by owner and Datanet by largest remainder.
4. The rest is the **base part**: what a random direction would have scored on the listed rows, and what the cap cut
   off. It is 10**6 where no row rises above the floor. It grows with the floor and falls with the listed scores; it
   is a convention for what not to pay on this evidence, not a measurement of how much the base model knew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt

from headwater.errors import InvalidInput
from headwater.protocol.attribution import IndexRow, OwnerShare, RowScore, ShareKind, share_order
from headwater.types import WHOLE_PPM, Address, Digest, Ppm, address_bytes


@dataclass(frozen=True, slots=True)
class Division:
    """Influence shares, ascending by `share_order`, and the base part; together 1,000,000 ppm."""

    shares: tuple[OwnerShare, ...]
    base_ppm: Ppm


@dataclass(frozen=True, slots=True)
class Listing:
    """Listed rows packed for `contracts/libraries/Influence.sol`, whose `Listing` says how."""

    rows: tuple[int, ...]
    groups: tuple[int, ...]
    datanets: tuple[Digest, ...]
    raised: int


def score_of(row: IndexRow, product: int) -> RowScore:
    """The listed row of an index row. Raises InvalidInput for a copy."""
    return RowScore(row.position, product, row.scale, row.divisor, row.owner, row.datanet_id)


def floor_of(floor_unit: int, sketch: bytes) -> int:
    """floor(floor_unit x |sketch| / sqrt(width)) of an int8 sketch, in exact integers."""
    squared_length = sum(_int8(b) ** 2 for b in sketch)
    return isqrt(floor_unit**2 * squared_length // len(sketch))


def divide(listed: Sequence[RowScore], floor: int, cap_ppm: int) -> Division:
    """Shares of listed rows. Raises InvalidInput for a row that is not above the floor."""
    if any(r.product <= floor for r in listed) or floor < 0:
        raise InvalidInput("a listed row is not above the noise floor", "list rows above the floor only")
    total = sum(r.mass for r in listed)
    if total == 0:
        return Division((), WHOLE_PPM)
    earned = earned_by_owner(listed, floor, cap_ppm)
    whole = WHOLE_PPM * sum(earned.values()) // total
    shares = _largest_remainder(earned, whole)
    return Division(shares, Ppm(WHOLE_PPM - sum(s.ppm for s in shares)))


def earned_by_owner(listed: Sequence[RowScore], floor: int, cap_ppm: int) -> dict[tuple[Address, Digest], int]:
    """What the rows of each (owner, Datanet) earn, each row capped."""
    cap = sum(r.mass for r in listed) * cap_ppm // WHOLE_PPM
    earned: dict[tuple[Address, Digest], int] = {}
    for row in listed:
        key = row.owner, row.datanet_id
        earned[key] = earned.get(key, 0) + min(row.excess(floor), cap)
    return earned


def _largest_remainder(earned: dict[tuple[Address, Digest], int], whole: int) -> tuple[OwnerShare, ...]:
    """Hamilton's method over (owner, Datanet), ties to the lower address, then the lower Datanet id."""
    total = sum(earned.values())
    if total == 0:
        return ()
    shares = [
        OwnerShare(ShareKind.INFLUENCE.value, owner, datanet, Ppm(weight * whole // total))
        for (owner, datanet), weight in earned.items()
    ]
    rest = whole - sum(s.ppm for s in shares)
    remainders = {share_order(s): -(earned[s.account, s.datanet_id] * whole % total) for s in shares}
    raised = {
        share_order(s) for s in sorted(shares, key=lambda s: (remainders[share_order(s)], share_order(s)))[:rest]
    }
    final = [
        OwnerShare(s.kind, s.account, s.datanet_id, Ppm(s.ppm + (share_order(s) in raised)))
        for s in sorted(shares, key=share_order)
    ]
    return tuple(s for s in final if s.ppm)


def listing_of(listed: Sequence[RowScore], floor: int, cap_ppm: int) -> Listing:
    """The packed rows with who gets one ppm of the rest."""
    earned = earned_by_owner(listed, floor, cap_ppm)
    keys = sorted(earned, key=lambda key: (address_bytes(key[0]), key[1]))
    datanets = sorted({datanet for _, datanet in keys})
    rows = tuple(
        r.position << 224 | r.product << 192 | r.scale << 128 | r.divisor << 96 | keys.index((r.owner, r.datanet_id))
        for r in listed
    )
    groups = tuple(int(owner, 16) << 96 | datanets.index(datanet) for owner, datanet in keys)
    total, mass = sum(earned.values()), sum(r.mass for r in listed)
    raised = 0
    if total:
        whole = WHOLE_PPM * total // mass
        rest = whole - sum(earned[key] * whole // total for key in keys)
        order = sorted(range(len(keys)), key=lambda g: (-(earned[keys[g]] * whole % total), g))
        raised = sum(1 << g for g in order[:rest])
    return Listing(rows, groups, tuple(datanets), raised)


def dot_product(sketch: bytes, packed: bytes) -> int:
    """Of an int8 sketch and an int4 row of half its bytes, coordinate 2j in byte j's low nibble; exact."""
    total = 0
    for j, pair in enumerate(packed):
        low, high = (pair & 15 ^ 8) - 8, (pair >> 4 ^ 8) - 8
        total += low * _int8(sketch[2 * j]) + high * _int8(sketch[2 * j + 1])
    return total


def _int8(byte: int) -> int:
    return byte - ((byte & 0x80) << 1)
