"""Finding the first thing in a committed epoch that one transaction can prove wrong, and the evidence for it.

In: the epoch laid open, the one before it, facts from the chain, the versions' indexes. Out: evidence, or None. The
rules are those of `rules`, which a validator also applies before it signs. What is not here: a chunk that is withheld
(asked for on chain), and gradients (re-executed; votes never slash).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from headwater.protocol.epoch import SignedReceipt
from headwater.protocol.fraud import Evidence
from headwater.protocol.influence import dot_product
from headwater.protocol.shares import REFUND_SLOT, Part
from headwater.protocol.typed_data import Domain
from headwater.settlement.epochs import Paymasters, VersionFacts, VersionKey, divide_receipt
from headwater.types import Address, Digest, address_bytes
from headwater.validator import rules
from headwater.validator.cases import Case, part_key
from headwater.validator.evidence import AttributionDesk, OpenIndex
from headwater.validator.rules import RegistryFacts, VersionCommitment


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that an epoch is held against."""

    escrow: Domain
    registry: RegistryFacts
    payment: Mapping[VersionKey, VersionFacts]
    paymasters: Paymasters
    indexes: Mapping[Digest, OpenIndex]
    """By index root."""


def prosecute(case: Case, previous: Case | None, facts: Facts) -> Evidence | None:
    """The first fault's evidence. The lists must be those under the roots (`Case.is_whole`)."""
    return next(charges(case, previous, facts), None)


def charges(case: Case, previous: Case | None, facts: Facts) -> Iterator[Evidence]:
    """Evidence of every fault that is found, in the order of PROTOCOL.md §7; later ones may follow from earlier."""
    yield from _Receipts(case, previous, facts).charges()
    yield from _Lanes(case, previous, facts).charges()
    yield from _Payouts(case, previous, facts).charges()
    yield from _Attributions(case, previous, facts).charges()


class _Search:
    def __init__(self, case: Case, previous: Case | None, facts: Facts) -> None:
        self.case, self.previous, self.facts = case, previous, facts
        self.lists = case.lists
        self.desk = AttributionDesk(case, previous, facts.indexes)


class _Receipts(_Search):
    """Leaves, signatures, terms, foreign attributions."""

    def charges(self) -> Iterator[Evidence]:
        leaves, attributions = self.lists.receipt_leaves, self.lists.attribution_leaves
        if len(leaves) != len(attributions):
            yield self.desk.unequal_counts(min(len(leaves), len(attributions)))
        for i in range(min(len(leaves), len(attributions))):
            yield from self._one(i)

    def _one(self, i: int) -> Iterator[Evidence]:
        signed, registry, escrow = self.lists.receipts[i], self.facts.registry, self.facts.escrow
        receipt, attribution = signed.receipt, signed.attribution
        leaf = self.lists.receipt_leaves[i]
        if leaf.receipt_digest != self.lists.attribution_leaves[i].receipt_digest:
            yield self.desk.attribution_leaf(i)
        if (leaf.lane_id, leaf.sequence) != (receipt.lane_id, receipt.sequence):
            yield self.desk.receipt_leaf(i)
            return
        if rules.signature_fault(receipt, signed.receipt_signature, receipt.provider, escrow, registry):
            yield self.desk.receipt_signature(i)
        named = attribution.provider
        if rules.signature_fault(attribution, signed.attribution_signature, named, escrow, registry):
            yield self.desk.attribution_signature(i)
        if rules.terms_fault(receipt, registry):
            yield self.desk.terms(i)
        if rules.foreign_fault(receipt, attribution, registry):
            yield self.desk.foreign_attribution(i)


