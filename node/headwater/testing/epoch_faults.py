"""One injector for each fault that PROTOCOL.md §7 says anybody can prove.

In: a draft of an honest epoch. Out: the same with one thing wrong and everything after it as the wrong thing gives;
None where the epoch's shape has no room for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from headwater.protocol.attribution import AttributionBody, share_order
from headwater.protocol.epoch import PartLeaf, PayoutEntry
from headwater.protocol.influence import divide
from headwater.protocol.shares import FIRST_SHARE_SLOT
from headwater.testing.epoch_generator import METHOD, Draft, Inject, forged, signed
from headwater.testing.examples import account, word
from headwater.types import WHOLE_PPM, Ppm, Signature, Wei, address_bytes
from headwater.validator.cases import part_key

THIEF: Final = account("thief")
FAULTS: Final[dict[str, Inject]] = {}


def fault(injector: Inject) -> Inject:
    FAULTS[injector.__name__] = injector
    return injector


# -- receipts --------------------------------------------------------------------------------------------------------


@fault
def receipt_signature(d: Draft) -> Draft | None:
    return _resigned(d, receipt_signature=True)


@fault
def attribution_signature(d: Draft) -> Draft | None:
    return _resigned(d, receipt_signature=False)


def _resigned(d: Draft, receipt_signature: bool) -> Draft | None:
    if not d.lists.receipts:
        return None
    i = d.pick(d.lists.receipts)
    one = d.lists.receipts[i]
    by_thief = signed(d.setting, one.receipt, one.body, key="thief")
    junk = Signature(b"\x00" * 65)
    wrong = d.dice.choice([junk, Signature(b"short"), None])
    if receipt_signature:
        return d.put(i, replace(one, receipt_signature=wrong or by_thief.receipt_signature))
    return d.put(i, replace(one, attribution_signature=wrong or by_thief.attribution_signature))


@fault
def price_above_version(d: Draft) -> Draft | None:
    """Cumulative, lane row and payouts all follow the wrong price."""
    last = _last_of_a_lane(d)
    if last is None:
        return None
    receipt = d.lists.receipts[last].receipt
    extra = d.dice.choice((1, 10**15))
    d.receipt(last, price=Wei(receipt.price + extra), cumulative=Wei(receipt.cumulative + extra))
    return _lane_follows(d, last)


@fault
def unknown_price_version(d: Draft) -> Draft | None:
    return _last_receipt_with(d, price_version=d.dice.choice((0, 2, 99)))


@fault
def other_weights(d: Draft) -> Draft | None:
    return _last_receipt_with(d, weights_digest=word("other weights"))


@fault
def other_user(d: Draft) -> Draft | None:
    return _last_receipt_with(d, user=THIEF)


@fault
def other_disclosure(d: Draft) -> Draft | None:
    return _last_receipt_with(d, disclosure=2)


@fault
def receipt_leaf_names_another_sequence(d: Draft) -> Draft | None:
    if not d.lists.receipt_leaves:
        return None
    i = d.pick(d.lists.receipt_leaves)
    leaves = list(d.lists.receipt_leaves)
    leaves[i] = replace(leaves[i], sequence=leaves[i].sequence + 1)
    return d.change(receipt_leaves=tuple(leaves))


@fault
def attribution_of_another_receipt(d: Draft) -> Draft | None:
    return _attribution_with(d, receipt_digest=word("another receipt"))


@fault
def attribution_by_another_method(d: Draft) -> Draft | None:
    return _attribution_with(d, method_id=word("another method"))


@fault
def attribution_on_another_index(d: Draft) -> Draft | None:
    return _attribution_with(d, index_root=word("another index"))


@fault
def attribution_of_another_version(d: Draft) -> Draft | None:
    return _attribution_with(d, version=2)


@fault
def attributions_swapped(d: Draft) -> Draft | None:
    leaves = list(d.lists.attribution_leaves)
    if len(leaves) < 2:
        return None
    leaves[0], leaves[-1] = leaves[-1], leaves[0]
    return d.change(attribution_leaves=tuple(leaves))


@fault
def attribution_missing(d: Draft) -> Draft | None:
    leaves = d.lists.attribution_leaves
    return d.change(attribution_leaves=leaves[:-1]) if leaves else None


@fault
def attribution_too_many(d: Draft) -> Draft | None:
    leaves = d.lists.attribution_leaves
    return d.change(attribution_leaves=(*leaves, leaves[0])) if leaves else None


# -- order, lanes ----------------------------------------------------------------------------------------------------


@fault
def receipt_twice(d: Draft) -> Draft | None:
    if not d.lists.receipts:
        return None
    i = d.pick(d.lists.receipts)
    return d.take([*d.lists.receipts[: i + 1], *d.lists.receipts[i:]])


@fault
def receipts_out_of_order(d: Draft) -> Draft | None:
    if len(d.lists.receipts) < 2:
        return None
    i = d.dice.randrange(len(d.lists.receipts) - 1)
    receipts = list(d.lists.receipts)
    receipts[i], receipts[i + 1] = receipts[i + 1], receipts[i]
    return d.take(receipts)


@fault
def receipt_left_out(d: Draft) -> Draft | None:
    """A gap: any receipt but a lane's last."""
    lanes = [s.receipt.lane_id for s in d.lists.receipts]
    inner = [i for i in range(len(lanes) - 1) if lanes[i] == lanes[i + 1]]
    if not inner:
        return None
    i = d.dice.choice(inner)
    return d.take([*d.lists.receipts[:i], *d.lists.receipts[i + 1 :]])


