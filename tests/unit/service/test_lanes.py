"""Lanes: what the chain fixed, where the books stand, which voucher is worth what."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from sqlalchemy import select

from headwater.errors import BadSignature, NotEnoughCredit, NotFound, Refused, VerificationFailed
from headwater.protocol.license import Disclosure
from headwater.protocol.voucher import Voucher
from headwater.service.lanes import ESCROW, Lanes
from headwater.service.receipt_rows import PrivateAnswer, ReceiptRows
from headwater.settlement.receipts import LanePosition, LaneTerms
from headwater.settlement.vouchers import voucher_for
from headwater.storage.schema import vouchers
from headwater.testing import examples
from headwater.types import Digest, Signature, Wei, hex0x

_numbers = count()
CREDIT = 10**18


@pytest.fixture
def lanes(devnet: Any) -> Lanes:
    """The provider's side."""
    return Lanes(devnet.bench)


@pytest.fixture
def lane(devnet: Any, lanes: Lanes) -> Digest:
    """A lane of two credits that the provider has seen."""
    lane_id = devnet.open_lane(f"lanes {next(_numbers)}", 2 * CREDIT)
    lanes.remember(lane_id, "provider")
    return lane_id


def answer(devnet: Any, terms: LaneTerms, count_: int = 1) -> LanePosition:
    """Put `count_` receipts into the provider's books."""
    rows = ReceiptRows(devnet.bench.database, devnet.bench.home.path)
    position = Lanes(devnet.bench).position(terms.lane_id)
    for _ in range(count_):
        made = examples.answered(terms, position)
        rows.draft(made.receipt, PrivateAnswer(made.request, made.response, made.nonce, made.completion.prompt_ids))
        rows.signed(made.receipt, made.signature)
        position = made.after
    return position


def sign(devnet: Any, voucher: Voucher) -> Signature:
    return devnet.bench.signer.sign_typed("session", voucher, devnet.bench.domain(ESCROW))


def states(devnet: Any, lane: Digest) -> list[tuple[int, str]]:
    query = select(vouchers.c.cumulative_wei, vouchers.c.state).where(vouchers.c.lane_id == hex0x(lane))
    return sorted((int(w), s) for w, s in devnet.bench.database.read(lambda c: c.execute(query).all()))


# -- terms -------------------------------------------------------------------------------------------------------


def test_terms_are_what_the_opening_fixed(devnet: Any, lanes: Lanes, lane: Digest) -> None:
    bench = devnet.bench
    assert lanes.open_terms(lane) == lanes.terms(lane) == LaneTerms(
        lane,
        bench.address("user"),
        bench.address("provider"),
        bench.address("session"),
        Disclosure.CONFIDENTIAL,
        Wei(2 * CREDIT),
    )  # fmt: skip


def test_a_lane_that_is_not_on_the_chain_is_told(lanes: Lanes) -> None:
    for ask in (lanes.terms, lanes.open_terms, lanes.status):
        with pytest.raises(NotFound, match="headwater lane open"):
            ask(examples.word("no lane"))


def test_a_closing_lane_serves_no_more(devnet: Any, lanes: Lanes, lane: Digest) -> None:
    devnet.bench.send("user", ESCROW, "requestClose", lane, intent=f"close {hex0x(lane)}")
    with pytest.raises(Refused, match="is closing"):
        lanes.open_terms(lane)
    assert lanes.status(lane).status == "closing"
    assert lanes.terms(lane).allocated_wei == 2 * CREDIT


def test_an_expired_lane_serves_no_more(devnet: Any, lanes: Lanes) -> None:
    lane = devnet.open_lane("expires", CREDIT, expires_at=devnet.bench.chain_time() + 20)
    assert lanes.open_terms(lane)
    devnet.chain.advance(30)
    devnet.chain.mine_empty()
    with pytest.raises(Refused, match="has expired"):
        lanes.open_terms(lane)


def test_a_fresh_lane_stands_at_nothing(lanes: Lanes, lane: Digest) -> None:
    now = lanes.status(lane)
    assert (now.status, now.position, now.vouchered_wei, now.redeemed_wei) == ("open", LanePosition(), 0, 0)


def test_the_position_is_after_the_last_receipt_in_the_books(devnet: Any, lanes: Lanes, lane: Digest) -> None:
    position = answer(devnet, lanes.terms(lane), 3)
    assert position.sequence == 3
    assert lanes.position(lane) == lanes.status(lane).position == position


def test_the_session_key_is_found_in_the_users_books_only(devnet: Any, lanes: Lanes, lane: Digest) -> None:
    assert Lanes(devnet.user_bench).session_key_name(lane) == "session"
    for unknown in (lane, examples.word("x")):
        with pytest.raises(NotFound, match="no session key"):
            lanes.session_key_name(unknown)


