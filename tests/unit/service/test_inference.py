"""A paid answer between a real provider and a real user: one chain, two books, every way to get it wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import count, pairwise
from typing import Any

import pytest

from headwater.errors import (
    BadSignature,
    InvalidInput,
    NotEnoughCredit,
    NotFound,
    Refused,
    Unavailable,
    UnknownModel,
    VerificationFailed,
)
from headwater.protocol.chat import Message
from headwater.protocol.signatures import CURVE_ORDER, require_signer
from headwater.protocol.voucher import Voucher
from headwater.service.inference import Inference, LaneOrder, Order, SignedAnswer
from headwater.service.lanes import ESCROW, Lanes
from headwater.service.paying import Paying, Prepared, SignedVoucher
from headwater.settlement.receipts import response_of
from headwater.testing import examples
from headwater.types import WHOLE_PPM, Digest, Signature, Wei

MODEL = "modeler/drug-codes"
PaysOver = Callable[[Digest], Paying]
_numbers = count()


def order(lane: LaneOrder | None = None, **changes: Any) -> Order:
    asked = {"model": MODEL, "messages": (Message("user", "hi"),), "max_tokens": 4, "temperature_ppm": 0}
    return Order(**{**asked, "top_p_ppm": WHOLE_PPM, "stop": (), "lane": lane, **changes})


@pytest.fixture
def lane(devnet: Any) -> Digest:
    return devnet.open_lane(f"inference {next(_numbers)}", 10**18)


@pytest.fixture
def paying(paying_over: PaysOver, lane: Digest) -> Paying:
    return paying_over(lane)


def answer(inference: Inference, prepared: Prepared, **changes: Any) -> SignedAnswer:
    return inference.finish(inference.start(order(prepared.order, **changes)))


def settle(paying: Paying, prepared: Prepared, answered: SignedAnswer) -> SignedVoucher:
    assert answered.receipt is not None and answered.signature is not None
    return paying.settle(prepared, answered.receipt, answered.signature, response_of(answered.completion))


def ask(inference: Inference, paying: Paying, **changes: Any) -> SignedAnswer:
    """One answer, asked, checked, paid, and its voucher handed over."""
    prepared = paying.prepare(order(**changes))
    answered = answer(inference, prepared, **changes)
    paid = settle(paying, prepared, answered)
    inference.lanes.accept_voucher(inference.lanes.terms(paid.voucher.lane_id), paid.voucher, paid.signature)
    return answered


# -- the way it should go ----------------------------------------------------------------------------------------


def test_answers_are_paid_one_after_another_and_both_books_agree(
    devnet: Any, inference: Inference, paying: Paying, lane: Digest
) -> None:
    receipts = [ask(inference, paying).receipt for _ in range(3)]
    assert [r.sequence for r in receipts if r] == [1, 2, 3]
    provider, user = Lanes(devnet.bench), Lanes(devnet.user_bench)
    assert provider.position(lane) == user.position(lane)
    assert provider.vouchered(lane) == user.vouchered(lane) == provider.position(lane).cumulative_wei > 0


def test_a_receipt_is_signed_by_the_hot_key_and_on_disk_before_it_is_seen(
    devnet: Any, inference: Inference, paying: Paying
) -> None:
    answered = ask(inference, paying)
    assert answered.receipt is not None and answered.signature is not None
    hot, domain = devnet.bench.address("provider-hot"), devnet.bench.domain(ESCROW)
    require_signer(answered.receipt.signing_digest(domain), answered.signature, hot, "the receipt")
    row = inference.receipts.required(answered.receipt.request_id)
    assert (row.state, row.signature, row.receipt) == ("signed", answered.signature, answered.receipt)
    private = inference.receipts.private(answered.receipt.request_id)
    assert private.response == response_of(answered.completion)


def test_the_base_answers_without_lane_or_receipt(inference: Inference, paying: Paying) -> None:
    assert paying.prepare(order(model="tiny")) == Prepared(None, None)
    answered = inference.finish(inference.start(order(model="tiny")))
    assert (answered.receipt, answered.signature) == (None, None)
    assert answered.completion.weights_digest == bytes(32)


def test_the_same_request_samples_differently_each_time_and_by_its_seed(inference: Inference, paying: Paying) -> None:
    first, second = (ask(inference, paying, temperature_ppm=WHOLE_PPM) for _ in range(2))
    assert first.completion.seed != second.completion.seed


# -- answers whose end is lost -----------------------------------------------------------------------------------


def test_an_answer_that_never_arrived_is_recalled_checked_and_paid(
    inference: Inference, paying_over: PaysOver, lane: Digest
) -> None:
    """The user's proxy dies before the receipt arrives; its successor finds what was asked in the user's books."""
    prepared = paying_over(lane).prepare(order())
    answer(inference, prepared)
    successor = paying_over(lane)
    pending = successor.missed()
    assert pending is not None and pending.user_nonce == prepared.order.user_nonce
    found = inference.missed(lane, pending.user_nonce)
    paid = successor.settle(successor.recall(pending), found.receipt, found.signature, found.response)
    assert paid.voucher.cumulative == found.receipt.price
    assert successor.missed() is None
    assert ask(inference, successor).receipt.sequence == 2


def test_what_was_never_answered_is_given_up_for_good(inference: Inference, paying: Paying, lane: Digest) -> None:
    """Else an order that was still on its way could be answered after its user was told that nothing is owed."""
    late = paying.prepare(order())
    with pytest.raises(NotFound, match="Nothing is owed"):
        inference.missed(lane, late.order.user_nonce)
    paying.forget(paying.missed())
    assert paying.missed() is None
    with pytest.raises(Refused, match="has gone"):
        inference.start(order(late.order))
    assert ask(inference, paying).receipt.sequence == 1


def test_an_abandoned_answer_gets_no_receipt(inference: Inference, paying: Paying, lane: Digest) -> None:
    prepared = paying.prepare(order())
    running = inference.start(order(prepared.order))
    with pytest.raises(Unavailable, match="still being made"):
        inference.missed(lane, prepared.order.user_nonce)
    inference.abandon(running)
    with pytest.raises(Refused, match="has gone"):
        inference.finish(running)
    with pytest.raises(NotFound):
        inference.missed(lane, prepared.order.user_nonce)


def test_who_does_not_know_the_nonce_learns_nothing(inference: Inference, paying: Paying, lane: Digest) -> None:
    ask(inference, paying)
    with pytest.raises(NotFound):
        inference.missed(lane, examples.word("guessed"))


# -- refusals before the first token -----------------------------------------------------------------------------


def test_an_unknown_model_is_refused_on_both_sides(inference: Inference, paying: Paying) -> None:
    with pytest.raises(UnknownModel) as raised:
        inference.start(order(model="gpt-4"))
    assert raised.value.code == "model_not_found"
    with pytest.raises(UnknownModel):
        paying.prepare(order(model="gpt-4"))


def test_a_paid_model_without_a_lane_is_refused(inference: Inference) -> None:
    with pytest.raises(Refused, match="names no lane"):
        inference.start(order())


def test_a_lane_to_another_provider_is_refused(devnet: Any, inference: Inference, paying_over: PaysOver) -> None:
    lane = devnet.open_lane(f"inference {next(_numbers)}", 10**18, provider="other-provider")
    with pytest.raises(Refused, match="not this provider"):
        inference.start(order(paying_over(lane).prepare(order()).order))


def test_a_lane_that_was_never_opened_is_refused(inference: Inference, paying: Paying) -> None:
    prepared = paying.prepare(order())
    assert prepared.order is not None
    with pytest.raises(NotFound):
        inference.start(order(replace(prepared.order, lane_id=examples.word("none"))))


def test_a_lane_without_enough_credit_tells_the_missing_amount(
    devnet: Any, inference: Inference, paying_over: PaysOver
) -> None:
    """Worst case before the first token: all prompt tokens and all tokens that were asked for."""
    lane = devnet.open_lane(f"inference {next(_numbers)}", 50 * 10**12)
    paying = paying_over(lane)
    prepared = paying.prepare(order(max_tokens=300))
    prompt = len(inference.pool.prompt_ids(prepared.expected.request)) if prepared.expected else 0
    with pytest.raises(NotEnoughCredit) as raised:
        inference.start(order(prepared.order, max_tokens=300))
    assert raised.value.details["missing_wei"] == str((prompt + 300 - 50) * 10**12)
    assert inference.lanes.position(lane).sequence == 0


def test_exactly_enough_credit_is_enough(devnet: Any, inference: Inference, paying_over: PaysOver) -> None:
    prompt = len(inference.pool.base.tokenizer.encode("<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"))
    for missing, lane_wei in ((1, (prompt + 4) * 10**12 - 1), (0, (prompt + 4) * 10**12)):
        paying = paying_over(devnet.open_lane(f"inference {next(_numbers)}", lane_wei))
        prepared = paying.prepare(order())
        if not missing:
            settle(paying, prepared, answer(inference, prepared))
            continue
        with pytest.raises(NotEnoughCredit) as raised:
            inference.start(order(prepared.order))
        assert raised.value.details["missing_wei"] == "1"


def test_more_unvouchered_answers_than_allowed_are_refused_until_the_voucher_comes(
    inference: Inference, paying: Paying
) -> None:
    """The devnet's provider allows none: who has not paid for the last answer gets no other."""
    first = paying.prepare(order())
    answered = answer(inference, first)
    assert first.order is not None
    late = replace(first.order, user_nonce=examples.word("late"))
    with pytest.raises(Refused, match="have no voucher") as raised:
        inference.start(order(late))
    assert answered.receipt is not None
    assert raised.value.details["unpaid_wei"] == str(answered.receipt.price)
    settle(paying, first, answered)
    assert ask(inference, paying).receipt is not None


