"""Building evidence about one place of a committed epoch, whether or not there is a fault.

In: the epoch's case, the one before it, and a place. Out: the `Evidence` that the court takes for that place;
None where the lists have no such place. Judging is the prosecutor's; that the court judges alike is what the tests
hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from headwater.protocol import fraud
from headwater.protocol.attribution import IndexRow, RowScore
from headwater.protocol.fraud import AttributionAt, Division, LanePlace, PartEdge, PayoutPlace, ReceiptAt, StrikePlace
from headwater.protocol.influence import listing_of
from headwater.protocol.merkle import MerkleTree
from headwater.protocol.neighbours import (
    NO_GAP,
    NO_SUM_GAP,
    gap_before,
    leaf_place,
    sum_gap_before,
    sum_leaf_place,
)
from headwater.protocol.shares import FIRST_SHARE_SLOT, PROTOCOL_SLOT
from headwater.types import ZERO_DIGEST, Address, Digest, Wei, address_bytes
from headwater.validator.cases import Case, at, part_key, place_of


@dataclass(frozen=True, slots=True)
class OpenIndex:
    """A version's index as a prosecutor holds it: leaves, packed int4 rows, the tree over the leaves."""

    rows: tuple[IndexRow, ...]
    packed: tuple[bytes, ...]
    tree: MerkleTree

    def row_at(self, position: int) -> fraud.RowAt:
        return fraud.RowAt(self.rows[position], self.tree.proof(position), self.packed[position])


