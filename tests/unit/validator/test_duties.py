"""What a validator refuses to sign: everything in a bundle that anybody could prove wrong on chain."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import VerificationFailed
from headwater.protocol.epoch import EpochBundle, LaneRow, PayoutEntry, SignedReceipt
from headwater.protocol.license import Disclosure
from headwater.protocol.receipt import Receipt
from headwater.protocol.signatures import CURVE_ORDER
from headwater.protocol.sumtree import PayoutTree
from headwater.settlement.epochs import proposal_of
from headwater.testing import examples
from headwater.types import ZERO_ADDRESS, ZERO_DIGEST, Address, Digest, Ppm, Signature, Wei
from headwater.validator.duties import BundleFacts, check_bundle, drawn_receipts
from headwater.validator.rules import LaneFacts, VersionCommitment

NORTH, SOUTH, IDLE = (examples.lane(name) for name in ("north", "south", "idle"))
LANES = (NORTH, SOUTH, IDLE)
ROWS = tuple(examples.fresh_row(terms) for terms in LANES)
DUE = (*examples.receipts_of(NORTH, 3), *examples.receipts_of(SOUTH, 2))
PAID = {examples.account("alice"): Wei(7), examples.account("provider"): Wei(9)}
BUNDLE = examples.bundle(DUE, ROWS, PAID, epoch_id=2, previous_epoch=examples.word("epoch 1"))
PROVIDER = examples.account("provider")


def facts(bundle: EpochBundle = BUNDLE, payouts: Mapping[Address, Wei] = PAID, **changes: Any) -> BundleFacts:
    """What an honest chain says, with `bundle` frozen on it."""
    ledger = examples.LEDGER
    stands = BundleFacts(
        ledger=ledger,
        proposal_digest=proposal_of(bundle).digest(),
        previous_epoch=examples.word("epoch 1"),
        previous_payout_root=PayoutTree(ledger.chain_id, ledger.verifying_contract, payouts).root,
        lanes={t.lane_id: LaneFacts(t.user, t.provider, t.disclosure.value, 10**18) for t in LANES},
        price_per_thousand_tokens_wei={(examples.MODEL, 1, 1): examples.TARIFF.price_per_thousand_tokens_wei},
        versions={
            (examples.MODEL, 1): VersionCommitment(
                adapter_digest=examples.ADAPTER,
                method_id=examples.METHOD.digest(),
                index_root=examples.INDEX_TREE.root,
                index_rows=len(examples.INDEX),
                floor_unit=examples.FLOOR_UNIT,
                record_cap_ppm=examples.METHOD.record_cap_ppm,
                listed_rows=examples.METHOD.listed_rows,
            )
        },
        is_provider_key=lambda provider, key: (provider, key) == (PROVIDER, examples.account("provider key")),
    )
    return replace(stands, **changes)


def check(bundle: EpochBundle = BUNDLE, before: Sequence[LaneRow] = (), **changes: Any) -> None:
    check_bundle(bundle, examples.ESCROW, before, facts(bundle, **changes))


def refused(bundle: EpochBundle, match: str, before: Sequence[LaneRow] = (), **changes: Any) -> None:
    with pytest.raises(VerificationFailed, match=match):
        check(bundle, before, **changes)


def with_first(change: Callable[[SignedReceipt], SignedReceipt]) -> EpochBundle:
    """The bundle with its first receipt changed, and everything else left as it was."""
    first, *others = BUNDLE.receipts
    return replace(BUNDLE, receipts=(change(first), *others))


def receipt_with(**members: Any) -> EpochBundle:
    """A first receipt with other members, signed by the provider, attributed, and signed again."""

    def change(signed: SignedReceipt) -> SignedReceipt:
        receipt: Receipt = replace(signed.receipt, **members)
        return examples.signed_receipt(receipt, examples.body(receipt.digest()))

    return with_first(change)


def attribution_with(**members: Any) -> EpochBundle:
    return with_first(lambda s: examples.signed_receipt(s.receipt, s.body, made=replace(s.attribution, **members)))


# -- bundles that hold -------------------------------------------------------------------------------------------


def test_an_honest_bundle_passes() -> None:
    check()


def test_the_first_epoch_of_a_ledger_passes() -> None:
    bundle = examples.bundle(DUE, ROWS)
    check(bundle, payouts={}, previous_epoch=ZERO_DIGEST)


def test_a_bundle_that_goes_on_from_the_one_before_passes() -> None:
    first = examples.bundle(DUE[:2], ROWS)
    second = examples.bundle(DUE[2:], first.lanes, PAID, epoch_id=2, previous_epoch=examples.word("epoch 1"))
    check(second, before=first.lanes)


# -- frozen, and after what it says ------------------------------------------------------------------------------


def test_another_bundle_than_the_frozen_one_is_refused() -> None:
    with pytest.raises(VerificationFailed, match="not the one that was frozen"):
        check_bundle(replace(BUNDLE, attempt=1), examples.ESCROW, (), facts(BUNDLE))


@pytest.mark.parametrize("change", [{"chain_id": 1}, {"ledger": examples.account("another")}])
def test_a_bundle_for_another_ledger_is_refused(change: dict[str, Any]) -> None:
    refused(replace(BUNDLE, **change), "another ledger")


def test_a_bundle_with_another_parent_is_refused() -> None:
    refused(replace(BUNDLE, previous_epoch=examples.word("a fork")), "does not follow the last committed epoch")


@pytest.mark.parametrize(
    "payouts",
    [
        {},
        {**PAID, examples.account("thief"): Wei(1)},
        {**PAID, examples.account("alice"): Wei(8)},
        {examples.account("alice"): Wei(7)},
        {examples.account("thief"): Wei(7), examples.account("provider"): Wei(9)},
    ],
    ids=["none", "one more", "raised", "left out", "redirected"],
)
def test_payouts_so_far_that_are_not_the_last_roots_are_refused(payouts: dict[Address, Wei]) -> None:
    """Or a proposer could write himself what earlier epochs owe to others."""
    bundle = examples.bundle(DUE, ROWS, payouts, epoch_id=2, previous_epoch=examples.word("epoch 1"))
    refused(bundle, "payouts so far")


def test_an_account_twice_in_the_payouts_so_far_is_refused() -> None:
    twice = (PayoutEntry(examples.account("alice"), Wei(10**9)), *BUNDLE.previous_payouts)
    refused(replace(BUNDLE, previous_payouts=twice), "payouts so far")


# -- signatures --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["receipt", "attribution"])
def test_a_signature_by_a_key_that_is_not_the_providers_is_refused(what: str) -> None:
    def forged(signed: SignedReceipt) -> SignedReceipt:
        struct = getattr(signed, what)
        return replace(signed, **{f"{what}_signature": examples.sign("thief", struct, examples.ESCROW)})

    refused(with_first(forged), f"its {what} is signed by {examples.account('thief')}")


def test_a_malleable_signature_is_refused() -> None:
    def twin(signed: SignedReceipt) -> SignedReceipt:
        raw = signed.receipt_signature
        s = CURVE_ORDER - int.from_bytes(raw[32:64], "big")
        return replace(signed, receipt_signature=Signature(raw[:32] + s.to_bytes(32, "big") + bytes([55 - raw[64]])))

    refused(with_first(twin), "malleable")


def test_an_attribution_by_another_provider_is_refused() -> None:
    refused(attribution_with(provider=examples.account("thief")), "names another provider")


# -- price, weights, lane ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"price": Wei(1)}, "its price is 1 wei"),
        ({"output_tokens": 400}, "its tokens cost"),
        ({"price_version": 2}, "price version does not exist"),
        ({"weights_digest": examples.word("base alone")}, "other weights"),
        ({"user": examples.account("thief")}, "not its lane's"),
        ({"disclosure": Disclosure.NONE.value}, "not its lane's"),
        ({"sequence": 2}, "does not continue"),
        ({"previous_receipt": examples.word("x")}, "does not continue"),
        ({"cumulative": Wei(10**17)}, "does not continue"),
    ],
)
def test_a_receipt_that_the_provider_should_not_have_signed_is_refused(change: dict[str, Any], word: str) -> None:
    refused(receipt_with(**change), word)


def test_another_provider_cannot_earn_on_this_lane() -> None:
    """A provider that signs receipts over somebody else's lane would take what that lane's user paid to another."""
    thief = examples.account("thief")
    row = replace(ROWS[0], provider=thief)
    receipt = replace(DUE[0].receipt, provider=thief)
    signed = examples.signed_receipt(receipt, examples.body(receipt.digest()), signer="thief key")
    bundle = examples.bundle([signed], [row], PAID, epoch_id=2, previous_epoch=examples.word("epoch 1"))
    keys = {(thief, examples.account("thief key"))}
    refused(bundle, "not its lane's", is_provider_key=lambda provider, key: (provider, key) in keys)


# -- attributions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"body_digest": examples.word("x")},
        {"index_root": examples.word("x")},
        {"method_id": examples.word("x")},
        {"sketch_digest": examples.word("x")},
        {"scores_root": examples.word("x")},
        {"shares_root": examples.word("x")},
        {"influence_ppm": Ppm(1)},
        {"retrieval_ppm": Ppm(1)},
        {"base_ppm": Ppm(1)},
    ],
    ids=lambda c: next(iter(c)),
)
def test_an_attribution_that_is_not_its_bodys_is_refused(change: dict[str, Any]) -> None:
    refused(attribution_with(**change), "differ|another method or index")


def test_an_attribution_of_another_version_or_receipt_is_refused() -> None:
    refused(attribution_with(version=2), "names another version")
    refused(attribution_with(receipt_digest=examples.word("another")), "about another receipt")


@pytest.mark.parametrize(
    "committed",
    [
        {"index_root": examples.word("another index")},
        {"method_id": examples.word("another method")},
    ],
    ids=["index", "method"],
)
def test_an_attribution_by_another_index_or_method_than_the_versions_is_refused(committed: dict[str, Any]) -> None:
    """Body and attribution agree with each other, and not with the chain."""
    versions = {(examples.MODEL, 1): replace(facts().versions[examples.MODEL, 1], **committed)}
    refused(BUNDLE, "another method or index than its version", versions=versions)


# -- order and lanes ---------------------------------------------------------------------------------------------


@given(st.permutations(BUNDLE.receipts))
def test_receipts_in_any_other_order_are_refused(receipts: list[SignedReceipt]) -> None:
    if tuple(receipts) == BUNDLE.receipts:
        return
    refused(replace(BUNDLE, receipts=tuple(receipts)), "by lane and sequence")


@pytest.mark.parametrize("left_out", range(5))
def test_a_receipt_left_out_shows_as_gap_or_in_the_lane_table(left_out: int) -> None:
    receipts = BUNDLE.receipts[:left_out] + BUNDLE.receipts[left_out + 1 :]
    refused(replace(BUNDLE, receipts=receipts), "does not continue|does not stand where")


def test_a_receipt_twice_or_covered_before_is_refused() -> None:
    twice = (BUNDLE.receipts[0], *BUNDLE.receipts)
    refused(replace(BUNDLE, receipts=twice), "does not continue")
    covered = examples.bundle(DUE[:1], ROWS).lanes
    refused(BUNDLE, "does not continue", before=covered)


def table(**members: Any) -> EpochBundle:
    """The idle lane's row, with other members."""
    changed = tuple(replace(r, **members) if r.lane_id == IDLE.lane_id else r for r in BUNDLE.lanes)
    return replace(BUNDLE, lanes=changed)


