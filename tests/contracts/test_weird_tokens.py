"""Escrow, ledger and staking over tokens that misbehave, and receivers that cannot be paid (P22, P31, P39, P65)."""

from __future__ import annotations

from typing import Any

import pytest
from bare_evm import Actor, Deployed, Evm
from settlement_world import CREDIT

ANNA, BERT, MALLORY = Actor("anna"), Actor("bert"), Actor("mallory")
MANNERS = ("Plain", "NoReturn", "ReturnsFalse", "TakesFee", "GivesBonus", "MovesNothing", "Reverts")


def escrow_over(evm: Evm, token: Deployed) -> Deployed:
    """An escrow whose ledger and staking nobody asks in these tests."""
    return evm.deploy("CreditEscrow", Actor("access"), token, Actor("ledger"), Actor("staking"), 180)


@pytest.fixture
def token(evm: Evm) -> Deployed:
    made = evm.deploy("WeirdToken", 18)
    made.send("x", "mint", ANNA, 100)
    return made


@pytest.mark.parametrize(
    ("manner", "error"),
    [
        ("ReturnsFalse", "SafeERC20FailedOperation"),
        ("TakesFee", "TransferMismatch"),
        ("GivesBonus", "TransferMismatch"),
        ("MovesNothing", "TransferMismatch"),
        ("Reverts", "Nothing"),
    ],
)
def test_p31_no_deposit_is_credited_by_another_amount_than_came(
    evm: Evm, token: Deployed, manner: str, error: str
) -> None:
    escrow = escrow_over(evm, token)
    token.send(ANNA, "approve", escrow, 100)
    token.send("x", "setManner", MANNERS.index(manner))
    with evm.reverts(error):
        escrow.send(ANNA, "deposit", ANNA, 10)
    assert escrow.call("freeOf", ANNA) == 0


def test_p31_a_token_that_answers_nothing_is_taken(evm: Evm, token: Deployed) -> None:
    escrow = escrow_over(evm, token)
    token.send(ANNA, "approve", escrow, 100)
    token.send("x", "setManner", MANNERS.index("NoReturn"))
    escrow.send(ANNA, "deposit", BERT, 10)
    escrow.send(BERT, "withdraw", BERT, 10)
    assert token.call("balanceOf", BERT) == 10


def test_p39_a_blocked_user_blocks_nobody_else(evm: Evm, token: Deployed) -> None:
    escrow = escrow_over(evm, token)
    token.send(ANNA, "approve", escrow, 100)
    for user in (ANNA, BERT):
        escrow.send(ANNA, "deposit", user, 10)
    token.send("issuer", "block_", BERT, True)
    with evm.reverts("Blocked", BERT):
        escrow.send(BERT, "withdraw", BERT, 10)
    escrow.send(ANNA, "withdraw", ANNA, 10)
    escrow.send(BERT, "withdraw", Actor("carl"), 10)
    assert token.call("balanceOf", escrow) == 0


@pytest.mark.parametrize("inner", ["deposit", "withdraw"])
@pytest.mark.parametrize("outer", ["deposit", "withdraw"])
def test_p65_whoever_calls_back_gets_no_credit_twice(evm: Evm, outer: str, inner: str) -> None:
    """The token itself attacks: it holds free credit, and enters again while the escrow moves its coin."""
    token = evm.deploy("ReenteringToken")
    escrow = escrow_over(evm, token)
    for account in (ANNA, token):
        token.send("x", "mint", account, 100)
    token.send(ANNA, "approve", escrow, 100)
    escrow.send(ANNA, "deposit", token, 20)
    escrow.send(ANNA, "deposit", ANNA, 20)
    token.send("x", "arm", escrow, escrow.calldata(inner, token, 5))
    try:
        escrow.send(ANNA, outer, ANNA, 10)
    except Exception as error:
        assert type(error).__name__ == "Reverted"
    owed = sum(int(escrow.call("freeOf", account)) for account in (ANNA, token))
    assert owed <= token.call("balanceOf", escrow)


# -- receivers that cannot be paid ---------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["5b600056", "60006000fd", "fe"], ids=["burns gas", "reverts", "invalid"])
def test_p41_no_receiver_can_block_a_payment(funded: Any, code: str) -> None:
    """Credits are a plain ERC-20 and call nobody: whatever an account's code does, it and all others are paid."""
    done = funded.commit({MALLORY.address: 5, BERT.address: 6})
    funded.evm.set_code(MALLORY, bytes.fromhex(code))
    funded.finalise()
    claims = [(account, *done.claim_of(account)) for account in (MALLORY.address, BERT.address)]
    assert funded.ledger.send("x", "claimMany", done.entry, claims).value == 11
    assert (funded.balance(MALLORY), funded.balance(BERT)) == (5, 6)


def test_p7_a_delegated_account_deposits_opens_redeems_and_claims_as_before(funded: Any) -> None:
    """EIP-7702: the user's account has code, here one that answers nothing at all."""
    delegate = funded.evm.deploy("HostileWalletMock", 2)
    for account in (funded.user, funded.session):
        funded.evm.set_code(account, bytes.fromhex("ef0100" + delegate.address[2:]))
    funded.deposit(funded.user, CREDIT)
    lane = funded.open_lane(CREDIT, 77)
    assert funded.redeem(lane, CREDIT).value == CREDIT
    done = funded.commit({funded.user.address: 5})
    funded.finalise()
    assert funded.claim(done, funded.user.address).value == 5
