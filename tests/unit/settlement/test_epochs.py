"""One epoch from its frozen inputs: the same roots whatever the order, no receipt twice, no wei lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import InvalidInput, VerificationFailed
from headwater.protocol.epoch import EpochBundle, LaneRow, SignedReceipt, StrikeLeaf
from headwater.protocol.model import PriceSplit
from headwater.protocol.receipt import Receipt
from headwater.settlement.epochs import advance_lane, divide_receipt, proposal_of, settle_epoch
from headwater.testing import examples
from headwater.types import WHOLE_PPM, ZERO_ADDRESS, Address, Ppm, Wei

LANES = tuple(examples.lane(name) for name in ("north", "south", "west"))
ROWS = tuple(examples.fresh_row(terms) for terms in LANES)
DUE = tuple(
    signed for terms, count in zip(LANES, (3, 1, 2), strict=True) for signed in examples.receipts_of(terms, count)
)
BUNDLE = examples.bundle(DUE, ROWS)


# -- the bundle --------------------------------------------------------------------------------------------------


@given(st.permutations(DUE), st.permutations(ROWS))
def test_any_order_of_the_same_receipts_gives_the_same_bundle(due: list[SignedReceipt], rows: list[LaneRow]) -> None:
    assert examples.bundle(due, rows) == BUNDLE
    assert proposal_of(examples.bundle(due, rows)) == proposal_of(BUNDLE)


def test_receipts_stand_by_lane_and_sequence_and_lanes_by_id() -> None:
    places = [(s.receipt.lane_id, s.receipt.sequence) for s in BUNDLE.receipts]
    assert places == sorted(places)
    assert [r.lane_id for r in BUNDLE.lanes] == sorted(t.lane_id for t in LANES)


def test_each_lane_stands_after_its_last_receipt() -> None:
    for terms, count in zip(LANES, (3, 1, 2), strict=True):
        (row,) = [r for r in BUNDLE.lanes if r.lane_id == terms.lane_id]
        mine = [s.receipt for s in DUE if s.receipt.lane_id == terms.lane_id]
        assert (row.covered_sequence, row.covered_head) == (count, mine[-1].digest())
        assert row.covered == sum(r.price for r in mine)


def test_a_lane_without_receipts_stays_in_the_table() -> None:
    idle = examples.fresh_row(examples.lane("idle"))
    assert idle in examples.bundle(DUE, (*ROWS, idle)).lanes


def test_lanes_go_on_where_the_epoch_before_left_them() -> None:
    first = examples.bundle(DUE[:2], ROWS)
    second = examples.bundle(DUE[2:], first.lanes, epoch_id=2)
    assert second.lanes == BUNDLE.lanes


def changed(**members: Any) -> Callable[[Receipt], Receipt]:
    return lambda receipt: replace(receipt, **members)


def test_a_gap_is_refused() -> None:
    with pytest.raises(VerificationFailed, match="receipt 3 does not continue its lane after receipt 1"):
        examples.bundle((DUE[0], DUE[2]), ROWS)


def test_a_missing_first_receipt_is_refused() -> None:
    with pytest.raises(VerificationFailed, match="receipt 2 does not continue its lane after receipt 0"):
        examples.bundle(DUE[1:3], ROWS)


@given(st.sampled_from(DUE))
def test_a_receipt_twice_is_refused(again: SignedReceipt) -> None:
    with pytest.raises(VerificationFailed, match="does not continue"):
        examples.bundle((*DUE, again), ROWS)


def test_a_receipt_that_an_earlier_epoch_covered_is_refused() -> None:
    covered = examples.bundle(DUE[:2], ROWS)
    with pytest.raises(VerificationFailed, match="does not continue"):
        examples.bundle(DUE[1:3], covered.lanes)


def test_a_receipt_of_a_lane_that_was_never_opened_is_refused() -> None:
    with pytest.raises(VerificationFailed, match="never opened"):
        examples.bundle(DUE, ROWS[:2])


@pytest.mark.parametrize(
    "change",
    [
        changed(sequence=3),
        changed(sequence=1),
        changed(previous_receipt=examples.word("a fork")),
        changed(cumulative=Wei(1)),
        changed(price=Wei(10**30)),
        changed(user=examples.account("thief")),
        changed(provider=examples.account("thief")),
        changed(lane_id=LANES[1].lane_id),
    ],
    ids=["later", "earlier", "fork", "cumulative", "price", "user", "provider", "foreign lane"],
)
def test_a_receipt_that_does_not_continue_its_lane_is_refused(change: Callable[[Receipt], Receipt]) -> None:
    receipt = change(DUE[1].receipt)
    signed = examples.signed_receipt(receipt, examples.body(receipt.digest()))
    with pytest.raises(VerificationFailed, match="does not continue"):
        advance_lane(advance_lane(ROWS[0], DUE[0]), signed)


def test_a_receipt_with_the_attribution_of_another_is_refused() -> None:
    swapped = replace(DUE[1], attribution=DUE[2].attribution)
    with pytest.raises(VerificationFailed, match="does not continue"):
        examples.bundle((DUE[0], swapped), ROWS)


def test_a_proposal_is_bound_to_every_part_of_its_bundle() -> None:
    """Whatever differs between two bundles, their proposals differ."""
    others = [
        replace(BUNDLE, epoch_id=2),
        replace(BUNDLE, attempt=1),
        replace(BUNDLE, previous_epoch=examples.word("another")),
        replace(BUNDLE, chain_id=1),
        replace(BUNDLE, ledger=examples.account("another")),
        replace(BUNDLE, lanes=BUNDLE.lanes[:-1]),
        replace(BUNDLE, receipts=BUNDLE.receipts[:-1]),
        replace(BUNDLE, receipts=tuple(reversed(BUNDLE.receipts))),
    ]
    digests = {proposal_of(b).digest() for b in (BUNDLE, *others)}
    assert len(digests) == len(others) + 1


# -- what it pays ------------------------------------------------------------------------------------------------


@st.composite
def splits(draw: st.DrawFn) -> PriceSplit:
    cuts = sorted(draw(st.lists(st.integers(0, WHOLE_PPM), min_size=5, max_size=5)))
    return PriceSplit(*(Ppm(b - a) for a, b in zip([0, *cuts], [*cuts, WHOLE_PPM], strict=True)))


@st.composite
def attributions(draw: st.DrawFn) -> dict[str, int]:
    names = draw(st.lists(st.sampled_from(examples.CONTRIBUTORS), unique=True))
    cuts = sorted(draw(st.lists(st.integers(0, WHOLE_PPM), min_size=len(names), max_size=len(names))))
    return {n: b - a for n, a, b in zip(names, [0, *cuts], cuts, strict=False)}


@st.composite
def epochs(draw: st.DrawFn) -> EpochBundle:
    """One to three lanes with up to three receipts each, attributed at random, over earlier payouts."""
    due: list[SignedReceipt] = []
    for terms in draw(st.lists(st.sampled_from(LANES), unique=True, min_size=1)):
        due.extend(examples.receipts_of(terms, draw(st.integers(0, 3)), draw(attributions())))
    names = st.sampled_from(("alice", "provider", "user", "somebody else"))
    payouts = draw(st.dictionaries(names.map(examples.account), st.integers(0, 10**30).map(Wei)))
    return examples.bundle(draw(st.permutations(due)), ROWS, payouts)


@given(epochs(), st.data(), splits(), st.sampled_from([ZERO_ADDRESS, examples.account("base payee")]))
def test_payouts_grow_by_exactly_the_prices(
    bundle: EpochBundle, data: st.DataObject, split: PriceSplit, base: Address
) -> None:
    """Σ payouts = Σ prices, whatever is struck and however prices divide; no account goes down."""
    digests = [s.receipt.digest() for s in bundle.receipts]
    struck = data.draw(st.lists(st.sampled_from(digests), unique=True) if digests else st.just([]))
    strikes = [StrikeLeaf(i, d, 0, True) for i, d in enumerate(digests) if d in struck]
    facts = {(examples.MODEL, examples.VERSION): replace(examples.FACTS, split=split, base_payee=base)}
    done = settle_epoch(bundle, strikes, facts, examples.PAYMASTERS, 1)
    before = {e.account: e.cumulative for e in bundle.previous_payouts}
    assert done.epoch.payout_total == done.payouts.total
    assert done.payouts.total - sum(before.values()) == sum(s.receipt.price for s in bundle.receipts)
    assert all(done.payouts.cumulative_of(a) >= w for a, w in before.items())
    for receipt in done.receipts:
        assert sum(p.wei for p in receipt.parts) == receipt.price_wei
        assert receipt.struck == (receipt.receipt_digest in struck)


def test_a_struck_receipt_goes_back_to_its_user_whole() -> None:
    (signed,) = examples.receipts_of(LANES[0], 1)
    divided = divide_receipt(signed, examples.FACTS, examples.PAYMASTERS, struck=True)
    assert [(p.account, p.role, p.wei) for p in divided.parts] == [
        (examples.account("user"), "refund", signed.receipt.price)
    ]


def test_the_default_split_of_one_price_by_hand() -> None:
    """Half to contributors by their shares (50 %, 20 %, rest base), and so on; dust to the protocol."""
    receipt = replace(DUE[0].receipt, price=Wei(1_000_003))
    signed = examples.signed_receipt(receipt, examples.body(receipt.digest(), {"alice": 500_000, "bob": 200_000}))
    divided = divide_receipt(signed, examples.FACTS, examples.PAYMASTERS, struck=False)
    sums: Counter[tuple[str, str]] = Counter()
    for part in divided.parts:
        sums[part.account, part.role] += part.wei
    assert sums == {
        (examples.account("alice"), "contributor"): 250_000,
        (examples.account("bob"), "contributor"): 100_000,
        (examples.account("datanet owner"), "datanet_owner"): 35_000,
        (examples.account("base payee"), "base"): 165_000,
        (examples.account("model owner"), "model_owner"): 150_000,
        (examples.account("provider"), "provider"): 220_000,
        (examples.account("staking"), "validators"): 50_000,
        (examples.account("protocol"), "protocol"): 30_003,
    }


def test_the_epoch_carries_the_frozen_roots_and_nothing_else_decides_it() -> None:
    done, frozen = examples.settled(BUNDLE), proposal_of(BUNDLE)
    for name in (
        "epoch_id",
        "attempt",
        "previous_epoch",
        "lanes_root",
        "receipts_root",
        "attributions_root",
        "chunks_root",
    ):
        assert getattr(done.epoch, name) == getattr(frozen, name)
    assert done.epoch.strikes_root == bytes(32)
    assert examples.settled(BUNDLE).epoch == done.epoch


def test_a_strike_changes_the_payout_root() -> None:
    strike = StrikeLeaf(0, BUNDLE.receipts[0].receipt.digest(), 0, True)
    struck = settle_epoch(BUNDLE, (strike,), examples.VERSION_FACTS, examples.PAYMASTERS, 1)
    done = examples.settled(BUNDLE)
    assert struck.epoch.payout_root != done.epoch.payout_root
    assert struck.epoch.strikes_root != done.epoch.strikes_root
    assert struck.epoch.payout_total == done.epoch.payout_total


def test_an_epoch_without_receipts_pays_nothing() -> None:
    done = examples.settled(examples.bundle((), ROWS))
    assert (done.epoch.payout_total, done.epoch.payout_root, done.receipts) == (0, bytes(32), ())


def test_a_version_that_nobody_looked_up_is_refused() -> None:
    with pytest.raises(InvalidInput, match="unknown"):
        settle_epoch(BUNDLE, (), {}, examples.PAYMASTERS, 1)
