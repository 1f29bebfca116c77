"""Counting votes: each signer once, of the named set, to the exact boundary (P1, P3, P46-P48)."""

from __future__ import annotations

import pytest
from bare_evm import Actor, Evm
from eth_utils import keccak
from hypothesis import given, settings
from hypothesis import strategies as st
from settlement_world import CREDIT, PROVIDER, VALIDATOR, Parameters, Settlement, Terms

from headwater.protocol.signatures import CURVE_ORDER
from headwater.types import address_bytes

STAKE = 100 * CREDIT
DIGEST = keccak(text="what they sign")


def in_order(actors: list[Actor]) -> list[Actor]:
    return sorted(actors, key=lambda a: address_bytes(a.address))


def signatures(actors: list[Actor], digest: bytes = DIGEST) -> bytes:
    return b"".join(a.sign_digest(digest) for a in actors)


@pytest.fixture
def keys(world: Settlement) -> list[Actor]:
    return in_order([world.key_of(v) for v in world.validators])


def ask(world: Settlement, raw: bytes, set_id: int | None = None, digest: bytes = DIGEST) -> tuple[int, ...]:
    named = world.staking.call("currentSetId") if set_id is None else set_id
    return tuple(world.quorum.call("requireQuorum", named, digest, raw))


@pytest.mark.parametrize(("numerator", "denominator"), [(1, 2), (4, 3), (0, 1), (0, 0), (499_999, 1_000_000)])
def test_a_quorum_is_more_than_half_and_at_most_all(evm: Evm, numerator: int, denominator: int) -> None:
    with evm.reverts("QuorumOutOfBounds", numerator, denominator):
        evm.deploy("EcdsaQuorum", Actor("staking"), numerator, denominator)


@pytest.mark.parametrize(("numerator", "denominator"), [(2, 3), (1, 1), (500_001, 1_000_000)])
def test_quorums_within_the_bounds_are_taken(evm: Evm, numerator: int, denominator: int) -> None:
    assert evm.deploy("EcdsaQuorum", Actor("staking"), numerator, denominator).call("numerator") == numerator


def test_two_of_three_equal_validators_are_two_thirds(world: Settlement, keys: list[Actor]) -> None:
    votes = ask(world, signatures(keys[:2]))
    assert votes == tuple(int(k.address, 16) << 96 | STAKE for k in keys[:2])


def test_one_of_three_is_not(world: Settlement, keys: list[Actor]) -> None:
    with world.evm.reverts("QuorumNotReached", STAKE, 2 * STAKE):
        ask(world, signatures(keys[:1]))