class _Lanes(_Search):
    """The receipts' order and the lane table."""

    def charges(self) -> Iterator[Evidence]:
        yield from self._order()
        yield from self._ends()
        yield from self._table()

    def _order(self) -> Iterator[Evidence]:
        leaves, signed = self.lists.receipt_leaves, self.lists.receipts
        for i in range(len(leaves) - 1):
            left, right = leaves[i], leaves[i + 1]
            follows = left.lane_id == right.lane_id and right.sequence == left.sequence + 1
            if not follows and right.lane_id <= left.lane_id:
                yield self.desk.order(i)
            if follows:
                one, other = signed[i].receipt, signed[i + 1].receipt
                if (other.previous_receipt, other.cumulative) != (one.digest(), one.cumulative + other.price):
                    yield self.desk.chain(i)

    def _ends(self) -> Iterator[Evidence]:
        signed = self.lists.receipts
        lanes = [s.receipt.lane_id for s in signed]
        for i, one in enumerate(signed):
            if (i == 0 or lanes[i - 1] != lanes[i]) and not self._starts(one) and (start := self.desk.lane_start(i)):
                yield start
            is_last = i + 1 == len(lanes) or lanes[i + 1] != lanes[i]
            if is_last and not self._ends_at(one) and (end := self.desk.lane_end(i)):
                yield end

    def _starts(self, first: SignedReceipt) -> bool:
        receipt = first.receipt
        rows = () if self.previous is None else self.previous.lists.lanes
        row = next((r for r in rows if r.lane_id == receipt.lane_id), None)
        stands = (0, bytes(32), 0) if row is None else (row.covered_sequence, row.covered_head, row.covered)
        return stands == (receipt.sequence - 1, receipt.previous_receipt, receipt.cumulative - receipt.price)

    def _ends_at(self, last: SignedReceipt) -> bool:
        receipt = last.receipt
        row = next((r for r in self.lists.lanes if r.lane_id == receipt.lane_id), None)
        stands = receipt.sequence, receipt.digest(), receipt.cumulative
        return row is not None and (row.covered_sequence, row.covered_head, row.covered) == stands

    def _table(self) -> Iterator[Evidence]:
        rows = self.lists.lanes
        for i in range(len(rows) - 1):
            if rows[i + 1].lane_id <= rows[i].lane_id:
                yield self.desk.lane_order(i)
        before = {} if self.previous is None else {r.lane_id: r for r in self.previous.lists.lanes}
        active = {s.receipt.lane_id for s in self.lists.receipts}
        for i, row in enumerate(rows):
            lane = self.facts.registry.lanes.get(row.lane_id)
            parties = lane is not None and (row.user, row.provider) == (lane.user, lane.provider)
            if lane is None or not parties or row.covered + row.refunded > lane.redeemed_wei:
                yield self.desk.lane_row(i)
            was = before.get(row.lane_id)
            stood = (0, bytes(32), 0) if was is None else (was.covered_sequence, was.covered_head, was.covered)
            moved = (row.covered_sequence, row.covered_head, row.covered) != stood
            if moved and row.lane_id not in active and (idle := self.desk.lane_idle(row.lane_id)):
                yield idle
        now = {r.lane_id: r for r in rows}
        for lane_id, was in before.items():
            row_now = now.get(lane_id)
            kept = row_now is not None and (
                row_now.covered >= was.covered
                and row_now.refunded >= was.refunded
                and row_now.covered_sequence >= was.covered_sequence
                and (row_now.user, row_now.provider) == (was.user, was.provider)
            )
            if not kept and (back := self.desk.lane_back(lane_id)):
                yield back


