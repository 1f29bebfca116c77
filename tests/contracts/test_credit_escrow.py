"""Users' money: deposits, lanes, vouchers, closing (P1-P4, P8, P9, P22, P26)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from bare_evm import Actor, Evm
from eth_utils import keccak
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from settlement_world import CREDIT, PROVIDER, Parameters, Settlement, Terms

from headwater.protocol.attribution import Attribution
from headwater.protocol.receipt import Receipt
from headwater.protocol.signatures import CURVE_ORDER
from headwater.protocol.voucher import Voucher, lane_id
from headwater.testing import vectors
from headwater.types import ZERO_ADDRESS, ZERO_DIGEST, Digest, Wei

OPEN, CLOSING, CLOSED = 1, 2, 3
ALLOCATION = 100 * CREDIT


def lane_of(world: Settlement, lane: Digest) -> Any:
    return world.escrow.call("laneOf", lane)


def open_args(world: Settlement, **changes: Any) -> tuple[Any, ...]:
    given_args: dict[str, Any] = {
        "provider": world.provider,
        "nonce": keccak(text="nonce"),
        "allocation": ALLOCATION,
        "session_key": world.session,
        "disclosure": 0,
        "expires_at": 0,
    }
    return tuple((given_args | changes).values())


# -- construction, deposits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("delay", [0, 366 * 86_400])
def test_a_close_delay_out_of_bounds_is_refused(evm: Evm, delay: int) -> None:
    with evm.reverts("ParameterOutOfBounds"):
        Settlement.deploy_bare(evm, Parameters(), Terms(lane_close_delay_seconds=delay))


def test_a_deposit_credits_whom_it_names(world: Settlement) -> None:
    world.give(Actor("patron"), 5, world.escrow)
    sent = world.escrow.send("patron", "deposit", world.user, 5)
    assert world.escrow.call("freeOf", world.user) == 1_000 * CREDIT + 5
    assert sent.event("Deposited").amount == 5


def test_empty_deposits_and_deposits_to_nobody_are_refused(world: Settlement) -> None:
    with world.evm.reverts("ZeroAmount"):
        world.escrow.send(world.user, "deposit", world.user, 0)
    with world.evm.reverts("ZeroAddress"):
        world.escrow.send(world.user, "deposit", ZERO_ADDRESS, 1)


def test_a_deposit_without_allowance_is_refused(world: Settlement) -> None:
    with world.evm.reverts("ERC20InsufficientAllowance"):
        world.escrow.send(Actor("poor"), "deposit", Actor("poor"), 1)


def test_p31_a_token_that_takes_a_fee_is_refused(evm: Evm) -> None:
    token = evm.deploy("FeeOnTransferToken")
    escrow = evm.deploy("CreditEscrow", Actor("access"), token, Actor("ledger"), Actor("staking"), 180)
    token.send("user", "mint", Actor("user"), 10)
    token.send("user", "approve", escrow, 10)
    with evm.reverts("TransferMismatch", 9, 10):
        escrow.send("user", "deposit", Actor("user"), 10)


def test_free_credit_can_be_withdrawn_and_no_more(world: Settlement) -> None:
    world.escrow.send(world.user, "withdraw", Actor("wallet"), 400 * CREDIT)
    assert world.balance(Actor("wallet")) == 400 * CREDIT
    with world.evm.reverts("NotEnoughCredit", 600 * CREDIT, 600 * CREDIT + 1):
        world.escrow.send(world.user, "withdraw", Actor("wallet"), 600 * CREDIT + 1)
    with world.evm.reverts("NotEnoughCredit", 0, 1):
        world.escrow.send("thief", "withdraw", Actor("thief"), 1)
    with world.evm.reverts("ZeroAddress"):
        world.escrow.send(world.user, "withdraw", ZERO_ADDRESS, 1)


# -- lanes ---------------------------------------------------------------------------------------------------------


def test_a_lane_has_the_id_that_python_computes_and_the_terms_it_was_opened_with(world: Settlement) -> None:
    expires = world.evm.now + 1_000
    arguments = open_args(world, disclosure=1, expires_at=expires)
    sent = world.escrow.send(world.user, "openLane", *arguments)
    expected = lane_id(
        31337, world.escrow.address, world.user.address, world.provider.address, Digest(keccak(text="nonce"))
    )
    assert sent.value == expected == sent.event("LaneOpened").laneId
    lane = lane_of(world, expected)
    assert (lane.user, lane.provider) == (world.user.address, world.provider.address)
    assert (lane.sessionKey, lane.disclosure) == (world.session.address, 1)
    assert (lane.allocated, lane.redeemed, lane.status) == (ALLOCATION, 0, OPEN)
    assert (lane.closingAt, lane.expiresAt) == (0, expires)
    assert world.escrow.call("freeOf", world.user) == 900 * CREDIT


def test_a_lane_is_never_opened_twice_not_even_after_its_close(world: Settlement) -> None:
    lane = world.escrow.send(world.user, "openLane", *open_args(world)).value
    with world.evm.reverts("LaneExists", lane):
        world.escrow.send(world.user, "openLane", *open_args(world))
    world.escrow.send(world.user, "requestClose", lane)
    world.evm.advance(world.terms.lane_close_delay_seconds + 1)
    world.escrow.send("anybody", "close", lane)
    with world.evm.reverts("LaneExists", lane):
        world.escrow.send(world.user, "openLane", *open_args(world))


def test_lanes_of_another_user_nonce_or_chain_have_other_ids(world: Settlement) -> None:
    nonce = keccak(text="nonce")
    ids = {
        world.escrow.call("laneIdOf", world.user, world.provider, nonce),
        world.escrow.call("laneIdOf", world.provider, world.user, nonce),
        world.escrow.call("laneIdOf", world.user, world.provider, keccak(nonce)),
        world.evm.fork(1)
        .at("CreditEscrow", world.escrow.address)
        .call("laneIdOf", world.user, world.provider, nonce),
    }
    assert len(ids) == 4


@pytest.mark.parametrize(
    ("error", "changes"),
    [
        ("NotEnoughCredit", {"allocation": 1_000 * CREDIT + 1}),
        ("ZeroAmount", {"allocation": 0}),
        ("ZeroAddress", {"session_key": ZERO_ADDRESS}),
        ("UnknownDisclosure", {"disclosure": 3}),
        ("ProviderNotActive", {"provider": Actor("unregistered")}),
        ("AlreadyExpired", {"expires_at": 1}),
    ],
)
def test_a_lane_that_makes_no_sense_is_refused(world: Settlement, error: str, changes: dict[str, Any]) -> None:
    with world.evm.reverts(error):
        world.escrow.send(world.user, "openLane", *open_args(world, **changes))


def test_p5_a_lane_may_expire_one_second_from_now_but_not_now(world: Settlement) -> None:
    following = world.evm.now + 1
    with world.evm.reverts("AlreadyExpired", following):
        world.escrow.send(world.user, "openLane", *open_args(world, expires_at=following))
    world.escrow.send(world.user, "openLane", *open_args(world, expires_at=world.evm.now + 2))


def test_only_the_user_adds_to_an_open_lane(world: Settlement) -> None:
    lane = world.open_lane()
    world.escrow.send(world.user, "topUp", lane, CREDIT)
    assert lane_of(world, lane).allocated == ALLOCATION + CREDIT
    world.deposit(world.provider, CREDIT)
    with world.evm.reverts("NotLaneParty", lane, world.provider):
        world.escrow.send(world.provider, "topUp", lane, CREDIT)
    world.escrow.send(world.user, "requestClose", lane)
    with world.evm.reverts("WrongLaneStatus", lane, CLOSING):
        world.escrow.send(world.user, "topUp", lane, CREDIT)


# -- vouchers ------------------------------------------------------------------------------------------------------


def test_a_voucher_moves_its_delta_to_the_ledger(world: Settlement) -> None:
    lane = world.open_lane()
    sent = world.redeem(lane, 7)
    assert sent.value == 7
    assert sent.names() == ["VoucherRedeemed", "Transfer", "Funded"]
    assert world.redeem(lane, 10).value == 3
    assert world.ledger.call("funded") == world.balance(world.ledger) == 10
    assert lane_of(world, lane).redeemed == 10


@given(cumulatives=st.lists(st.integers(0, 50), min_size=1, max_size=6), data=st.data())
@settings(max_examples=10)
def test_p9_any_order_and_subset_of_vouchers_ends_at_the_highest(cumulatives: list[int], data: st.DataObject) -> None:
    world = Settlement.deploy(Evm())
    lane = world.open_lane(50)
    chosen = data.draw(st.permutations(cumulatives))
    moved = [world.redeem(lane, c).value for c in chosen]
    assert sum(moved) == lane_of(world, lane).redeemed == max(cumulatives) == world.ledger.call("funded")
    assert world.redeem(lane, max(cumulatives)).names() == []


def test_p4_p9_an_equal_or_lower_cumulative_changes_nothing(world: Settlement) -> None:
    lane = world.open_lane()
    world.redeem(lane, 10)
    for cumulative in (10, 9, 0):
        sent = world.redeem(lane, cumulative)
        assert (sent.value, sent.events) == (0, ())
    assert lane_of(world, lane).redeemed == world.ledger.call("funded") == 10


def test_p8_a_session_key_cannot_exceed_its_allocation(world: Settlement) -> None:
    lane = world.open_lane(10)
    with world.evm.reverts("VoucherAboveAllocation", 11, 10):
        world.redeem(lane, 11)
    assert world.redeem(lane, 10).value == 10


def test_p8_a_session_key_signs_for_its_own_lane_only(world: Settlement) -> None:
    lane, other = world.open_lane(nonce=1), world.open_lane(nonce=2)
    voucher, signature = world.voucher(lane, 5)
    with world.evm.reverts("WrongSigner"):
        world.escrow.send("thief", "redeem", replace(voucher, lane_id=other), signature)
    unknown = Digest(keccak(text="no such lane"))
    with world.evm.reverts("WrongLaneStatus", unknown, 0):
        world.escrow.send("thief", "redeem", *world.voucher(unknown, 5))


def test_p8_neither_user_nor_provider_nor_another_key_signs_vouchers(world: Settlement) -> None:
    lane = world.open_lane()
    for signer in (world.user, world.provider, world.provider_key, Actor("thief")):
        voucher, signature = world.voucher(lane, 5, signer)
        with world.evm.reverts("WrongSigner", world.session, signer):
            world.escrow.send("thief", "redeem", voucher, signature)


@pytest.mark.parametrize("member", ["lane_id", "cumulative", "receipt_head"])
def test_every_member_of_a_voucher_is_signed(world: Settlement, member: str) -> None:
    lane, other = world.open_lane(nonce=1), world.open_lane(nonce=2)
    voucher, signature = world.voucher(lane, 5)
    changed = replace(voucher, **{member: {"lane_id": other, "cumulative": 6, "receipt_head": ZERO_DIGEST}[member]})
    with world.evm.reverts("WrongSigner"):
        world.escrow.send("thief", "redeem", changed, signature)


def test_p1_a_voucher_of_another_chain_or_contract_is_refused(world: Settlement) -> None:
    lane = world.open_lane()
    voucher = Voucher(lane, Wei(5), ZERO_DIGEST)
    foreign = [
        replace(world.escrow.domain, chain_id=1),
        replace(world.escrow.domain, verifying_contract=world.ledger.address),
        replace(world.escrow.domain, contract="CreditEscro"),
    ]
    for domain in foreign:
        with world.evm.reverts("WrongSigner"):
            world.escrow.send("thief", "redeem", voucher, world.session.sign(voucher, domain))
    forked = world.evm.fork(1).at("CreditEscrow", world.escrow.address)
    with world.evm.reverts("WrongSigner"):
        forked.send("thief", "redeem", voucher, world.session.sign(voucher, world.escrow.domain))


def test_p3_malleable_and_malformed_voucher_signatures_are_refused(world: Settlement) -> None:
    lane = world.open_lane()
    voucher, good = world.voucher(lane, 5)
    high = (CURVE_ORDER - int.from_bytes(good[32:64], "big")).to_bytes(32, "big")
    for bad in (
        good[:32] + high + bytes([55 - good[64]]),
        good[:64] + bytes([good[64] - 27]),
        good[:63],
        good + b"\x00",
        b"",
        bytes(65),
    ):
        with world.evm.reverts("WrongSigner"):
            world.escrow.send("thief", "redeem", voucher, bad)


def test_an_erc2098_signature_redeems(world: Settlement) -> None:
    lane = world.open_lane()
    voucher, good = world.voucher(lane, 5)
    parity = good[64] - 27
    compact = good[:32] + bytes([good[32] | parity << 7]) + good[33:64]
    assert world.escrow.send("anybody", "redeem", voucher, compact).value == 5


# -- closing -------------------------------------------------------------------------------------------------------


def test_p8_vouchers_stay_redeemable_until_the_close_delay_ends_and_not_after(world: Settlement) -> None:
    lane = world.open_lane()
    closing_at = world.escrow.send(world.user, "requestClose", lane).event("LaneCloseRequested").closingAt
    assert closing_at == world.evm.now + world.terms.lane_close_delay_seconds
    world.evm.advance(closing_at - 1 - world.evm.now)
    assert world.redeem(lane, 5).value == 5
    assert world.evm.now == closing_at - 1
    with world.evm.reverts("LaneEnded", lane, closing_at):
        world.redeem(lane, 6)
    world.escrow.send("anybody", "close", lane)
    with world.evm.reverts("WrongLaneStatus", lane, CLOSED):
        world.redeem(lane, 6)
    assert world.escrow.call("freeOf", world.user) == 1_000 * CREDIT - 5


def test_a_lane_closes_at_the_end_of_its_delay_and_not_before(world: Settlement) -> None:
    lane = world.open_lane()
    with world.evm.reverts("WrongLaneStatus", lane, OPEN):
        world.escrow.send(world.user, "close", lane)
    closing_at = world.escrow.send(world.provider, "requestClose", lane).event("LaneCloseRequested").closingAt
    with world.evm.reverts("WrongLaneStatus", lane, CLOSING):
        world.escrow.send(world.user, "requestClose", lane)
    world.evm.advance(closing_at - 1 - world.evm.now)
    with world.evm.reverts("CloseTooEarly", closing_at):
        world.escrow.send(world.user, "close", lane)
    sent = world.escrow.send("anybody", "close", lane)
    assert sent.event("LaneClosed").returned == ALLOCATION
    with world.evm.reverts("WrongLaneStatus", lane, CLOSED):
        world.escrow.send("anybody", "close", lane)
    assert world.escrow.call("freeOf", world.user) == 1_000 * CREDIT


def test_strangers_start_no_closing_while_key_and_bond_last(world: Settlement) -> None:
    expires = world.evm.now + 100
    lane = world.open_lane(expires_at=expires)
    with world.evm.reverts("NotLaneParty", lane, Actor("stranger")):
        world.escrow.send("stranger", "requestClose", lane)
    world.evm.advance(expires - world.evm.now)
    with world.evm.reverts("NotLaneParty"):
        world.escrow.send("stranger", "requestClose", lane)
    assert world.evm.now == expires
    assert world.escrow.send("stranger", "requestClose", lane).names() == ["LaneCloseRequested"]


def test_anyone_starts_the_closing_once_the_provider_leaves(world: Settlement) -> None:
    lane = world.open_lane()
    world.staking.send(world.provider, "requestExit", PROVIDER)
    assert world.escrow.send("stranger", "requestClose", lane).names() == ["LaneCloseRequested"]
    assert world.redeem(lane, 5).value == 5


# -- providers' signatures -----------------------------------------------------------------------------------------


def test_a_receipt_verifies_by_any_key_of_its_provider_for_ever(world: Settlement) -> None:
    receipt = replace(vectors.sample(Receipt), provider=world.provider.address)
    assert isinstance(receipt, Receipt)
    signature = world.provider_key.sign(receipt, world.escrow.domain)
    assert world.escrow.call("verifyReceiptSignature", receipt, signature)
    for other in (world.provider, world.key_of(world.validators[0]), Actor("thief")):
        assert not world.escrow.call("verifyReceiptSignature", receipt, other.sign(receipt, world.escrow.domain))
    changed = replace(receipt, output_tokens=receipt.output_tokens + 1)
    assert not world.escrow.call("verifyReceiptSignature", changed, signature)
    assert not world.escrow.call("verifyReceiptSignature", replace(receipt, provider=ZERO_ADDRESS), b"")
    world.staking.send(world.provider, "requestExit", PROVIDER)
    assert world.escrow.call("verifyReceiptSignature", receipt, signature)


def test_an_attribution_verifies_by_a_key_of_its_provider(world: Settlement) -> None:
    attribution = replace(vectors.sample(Attribution), provider=world.provider.address)
    assert isinstance(attribution, Attribution)
    signature = world.provider_key.sign(attribution, world.escrow.domain)
    assert world.escrow.call("verifyAttributionSignature", attribution, signature)
    changed = replace(attribution, base_ppm=attribution.base_ppm + 1)
    assert not world.escrow.call("verifyAttributionSignature", changed, signature)


# -- any sequence --------------------------------------------------------------------------------------------------


class Lanes(RuleBasedStateMachine):
    """P22: whatever users and thieves do, the escrow holds what it owes, and the ledger what was redeemed."""

    @initialize()
    def begin(self) -> None:
        self.world = Settlement.deploy(Evm())
        self.lanes: list[Digest] = []

    @rule(wei=st.integers(1, 40 * CREDIT), who=st.sampled_from(["user", "patron"]))
    def deposit(self, wei: int, who: str) -> None:
        self.world.give(Actor(who), wei, self.world.escrow)
        self.world.escrow.send(who, "deposit", self.world.user, wei)

    @rule(wei=st.integers(1, 40 * CREDIT))
    def open(self, wei: int) -> None:
        if self.world.escrow.call("freeOf", self.world.user) >= wei:
            self.lanes.append(self.world.open_lane(wei, nonce=len(self.lanes)))

    @rule(data=st.data(), share=st.integers(0, 100))
    def redeem(self, data: st.DataObject, share: int) -> None:
        for lane in self._some(data, {OPEN, CLOSING}):
            state = lane_of(self.world, lane)
            if state.status == CLOSING and self.world.evm.now + 1 >= state.closingAt:
                continue
            self.world.redeem(lane, state.allocated * share // 100)

    @rule(data=st.data())
    def request_close(self, data: st.DataObject) -> None:
        for lane in self._some(data, {OPEN}):
            self.world.escrow.send(self.world.user, "requestClose", lane)

    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        for lane in self._some(data, {CLOSING}):
            self.world.evm.advance(self.world.terms.lane_close_delay_seconds + 1)
            self.world.escrow.send("anybody", "close", lane)

    @rule(wei=st.integers(1, 10 * CREDIT))
    def withdraw(self, wei: int) -> None:
        if self.world.escrow.call("freeOf", self.world.user) >= wei:
            self.world.escrow.send(self.world.user, "withdraw", Actor("wallet"), wei)

    @invariant()
    def balances_are_what_is_owed(self) -> None:
        if not hasattr(self, "world"):
            return
        lanes = [lane_of(self.world, lane) for lane in self.lanes]
        locked = sum(x.allocated - x.redeemed for x in lanes if x.status != CLOSED)
        free = self.world.escrow.call("freeOf", self.world.user)
        assert self.world.balance(self.world.escrow) == free + locked
        redeemed = sum(x.redeemed for x in lanes)
        assert self.world.balance(self.world.ledger) == self.world.ledger.call("funded") == redeemed
        assert all(x.redeemed <= x.allocated for x in lanes)

    def _some(self, data: st.DataObject, statuses: set[int]) -> list[Digest]:
        fitting = [lane for lane in self.lanes if lane_of(self.world, lane).status in statuses]
        return [data.draw(st.sampled_from(fitting))] if fitting else []


TestLanes = Lanes.TestCase
TestLanes.settings = settings(max_examples=10, stateful_step_count=15, deadline=None)


# -- what a closed lane leaves -------------------------------------------------------------------------------------


def test_a_closed_lane_names_the_epoch_that_came_next(funded: Settlement) -> None:
    """From it R epochs are counted until uncovered credit is refunded: what it names never changes again."""
    first, second = funded.open_lane(CREDIT, 1), funded.open_lane(CREDIT, 2)
    for lane in (first, second):
        funded.escrow.send(funded.user, "requestClose", lane)
        assert funded.escrow.call("laneOf", lane).closedInEpoch == 0
    funded.evm.advance(funded.terms.lane_close_delay_seconds)
    assert funded.escrow.send("anybody", "close", first).event("LaneClosed").closedInEpoch == 1
    done = funded.commit({Actor("anna").address: 5})
    funded.escrow.send("anybody", "close", second)
    funded.ledger.send(funded.disputes, "invalidate", done.entry)
    assert [funded.escrow.call("laneOf", lane).closedInEpoch for lane in (first, second)] == [1, 2]
