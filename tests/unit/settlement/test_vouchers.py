"""What a provider accepts as payment, and how much it serves without."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headwater.errors import BadSignature, NotEnoughCredit, Refused, VerificationFailed
from headwater.protocol.typed_data import Domain
from headwater.protocol.voucher import Voucher
from headwater.settlement.receipts import LanePosition, LaneTerms
from headwater.settlement.vouchers import check_voucher, require_credit, require_vouchered, voucher_for
from headwater.testing import examples
from headwater.types import Wei

LANE = examples.lane(allocated_wei=1_000)
KNOWN = LanePosition(3, examples.word("third receipt"), Wei(600))


def check(
    voucher: Voucher, signer: str = "session", domain: Domain = examples.ESCROW, terms: LaneTerms = LANE
) -> None:
    check_voucher(voucher, examples.sign(signer, voucher, domain), examples.ESCROW, terms, KNOWN)


def test_the_voucher_for_a_position_names_lane_sum_and_last_receipt() -> None:
    voucher = voucher_for(LANE, KNOWN)
    assert (voucher.lane_id, voucher.cumulative, voucher.receipt_head) == (LANE.lane_id, 600, KNOWN.head)
    check(voucher)


def test_an_older_voucher_is_still_good() -> None:
    """Which one counts is decided by the sum; an old one takes nothing away."""
    check(Voucher(LANE.lane_id, Wei(0), examples.word("nothing yet")))


def test_a_voucher_of_another_lane_is_refused() -> None:
    with pytest.raises(VerificationFailed, match="another lane"):
        check(voucher_for(examples.lane("another"), KNOWN))


def test_a_voucher_above_the_receipts_is_refused() -> None:
    """It would pay for answers that nobody gave."""
    with pytest.raises(VerificationFailed, match="add up to 600"):
        check(Voucher(LANE.lane_id, Wei(601), KNOWN.head))


def test_a_voucher_above_the_allocation_tells_what_is_missing() -> None:
    with pytest.raises(NotEnoughCredit) as raised:
        check(voucher_for(LANE, KNOWN), terms=replace(LANE, allocated_wei=Wei(550)))
    assert raised.value.details["missing_wei"] == "50"


@pytest.mark.parametrize("signer", ["user", "provider key", "thief"])
def test_only_the_lanes_session_key_signs_vouchers(signer: str) -> None:
    with pytest.raises(BadSignature, match="the voucher is signed by"):
        check(voucher_for(LANE, KNOWN), signer=signer)


@pytest.mark.parametrize(
    "foreign",
    [
        replace(examples.ESCROW, chain_id=1),
        replace(examples.ESCROW, verifying_contract=examples.account("x")),
        examples.LEDGER,
    ],
    ids=["chain", "contract", "name"],
)
def test_a_voucher_for_a_foreign_domain_is_refused(foreign: Domain) -> None:
    with pytest.raises(BadSignature):
        check(voucher_for(LANE, KNOWN), domain=foreign)


def test_members_that_change_places_do_not_keep_the_signature() -> None:
    """Every permutation of a voucher's words but the right one is another voucher."""
    words = (LANE.lane_id, KNOWN.head, examples.word("third"))
    signature = examples.sign("session", Voucher(words[0], Wei(600), words[1]), examples.ESCROW)
    for lane_id, head, _ in permutations(words):
        voucher = Voucher(lane_id, Wei(600), head)
        terms = replace(LANE, lane_id=lane_id)
        if (lane_id, head) == words[:2]:
            check_voucher(voucher, signature, examples.ESCROW, terms, KNOWN)
            continue
        with pytest.raises(BadSignature):
            check_voucher(voucher, signature, examples.ESCROW, terms, KNOWN)


@given(st.integers(0, 2_000), st.integers(0, 2_000), st.integers(0, 4_000))
@example(600, 401, 1_000)
@example(600, 400, 1_000)
def test_credit_is_enough_exactly_up_to_the_allocation(cumulative: int, worst: int, allocated: int) -> None:
    terms, known = replace(LANE, allocated_wei=Wei(allocated)), replace(KNOWN, cumulative_wei=Wei(cumulative))
    missing = cumulative + worst - allocated
    if missing <= 0:
        require_credit(terms, known, worst)
        return
    with pytest.raises(NotEnoughCredit) as raised:
        require_credit(terms, known, worst)
    assert raised.value.details["missing_wei"] == str(missing)


def test_unvouchered_answers_are_served_up_to_the_limit_and_no_further() -> None:
    require_vouchered(KNOWN, vouchered_wei=400, limit_wei=200)
    with pytest.raises(Refused, match="the provider's limit is 199") as raised:
        require_vouchered(KNOWN, vouchered_wei=400, limit_wei=199)
    assert raised.value.details["unpaid_wei"] == "200"