class _Payouts(_Search):
    """Parts, their sums, and what every account has."""

    def charges(self) -> Iterator[Evidence]:
        before = {} if self.previous is None else {e.account: e.cumulative for e in self.previous.lists.payouts}
        now = {e.account: e.cumulative for e in self.lists.payouts}
        for account, was in before.items():
            if now.get(account, -1) < was and (back := self.desk.payout_back(account)):
                yield back
        accounts = [address_bytes(e.account) for e in self.lists.payouts]
        yield from (self.desk.payout_order(i) for i in range(len(accounts) - 1) if accounts[i + 1] <= accounts[i])
        if self.lists.payouts and self.case.payouts.total != self.case.epoch.payout_total:
            yield self.desk.payout_total(0)
        keys = [part_key(p) for p in self.lists.parts]
        for i in range(len(keys) - 1):
            if keys[i + 1] <= keys[i] or not self.lists.parts[i].amount or not self.lists.parts[i + 1].amount:
                yield self.desk.part_order(i)
        yield from self._parts()
        was_total = 0 if self.previous is None else self.previous.epoch.payout_total
        if self.case.parts.total + was_total != self.case.epoch.payout_total:
            yield self.desk.parts_total()
        paid: dict[Address, int] = {}
        for part in self.lists.parts:
            paid[part.account] = paid.get(part.account, 0) + part.amount
        for account in sorted(before.keys() | now.keys() | paid.keys()):
            grew_rightly = before.get(account, 0) + paid.get(account, 0) == now.get(account, 0)
            if not grew_rightly and (wrong := self.desk.payout_sum(account)):
                yield wrong

    def _parts(self) -> Iterator[Evidence]:
        struck = {s.position for s in self.lists.strikes}
        due = [self._division(i, i in struck) for i in range(len(self.lists.receipts))]
        given = set()
        for i, part in enumerate(self.lists.parts):
            if part.position >= len(due):
                yield self.desk.part_beyond(i)
                continue
            right = due[part.position].get(part.slot)
            if right is None or (right.account, right.wei) != (part.account, part.amount):
                yield self.desk.part(i, part.position in struck)
            given.add((part.position, part.slot))
        for position, parts in enumerate(due):
            for slot, part_due in parts.items():
                if (position, slot) not in given:
                    missing = self.desk.part_missing(part_due.account, position, slot, position in struck)
                    if missing:
                        yield missing

    def _division(self, position: int, struck: bool) -> dict[int, Part]:
        signed = self.lists.receipts[position]
        version = self.facts.payment[signed.receipt.model_id, signed.receipt.version]
        divided = divide_receipt(signed, version, self.facts.paymasters, struck)
        assert all((p.slot == REFUND_SLOT) is struck for p in divided.parts)
        return {p.slot: p for p in divided.parts}


class _Attributions(_Search):
    """Everything that follows from a public sketch."""

    def charges(self) -> Iterator[Evidence]:
        for i, signed in enumerate(self.lists.receipts):
            version = self.facts.registry.versions[signed.receipt.model_id, signed.receipt.version]
            if rules.body_fault(signed):
                continue  # shows nothing: the chunk that should hold the signed body is asked for
            yield from self._integers(i, signed, version)
            index = self.facts.indexes.get(signed.attribution.index_root)
            if index is not None:
                yield from self._rows(i, signed, index, version)

    def _integers(self, i: int, signed: SignedReceipt, version: VersionCommitment) -> Iterator[Evidence]:
        attribution, body = signed.attribution, signed.body
        if rules.floor_fault(attribution, body, version):
            yield self.desk.floor(i)
        scores = body.scores
        for k, score in enumerate(scores):
            if score.product <= attribution.floor or score.divisor == 0 or k >= version.listed_rows:
                yield self.desk.listed(i, k)
        for k in range(len(scores) - 1):
            if scores[k].order >= scores[k + 1].order:
                yield self.desk.list_order(i, k)
        may_divide = rules.listing_fault(attribution, body, version) is None
        if may_divide and rules.shares_fault(attribution, body, version):
            yield self.desk.shares(i, version.record_cap_ppm)

    def _rows(
        self, i: int, signed: SignedReceipt, index: OpenIndex, version: VersionCommitment
    ) -> Iterator[Evidence]:
        attribution, body = signed.attribution, signed.body
        products = _products(body.sketch, index.packed)
        for k, score in enumerate(body.scores):
            if score.position >= version.index_rows:
                yield self.desk.row(i, k)
                continue
            row = index.rows[score.position]
            stated = score.owner, score.datanet_id, score.divisor, score.scale
            if stated != (row.owner, row.datanet_id, row.divisor, row.scale):
                yield self.desk.row(i, k)
            if products[score.position] != score.product:
                yield self.desk.product(i, k)
        listed = {s.position for s in body.scores}
        last = body.scores[-1].order if len(body.scores) >= version.listed_rows else None
        for row in index.rows:
            product = products[row.position]
            if row.position in listed or row.divisor == 0 or product <= attribution.floor:
                continue
            order = (-(product * row.scale // row.divisor), row.position)
            if (last is None or order < last) and (omitted := self.desk.omitted(i, row.position, product)):
                yield omitted


def _products(sketch: bytes, packed: Sequence[bytes]) -> list[int]:
    return [dot_product(sketch, row) if len(sketch) == 2 * len(row) else 0 for row in packed]