@settings(max_examples=25)
@given(stakes=st.lists(st.integers(STAKE, 3 * STAKE), min_size=1, max_size=4), signing=st.integers(1, 15))
def test_p47_the_boundary_is_exactly_two_thirds_of_the_stake(stakes: list[int], signing: int) -> None:
    world = Settlement.deploy_bare(Evm(), Parameters(), Terms())
    owners = [Actor(f"validator {i}") for i in range(len(stakes))]
    for owner, stake in zip(owners, stakes, strict=True):
        world.register(owner, VALIDATOR, stake)
    chosen = [i for i in range(len(stakes)) if signing >> i & 1] or [0]
    weight, whole = sum(stakes[i] for i in chosen), sum(stakes)
    raw = signatures(in_order([world.key_of(owners[i]) for i in chosen]))
    if 3 * weight >= 2 * whole:
        assert sum(v & (1 << 96) - 1 for v in ask(world, raw)) == weight
    else:
        with world.evm.reverts("QuorumNotReached", weight, -(-2 * whole // 3)):
            ask(world, raw)


def test_p47_one_wei_less_than_two_thirds_fails(evm: Evm) -> None:
    world = Settlement.deploy_bare(evm, Parameters(), Terms())
    big, small = Actor("validator big"), Actor("validator small")
    world.register(big, VALIDATOR, 2 * STAKE - 1)
    world.register(small, VALIDATOR, STAKE)
    with evm.reverts("QuorumNotReached", 2 * STAKE - 1, 2 * STAKE):
        ask(world, signatures([world.key_of(big)]))
    world.give(big, 1, world.staking)
    world.staking.send(big, "addStake", VALIDATOR, 1)
    assert len(ask(world, signatures([world.key_of(big)]))) == 1
    assert world.quorum.call("neededOf", 3 * STAKE) == 2 * STAKE
    assert world.quorum.call("neededOf", 3 * STAKE + 1) == 2 * STAKE + 1


def test_p46_a_signer_counts_once(world: Settlement, keys: list[Actor]) -> None:
    with world.evm.reverts("SignersNotAscending", 1):
        ask(world, signatures([keys[0], keys[0]]))


def test_p46_signers_must_ascend(world: Settlement, keys: list[Actor]) -> None:
    with world.evm.reverts("SignersNotAscending", 1):
        ask(world, signatures([keys[1], keys[0]]))


def test_p46_strangers_owners_providers_and_leavers_do_not_count(world: Settlement, keys: list[Actor]) -> None:
    for other in (Actor("stranger"), world.validators[0], world.provider_key):
        raw = signatures(in_order([*keys, other]))
        with world.evm.reverts("NotInValidatorSet", other, world.staking.call("currentSetId")):
            ask(world, raw)
    leaver = world.validators[0]
    before = world.staking.call("currentSetId")
    world.staking.send(leaver, "requestExit", VALIDATOR)
    with world.evm.reverts("NotInValidatorSet", world.key_of(leaver), before + 1):
        ask(world, signatures(keys))
    assert len(ask(world, signatures(keys), set_id=before)) == 3


def test_p48_the_set_is_the_named_one(world: Settlement, keys: list[Actor]) -> None:
    current = world.staking.call("currentSetId")
    with world.evm.reverts("UnknownValidatorSet", current + 1, current):
        ask(world, signatures(keys), set_id=current + 1)
    with world.evm.reverts("NotInValidatorSet"):  # set 1 holds only the first validator
        ask(world, signatures(keys), set_id=1)


def test_an_empty_set_reaches_no_quorum(world: Settlement, keys: list[Actor]) -> None:
    with world.evm.reverts("NotInValidatorSet", keys[0], 0):
        ask(world, signatures(keys[:1]), set_id=0)


def test_signatures_over_another_digest_do_not_count(world: Settlement, keys: list[Actor]) -> None:
    """They recover strangers, in no order; either way nothing is counted."""
    for key in keys:
        with world.evm.reverts("NotInValidatorSet"):
            ask(world, key.sign_digest(keccak(text="something else")))


@pytest.mark.parametrize("length", [0, 1, 64, 66, 129])
def test_p3_evidence_is_a_whole_number_of_signatures(world: Settlement, length: int) -> None:
    with world.evm.reverts("MalformedSignatures", length):
        ask(world, bytes(length))


def test_p3_malleable_and_malformed_signatures_are_refused(world: Settlement, keys: list[Actor]) -> None:
    good = keys[0].sign_digest(DIGEST)
    high = (CURVE_ORDER - int.from_bytes(good[32:64], "big")).to_bytes(32, "big")
    bad = {
        "high s": good[:32] + high + bytes([55 - good[64]]),
        "v of 0 or 1": good[:64] + bytes([good[64] - 27]),
        "v of 29": good[:64] + b"\x1d",
        "zero r": bytes(32) + good[32:],
        "zero s": good[:32] + bytes(32) + good[64:],
        "all zero": bytes(65),
    }
    for raw in bad.values():
        with world.evm.reverts("SignersNotAscending", 0):  # they recover nobody: the zero address
            ask(world, raw)


def test_a_providers_bond_does_not_vote(world: Settlement) -> None:
    world.register(Actor("rich provider"), PROVIDER, 1_000 * STAKE)
    assert world.staking.call("totalWeight", world.staking.call("currentSetId")) == 3 * STAKE