@fault
def receipt_of_another_chain(d: Draft) -> Draft | None:
    return _last_receipt_with(d, previous_receipt=word("another receipt"))


@fault
def cumulative_jumps(d: Draft) -> Draft | None:
    last = _last_of_a_lane(d)
    if last is None:
        return None
    receipt = d.lists.receipts[last].receipt
    return _last_receipt_with(d, last, cumulative=Wei(receipt.cumulative + 1))


@fault
def lane_behind_its_receipts(d: Draft) -> Draft | None:
    last = _last_of_a_lane(d)
    if last is None:
        return None
    lane_id = d.lists.receipts[last].receipt.lane_id
    before = {r.lane_id: r for r in d.previous.lists.lanes}
    rows = tuple(before.get(lane_id, r) if r.lane_id == lane_id else r for r in d.lists.lanes)
    return d.change(lanes=rows) if rows != d.lists.lanes else None


@fault
def lane_moves_by_itself(d: Draft) -> Draft | None:
    active = {s.receipt.lane_id for s in d.lists.receipts}
    idle = [i for i, r in enumerate(d.lists.lanes) if r.lane_id not in active]
    if not idle:
        return None
    row = d.lists.lanes[i := d.dice.choice(idle)]
    return _lane_row(d, i, replace(row, covered=Wei(row.covered + 1)))


@fault
def lane_lost(d: Draft) -> Draft | None:
    known = {r.lane_id for r in d.previous.lists.lanes}
    active = {s.receipt.lane_id for s in d.lists.receipts}
    lost = [r for r in d.lists.lanes if r.lane_id in known - active]
    if not lost:
        return None
    gone = d.dice.choice(lost)
    return d.change(lanes=tuple(r for r in d.lists.lanes if r != gone))


@fault
def active_lane_lost(d: Draft) -> Draft | None:
    active = {s.receipt.lane_id for s in d.lists.receipts}
    lost = [r for r in d.lists.lanes if r.lane_id in active]
    if not lost:
        return None
    gone = d.dice.choice(lost)
    return d.change(lanes=tuple(r for r in d.lists.lanes if r != gone))


@fault
def lane_of_another_user(d: Draft) -> Draft | None:
    if not d.lists.lanes:
        return None
    i = d.pick(d.lists.lanes)
    return _lane_row(d, i, replace(d.lists.lanes[i], user=THIEF))


@fault
def lane_above_redeemed(d: Draft) -> Draft | None:
    if not d.lists.lanes:
        return None
    i = d.pick(d.lists.lanes)
    row = d.lists.lanes[i]
    redeemed = next(t.redeemed_wei for t in d.setting.lanes if t.lane_id == row.lane_id)
    return _lane_row(d, i, replace(row, refunded=Wei(redeemed - row.covered + 1)))


