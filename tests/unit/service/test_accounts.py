"""Money and roles on a real chain: paid once, bonded once, and no mistake locks a wallet out."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from eth_utils import keccak

from headwater.errors import Conflict, InvalidInput, TransactionReverted
from headwater.service.accounts import DRAW_CHAIN_LENGTH, STAKING, TOKEN, Accounts
from headwater.types import WEI_PER_CREDIT, ZERO_DIGEST, Address

BOND = 100 * WEI_PER_CREDIT
ESCROW = "CreditEscrow"
_numbers = count()


@pytest.fixture
def accounts(devnet: Any) -> Accounts:
    return Accounts(devnet.bench)


@pytest.fixture
def newcomer(devnet: Any, accounts: Accounts) -> str:
    """A funded wallet of one test; its hot key is called the same and '-hot'."""
    name = f"newcomer-{next(_numbers)}"
    for wallet in (name, f"{name}-hot"):
        devnet.bench.signer.create(wallet)
    accounts.fund(devnet.bench.address(name), 10**18, 5 * BOND, f"fund {name}")
    return name


def credit(devnet: Any, name: str) -> int:
    return int(Accounts(devnet.bench).balance(devnet.bench.address(name)).credit_wei)


def allowance(devnet: Any, name: str, contract: str) -> int:
    bench = devnet.bench
    return int(bench.call(TOKEN, "allowance", bench.address(name), bench.contract_address(contract)))


# -- funding -----------------------------------------------------------------------------------------------------


def test_a_funding_that_is_repeated_pays_once(devnet: Any, accounts: Accounts) -> None:
    who = devnet.bench.address("bob")
    before = accounts.balance(who)
    first = accounts.fund(who, 5, 7, "a gift")
    assert (first.native_wei, first.credit_wei) == (before.native_wei + 5, before.credit_wei + 7)
    assert accounts.fund(who, 5, 7, "a gift") == first


def test_only_the_operator_mints(devnet: Any, newcomer: str) -> None:
    with pytest.raises(TransactionReverted):
        Accounts(devnet.bench, newcomer).fund(devnet.bench.address(newcomer), 0, 1, "a gift to myself")
    assert credit(devnet, newcomer) == 5 * BOND


# -- allowances --------------------------------------------------------------------------------------------------


def test_an_allowance_that_was_used_up_is_given_again_for_the_same_reason(
    devnet: Any, accounts: Accounts, newcomer: str
) -> None:
    """Two lanes may have one name, to two providers."""
    bench, who = devnet.bench, devnet.bench.address(newcomer)
    for attempt in range(2):
        accounts.approve(newcomer, ESCROW, 50, "lane 1")
        bench.send(newcomer, ESCROW, "deposit", who, 50, intent=f"deposit {newcomer} {attempt}")
    assert credit(devnet, newcomer) == 5 * BOND - 100


def test_an_allowance_that_is_there_is_not_given_twice(devnet: Any, accounts: Accounts, newcomer: str) -> None:
    accounts.approve(newcomer, ESCROW, 50, "one")
    height = devnet.bench.chain.block().number
    accounts.approve(newcomer, ESCROW, 50, "two")
    assert (allowance(devnet, newcomer, ESCROW), devnet.bench.chain.block().number) == (50, height)


# -- roles -------------------------------------------------------------------------------------------------------


def test_who_bonds_too_little_may_try_again_with_enough(devnet: Any, accounts: Accounts, newcomer: str) -> None:
    with pytest.raises(TransactionReverted, match="StakeBelowMinimum"):
        accounts.register_provider(newcomer, f"{newcomer}-hot", BOND - 1)
    assert credit(devnet, newcomer) == 5 * BOND
    key = accounts.register_provider(newcomer, f"{newcomer}-hot", BOND)
    assert devnet.bench.call(STAKING, "isProviderKey", devnet.bench.address(newcomer), key)
    assert credit(devnet, newcomer) == 4 * BOND


def test_registering_again_bonds_nothing_more(devnet: Any, accounts: Accounts) -> None:
    height, before = devnet.bench.chain.block().number, credit(devnet, "provider")
    key = accounts.register_provider("provider", "provider-hot", BOND)
    assert key == devnet.bench.address("provider-hot")
    assert (devnet.bench.chain.block().number, credit(devnet, "provider")) == (height, before)


def test_a_key_of_one_role_is_not_taken_for_the_other(devnet: Any, accounts: Accounts) -> None:
    """Else a provider would believe that he validates, with nothing at stake."""
    for register, owner, key in (
        (accounts.register_validator, "provider", "provider-hot"),
        (accounts.register_provider, "validator", "validator-hot"),
    ):
        before = credit(devnet, owner)
        with pytest.raises(Conflict, match="another hot key"):
            register(owner, key, BOND)
        assert credit(devnet, owner) == before


def test_somebody_elses_key_is_refused_before_anything_is_sent(
    devnet: Any, accounts: Accounts, newcomer: str
) -> None:
    height = devnet.bench.chain.block().number
    with pytest.raises(Conflict, match="belongs to"):
        accounts.register_provider(newcomer, "provider-hot", BOND)
    assert devnet.bench.chain.block().number == height
    assert allowance(devnet, newcomer, STAKING) == 0


def test_a_wallet_cannot_be_its_own_hot_key(accounts: Accounts, newcomer: str) -> None:
    with pytest.raises(TransactionReverted, match="KeyIsOwner"):
        accounts.register_provider(newcomer, newcomer, BOND)


# -- draw chains -------------------------------------------------------------------------------------------------


def hashed(value: bytes, times: int) -> bytes:
    for _ in range(times):
        value = keccak(value)
    return value


def test_every_preimage_leads_to_the_anchor_that_the_chain_holds(devnet: Any, accounts: Accounts) -> None:
    key = Address(devnet.bench.address("validator-hot"))
    anchors = devnet.bench.call(STAKING, "drawAnchorsOf", key)
    for kind, field in (("epoch", "epochDraw"), ("version", "versionDraw")):
        for position in (0, 1, 7):
            assert hashed(accounts.preimage("validator-hot", kind, position), position + 1) == anchors[field]
    assert accounts.preimage("validator-hot", "epoch", 0) != accounts.preimage("validator-hot", "version", 0)


def test_a_restarted_node_reveals_the_same_preimages(devnet: Any, accounts: Accounts) -> None:
    """A validator whose secret changed could never vote again."""
    assert Accounts(devnet.bench).preimage("validator-hot", "epoch", 3) == accounts.preimage(
        "validator-hot", "epoch", 3
    )


def test_a_draw_chain_ends_and_says_what_to_do(accounts: Accounts) -> None:
    assert accounts.preimage("validator-hot", "epoch", DRAW_CHAIN_LENGTH - 1) != ZERO_DIGEST
    with pytest.raises(InvalidInput, match="Register a new validator key"):
        accounts.preimage("validator-hot", "epoch", DRAW_CHAIN_LENGTH)
