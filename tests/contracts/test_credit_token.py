"""CreditToken and ProtocolAccess: who mints, what a permit binds, and that nothing else happens to credits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from bare_evm import Actor, Deployed, Evm
from registry_world import CREDIT, DAY

from headwater.protocol.codec import Account, Uint256
from headwater.protocol.typed_data import Domain, TypedStruct
from headwater.types import ZERO_ADDRESS


@dataclass(frozen=True, slots=True)
class Permit(TypedStruct):
    """EIP-2612."""

    owner: Account
    spender: Account
    value: Uint256
    nonce: Uint256
    deadline: Uint256


@dataclass
class World:
    evm: Evm
    access: Deployed
    token: Deployed


@pytest.fixture
def world(evm: Evm) -> World:
    admin = evm.actor("admin")
    access = evm.deploy("ProtocolAccess", admin)
    token = evm.deploy("CreditToken", access)
    faucet = access.call("FAUCET")
    (mint,) = token.roles.values()
    access.send(admin, "setTargetFunctionRole", token, [bytes.fromhex(mint["selector"][2:])], faucet)
    access.send(admin, "grantRole", faucet, evm.actor("faucet"), 0)
    return World(evm, access, token)


def permit(world: World, **changes: Any) -> tuple[Permit, tuple[int, bytes, bytes]]:
    owner = world.evm.actor("ann")
    values = {"owner": owner.address, "spender": world.evm.actor("bob").address, "value": CREDIT}
    values |= {"nonce": world.token.call("nonces", owner), "deadline": world.evm.now + DAY}
    made = Permit(**(values | changes))
    signature = owner.sign(made, world.token.domain)
    return made, (signature[64], signature[:32], signature[32:64])


def submit(world: World, made: Permit, signature: tuple[int, bytes, bytes]) -> None:
    world.token.send("relayer", "permit", made.owner, made.spender, made.value, made.deadline, *signature)


def test_it_has_eighteen_decimals_and_names_its_domain(world: World) -> None:
    assert world.token.call("decimals") == 18
    fields, name, version, chain_id, contract, _, _ = world.token.call("eip712Domain")
    assert (fields, name, version) == (b"\x0f", "Headwater CreditToken", "1")
    domain = Domain("CreditToken", chain_id, contract)
    assert world.token.call("DOMAIN_SEPARATOR") == domain.separator() == world.token.domain.separator()


def test_the_faucet_mints(world: World) -> None:
    world.token.send("faucet", "mint", world.evm.actor("ann"), CREDIT)
    assert world.token.call("balanceOf", world.evm.actor("ann")) == CREDIT
    assert world.token.call("totalSupply") == CREDIT


def test_p63_nobody_else_mints_not_even_the_admin(world: World) -> None:
    for who in ("ann", "admin"):
        with world.evm.reverts("AccessManagedUnauthorized", world.evm.actor(who)):
            world.token.send(who, "mint", world.evm.actor("ann"), CREDIT)


def test_roles_are_numbered_as_the_protocol_says(world: World) -> None:
    assert [world.access.call(role) for role in ("FAUCET", "GUARDIAN", "PARAMETER")] == [1, 2, 3]


def test_a_transfer_moves_the_amount_and_tells_no_receiver(world: World) -> None:
    ann, bob = world.evm.actor("ann"), world.evm.actor("bob")
    world.token.send("faucet", "mint", ann, CREDIT)
    assert world.token.send(ann, "transfer", bob, CREDIT - 1).names() == ["Transfer"]
    assert world.token.call("balanceOf", ann) == 1
    with world.evm.reverts("ERC20InsufficientBalance", ann, 1, 2):
        world.token.send(ann, "transfer", bob, 2)
    with world.evm.reverts("ERC20InvalidReceiver", ZERO_ADDRESS):
        world.token.send(ann, "transfer", ZERO_ADDRESS, 1)


def test_a_permit_approves_once(world: World) -> None:
    made, signature = permit(world)
    submit(world, made, signature)
    assert world.token.call("allowance", made.owner, made.spender) == CREDIT
    with world.evm.reverts("ERC2612InvalidSigner"):  # P4: the nonce has moved on
        submit(world, made, signature)


def test_p5_a_permit_holds_until_its_deadline_and_not_a_second_longer(world: World) -> None:
    made, signature = permit(world, deadline=world.evm.now + 100)
    world.evm.advance(101)
    with world.evm.reverts("ERC2612ExpiredSignature", made.deadline):
        submit(world, made, signature)
    world.evm.now = made.deadline - 1
    submit(world, made, signature)


def test_p1_a_permit_is_void_on_another_chain_and_for_another_token(world: World) -> None:
    made, signature = permit(world)
    elsewhere = world.evm.fork(chain_id=1)
    with elsewhere.reverts("ERC2612InvalidSigner"):
        submit(World(elsewhere, world.access, elsewhere.at("CreditToken", world.token.address)), made, signature)
    twin = world.evm.deploy("CreditToken", world.access)
    with world.evm.reverts("ERC2612InvalidSigner"):
        submit(World(world.evm, world.access, twin), made, signature)


def test_p3_a_malleable_permit_is_refused(world: World) -> None:
    made, (v, r, s) = permit(world)
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    high = (order - int.from_bytes(s, "big")).to_bytes(32, "big")
    with world.evm.reverts("ECDSAInvalidSignatureS", high):
        submit(world, made, (55 - v, r, high))


def test_someone_elses_permit_names_its_signer(world: World) -> None:
    made, _ = permit(world)
    thief: Actor = world.evm.actor("thief")
    signature = thief.sign(made, world.token.domain)
    with world.evm.reverts("ERC2612InvalidSigner", thief, made.owner):
        submit(world, made, (signature[64], signature[:32], signature[32:64]))