@fault
def lanes_out_of_order(d: Draft) -> Draft | None:
    rows = list(d.lists.lanes)
    if len(rows) < 2:
        return None
    i = d.dice.randrange(len(rows) - 1)
    rows[i], rows[i + 1] = rows[i + 1], rows[i]
    return d.change(lanes=tuple(rows))


@fault
def lane_twice(d: Draft) -> Draft | None:
    rows = d.lists.lanes
    return d.change(lanes=(rows[0], *rows)) if rows else None


# -- payouts ---------------------------------------------------------------------------------------------------------


@fault
def payout_decreased(d: Draft) -> Draft | None:
    before = {e.account: e.cumulative for e in d.previous.lists.payouts if e.cumulative}
    if not before:
        return None
    victim = d.dice.choice(sorted(before))
    return _payouts(d, {victim: before[victim] - 1})


@fault
def account_omitted(d: Draft) -> Draft | None:
    before = sorted(e.account for e in d.previous.lists.payouts)
    return _payouts(d, {d.dice.choice(before): None}) if before else None


@fault
def payout_to_a_thief(d: Draft) -> Draft | None:
    return _payouts(d, {THIEF: 10**15})


@fault
def payout_too_high(d: Draft) -> Draft | None:
    if not d.lists.payouts:
        return None
    entry = d.lists.payouts[d.pick(d.lists.payouts)]
    return _payouts(d, {entry.account: entry.cumulative + 1})


@fault
def payout_shifted(d: Draft) -> Draft | None:
    """From one account to another: the total is right."""
    entries = {e.account: int(e.cumulative) for e in d.lists.payouts}
    before = {e.account: int(e.cumulative) for e in d.previous.lists.payouts}
    grown = [a for a in sorted(entries) if entries[a] > before.get(a, 0)]
    if len(grown) < 2:
        return None
    return _payouts(d, {grown[0]: entries[grown[0]] - 1, grown[1]: entries[grown[1]] + 1})


@fault
def payouts_out_of_order(d: Draft) -> Draft | None:
    entries = list(d.lists.payouts)
    if len(entries) < 2:
        return None
    i = d.dice.randrange(len(entries) - 1)
    entries[i], entries[i + 1] = entries[i + 1], entries[i]
    return d.change(payouts=tuple(entries))


@fault
def account_twice(d: Draft) -> Draft | None:
    entries = d.lists.payouts
    return d.change(payouts=(entries[0], *entries)) if entries else None


@fault
def stated_total_differs(d: Draft) -> Draft | None:
    if not d.lists.payouts:
        return None
    d.stated_total = sum(e.cumulative for e in d.lists.payouts) + d.dice.choice((-1, 1))
    return d


@fault
def part_to_a_thief(d: Draft) -> Draft | None:
    return _part(d, lambda p: replace(p, account=THIEF))


@fault
def part_too_high(d: Draft) -> Draft | None:
    return _part(d, lambda p: replace(p, amount=Wei(p.amount + 1)))


@fault
def part_left_out(d: Draft) -> Draft | None:
    return _part(d, lambda p: None)


@fault
def part_in_another_slot(d: Draft) -> Draft | None:
    """A share that nobody has."""
    return _part(d, lambda p: replace(p, slot=FIRST_SHARE_SLOT + 2 * 40))


@fault
def part_of_no_receipt(d: Draft) -> Draft | None:
    return _part(d, lambda p: replace(p, position=len(d.lists.receipts) + d.dice.randrange(9)))


@fault
def part_of_nothing(d: Draft) -> Draft | None:
    return _parts(d, [*d.lists.parts, PartLeaf(THIEF, 0, 0, Wei(0))]) if d.lists.parts else None


@fault
def parts_out_of_order(d: Draft) -> Draft | None:
    parts = list(d.lists.parts)
    if len(parts) < 2:
        return None
    i = d.dice.randrange(len(parts) - 1)
    parts[i], parts[i + 1] = parts[i + 1], parts[i]
    return d.change(parts=tuple(parts))


@fault
def part_twice(d: Draft) -> Draft | None:
    if not d.lists.parts:
        return None
    i = d.pick(d.lists.parts)
    return d.change(parts=(*d.lists.parts[:i], d.lists.parts[i], *d.lists.parts[i:])).pay()