@pytest.mark.parametrize(
    "members",
    [
        {"covered": Wei(5)},
        {"covered_sequence": 4},
        {"covered_head": examples.word("x")},
        {"refunded": Wei(5)},
        {"user": examples.account("thief")},
        {"provider": examples.account("thief")},
    ],
    ids=lambda m: next(iter(m)),
)
def test_a_lane_without_receipts_that_does_not_stand_at_its_start_is_refused(members: dict[str, Any]) -> None:
    """Or its later receipts could never be covered, and what it redeemed would be lost."""
    refused(table(**members), "does not stand where")


def test_a_lane_that_was_never_opened_is_refused() -> None:
    nobody = LaneFacts(ZERO_ADDRESS, ZERO_ADDRESS, 0, 0)
    lanes = {**facts().lanes, IDLE.lane_id: nobody}
    refused(table(user=ZERO_ADDRESS, provider=ZERO_ADDRESS), "never opened", lanes=lanes)


def test_a_lane_that_the_epoch_before_knew_may_not_be_left_out() -> None:
    shorter = tuple(r for r in BUNDLE.lanes if r.lane_id != IDLE.lane_id)
    refused(replace(BUNDLE, lanes=shorter), "does not stand where", before=ROWS)


def test_a_lane_twice_or_out_of_order_is_refused() -> None:
    refused(replace(BUNDLE, lanes=(*BUNDLE.lanes, BUNDLE.lanes[-1])), "twice or out of order")
    refused(replace(BUNDLE, lanes=tuple(reversed(BUNDLE.lanes))), "twice or out of order")


