"""Each of a user's verbs with its money checked: deposit, open, top up, redeem, close, withdraw, wrap.

Run by `scripts/brownie_env brownie test`. Depth is in tests/contracts, which needs no Brownie.
"""

import pytest
from eth_account import Account
from scripts.deploy import CREDIT, LANE_CLOSE_DELAY_SECONDS, PROVIDER_BOND_WEI, deploy

import brownie
from brownie import CreditWrapper, accounts, chain

PROVIDER_KEY, SESSION_KEY = (Account.from_key(bytes([n]) * 32) for n in (0x21, 0x22))
PROVIDER_ROLE = 2
ZERO = b"\x00" * 32
KEY_REGISTRATION = [
    ("owner", "address"),
    ("key", "address"),
    ("role", "uint8"),
    ("epochDrawAnchor", "bytes32"),
    ("versionDrawAnchor", "bytes32"),
]
VOUCHER = [("laneId", "bytes32"), ("cumulative", "uint128"), ("receiptHead", "bytes32")]


@pytest.fixture(scope="module")
def suite():
    """The suite, a user with ten credits who allows the escrow to take them, and a bonded provider."""
    made = deploy(accounts[0])
    token, staking = made["CreditToken"], made["Staking"]
    user, provider = accounts[6], accounts[7]
    for who, wei, spender in ((user, 10 * CREDIT, made["CreditEscrow"]), (provider, PROVIDER_BOND_WEI, staking)):
        token.mint(who, wei, {"from": accounts[0]})
        token.approve(spender, wei, {"from": who})
    values = (provider.address, PROVIDER_KEY.address, PROVIDER_ROLE, ZERO, ZERO)
    possession = sign("Staking", staking, "KeyRegistration", KEY_REGISTRATION, values, PROVIDER_KEY)
    staking.registerProvider(PROVIDER_KEY.address, possession, PROVIDER_BOND_WEI, {"from": provider})
    return made


@pytest.fixture(autouse=True)
def isolation(fn_isolation):
    """Each test starts where the suite was deployed."""


def sign(contract, where, name, members, values, key):
    """An EIP-712 signature, 65 bytes."""
    domain = {
        "name": f"Headwater {contract}",
        "version": "1",
        "chainId": chain.id,
        "verifyingContract": where.address,
    }
    types = {name: [{"name": member, "type": kind} for member, kind in members]}
    message = dict(zip((member for member, _ in members), values, strict=True))
    return bytes(Account.sign_typed_data(key.key, domain, types, message).signature)


def opened(suite, allocation=4 * CREDIT):
    """The user's lane."""
    escrow, user, provider = suite["CreditEscrow"], accounts[6], accounts[7]
    escrow.deposit(user, 10 * CREDIT, {"from": user})
    sent = escrow.openLane(provider, b"\x01" * 32, allocation, SESSION_KEY.address, 0, 0, {"from": user})
    return sent.events["LaneOpened"]["laneId"]


def voucher(suite, lane, cumulative):
    escrow = suite["CreditEscrow"]
    values = (bytes(lane), cumulative, b"\x05" * 32)
    return values, sign("CreditEscrow", escrow, "Voucher", VOUCHER, values, SESSION_KEY)


def test_a_deposit_is_free_credit_and_leaves_again(suite):
    escrow, token, user = suite["CreditEscrow"], suite["CreditToken"], accounts[6]
    escrow.deposit(user, 10 * CREDIT, {"from": user})
    assert (escrow.freeOf(user), token.balanceOf(user), token.balanceOf(escrow)) == (10 * CREDIT, 0, 10 * CREDIT)
    escrow.withdraw(accounts[8], 3 * CREDIT, {"from": user})
    assert (escrow.freeOf(user), token.balanceOf(accounts[8])) == (7 * CREDIT, 3 * CREDIT)
    with brownie.reverts(f"NotEnoughCredit: {7 * CREDIT}, {8 * CREDIT}"):
        escrow.withdraw(user, 8 * CREDIT, {"from": user})


def test_a_lane_is_opened_topped_up_redeemed_closed(suite):
    escrow, token, user = suite["CreditEscrow"], suite["CreditToken"], accounts[6]
    lane = opened(suite)
    escrow.topUp(lane, CREDIT, {"from": user})
    assert escrow.freeOf(user) == 5 * CREDIT
    escrow.redeem(*voucher(suite, lane, 2 * CREDIT), {"from": accounts[9]})
    assert token.balanceOf(suite["AttributionLedger"]) == suite["AttributionLedger"].funded() == 2 * CREDIT
    escrow.requestClose(lane, {"from": user})
    chain.sleep(LANE_CLOSE_DELAY_SECONDS)
    escrow.close(lane, {"from": accounts[9]})
    assert escrow.freeOf(user) == 8 * CREDIT
    escrow.withdraw(user, 8 * CREDIT, {"from": user})
    assert (token.balanceOf(user), token.balanceOf(escrow)) == (8 * CREDIT, 0)


def test_a_voucher_above_its_lane_moves_nothing(suite):
    lane = opened(suite)
    with brownie.reverts(f"VoucherAboveAllocation: {4 * CREDIT + 1}, {4 * CREDIT}"):
        suite["CreditEscrow"].redeem(*voucher(suite, lane, 4 * CREDIT + 1), {"from": accounts[9]})
    assert suite["AttributionLedger"].funded() == 0


def test_the_guardian_stops_what_comes_in_and_nothing_that_leaves(suite):
    escrow, user = suite["CreditEscrow"], accounts[6]
    lane = opened(suite)
    escrow.pause(3_600, {"from": accounts[0]})
    with brownie.reverts(f"PausedUntil: {escrow.pausedUntil()}"):
        escrow.topUp(lane, CREDIT, {"from": user})
    escrow.redeem(*voucher(suite, lane, CREDIT), {"from": accounts[9]})
    escrow.withdraw(user, 6 * CREDIT, {"from": user})
    assert suite["CreditToken"].balanceOf(user) == 6 * CREDIT


def test_wrapped_credits_stand_for_what_lies_behind_them(suite):
    token, user = suite["CreditToken"], accounts[6]
    wrapper = CreditWrapper.deploy(token, {"from": accounts[0]})
    token.approve(wrapper, 10 * CREDIT, {"from": user})
    wrapper.wrap(accounts[8], 4 * CREDIT, {"from": user})
    assert wrapper.balanceOf(accounts[8]) == wrapper.totalSupply() == token.balanceOf(wrapper) == 4 * CREDIT
    wrapper.unwrap(user, 4 * CREDIT, {"from": accounts[8]})
    assert (wrapper.totalSupply(), token.balanceOf(user)) == (0, 10 * CREDIT)