def test_a_nonce_is_used_once(inference: Inference, paying: Paying) -> None:
    first = paying.prepare(order())
    settle(paying, first, answer(inference, first))
    second = paying.prepare(order())
    assert first.order is not None and second.order is not None
    with pytest.raises(InvalidInput, match="used this nonce before"):
        inference.start(order(replace(second.order, user_nonce=first.order.user_nonce)))


@pytest.mark.parametrize(
    "fault", ["thief", "foreign chain", "foreign contract", "malleable", "too much", "other lane"]
)
def test_a_voucher_that_is_not_right_buys_nothing(
    devnet: Any, inference: Inference, paying: Paying, lane: Digest, fault: str
) -> None:
    prepared, bench = paying.prepare(order()), devnet.bench
    assert prepared.order is not None
    voucher, signature, domain = prepared.order.voucher, prepared.order.voucher_signature, bench.domain(ESCROW)
    if fault == "thief":
        signature = bench.signer.sign_typed("bob", voucher, domain)
    elif fault == "foreign chain":
        signature = bench.signer.sign_typed("session", voucher, replace(domain, chain_id=1))
    elif fault == "foreign contract":
        elsewhere = replace(domain, verifying_contract=examples.account("elsewhere"))
        signature = bench.signer.sign_typed("session", voucher, elsewhere)
    elif fault == "malleable":
        s = CURVE_ORDER - int.from_bytes(signature[32:64], "big")
        signature = Signature(signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]]))
    elif fault == "too much":
        voucher = Voucher(lane, Wei(1), voucher.receipt_head)
        signature = bench.signer.sign_typed("session", voucher, domain)
    else:
        voucher = Voucher(examples.word("other lane"), Wei(0), voucher.receipt_head)
        signature = bench.signer.sign_typed("session", voucher, domain)
    with pytest.raises(VerificationFailed if fault in ("too much", "other lane") else BadSignature):
        inference.start(order(replace(prepared.order, voucher=voucher, voucher_signature=signature)))
    assert inference.lanes.position(lane).sequence == 0