@fault
def struck_and_paid(d: Draft) -> Draft | None:
    """A strike that the parts do not heed."""
    if not d.lists.strikes:
        return None
    strikes = d.lists.strikes
    parts = d.change(strikes=strikes[1:]).settle().lists.parts
    if not d.lists.receipts[strikes[0].position].receipt.price:
        return None
    return d.change(strikes=strikes, parts=parts).pay()


@fault
def refunded_without_a_strike(d: Draft) -> Draft | None:
    if not d.lists.strikes or not d.lists.receipts[d.lists.strikes[0].position].receipt.price:
        return None
    return d.change(strikes=d.lists.strikes[1:])


@fault
def base_part_to_a_thief(d: Draft) -> Draft | None:
    return _part(d, lambda p: replace(p, account=THIEF) if p.slot in (5, 6) else p)


# -- attributions ----------------------------------------------------------------------------------------------------


@fault
def share_moved_to_a_thief(d: Draft) -> Draft | None:
    def change(body: AttributionBody) -> AttributionBody | None:
        if not body.shares:
            return None
        shares = [replace(body.shares[0], account=THIEF), *body.shares[1:]]
        return forged(body, shares=tuple(sorted(shares, key=share_order)))

    return _body(d, change)


@fault
def share_raised(d: Draft) -> Draft | None:
    def change(body: AttributionBody) -> AttributionBody | None:
        if not body.shares or not body.base_ppm:
            return None
        first = replace(body.shares[0], ppm=Ppm(body.shares[0].ppm + 1))
        return forged(body, shares=(first, *body.shares[1:]), base_ppm=Ppm(body.base_ppm - 1))

    return _body(d, change)


@fault
def everything_to_the_base(d: Draft) -> Draft | None:
    return _body(d, lambda b: forged(b, shares=(), base_ppm=WHOLE_PPM) if b.shares else None)


@fault
def floor_lowered(d: Draft) -> Draft | None:
    return _body(d, lambda b: _divided(b, floor=b.floor - 1) if b.floor else None)


@fault
def floor_raised(d: Draft) -> Draft | None:
    def change(body: AttributionBody) -> AttributionBody | None:
        least = min((s.product for s in body.scores), default=1 << 30)
        return _divided(body, floor=body.floor + 1) if least > body.floor + 1 else None

    return _body(d, change)


@fault
def product_raised(d: Draft) -> Draft | None:
    return _score(d, product=lambda s: s.product + 1)


@fault
def row_of_another_owner(d: Draft) -> Draft | None:
    return _score(d, owner=lambda s: THIEF)


@fault
def row_scale_raised(d: Draft) -> Draft | None:
    return _score(d, scale=lambda s: s.scale + 1)


@fault
def row_divisor_lowered(d: Draft) -> Draft | None:
    return _score(d, divisor=lambda s: s.divisor + 1)


@fault
def row_beyond_the_index(d: Draft) -> Draft | None:
    return _score(d, position=lambda s: s.position + 1_000)


@fault
def row_omitted(d: Draft) -> Draft | None:
    def change(body: AttributionBody) -> AttributionBody | None:
        if not body.scores:
            return None
        k = d.pick(body.scores)
        return _divided(body, scores=(*body.scores[:k], *body.scores[k + 1 :]))

    return _body(d, change)


@fault
def row_listed_twice(d: Draft) -> Draft | None:
    return _body(d, lambda b: _divided(b, scores=(b.scores[0], *b.scores)) if b.scores else None)


@fault
def rows_out_of_order(d: Draft) -> Draft | None:
    return _body(d, lambda b: _divided(b, scores=b.scores[::-1]) if len(b.scores) > 1 else None)


@fault
def row_below_the_floor(d: Draft) -> Draft | None:
    """One more listed row, of no weight, whose product is the floor."""

    def change(body: AttributionBody) -> AttributionBody | None:
        if not body.scores:
            return None
        low = replace(body.scores[-1], product=body.floor, scale=0)
        return forged(body, scores=(*body.scores, low))

    return _body(d, change)


@fault
def sketch_of_another_width(d: Draft) -> Draft | None:
    def change(body: AttributionBody) -> AttributionBody | None:
        return forged(body, sketch=body.sketch + body.sketch) if body.scores else None

    return _body(d, change)