def test_a_lane_covered_above_what_was_redeemed_is_refused() -> None:
    covered = sum(s.receipt.price for s in DUE[:3])
    enough = {**facts().lanes, NORTH.lane_id: replace(facts().lanes[NORTH.lane_id], redeemed_wei=covered)}
    check(lanes=enough)
    short = {**enough, NORTH.lane_id: replace(enough[NORTH.lane_id], redeemed_wei=covered - 1)}
    refused(BUNDLE, "above what its vouchers redeemed", lanes=short)


# -- the draw ----------------------------------------------------------------------------------------------------

digests = st.binary(min_size=32, max_size=32).map(Digest)


@given(digests, digests, st.integers(0, 60), st.integers(0, 60))
def test_a_draw_is_of_distinct_receipts_and_never_more_than_asked(
    sealed: Digest, preimage: Digest, count: int, sample: int
) -> None:
    drawn = drawn_receipts(sealed, preimage, count, sample)
    assert len(set(drawn)) == len(drawn) == min(count, sample)
    assert list(drawn) == sorted(drawn) and all(0 <= i < count for i in drawn)


def test_a_draw_follows_from_hash_and_preimage_and_both_count() -> None:
    sealed, preimage = examples.word("sealed"), examples.word("preimage")
    drawn = drawn_receipts(sealed, preimage, 1_000, 20)
    assert drawn == drawn_receipts(sealed, preimage, 1_000, 20)
    assert drawn != drawn_receipts(examples.word("another"), preimage, 1_000, 20)
    assert drawn != drawn_receipts(sealed, examples.word("another"), 1_000, 20)


def test_over_many_draws_every_receipt_comes_up() -> None:
    seen = {i for n in range(60) for i in drawn_receipts(examples.word(f"{n}"), examples.word("p"), 20, 5)}
    assert seen == set(range(20))