class ReceiptDesk:
    """Evidence about receipts, attributions and lanes."""

    def __init__(self, case: Case, previous: Case | None) -> None:
        self.case, self.previous = case, previous
        self.before = fraud.NO_EPOCH if previous is None else previous.epoch

    def receipt_at(self, i: int) -> ReceiptAt:
        lists = self.case.lists
        return ReceiptAt(
            lists.receipts[i].receipt, lists.receipt_leaves[i].signature_digest, i, self.case.receipts.proof(i)
        )

    def attribution_at(self, i: int) -> AttributionAt:
        lists = self.case.lists
        leaf = lists.attribution_leaves[i]
        return AttributionAt(lists.receipts[i].attribution, leaf.signature_digest, i, self.case.attributions.proof(i))

    def receipt_signature(self, i: int) -> fraud.ReceiptSignature:
        signed = self.case.lists.receipts[i]
        return fraud.ReceiptSignature(signed.receipt, signed.receipt_signature, i, self.case.receipts.proof(i))

    def attribution_signature(self, i: int) -> fraud.AttributionSignature:
        signed = self.case.lists.receipts[i]
        proof = self.case.attributions.proof(i)
        return fraud.AttributionSignature(signed.attribution, signed.attribution_signature, i, proof)

    def receipt_leaf(self, i: int) -> fraud.WrongReceiptLeaf:
        lists = self.case.lists
        return fraud.WrongReceiptLeaf(
            lists.receipt_leaves[i], i, self.case.receipts.proof(i), lists.receipts[i].receipt
        )

    def terms(self, i: int) -> fraud.WrongTerms:
        return fraud.WrongTerms(self.receipt_at(i))

    def foreign_attribution(self, i: int) -> fraud.ForeignAttribution:
        return fraud.ForeignAttribution(self.receipt_at(i), self.attribution_at(i))

    def attribution_leaf(self, i: int) -> fraud.WrongAttributionLeaf:
        lists, case = self.case.lists, self.case
        return fraud.WrongAttributionLeaf(
            lists.receipt_leaves[i],
            case.receipts.proof(i),
            lists.attribution_leaves[i],
            case.attributions.proof(i),
            i,
        )

    def unequal_counts(self, beyond: int) -> fraud.UnequalCounts:
        """That the longer list has a leaf `beyond` the shorter one's end."""
        case, lists = self.case, self.case.lists
        receipts_end = len(lists.receipt_leaves) <= len(lists.attribution_leaves)
        shorter, longer = case.receipts, case.attributions
        ending = [leaf.digest() for leaf in lists.receipt_leaves]
        others = [leaf.digest() for leaf in lists.attribution_leaves]
        if not receipts_end:
            shorter, longer, ending, others = longer, shorter, others, ending
        end_leaf = ending[-1] if ending else ZERO_DIGEST
        gap = gap_before(shorter, shorter.size)
        return fraud.UnequalCounts(end_leaf, gap, others[beyond], beyond, longer.proof(beyond), receipts_end)

    def order(self, i: int) -> fraud.ReceiptOrder:
        leaves = self.case.lists.receipt_leaves
        return fraud.ReceiptOrder(leaves[i], leaves[i + 1], gap_before(self.case.receipts, i + 1))

    def chain(self, i: int) -> fraud.ReceiptChain:
        signed, leaves = self.case.lists.receipts, self.case.lists.receipt_leaves
        digests = leaves[i].signature_digest, leaves[i + 1].signature_digest
        gap = gap_before(self.case.receipts, i + 1)
        return fraud.ReceiptChain(signed[i].receipt, signed[i + 1].receipt, digests, gap)

    def lane_start(self, i: int) -> fraud.LaneStart | None:
        """About receipt i as the first of its lane."""
        lists = self.case.lists
        first = lists.receipts[i].receipt
        before = lane_place(self.previous, first.lane_id)
        if before is None:
            return None
        return fraud.LaneStart(
            self.before,
            first,
            lists.receipt_leaves[i].signature_digest,
            at(lists.receipt_leaves, i - 1, fraud.NO_RECEIPT_LEAF),
            gap_before(self.case.receipts, i),
            before,
        )

    def lane_end(self, i: int) -> fraud.LaneEnd | None:
        """About receipt i as the last of its lane."""
        lists = self.case.lists
        last = lists.receipts[i].receipt
        now = lane_place(self.case, last.lane_id)
        if now is None:
            return None
        return fraud.LaneEnd(
            last,
            lists.receipt_leaves[i].signature_digest,
            at(lists.receipt_leaves, i + 1, fraud.NO_RECEIPT_LEAF),
            gap_before(self.case.receipts, i + 1),
            now,
        )

    def lane_idle(self, lane_id: Digest) -> fraud.LaneIdle | None:
        leaves = self.case.lists.receipt_leaves
        i = place_of([leaf.lane_id for leaf in leaves], lane_id)
        before, now = lane_place(self.previous, lane_id), lane_place(self.case, lane_id)
        if i is None or before is None or now is None or not now.listed:
            return None
        left, right = at(leaves, i - 1, fraud.NO_RECEIPT_LEAF), at(leaves, i, fraud.NO_RECEIPT_LEAF)
        return fraud.LaneIdle(self.before, left, right, gap_before(self.case.receipts, i), before, now)

    def lane_back(self, lane_id: Digest) -> fraud.LaneBack | None:
        before, now = lane_place(self.previous, lane_id), lane_place(self.case, lane_id)
        if before is None or now is None or not before.listed:
            return None
        return fraud.LaneBack(self.before, before, now)

    def lane_order(self, i: int) -> fraud.LaneOrder:
        rows = self.case.lists.lanes
        return fraud.LaneOrder(rows[i], rows[i + 1], gap_before(self.case.lanes, i + 1))

    def lane_row(self, i: int) -> fraud.WrongLaneRow:
        return fraud.WrongLaneRow(self.case.lists.lanes[i], i, self.case.lanes.proof(i))