# -- the user's check --------------------------------------------------------------------------------------------


def test_a_receipt_by_a_key_that_is_not_the_providers_is_not_paid(
    devnet: Any, inference: Inference, paying: Paying, lane: Digest
) -> None:
    prepared = paying.prepare(order())
    answered = answer(inference, prepared)
    assert answered.receipt is not None
    forged = devnet.bench.signer.sign_typed("other-hot", answered.receipt, devnet.bench.domain(ESCROW))
    with pytest.raises(Refused, match="no key of"):
        settle(paying, prepared, replace(answered, signature=forged))
    assert Lanes(devnet.user_bench).position(lane).sequence == 0
    assert settle(paying, prepared, answered).voucher.cumulative == answered.receipt.price


def test_an_answer_that_was_changed_on_the_way_is_not_paid(
    devnet: Any, inference: Inference, paying: Paying, lane: Digest
) -> None:
    prepared = paying.prepare(order())
    answered = answer(inference, prepared)
    changed = replace(answered, completion=replace(answered.completion, text="something else"))
    with pytest.raises(VerificationFailed, match="response_digest"):
        settle(paying, prepared, changed)
    assert Lanes(devnet.user_bench).vouchered(lane) == 0


def test_a_closed_lane_is_found_before_anything_is_sent(devnet: Any, paying: Paying, lane: Digest) -> None:
    devnet.bench.send("user", ESCROW, "requestClose", lane, intent=f"close 0x{lane.hex()}")
    with pytest.raises(Refused, match="is closing"):
        paying.prepare(order())


