"""The provider's next receipt, and the user's check that names whatever is wrong in one."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import BadSignature, VerificationFailed
from headwater.protocol.completion import FinishReason
from headwater.protocol.receipt import Receipt
from headwater.protocol.signatures import CURVE_ORDER
from headwater.protocol.typed_data import Domain
from headwater.settlement.receipts import ExpectedReceipt, LanePosition, check_receipt, next_receipt
from headwater.testing import examples
from headwater.types import Digest, Signature, Wei

FIRST = examples.answered()
SECOND = examples.answered(before=FIRST.after)
BLIND = {"prompt_tokens", "issued_at"}
"""What the user cannot compute. A wrong token count shows in the price, the time in nothing."""


def expected(answer: examples.Answered) -> ExpectedReceipt:
    return ExpectedReceipt(
        answer.terms, answer.before, examples.TARIFF, answer.request, answer.nonce, examples.ADAPTER
    )


def check(answer: examples.Answered, **instead: Any) -> None:
    """The user's check of `answer`, with some of its arguments replaced."""
    arguments = {
        "receipt": answer.receipt,
        "signature": answer.signature,
        "signer": examples.account("provider key"),
        "escrow": examples.ESCROW,
        "text": answer.response,
        "wanted": expected(answer),
    }
    check_receipt(**{**arguments, **instead})


def other(value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, bytes):
        return Digest(bytes(31) + b"\7")
    return examples.account("thief") if isinstance(value, str) else value + 1


def test_an_honest_receipt_passes_on_a_fresh_lane_and_on_a_used_one() -> None:
    check(FIRST)
    check(SECOND)


def test_receipts_of_a_lane_form_a_chain_and_add_up() -> None:
    first, second = FIRST.receipt, SECOND.receipt
    assert (first.sequence, first.previous_receipt) == (1, bytes(32))
    assert (second.sequence, second.previous_receipt) == (2, first.digest())
    assert second.cumulative == first.price + second.price == FIRST.after.cumulative_wei + second.price


def test_the_price_is_of_all_tokens_rounded_down() -> None:
    assert FIRST.receipt.price == 24 * 10**12
    odd = replace(examples.TARIFF, price_per_thousand_tokens_wei=Wei(333))
    assert odd.price_of(1, 2) == 0
    assert odd.price_of(3, 1) == 1


def test_an_engine_that_sampled_with_another_seed_gets_no_receipt() -> None:
    cheat = replace(FIRST.completion, seed=examples.word("a seed that answers better"))
    with pytest.raises(VerificationFailed, match="seed"):
        next_receipt(FIRST.terms, FIRST.before, examples.TARIFF, FIRST.request, FIRST.nonce, cheat, 1)


@pytest.mark.parametrize("member", [f.name for f in fields(Receipt) if f.name not in BLIND])
def test_each_changed_member_is_named_though_the_provider_signed_it(member: str) -> None:
    receipt, signature = examples.resigned(SECOND.receipt, **{member: other(getattr(SECOND.receipt, member))})
    with pytest.raises(VerificationFailed) as raised:
        check(SECOND, receipt=receipt, signature=signature)
    assert raised.value.details["member"] == member
    assert member in raised.value.cause


def test_prompt_tokens_that_were_added_alone_show_in_the_price() -> None:
    receipt, signature = examples.resigned(SECOND.receipt, prompt_tokens=10_000)
    with pytest.raises(VerificationFailed) as raised:
        check(SECOND, receipt=receipt, signature=signature)
    assert raised.value.details["member"] == "price"


@pytest.mark.parametrize("member", [f.name for f in fields(Receipt)])
def test_each_member_is_bound_by_the_signature(member: str) -> None:
    changed = replace(SECOND.receipt, **{member: other(getattr(SECOND.receipt, member))})
    with pytest.raises(BadSignature, match="the receipt is signed by"):
        check(SECOND, receipt=changed)


@given(st.integers(0, 64), st.integers(1, 255))
def test_no_changed_byte_of_a_signature_passes(place: int, flip: int) -> None:
    raw = bytearray(SECOND.signature)
    raw[place] ^= flip
    with pytest.raises(BadSignature):
        check(SECOND, signature=Signature(bytes(raw)))


def test_a_malleable_signature_is_refused() -> None:
    r, s, v = SECOND.signature[:32], int.from_bytes(SECOND.signature[32:64], "big"), SECOND.signature[64]
    twin = Signature(r + (CURVE_ORDER - s).to_bytes(32, "big") + bytes([55 - v]))
    with pytest.raises(BadSignature, match="malleable"):
        check(SECOND, signature=twin)


@pytest.mark.parametrize(
    "foreign",
    [
        replace(examples.ESCROW, chain_id=1),
        replace(examples.ESCROW, verifying_contract=examples.account("another escrow")),
        Domain("AttributionLedger", examples.CHAIN_ID, examples.ESCROW.verifying_contract),
    ],
    ids=["chain", "contract", "name"],
)
def test_a_signature_for_a_foreign_domain_is_refused(foreign: Domain) -> None:
    with pytest.raises(BadSignature):
        check(SECOND, signature=examples.sign("provider key", SECOND.receipt, foreign))


def test_a_key_that_the_chain_does_not_list_is_refused() -> None:
    with pytest.raises(BadSignature, match="not by"):
        check(SECOND, signature=examples.sign("thief", SECOND.receipt, examples.ESCROW))


@pytest.mark.parametrize(
    "arrived",
    [
        replace(SECOND.response, text="T36.0X2A"),
        replace(SECOND.response, finish_reason=FinishReason.LENGTH),
        replace(SECOND.response, output_ids=(51, 52, 54, 2)),
    ],
    ids=["text", "finish reason", "tokens"],
)
def test_an_answer_that_arrived_otherwise_than_it_was_signed_is_refused(arrived: Any) -> None:
    with pytest.raises(VerificationFailed, match="response_digest"):
        check(SECOND, text=arrived)


def test_a_receipt_for_another_request_is_refused() -> None:
    wanted = replace(expected(SECOND), request=examples.request("something else"))
    with pytest.raises(VerificationFailed, match="request_digest"):
        check(SECOND, wanted=wanted)


def test_a_receipt_that_is_sent_twice_does_not_continue_the_lane() -> None:
    """A replay after the lane has moved on."""
    with pytest.raises(VerificationFailed, match="sequence"):
        check(SECOND, wanted=replace(expected(SECOND), position=SECOND.after))


def test_a_lane_starts_at_nothing() -> None:
    assert LanePosition() == LanePosition(0, Digest(bytes(32)), Wei(0))