def test_remembering_twice_changes_nothing(devnet: Any, lanes: Lanes, lane: Digest) -> None:
    Lanes(devnet.user_bench).remember(lane, "user", "another key")
    assert Lanes(devnet.user_bench).session_key_name(lane) == "session"
    assert lanes.all().count(lane) == 1


# -- vouchers ----------------------------------------------------------------------------------------------------


def test_the_newest_voucher_counts_and_the_one_before_is_superseded(devnet: Any, lanes: Lanes, lane: Digest) -> None:
    terms, held = lanes.terms(lane), []
    for _ in range(2):
        voucher = voucher_for(terms, answer(devnet, terms))
        lanes.accept_voucher(terms, voucher, sign(devnet, voucher))
        held.append(voucher)
    assert lanes.last_voucher(lane) == (held[1], sign(devnet, held[1]))
    assert states(devnet, lane) == [(held[0].cumulative, "superseded"), (held[1].cumulative, "signed")]


def test_an_older_voucher_that_comes_later_takes_nothing_away(devnet: Any, lanes: Lanes, lane: Digest) -> None:
    terms, pairs = lanes.terms(lane), []
    for _ in range(2):
        voucher = voucher_for(terms, answer(devnet, terms))
        pairs.append((voucher, sign(devnet, voucher)))
    for voucher, signature in (pairs[1], pairs[0]):
        lanes.accept_voucher(terms, voucher, signature)
    assert lanes.vouchered(lane) == pairs[1][0].cumulative
    assert states(devnet, lane) == [(pairs[0][0].cumulative, "superseded"), (pairs[1][0].cumulative, "signed")]


def test_the_same_voucher_again_has_no_second_effect_even_after_it_was_redeemed(
    devnet: Any, lanes: Lanes, lane: Digest
) -> None:
    terms = lanes.terms(lane)
    voucher = voucher_for(terms, answer(devnet, terms))
    for _ in range(2):
        lanes.accept_voucher(terms, voucher, sign(devnet, voucher))
    assert states(devnet, lane) == [(voucher.cumulative, "signed")]
    lanes.redeem("provider", lane)
    lanes.accept_voucher(terms, voucher, sign(devnet, voucher))
    assert states(devnet, lane) == [(voucher.cumulative, "redeemed")]


def test_a_first_voucher_of_nothing_is_taken_though_the_lane_was_never_seen(devnet: Any, lanes: Lanes) -> None:
    """It may arrive at `/v1/lanes/…/vouchers` before any answer."""
    lane = devnet.open_lane("unseen", CREDIT)
    terms = lanes.terms(lane)
    voucher = voucher_for(terms, LanePosition())
    lanes.accept_voucher(terms, voucher, sign(devnet, voucher))
    assert lanes.vouchered(lane) == 0


def test_vouchers_that_pay_too_much_or_are_signed_by_others_are_not_kept(
    devnet: Any, lanes: Lanes, lane: Digest
) -> None:
    terms = lanes.terms(lane)
    position = answer(devnet, terms)
    right = voucher_for(terms, position)
    good = sign(devnet, right)
    above = replace(right, cumulative=Wei(right.cumulative + 1))
    with pytest.raises(VerificationFailed, match="add up to"):
        lanes.accept_voucher(terms, above, sign(devnet, above))
    thief = devnet.bench.signer.sign_typed("bob", right, devnet.bench.domain(ESCROW))
    with pytest.raises(BadSignature):
        lanes.accept_voucher(terms, right, thief)
    with pytest.raises(NotEnoughCredit) as raised:
        lanes.accept_voucher(replace(terms, allocated_wei=Wei(1)), right, good)
    assert raised.value.details["missing_wei"] == str(right.cumulative - 1)
    assert states(devnet, lane) == []


# -- redeeming ---------------------------------------------------------------------------------------------------


def test_redeeming_moves_what_the_last_voucher_adds_and_nothing_twice(
    devnet: Any, lanes: Lanes, lane: Digest
) -> None:
    terms, moved = lanes.terms(lane), []
    for _ in range(2):
        voucher = voucher_for(terms, answer(devnet, terms))
        lanes.accept_voucher(terms, voucher, sign(devnet, voucher))
        moved += [lanes.redeem("provider", lane), lanes.redeem("provider", lane)]
    assert moved == [24 * 10**12, 0, 24 * 10**12, 0]
    assert lanes.status(lane).redeemed_wei == 48 * 10**12


@pytest.mark.parametrize("with_zero", [False, True])
def test_without_a_voucher_there_is_nothing_to_redeem(
    devnet: Any, lanes: Lanes, lane: Digest, with_zero: bool
) -> None:
    terms = lanes.terms(lane)
    if with_zero:
        voucher = voucher_for(terms, LanePosition())
        lanes.accept_voucher(terms, voucher, sign(devnet, voucher))
    with pytest.raises(NotFound, match="no voucher to redeem"):
        lanes.redeem("provider", lane)
