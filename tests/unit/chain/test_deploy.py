"""Contracts that name each other, at the same addresses everywhere, put there once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import rlp
from eth_account import Account
from eth_utils.crypto import keccak

from headwater.chain.abi import ContractAbi
from headwater.chain.client import RpcChain
from headwater.chain.contracts import Artifact, Artifacts
from headwater.chain.deploy import Deployment, Plan, Wiring, deploy_all, planned_addresses
from headwater.chain.embedded import EmbeddedChain, Genesis
from headwater.chain.factory import (
    FACTORY_ADDRESS,
    FACTORY_CODE,
    FACTORY_COST,
    FACTORY_SENDER,
    FACTORY_TRANSACTION,
    factory_calldata,
)
from headwater.chain.suite_factory import place_address, suite_factory_address, suite_factory_code
from headwater.chain.transactions import TransactionManager
from headwater.errors import Conflict, Refused, TransactionReverted
from headwater.storage.database import Database
from headwater.storage.outbox import Outbox
from headwater.testing.chains import RICH, LocalSigner, ShortWaiter, anvil, find_anvil, served
from headwater.types import Wei, address_bytes

PAIR = Plan(
    # Each is given the other's address, which only works if addresses do not depend on arguments.
    deployments=(
        Deployment("First", lambda at: (at["Second"], 1)),
        Deployment("Second", lambda at: (at["First"], 2)),
    ),
    wirings=(
        Wiring(
            "First",
            "store",
            lambda at: (5, 55, "wired"),
            lambda read, at: bool(read("First", "valueOf", 5) == 55),
        ),
    ),
)


@pytest.fixture
def suite(probe_artifact: Artifact) -> dict[str, Artifact]:
    """The probe under two names."""
    return {
        name: replace(probe_artifact, name=name, abi=ContractAbi(name, probe_artifact.abi.entries))
        for name in ("First", "Second")
    }


def test_contracts_that_name_each_other_stand_and_are_wired(
    chain: RpcChain, manager: TransactionManager, alice: LocalSigner, suite: dict[str, Artifact]
) -> None:
    deployed = deploy_all(chain, manager, alice, PAIR, suite)
    first, second = (deployed.contract(name, suite) for name in ("First", "Second"))
    assert chain.call(first, "isMutual") is True
    assert chain.call(second, "isMutual") is True
    assert chain.call(first, "valueOf", 0) == 1
    assert chain.call(first, "valueOf", 5) == 55
    assert deployed.addresses == planned_addresses(alice.address, PAIR, suite)


def test_deploying_again_changes_nothing(
    chain: RpcChain, manager: TransactionManager, alice: LocalSigner, suite: dict[str, Artifact]
) -> None:
    deployed = deploy_all(chain, manager, alice, PAIR, suite)
    nonce = chain.nonce(alice.address)
    assert deploy_all(chain, manager, alice, PAIR, suite) == deployed
    assert chain.nonce(alice.address) == nonce


def test_deploying_from_another_home_changes_nothing_either(
    chain: RpcChain,
    manager: TransactionManager,
    alice: LocalSigner,
    suite: dict[str, Artifact],
    tmp_path: Path,
    clock: Any,
) -> None:
    """The outbox knows nothing there; the chain does."""
    deployed = deploy_all(chain, manager, alice, PAIR, suite)
    nonce = chain.nonce(alice.address)
    with Database(f"sqlite:///{tmp_path / 'other.sqlite'}") as other:
        elsewhere = TransactionManager(chain, Outbox(other, clock), ShortWaiter())
        assert deploy_all(chain, elsewhere, alice, PAIR, suite) == deployed
    assert chain.nonce(alice.address) == nonce


def test_addresses_follow_from_owner_salt_and_plan(
    suite: dict[str, Artifact], alice: LocalSigner, bob: LocalSigner
) -> None:
    here = planned_addresses(alice.address, PAIR, suite)
    other_code = {**suite, "Second": replace(suite["Second"], bytecode=suite["Second"].bytecode + b"\0")}
    other_args = Plan((PAIR.deployments[0], Deployment("Second", lambda at: (at["First"], 3))))
    others = [
        planned_addresses(bob.address, PAIR, suite),
        planned_addresses(alice.address, PAIR, suite, salt=bytes(32)),
        planned_addresses(alice.address, PAIR, other_code),
        planned_addresses(alice.address, other_args, suite),
    ]
    assert planned_addresses(alice.address, replace(PAIR, wirings=()), suite) == here
    assert len({a for found in (here, *others) for a in found.values()}) == 10


def test_a_constructor_that_refuses_is_named_and_its_place_stays_free(
    chain: RpcChain, manager: TransactionManager, alice: LocalSigner, suite: dict[str, Artifact]
) -> None:
    bad = Plan(
        (Deployment("First", lambda at: (at["Second"], 1)), Deployment("Second", lambda at: (at["First"], 666)))
    )
    for _ in range(2):
        with pytest.raises(TransactionReverted, match=r"LaneOverdrawn\(.*missing=666\)"):
            deploy_all(chain, manager, alice, bad, suite)
    addresses = planned_addresses(alice.address, bad, suite)
    assert chain.code(addresses["First"])
    assert not chain.code(addresses["Second"])


def test_only_the_owner_can_take_a_place(
    chain: RpcChain, manager: TransactionManager, alice: LocalSigner, bob: LocalSigner
) -> None:
    code = suite_factory_code(alice.address)
    manager.execute(alice, "factory", FACTORY_ADDRESS, factory_calldata(bytes(32), code))
    suite = suite_factory_address(alice.address, bytes(32))
    with pytest.raises(TransactionReverted):
        manager.execute(bob, "thief", suite, bytes.fromhex("60005ff3"))
    assert chain.nonce(suite) == 1
    tiny = bytes.fromhex("60016000526001601ff3")  # returns the one byte 0x01 as code
    manager.execute(alice, "owner", suite, tiny)
    assert chain.code(place_address(suite, 1)) == b"\1"
    assert chain.nonce(suite) == 2


def test_a_factory_used_for_something_else_is_named(
    chain: RpcChain, manager: TransactionManager, alice: LocalSigner, suite: dict[str, Artifact]
) -> None:
    other_salt = b"\5" * 32
    made_with = keccak(other_salt + PAIR.digest(suite))
    code = suite_factory_code(alice.address)
    manager.execute(alice, "factory", FACTORY_ADDRESS, factory_calldata(made_with, code))
    manager.execute(alice, "misuse", suite_factory_address(alice.address, made_with), b"")
    with pytest.raises(Conflict, match="has made 1 contracts, but First is not among them"):
        deploy_all(chain, manager, alice, PAIR, suite, salt=other_salt)


def test_the_public_factorys_address_follows_from_its_presigned_transaction() -> None:
    assert Account.recover_transaction(FACTORY_TRANSACTION) == FACTORY_SENDER
    made = keccak(rlp.encode([address_bytes(FACTORY_SENDER), 0]))[12:]
    assert made == address_bytes(FACTORY_ADDRESS)
    nonce, price, gas, to, value, data, *_ = rlp.decode(FACTORY_TRANSACTION)
    assert int.from_bytes(price, "big") * int.from_bytes(gas, "big") == FACTORY_COST
    assert (nonce, to, value) == (b"", b"", b"")
    assert data.endswith(FACTORY_CODE)


@pytest.fixture
def bare_anvil() -> Iterator[str]:
    """A public chain without the CREATE2 factory."""
    binary = find_anvil(Path(__file__).resolve().parents[3])
    if binary is None:
        pytest.skip("anvil is not installed here: `npm ci` installs it")
    with anvil(binary, 31337, "--disable-default-create2-deployer") as url:
        yield url


def test_a_chain_without_the_public_factory_gets_it(
    bare_anvil: str, outbox: Outbox, alice: LocalSigner, suite: dict[str, Artifact]
) -> None:
    chain = RpcChain(bare_anvil, 31337, suite, ShortWaiter())
    chain._transport.ask("anvil_setBalance", alice.address, hex(RICH))
    assert chain.code(FACTORY_ADDRESS) == b""
    deployed = deploy_all(chain, TransactionManager(chain, outbox, ShortWaiter()), alice, PAIR, suite)
    assert chain.code(FACTORY_ADDRESS) == FACTORY_CODE
    assert deployed.addresses == planned_addresses(alice.address, PAIR, suite)


def test_a_chain_that_cannot_have_the_public_factory_is_refused(
    tmp_path: Path, outbox: Outbox, alice: LocalSigner, artifacts: Artifacts, suite: dict[str, Artifact]
) -> None:
    """The embedded chain takes no transaction without a chain id; it has the factory from its genesis instead."""
    bare = EmbeddedChain(tmp_path / "bare", Genesis(31337, {alice.address: Wei(10**24)}, 1_700_000_000, code={}))
    with served(bare) as server:
        chain = RpcChain(server.url, 31337, suite, ShortWaiter())
        with pytest.raises(Refused, match="CREATE2 factory"):
            deploy_all(chain, TransactionManager(chain, outbox, ShortWaiter()), alice, PAIR, suite)
    bare.close()