# -- helpers ---------------------------------------------------------------------------------------------------------


def _last_of_a_lane(d: Draft) -> int | None:
    lanes = [s.receipt.lane_id for s in d.lists.receipts]
    ends = [i for i in range(len(lanes)) if i + 1 == len(lanes) or lanes[i] != lanes[i + 1]]
    return d.dice.choice(ends) if ends else None


def _last_receipt_with(d: Draft, last: int | None = None, **members: Any) -> Draft | None:
    """A lane's last receipt with other members; its lane's row follows."""
    last = _last_of_a_lane(d) if last is None else last
    if last is None:
        return None
    return _lane_follows(d.receipt(last, **members), last)


def _lane_follows(d: Draft, last: int) -> Draft:
    one = d.lists.receipts[last]
    i = next(k for k, r in enumerate(d.lists.lanes) if r.lane_id == one.receipt.lane_id)
    receipt = one.receipt
    row = replace(
        d.lists.lanes[i],
        covered_sequence=receipt.sequence,
        covered_head=receipt.digest(),
        covered=receipt.cumulative,
    )
    return _lane_row(d, i, row)


def _lane_row(d: Draft, i: int, row: object) -> Draft:
    return d.change(lanes=(*d.lists.lanes[:i], row, *d.lists.lanes[i + 1 :]))


def _attribution_with(d: Draft, **members: Any) -> Draft | None:
    if not d.lists.receipts:
        return None
    i = d.pick(d.lists.receipts)
    one = d.lists.receipts[i]
    return d.put(i, signed(d.setting, one.receipt, one.body, **members))


def _payouts(d: Draft, changes: dict[object, int | None]) -> Draft:
    entries: dict[object, int] = {e.account: int(e.cumulative) for e in d.lists.payouts}
    for who, amount in changes.items():
        if amount is None:
            del entries[who]
        else:
            entries[who] = amount
    accounts = sorted(entries, key=lambda a: address_bytes(a))  # type: ignore[arg-type]
    return d.change(payouts=tuple(PayoutEntry(a, Wei(entries[a])) for a in accounts))  # type: ignore[arg-type]


def _part(d: Draft, change: Callable[[PartLeaf], PartLeaf | None]) -> Draft | None:
    """One part changed (the first one that changes, from a random place), list and payouts following."""
    parts = list(d.lists.parts)
    start = d.pick(parts) if parts else 0
    for i in (*range(start, len(parts)), *range(start)):
        changed = change(parts[i])
        if changed != parts[i]:
            return _parts(d, [p for p in (*parts[:i], changed, *parts[i + 1 :]) if p is not None])
    return None


def _parts(d: Draft, parts: list[PartLeaf]) -> Draft:
    return d.change(parts=tuple(sorted(parts, key=part_key))).pay()


def _body(d: Draft, change: Callable[[AttributionBody], AttributionBody | None]) -> Draft | None:
    """One body changed (the first one that can be, from a random place), everything else following."""
    receipts = d.lists.receipts
    start = d.pick(receipts) if receipts else 0
    for i in (*range(start, len(receipts)), *range(start)):
        changed = change(receipts[i].body)
        if changed is not None:
            return d.put(i, signed(d.setting, receipts[i].receipt, changed))
    return None


def _score(d: Draft, **members: Callable[..., Any]) -> Draft | None:
    """One listed row changed, the list sorted and divided again."""

    def change(body: AttributionBody) -> AttributionBody | None:
        if not body.scores:
            return None
        k = d.pick(body.scores)
        wrong = replace(body.scores[k], **{n: f(body.scores[k]) for n, f in members.items()})
        scores = (*body.scores[:k], wrong, *body.scores[k + 1 :])
        return _divided(body, scores=tuple(sorted(scores, key=lambda s: s.order)))

    return _body(d, change)


def _divided(body: AttributionBody, **members: Any) -> AttributionBody:
    """The body with other members and the shares that the rule then gives."""
    changed = forged(body, **members)
    division = divide(changed.scores, changed.floor, METHOD.record_cap_ppm)
    return forged(changed, shares=division.shares, base_ppm=division.base_ppm)