def test_without_a_session_key_nothing_is_paid(devnet: Any, paying_over: PaysOver) -> None:
    with pytest.raises(NotFound, match="no session key"):
        paying_over(examples.word("somebody else's lane"))


# -- crashes and crowds ------------------------------------------------------------------------------------------


def test_a_crash_before_the_signature_is_repaired_with_the_very_same_receipt(
    devnet: Any, inference: Inference, paying: Paying
) -> None:
    prepared = paying.prepare(order())
    running = inference.start(order(prepared.order))
    drafted: list[Any] = []
    signed = inference.receipts.signed
    inference.receipts.signed = lambda *a: drafted.append(a)  # type: ignore[method-assign]
    try:
        lost = inference.finish(running)
    finally:
        inference.receipts.signed = signed  # type: ignore[method-assign]
    assert lost.receipt is not None
    assert inference.receipts.required(lost.receipt.request_id).state == "draft"
    restarted = Inference(devnet.bench, inference.pool, devnet.bench.address("provider"), "provider-hot")
    assert restarted.repair() == 1
    row = restarted.receipts.required(lost.receipt.request_id)
    assert (row.state, row.receipt, row.signature) == ("signed", lost.receipt, lost.signature)
    assert restarted.repair() == 0


def test_answers_at_once_on_one_lane_get_numbers_of_their_own(
    inference: Inference, paying: Paying, lane: Digest
) -> None:
    """Started before any was finished; finished by four threads."""
    prepared = paying.prepare(order())
    assert prepared.order is not None
    orders = [replace(prepared.order, user_nonce=examples.word(f"crowd {n} {lane.hex()}")) for n in range(4)]
    running = [inference.start(order(o)) for o in orders]
    done: list[SignedAnswer] = []
    threads = [threading.Thread(target=lambda r=r: done.append(inference.finish(r))) for r in running]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    receipts = sorted((a.receipt for a in done if a.receipt), key=lambda r: r.sequence)
    assert [r.sequence for r in receipts] == [1, 2, 3, 4]
    for before, after in pairwise(receipts):
        assert after.previous_receipt == before.digest()
        assert after.cumulative == before.cumulative + after.price
