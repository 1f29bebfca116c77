"""From exact scores to who is paid: listed rows, shares in ppm, and the base part. Integers only.

In: an index with its scorer, and a public sketch. Out: an `AttributionBody`. The rule, so that a contract can repeat
it from the listed rows and the floor alone:

1. Only rows whose dot product with the sketch is above the noise floor count; copies never do.
2. A row's *mass* is floor(dot x scale / d), d = the number of different rows in its cluster (the index's
   `divisors`), so near duplicates share one record's weight. The `listed_rows` rows of most mass (ties: the lower
   position) are listed; T is the sum of their masses.
3. A listed row *earns* floor((dot - floor) x scale / d), at most T x `record_cap_ppm` / 10**6. Nothing else earns.
4. The contributors' whole is floor(10**6 x sum(earned) / T) ppm, divided by owner and Datanet by largest remainder.
5. The rest is the **base part**: what a random direction would have scored on the listed rows, and what the cap cut
   off. It is 10**6 where no row rises above the floor. It grows with the floor and falls with the listed scores; it
   is a convention for what not to pay on this evidence, not a measurement of how much the base model knew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headwater.attribution.score import Scorer
from headwater.errors import InvalidInput
from headwater.protocol.attribution import AttributionBody, OwnerShare, Quotation, RowScore, ShareKind, share_order
from headwater.types import WHOLE_PPM, Address, Digest, Ppm


@dataclass(frozen=True, slots=True)
class ListedRow:
    """A row above the floor: its dot product with the sketch, its scale, its cluster's divisor, and whose it is."""

    position: int
    product: int
    scale: int
    divisor: int
    owner: Address
    datanet_id: Digest

    @property
    def score(self) -> int:
        return self.product * self.scale

    @property
    def mass(self) -> int:
        return self.score // self.divisor

    def excess(self, floor: int) -> int:
        return (self.product - floor) * self.scale // self.divisor


@dataclass(frozen=True, slots=True)
class Division:
    """Influence shares, ascending by `share_order`, and the base part; together 1,000,000 ppm."""

    shares: tuple[OwnerShare, ...]
    base_ppm: Ppm


def attribution_body(
    scorer: Scorer, sketch: bytes, receipt_digest: Digest, quotations: Sequence[Quotation] = ()
) -> AttributionBody:
    """The public body of one answer's attribution. Raises InvalidInput for a malformed sketch."""
    index = scorer.index
    floor = scorer.floor(sketch)
    listed = listed_rows(scorer, sketch, floor)
    division = divide(listed, floor, index.method.record_cap_ppm)
    return AttributionBody(
        receipt_digest=receipt_digest,
        method_id=index.method.digest(),
        index_root=index.root,
        sketch=sketch,
        scores=tuple(RowScore(r.position, r.score) for r in sorted(listed, key=lambda r: (-r.score, r.position))),
        shares=division.shares,
        base_ppm=division.base_ppm,
        quotations=tuple(quotations),
    )


def listed_rows(scorer: Scorer, sketch: bytes, floor: int) -> tuple[ListedRow, ...]:
    """The rows of most mass above the floor, most first, then lower position first."""
    products, divisors = scorer.products(sketch), scorer.index.divisors
    leaves = scorer.index.leaves
    rows = [
        ListedRow(i, int(products[i]), leaves[i].scale, int(divisors[i]), leaves[i].owner, leaves[i].datanet_id)
        for i in ((products > floor) & (divisors > 0)).nonzero()[0].tolist()
    ]
    rows.sort(key=lambda r: (-r.mass, r.position))
    return tuple(rows[: scorer.index.method.listed_rows])


def divide(listed: Sequence[ListedRow], floor: int, cap_ppm: int) -> Division:
    """Shares of listed rows. Raises InvalidInput for a row that is not above the floor."""
    if any(r.product <= floor or r.divisor < 1 for r in listed) or floor < 0:
        raise InvalidInput("a listed row is not above the noise floor", "list rows above the floor only")
    total = sum(r.mass for r in listed)
    if total == 0:
        return Division((), WHOLE_PPM)
    cap = total * cap_ppm // WHOLE_PPM
    earned: dict[tuple[Address, Digest], int] = {}
    for row in listed:
        key = row.owner, row.datanet_id
        earned[key] = earned.get(key, 0) + min(row.excess(floor), cap)
    whole = WHOLE_PPM * sum(earned.values()) // total
    shares = _largest_remainder(earned, whole)
    return Division(shares, Ppm(WHOLE_PPM - sum(s.ppm for s in shares)))


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
