"""Credits that stand for another token, one for one, whatever that token does (P22, P31, P65)."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from bare_evm import Actor, Deployed, Evm
from eth_utils import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.types import ZERO_ADDRESS

ANNA, BERT = Actor("anna"), Actor("bert")
MANNERS = ("Plain", "NoReturn", "ReturnsFalse", "TakesFee", "GivesBonus", "MovesNothing", "Reverts", "BurnsGas")
PERMIT = keccak(text="Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)")


@dataclass
class World:
    evm: Evm
    token: Deployed
    credits: Deployed

    def behave(self, manner: str) -> None:
        self.token.send("anybody", "setManner", MANNERS.index(manner))

    def wrap(self, wei: int, to: Actor = ANNA) -> None:
        self.credits.send(ANNA, "wrap", to, wei)

    def covered(self) -> bool:
        held, made = self.token.call("balanceOf", self.credits), self.credits.call("totalSupply")
        return bool(held >= made)


@pytest.fixture
def world(evm: Evm) -> World:
    """Anna holds 100 units and has allowed the wrapper to take them."""
    token = evm.deploy("WeirdToken", 18)
    credits = evm.deploy("CreditWrapper", token)
    token.send("anybody", "mint", ANNA, 100)
    token.send(ANNA, "approve", credits, 1_000)
    return World(evm, token, credits)


def test_credits_are_made_one_for_one_and_burned_one_for_one(world: World) -> None:
    sent = world.credits.send(ANNA, "wrap", BERT, 60)
    assert vars(sent.event("Wrapped")) == {"from": ANNA.address, "to": BERT.address, "amount": 60}
    assert (world.credits.call("balanceOf", BERT), world.credits.call("totalSupply")) == (60, 60)
    world.credits.send(BERT, "unwrap", Actor("carl"), 25)
    assert world.token.call("balanceOf", Actor("carl")) == 25
    assert (world.credits.call("totalSupply"), world.token.call("balanceOf", world.credits)) == (35, 35)


def test_it_is_the_token_that_the_node_expects(world: World) -> None:
    assert world.credits.call("name") == "Headwater Credit"
    assert (world.credits.call("symbol"), world.credits.call("decimals")) == ("HWC", 18)
    assert world.credits.call("underlying") == world.token.address
    assert world.credits.call("nonces", ANNA) == 0


@pytest.mark.parametrize("decimals", [0, 6, 17, 19, 36])
def test_p31_what_has_not_18_decimals_is_refused(evm: Evm, decimals: int) -> None:
    token = evm.deploy("WeirdToken", decimals)
    with evm.reverts("WrongDecimals", decimals):
        evm.deploy("CreditWrapper", token)
    with evm.reverts("ZeroAddress"):
        evm.deploy("CreditWrapper", ZERO_ADDRESS)


@pytest.mark.parametrize("verb", ["wrap", "unwrap"])
def test_nothing_and_nobody_are_refused(world: World, verb: str) -> None:
    world.wrap(10)
    with world.evm.reverts("ZeroAmount"):
        world.credits.send(ANNA, verb, ANNA, 0)
    for nobody in (ZERO_ADDRESS, world.credits):
        with world.evm.reverts("WrongReceiver", nobody):
            world.credits.send(ANNA, verb, nobody, 1)


def test_nobody_unwraps_what_he_does_not_hold(world: World) -> None:
    world.wrap(10)
    with world.evm.reverts("ERC20InsufficientBalance", Actor("thief"), 0, 1):
        world.credits.send("thief", "unwrap", Actor("thief"), 1)
    with world.evm.reverts("ERC20InsufficientAllowance"):
        world.credits.send("thief", "wrap", Actor("thief"), 1)


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
@pytest.mark.parametrize("verb", ["wrap", "unwrap"])
def test_p31_a_token_that_moves_another_amount_makes_and_burns_nothing(
    world: World, manner: str, error: str, verb: str
) -> None:
    world.wrap(50)
    world.behave(manner)
    if verb == "unwrap" and manner in ("TakesFee", "GivesBonus"):
        # The receiver's loss or gain, not the wrapper's: exactly the amount left it.
        world.credits.send(ANNA, "unwrap", BERT, 10)
        assert (world.credits.call("totalSupply"), world.token.call("balanceOf", world.credits)) == (40, 40)
        return
    with world.evm.reverts(error):
        world.credits.send(ANNA, verb, BERT, 10)
    world.behave("Plain")
    assert (world.credits.call("totalSupply"), world.token.call("balanceOf", world.credits)) == (50, 50)


def test_p31_a_token_that_answers_nothing_works(world: World) -> None:
    world.behave("NoReturn")
    world.wrap(50)
    world.credits.send(ANNA, "unwrap", BERT, 50)
    assert world.token.call("balanceOf", BERT) == 50


def test_p31_a_blocked_holder_blocks_nobody_else(world: World) -> None:
    world.wrap(50)
    world.credits.send(ANNA, "transfer", BERT, 20)
    world.token.send("issuer", "block_", BERT, True)
    with world.evm.reverts("Blocked", BERT):
        world.credits.send(BERT, "unwrap", BERT, 20)
    world.credits.send(BERT, "unwrap", Actor("carl"), 20)
    world.credits.send(ANNA, "unwrap", ANNA, 30)
    assert world.credits.call("totalSupply") == 0


@pytest.mark.parametrize("inner", ["wrap", "unwrap"])
@pytest.mark.parametrize("outer", ["wrap", "unwrap"])
def test_p65_a_token_that_calls_back_gets_nowhere(evm: Evm, outer: str, inner: str) -> None:
    token = evm.deploy("ReenteringToken")
    credits = evm.deploy("CreditWrapper", token)
    token.send("anybody", "mint", ANNA, 100)
    token.send("anybody", "mint", token, 100)
    token.send(ANNA, "approve", credits, 1_000)
    credits.send(ANNA, "wrap", ANNA, 50)
    credits.send(ANNA, "transfer", token, 10)
    token.send("anybody", "arm", credits, credits.calldata(inner, token, 5))
    credits.send(ANNA, outer, ANNA, 10)
    assert not token.call("wasDone")
    assert token.call("answer") == keccak(text="ReentrancyGuardReentrantCall()")[:4]
    assert credits.call("totalSupply") == token.call("balanceOf", credits)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["wrap", "unwrap", "transfer"]), st.integers(0, 120), st.sampled_from(MANNERS[:-1])
        ),
        max_size=12,
    )
)
def test_p22_credits_never_exceed_what_stands_behind_them(steps: list[tuple[str, int, str]]) -> None:
    evm = Evm()
    token = evm.deploy("WeirdToken", 18)
    world = World(evm, token, evm.deploy("CreditWrapper", token))
    token.send("anybody", "mint", ANNA, 100)
    token.send(ANNA, "approve", world.credits, 10**6)
    for verb, wei, manner in steps:
        world.behave(manner)
        try:
            world.credits.send(ANNA, verb, BERT if verb == "transfer" else ANNA, wei)
        except Exception as error:
            assert type(error).__name__ == "Reverted"
        assert world.covered()
