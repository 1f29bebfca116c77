"""Signatures: a key's word in two encodings, a wallet contract's word within bounds, and nobody else's."""

from __future__ import annotations

import pytest
from bare_evm import Deployed, Evm
from eth_utils import keccak, to_canonical_address
from hypothesis import given
from hypothesis import strategies as st

from headwater.protocol.signatures import CURVE_ORDER
from headwater.types import ZERO_ADDRESS

DIGEST = keccak(text="what is signed")
World = tuple[Evm, Deployed]
MANNERS = ("Garbage", "ShortAnswer", "NoAnswer", "Reverts", "BurnsGas", "LongAnswer", "SelectorWithDirt")


def compact(signature: bytes) -> bytes:
    """ERC-2098 of 65 bytes."""
    s = int.from_bytes(signature[32:64], "big") | ((signature[64] - 27) << 255)
    return signature[:32] + s.to_bytes(32, "big")


def high_s(signature: bytes) -> bytes:
    s = CURVE_ORDER - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])


@pytest.fixture(scope="module")
def world() -> tuple[Evm, Deployed]:
    evm = Evm()
    return evm, evm.deploy("SignaturesHarness")


def test_p3_a_key_is_recovered_from_both_encodings(world: World) -> None:
    evm, harness = world
    for name in ("ann", "bob", "cat", "dan"):  # both parities occur
        signer = evm.actor(name)
        signature = signer.sign_digest(DIGEST)
        assert harness.call("recover", DIGEST, signature) == signer.address
        assert harness.call("recover", DIGEST, compact(signature)) == signer.address


def test_p3_malleable_signatures_recover_nobody(world: World) -> None:
    evm, harness = world
    for name in ("ann", "bob", "cat", "dan"):
        signature = evm.actor(name).sign_digest(DIGEST)
        assert harness.call("recover", DIGEST, high_s(signature)) == ZERO_ADDRESS
        # In 64 bytes a high s collides with the parity bit: whatever that reads as, it is not the signer's.
        assert harness.call("recover", DIGEST, compact(high_s(signature))) != evm.actor(name).address


@pytest.mark.parametrize("v", [0, 1, 2, 26, 29, 255])
def test_p3_other_v_recovers_nobody(world: World, v: int) -> None:
    evm, harness = world
    signature = evm.actor("ann").sign_digest(DIGEST)[:64] + bytes([v])
    assert harness.call("recover", DIGEST, signature) == ZERO_ADDRESS


@pytest.mark.parametrize("length", [0, 1, 63, 66, 96, 130])
def test_p3_other_lengths_recover_nobody(world: World, length: int) -> None:
    evm, harness = world
    signature = (evm.actor("ann").sign_digest(DIGEST) * 2)[:length]
    assert harness.call("recover", DIGEST, signature) == ZERO_ADDRESS


def test_p3_zero_never_counts_as_a_signer(world: World) -> None:
    evm, harness = world
    for nothing in (b"", bytes(64), bytes(65), bytes(64) + b"\x1b"):
        assert harness.call("isValidNow", ZERO_ADDRESS, DIGEST, nothing) is False
        with evm.reverts("WrongSigner", ZERO_ADDRESS, ZERO_ADDRESS):
            harness.call("requireKey", ZERO_ADDRESS, DIGEST, nothing)


@given(position=st.integers(0, 64), mask=st.integers(1, 255))
def test_any_changed_byte_is_no_signature_of_the_signer(world: World, position: int, mask: int) -> None:
    evm, harness = world
    signature = bytearray(evm.actor("ann").sign_digest(DIGEST))
    signature[position] ^= mask
    assert harness.call("recover", DIGEST, bytes(signature)) != evm.actor("ann").address


def test_require_key_names_who_signed_instead(world: World) -> None:
    evm, harness = world
    ann, bob = evm.actor("ann"), evm.actor("bob")
    harness.call("requireKey", ann, DIGEST, ann.sign_digest(DIGEST))
    with evm.reverts("WrongSigner", ann, bob):
        harness.call("requireKey", ann, DIGEST, bob.sign_digest(DIGEST))


def test_p6_a_wallet_contract_answers_for_itself_and_may_change_its_mind(world: World) -> None:
    evm, harness = world
    ann, bob = evm.actor("ann"), evm.actor("bob")
    wallet = evm.deploy("WalletMock", ann)
    signature = ann.sign_digest(DIGEST)
    assert harness.call("isValidNow", wallet, DIGEST, signature) is True
    assert harness.call("isValidNow", wallet, DIGEST, bob.sign_digest(DIGEST)) is False
    wallet.send(ann, "setKey", bob)
    assert harness.call("isValidNow", wallet, DIGEST, signature) is False


@pytest.mark.parametrize("manner", MANNERS)
def test_p6_a_hostile_wallet_is_refused_within_bounded_gas(world: World, manner: str) -> None:
    evm, harness = world
    wallet = evm.deploy("HostileWalletMock", MANNERS.index(manner))
    sent = harness.send("relayer", "isValidNow", wallet, DIGEST, evm.actor("ann").sign_digest(DIGEST))
    assert sent.value is False
    assert sent.gas_used < 140_000


def test_p7_a_delegated_account_signs_with_its_key_whatever_its_delegate_implements(world: World) -> None:
    evm, harness = world
    ann, eve = evm.actor("ann"), evm.actor("eve")
    for delegate in (harness.address, evm.deploy("WalletMock", eve).address):
        evm.set_code(ann, bytes.fromhex("ef0100") + to_canonical_address(delegate))
        assert harness.call("isValidNow", ann, DIGEST, ann.sign_digest(DIGEST)) is True
        harness.call("requireKey", ann, DIGEST, ann.sign_digest(DIGEST))
    evm.set_code(ann, b"")