class PayoutDesk(ReceiptDesk):
    """Evidence about what an epoch pays."""

    def payout_back(self, account: Address) -> fraud.PayoutBack | None:
        before, now = payout_place(self.previous, account), payout_place(self.case, account)
        if before is None or now is None or not before.listed:
            return None
        return fraud.PayoutBack(self.before, account, before, now)

    def payout_order(self, i: int) -> fraud.PayoutOrder:
        left, right = (payout_pair(self.case, k) for k in (i, i + 1))
        return fraud.PayoutOrder(left, right, sum_gap_before(self.case.payouts, i + 1))

    def payout_total(self, i: int) -> fraud.PayoutTotal:
        return fraud.PayoutTotal(payout_pair(self.case, i), i, self.case.payouts.proof_at(i))

    def parts_total(self) -> fraud.PartsTotal:
        return fraud.PartsTotal(self.before, self.part_edge(0))

    def part_order(self, i: int) -> fraud.PartOrder:
        return fraud.PartOrder(self.part_edge(i + 1))

    def payout_sum(self, account: Address) -> fraud.PayoutSum | None:
        before, now = payout_place(self.previous, account), payout_place(self.case, account)
        owners = [address_bytes(part.account) for part in self.case.lists.parts]
        lower = sum(1 for owner in owners if owner < address_bytes(account))
        upper = sum(1 for owner in owners if owner <= address_bytes(account))
        if before is None or now is None or owners != sorted(owners):
            return None
        return fraud.PayoutSum(self.before, account, before, now, self.part_edge(lower), self.part_edge(upper))

    def part(self, i: int, struck: bool) -> fraud.WrongPart:
        part = self.case.lists.parts[i]
        return fraud.WrongPart(
            part,
            i,
            self.case.parts.proof_at(i),
            self.division(part.position, part.slot),
            self.strike_place(part.position, struck),
        )

    def part_beyond(self, i: int) -> fraud.PartBeyond:
        leaves = self.case.lists.receipt_leaves
        end = gap_before(self.case.receipts, len(leaves))
        last = at(leaves, len(leaves) - 1, fraud.NO_RECEIPT_LEAF)
        return fraud.PartBeyond(self.case.lists.parts[i], i, self.case.parts.proof_at(i), last, end)

    def part_missing(self, account: Address, position: int, slot: int, struck: bool) -> fraud.PartMissing | None:
        """About the part that stands, or would stand, at (account, position, slot)."""
        key = address_bytes(account), position, slot
        keys = [part_key(part) for part in self.case.lists.parts]
        i = keys.index(key) if key in keys else place_of(keys, key)
        if i is None:
            return None
        strike = self.strike_place(position, struck)
        return fraud.PartMissing(slot, self.division(position, slot), strike, self.part_edge(i))

    def part_edge(self, i: int) -> PartEdge:
        """The edge left of part i."""
        parts = self.case.lists.parts
        left, right = at(parts, i - 1, fraud.NO_PART), at(parts, i, fraud.NO_PART)
        return PartEdge(left, right, sum_gap_before(self.case.parts, i))

    def division(self, position: int, slot: int) -> Division:
        """What slot `slot` of receipt `position` follows from."""
        receipt = self.receipt_at(position)
        if slot < PROTOCOL_SLOT:
            return Division(receipt, fraud.NO_ATTRIBUTION, (), ZERO_DIGEST, NO_GAP)
        attribution = self.attribution_at(position)
        shares = self.case.lists.receipts[position].body.shares
        if slot == PROTOCOL_SLOT:
            return Division(receipt, attribution, shares, ZERO_DIGEST, NO_GAP)
        if slot < FIRST_SHARE_SLOT:
            return Division(receipt, attribution, (), ZERO_DIGEST, NO_GAP)
        wanted, tree = (slot - FIRST_SHARE_SLOT) // 2, MerkleTree([s.digest() for s in shares])
        if wanted < len(shares):
            return Division(receipt, attribution, (shares[wanted],), ZERO_DIGEST, leaf_place(tree, wanted))
        end = shares[-1].digest() if shares else ZERO_DIGEST
        return Division(receipt, attribution, (), end, gap_before(tree, len(shares)))

    def strike_place(self, position: int, struck: bool) -> StrikePlace:
        """The receipt's strike, or the gap where it would stand. `struck`: as the strike list says."""
        strikes = self.case.lists.strikes
        positions = [s.position for s in strikes]
        if struck:
            i = positions.index(position)
            return StrikePlace(True, strikes[i], fraud.NO_STRIKE, leaf_place(self.case.strikes, i))
        i = sum(1 for p in positions if p < position)
        left, right = at(strikes, i - 1, fraud.NO_STRIKE), at(strikes, i, fraud.NO_STRIKE)
        return StrikePlace(False, left, right, gap_before(self.case.strikes, i))


class AttributionDesk(PayoutDesk):
    """Evidence about attributions. `indexes`: by index root."""

    def __init__(self, case: Case, previous: Case | None, indexes: Mapping[Digest, OpenIndex]) -> None:
        super().__init__(case, previous)
        self.indexes = indexes

    def shares(self, i: int, cap_ppm: int) -> fraud.WrongShares:
        signed = self.case.lists.receipts[i]
        listing = listing_of(signed.body.scores, signed.attribution.floor, cap_ppm)
        return fraud.WrongShares(self.attribution_at(i), listing)

    def floor(self, i: int) -> fraud.WrongFloor:
        return fraud.WrongFloor(self.attribution_at(i), self.case.lists.receipts[i].body.sketch)

    def listed(self, i: int, k: int) -> fraud.WronglyListed:
        return fraud.WronglyListed(self.attribution_at(i), self._score_at(i, k))

    def list_order(self, i: int, k: int) -> fraud.ListOrder:
        scores, tree = self._scores(i)
        return fraud.ListOrder(self.attribution_at(i), scores[k], scores[k + 1], gap_before(tree, k + 1))

    def row(self, i: int, k: int) -> fraud.WrongRow:
        return fraud.WrongRow(self.attribution_at(i), self._score_at(i, k), self._row_of(i, k))

    def product(self, i: int, k: int) -> fraud.WrongProduct:
        sketch = self.case.lists.receipts[i].body.sketch
        return fraud.WrongProduct(self.attribution_at(i), self._score_at(i, k), sketch, self._row_of(i, k))

    def omitted(self, i: int, position: int, product: int) -> fraud.OmittedRow | None:
        """About index row `position`, whose dot product with the sketch is `product`."""
        body = self.case.lists.receipts[i].body
        scores, tree = self._scores(i)
        row = self.indexes[body.index_root].row_at(position)
        if product < 0 or row.row.divisor == 0:
            key = (0, position)
        else:
            key = (-(product * row.row.scale // row.row.divisor), position)
        orders = [s.order for s in scores]
        k = orders.index(key) if key in orders else place_of(orders, key)
        if k is None:
            return None
        left, right = at(scores, k - 1, fraud.NO_SCORE), at(scores, k, fraud.NO_SCORE)
        return fraud.OmittedRow(self.attribution_at(i), body.sketch, row, left, right, gap_before(tree, k))

    def _scores(self, i: int) -> tuple[tuple[RowScore, ...], MerkleTree]:
        scores = self.case.lists.receipts[i].body.scores
        return scores, MerkleTree([s.digest() for s in scores])

    def _score_at(self, i: int, k: int) -> fraud.ScoreAt:
        scores, tree = self._scores(i)
        return fraud.ScoreAt(scores[k], k, tree.proof(k))

    def _row_of(self, i: int, k: int) -> fraud.RowAt:
        """The index row of a listed one; any row where it names one beyond the index."""
        body = self.case.lists.receipts[i].body
        index = self.indexes[body.index_root]
        position = body.scores[k].position
        return index.row_at(position if position < len(index.rows) else 0)


def lane_place(case: Case | None, lane_id: Digest) -> LanePlace | None:
    """A lane's row, or the gap where it would stand; None in a table that is out of order there."""
    absent = replace(fraud.NO_LANE, lane_id=lane_id)
    if case is None:
        return LanePlace(False, absent, fraud.NO_LANE, fraud.NO_LANE, NO_GAP)
    rows = case.lists.lanes
    ids = [row.lane_id for row in rows]
    if lane_id in ids:
        i = ids.index(lane_id)
        return LanePlace(True, rows[i], fraud.NO_LANE, fraud.NO_LANE, leaf_place(case.lanes, i))
    place = place_of(ids, lane_id)
    if place is None:
        return None
    left, right = at(rows, place - 1, fraud.NO_LANE), at(rows, place, fraud.NO_LANE)
    return LanePlace(False, absent, left, right, gap_before(case.lanes, place))


def payout_place(case: Case | None, account: Address) -> PayoutPlace | None:
    """An account's leaf, or the gap where it would stand; None in a tree that is out of order there."""
    if case is None:
        return PayoutPlace(False, Wei(0), fraud.NO_PAYOUT, fraud.NO_PAYOUT, NO_SUM_GAP)
    entries = case.lists.payouts
    accounts = [address_bytes(e.account) for e in entries]
    if address_bytes(account) in accounts:
        i = accounts.index(address_bytes(account))
        place = sum_leaf_place(case.payouts, i)
        return PayoutPlace(True, entries[i].cumulative, fraud.NO_PAYOUT, fraud.NO_PAYOUT, place)
    k = place_of(accounts, address_bytes(account))
    if k is None:
        return None
    left = payout_pair(case, k - 1) if k else fraud.NO_PAYOUT
    right = payout_pair(case, k) if k < len(entries) else fraud.NO_PAYOUT
    return PayoutPlace(False, Wei(0), left, right, sum_gap_before(case.payouts, k))


def payout_pair(case: Case, i: int) -> fraud.PayoutPair:
    entry = case.lists.payouts[i]
    return fraud.PayoutPair(entry.account, entry.cumulative)
