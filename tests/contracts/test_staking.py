"""Bonds, hot keys, validator sets, slashes and signers' rewards (P22, P26, P46, P49-P52)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from bare_evm import Actor, Evm
from hypothesis import given, settings
from hypothesis import strategies as st
from settlement_world import CREDIT, NO_ANCHORS, PROVIDER, VALIDATOR, Parameters, Settlement, Terms

from headwater.types import ZERO_ADDRESS, ZERO_DIGEST

ACTIVE, EXITING, WITHDRAWN, REMOVED = 1, 2, 3, 4
STAKE = 100 * CREDIT


def position(world: Settlement, owner: Actor, role: int) -> Any:
    return world.staking.call("positionOf", owner, role)


def total(world: Settlement) -> int:
    return int(world.staking.call("totalWeight", world.staking.call("currentSetId")))


def weight(world: Settlement, key: Actor, set_id: int | None = None) -> int:
    chosen = world.staking.call("currentSetId") if set_id is None else set_id
    return int(world.staking.call("weightOf", chosen, key))


# -- construction --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "terms"),
    [
        ("minimumStake", Terms(minimum_stake=0)),
        ("providerBond", Terms(provider_bond=0)),
        ("evidenceWindowSeconds", Terms(evidence_window_seconds=0)),
        ("exitDelaySeconds", Terms(exit_delay_seconds=60, evidence_window_seconds=60)),
        ("exitDelaySeconds", Terms(exit_delay_seconds=366 * 86_400)),
    ],
)
def test_parameters_out_of_bounds_are_refused(evm: Evm, name: str, terms: Terms) -> None:
    with evm.reverts("ParameterOutOfBounds"):
        Settlement.deploy_bare(evm, Parameters(), terms)


# -- registration --------------------------------------------------------------------------------------------------


def test_a_validator_bonds_joins_the_set_and_its_key_carries_the_weight(world: Settlement) -> None:
    late = Actor("late validator")
    before = world.staking.call("currentSetId")
    sent = world.register(late, VALIDATOR, STAKE + 5)
    key = world.key_of(late)
    assert position(world, late, VALIDATOR).stake == STAKE + 5
    assert world.staking.call("ownerOfKey", key) == late.address
    assert world.staking.call("votingKeyOf", late) == key.address
    anchors = world.staking.call("drawAnchorsOf", key)
    assert (anchors.epochDraw, anchors.versionDraw) == world.anchors_of(key)
    assert world.staking.call("currentSetId") == before + 1
    assert weight(world, key) == STAKE + 5
    assert total(world) == 4 * STAKE + 5
    assert world.staking.call("validatorCount") == 4
    assert sent.event("ValidatorSetChanged").totalWeight == 4 * STAKE + 5
    assert sent.names() == ["Registered", "KeyAdded", "ValidatorSetChanged", "Transfer"]


def test_a_provider_bonds_and_its_key_verifies_for_it(world: Settlement) -> None:
    assert position(world, world.provider, PROVIDER).status == ACTIVE
    assert world.staking.call("isActive", world.provider, PROVIDER)
    assert world.staking.call("isProviderKey", world.provider, world.provider_key)
    assert not world.staking.call("isProviderKey", world.user, world.provider_key)
    validator_key = world.key_of(world.validators[0])
    assert not world.staking.call("isProviderKey", world.validators[0], validator_key)
    assert not world.staking.call("isProviderKey", ZERO_ADDRESS, Actor("unknown"))
    assert world.staking.call("keyOf", world.provider_key).role == PROVIDER


def test_one_account_may_hold_both_roles_with_a_bond_and_key_each(world: Settlement) -> None:
    owner = world.validators[0]
    world.register(owner, PROVIDER, STAKE, key=Actor("second hat"))
    assert position(world, owner, VALIDATOR).stake == position(world, owner, PROVIDER).stake == STAKE


@pytest.mark.parametrize("role", [VALIDATOR, PROVIDER])
def test_a_stake_below_the_minimum_is_refused(world: Settlement, role: int) -> None:
    with world.evm.reverts("StakeBelowMinimum", STAKE - 1, STAKE):
        world.register(Actor("poor"), role, STAKE - 1)


def test_p50_a_key_is_registered_once_over_all_owners_and_roles(world: Settlement) -> None:
    taken = world.provider_key
    with world.evm.reverts("KeyTaken", taken, world.provider):
        world.register(Actor("thief"), VALIDATOR, STAKE, key=taken)
    with world.evm.reverts("KeyTaken"):
        world.register(world.validators[0], PROVIDER, STAKE, key=world.key_of(world.validators[0]))


def test_p50_a_key_needs_its_own_signature_over_owner_key_and_role(world: Settlement) -> None:
    owner, key = Actor("new"), Actor("new key")
    anchors = world.anchors_of(key)
    world.give(owner, STAKE, world.staking)
    honest = world.possession(owner, key, VALIDATOR, anchors)
    forged = {
        "another key signs": world.possession(owner, owner, VALIDATOR, anchors),
        "for another owner": world.possession(Actor("copycat"), key, VALIDATOR, anchors),
        "for another role": world.possession(owner, key, PROVIDER, anchors),
        "for other anchors": world.possession(owner, key, VALIDATOR, anchors[::-1]),
        "cut": honest[:-1],
        "empty": b"",
        "bad v": honest[:64] + b"\x1d",
        "padded": honest + b"\x00",
    }
    for proof in forged.values():
        with world.evm.reverts("WrongSigner"):
            world.staking.send(owner, "registerValidator", key, proof, STAKE, anchors)
    world.staking.send(owner, "registerValidator", key, honest, STAKE, anchors)


def test_p1_a_proof_of_possession_of_another_chain_is_refused(world: Settlement) -> None:
    owner, key = Actor("new"), Actor("new key")
    world.give(owner, STAKE, world.staking)
    elsewhere = world.evm.fork(1).at("Staking", world.staking.address)
    proof = world.possession(owner, key, PROVIDER, NO_ANCHORS)
    with world.evm.reverts("WrongSigner"):
        elsewhere.send(owner, "registerProvider", key, proof, STAKE)


def test_owner_and_key_are_two_accounts(world: Settlement) -> None:
    owner = Actor("new")
    world.give(owner, STAKE, world.staking)
    proof = world.possession(owner, owner, PROVIDER, NO_ANCHORS)
    with world.evm.reverts("KeyIsOwner", owner):
        world.staking.send(owner, "registerProvider", owner, proof, STAKE)


@pytest.mark.parametrize("missing", [0, 1])
def test_a_validator_key_needs_both_draw_anchors(world: Settlement, missing: int) -> None:
    owner, key = Actor("new"), Actor("new key")
    anchors = tuple(ZERO_DIGEST if i == missing else a for i, a in enumerate(world.anchors_of(key)))
    world.give(owner, STAKE, world.staking)
    proof = world.possession(owner, key, VALIDATOR, anchors)  # type: ignore[arg-type]
    with world.evm.reverts("ZeroDrawAnchor"):
        world.staking.send(owner, "registerValidator", key, proof, STAKE, anchors)


def test_a_second_registration_of_the_same_bond_is_refused(world: Settlement) -> None:
    with world.evm.reverts("WrongStatus", world.provider, PROVIDER, ACTIVE):
        world.register(world.provider, PROVIDER, STAKE, key=Actor("other key"))


# -- rotation and weights ------------------------------------------------------------------------------------------


def add_key(world: Settlement, owner: Actor, key: Actor) -> None:
    anchors = world.anchors_of(key)
    proof = world.possession(owner, key, VALIDATOR, anchors)
    world.staking.send(owner, "addKey", VALIDATOR, key, proof, anchors)


def test_rotation_moves_the_weight_and_old_keys_go_on_verifying(world: Settlement) -> None:
    owner, old, new = world.validators[0], world.key_of(world.validators[0]), Actor("new key")
    before = world.staking.call("currentSetId")
    add_key(world, owner, new)
    assert (weight(world, old), weight(world, new)) == (0, STAKE)
    assert (weight(world, old, before), weight(world, new, before)) == (STAKE, 0)
    assert total(world) == 3 * STAKE
    assert world.staking.call("ownerOfKey", old) == world.staking.call("ownerOfKey", new) == owner.address
    assert world.staking.call("votingKeyOf", owner) == new.address


def test_a_provider_key_added_later_verifies_beside_the_first(world: Settlement) -> None:
    new = Actor("second provider key")
    proof = world.possession(world.provider, new, PROVIDER, NO_ANCHORS)
    world.staking.send(world.provider, "addKey", PROVIDER, new, proof, NO_ANCHORS)
    for key in (new, world.provider_key):
        assert world.staking.call("isProviderKey", world.provider, key)


def test_only_a_bonded_owner_adds_a_key(world: Settlement) -> None:
    stranger, key = Actor("stranger"), Actor("stranger key")
    proof = world.possession(stranger, key, PROVIDER, NO_ANCHORS)
    with world.evm.reverts("WrongStatus", stranger, PROVIDER, 0):
        world.staking.send(stranger, "addKey", PROVIDER, key, proof, NO_ANCHORS)


def test_more_stake_weighs_from_the_next_set_on(world: Settlement) -> None:
    owner, key = world.validators[1], world.key_of(world.validators[1])
    before = world.staking.call("currentSetId")
    world.give(owner, 7, world.staking)
    world.staking.send(owner, "addStake", VALIDATOR, 7)
    assert weight(world, key) == STAKE + 7
    assert weight(world, key, before) == STAKE
    assert (total(world), world.staking.call("totalWeight", before)) == (3 * STAKE + 7, 3 * STAKE)


@settings(max_examples=10)
@given(data=st.data())
def test_p49_weights_of_every_earlier_set_stay_what_they_were(data: st.DataObject) -> None:
    """For any sequence of joins, additions, rotations, slashes and exits."""
    world = Settlement.deploy(Evm())
    keys = [world.key_of(v) for v in world.validators]
    history: dict[int, tuple[dict[str, int], int]] = {}
    for step in range(8):
        owner = data.draw(st.sampled_from(world.validators))
        verb = data.draw(st.sampled_from(["add", "rotate", "slash", "exit"]))
        if position(world, owner, VALIDATOR).status == ACTIVE:
            if verb == "add":
                world.give(owner, step + 1, world.staking)
                world.staking.send(owner, "addStake", VALIDATOR, step + 1)
            elif verb == "rotate":
                keys.append(Actor(f"key {step}"))
                add_key(world, owner, keys[-1])
            elif verb == "slash":
                evidence = bytes([step]) * 32
                world.staking.send(world.disputes, "slash", owner, VALIDATOR, 1, evidence, ZERO_ADDRESS)
            else:
                world.staking.send(owner, "requestExit", VALIDATOR)
        current = world.staking.call("currentSetId")
        weights = {k.name: weight(world, k) for k in keys}
        active = [v for v in world.validators if position(world, v, VALIDATOR).status == ACTIVE]
        assert total(world) == sum(weights.values()) == sum(position(world, v, VALIDATOR).stake for v in active)
        assert world.staking.call("validatorCount") == len(active)
        assert set(world.staking.call("validators", 0, 9)) == {v.address for v in active}
        history[current] = (weights, total(world))
    for set_id, (weights, whole) in history.items():
        assert world.staking.call("totalWeight", set_id) == whole
        for key in keys:
            assert weight(world, key, set_id) == weights.get(key.name, 0)


def test_p48_a_set_that_does_not_exist_yet_has_no_weights(world: Settlement) -> None:
    following = world.staking.call("currentSetId") + 1
    for view, arguments in (("totalWeight", ()), ("weightOf", (world.provider,)), ("votesOf", ([],))):
        with world.evm.reverts("UnknownValidatorSet", following, following - 1):
            world.staking.call(view, following, *arguments)


def test_validators_take_turns_in_the_order_of_their_joining(world: Settlement) -> None:
    for turn in range(7):
        owner, key, set_id = world.staking.call("validatorInTurn", turn)
        expected = world.validators[turn % 3]
        assert (owner, key) == (expected.address, world.key_of(expected).address)
        assert set_id == world.staking.call("currentSetId")
    assert world.staking.call("validators", 1, 1) == (world.validators[1].address,)
    assert world.staking.call("validators", 9, 9) == ()


def test_without_validators_nobody_is_in_turn(evm: Evm) -> None:
    world = Settlement.deploy_bare(evm, Parameters(), Terms())
    with evm.reverts("NoValidators"):
        world.staking.call("validatorInTurn", 0)


# -- exit ----------------------------------------------------------------------------------------------------------


def test_p51_a_bond_leaves_only_after_the_exit_delay(world: Settlement) -> None:
    owner = world.validators[0]
    sent = world.staking.send(owner, "requestExit", VALIDATOR)
    exit_at = sent.event("ExitRequested").exitAt
    assert exit_at == world.evm.now + world.terms.exit_delay_seconds
    assert weight(world, world.key_of(owner)) == 0
    assert total(world) == 2 * STAKE
    world.evm.advance(exit_at - 1 - world.evm.now)
    with world.evm.reverts("ExitTooEarly", exit_at):
        world.staking.send(owner, "exit", VALIDATOR)
    assert world.evm.now == exit_at - 1
    world.staking.send(owner, "exit", VALIDATOR)
    assert world.balance(owner) == STAKE
    assert position(world, owner, VALIDATOR).status == WITHDRAWN


def test_p51_no_other_way_out(world: Settlement) -> None:
    owner = world.validators[0]
    with world.evm.reverts("WrongStatus", owner, VALIDATOR, ACTIVE):
        world.staking.send(owner, "exit", VALIDATOR)
    world.staking.send(owner, "requestExit", VALIDATOR)
    for verb in (("requestExit", VALIDATOR), ("addStake", VALIDATOR, 1)):
        with world.evm.reverts("WrongStatus", owner, VALIDATOR, EXITING):
            world.staking.send(owner, *verb)
    with world.evm.reverts("WrongStatus", owner, VALIDATOR, EXITING):
        world.register(owner, VALIDATOR, STAKE, key=Actor("again"))
    world.evm.advance(world.terms.exit_delay_seconds + 1)
    world.staking.send(owner, "exit", VALIDATOR)
    with world.evm.reverts("WrongStatus", owner, VALIDATOR, WITHDRAWN):
        world.staking.send(owner, "exit", VALIDATOR)
    world.register(owner, VALIDATOR, STAKE, key=Actor("again"))
    assert position(world, owner, VALIDATOR).status == ACTIVE


def test_p51_an_exiting_bond_is_still_slashed(world: Settlement) -> None:
    owner = world.validators[0]
    world.staking.send(owner, "requestExit", VALIDATOR)
    world.staking.send(world.disputes, "slash", owner, VALIDATOR, 500_000, b"\1" * 32, ZERO_ADDRESS)
    world.evm.advance(world.terms.exit_delay_seconds + 1)
    world.staking.send(owner, "exit", VALIDATOR)
    assert world.balance(owner) == STAKE // 2


def test_keys_verify_for_a_provider_that_has_left(world: Settlement) -> None:
    world.staking.send(world.provider, "requestExit", PROVIDER)
    world.evm.advance(world.terms.exit_delay_seconds + 1)
    world.staking.send(world.provider, "exit", PROVIDER)
    assert not world.staking.call("isActive", world.provider, PROVIDER)
    assert world.staking.call("isProviderKey", world.provider, world.provider_key)


# -- slashes -------------------------------------------------------------------------------------------------------


def test_only_a_court_slashes(world: Settlement) -> None:
    for thief in (Actor("thief"), Actor("deployer"), world.validators[1]):
        with world.evm.reverts("OnlyCourt", thief):
            world.staking.send(thief, "slash", world.validators[0], VALIDATOR, 1, b"\1" * 32, thief)


def test_p52_a_slash_rounds_against_the_bond_and_pays_half_to_the_challenger(world: Settlement) -> None:
    owner, challenger = world.validators[0], Actor("challenger")
    world.give(owner, STAKE + 3, world.staking)
    world.staking.send(owner, "addStake", VALIDATOR, STAKE + 3)
    sent = world.staking.send(world.disputes, "slash", owner, VALIDATOR, 500_000, b"\1" * 32, challenger)
    cut = (2 * STAKE + 3 + 1) // 2
    assert sent.value == cut
    assert position(world, owner, VALIDATOR).stake == STAKE + 1
    assert world.staking.call("creditOf", challenger) == cut // 2
    assert world.staking.call("burned") == cut - cut // 2
    assert weight(world, world.key_of(owner)) == STAKE + 1
    world.staking.send("anybody", "withdrawCredit", challenger)
    assert world.balance(challenger) == cut // 2


def test_p52_an_evidence_slashes_once(world: Settlement) -> None:
    slash = ("slash", world.validators[0], VALIDATOR, 1, b"\1" * 32, ZERO_ADDRESS)
    world.staking.send(world.disputes, *slash)
    with world.evm.reverts("EvidenceUsed", b"\1" * 32):
        world.staking.send(world.disputes, *slash)


def test_a_slash_of_more_than_the_whole_is_refused(world: Settlement) -> None:
    with world.evm.reverts("ParameterOutOfBounds"):
        world.staking.send(world.disputes, "slash", world.provider, PROVIDER, 1_000_001, b"\1" * 32, ZERO_ADDRESS)


def test_slashed_below_the_minimum_a_validator_is_removed_and_can_only_leave(world: Settlement) -> None:
    owner = world.validators[0]
    world.staking.send(world.disputes, "slash", owner, VALIDATOR, 1, b"\1" * 32, ZERO_ADDRESS)
    left = STAKE - STAKE // 1_000_000
    assert position(world, owner, VALIDATOR).status == REMOVED
    assert weight(world, world.key_of(owner)) == 0
    assert world.staking.call("validatorCount") == 2
    with world.evm.reverts("WrongStatus", owner, VALIDATOR, REMOVED):
        world.staking.send(owner, "addStake", VALIDATOR, STAKE)
    world.staking.send(owner, "requestExit", VALIDATOR)
    world.evm.advance(world.terms.exit_delay_seconds + 1)
    world.staking.send(owner, "exit", VALIDATOR)
    assert world.balance(owner) == left


def test_a_slashed_provider_stops_opening_lanes(world: Settlement) -> None:
    world.staking.send(world.disputes, "slash", world.provider, PROVIDER, 1, b"\1" * 32, ZERO_ADDRESS)
    with world.evm.reverts("ProviderNotActive", world.provider):
        world.open_lane()


# -- rewards -------------------------------------------------------------------------------------------------------


def distribution(world: Settlement, committed: Any) -> tuple[Any, ...]:
    leaf = committed.claim_of(world.staking.address)
    return (committed.entry, committed.proposer, committed.votes, *leaf)


def test_the_validators_part_goes_to_the_commits_signers_by_stake(world: Settlement) -> None:
    world.give(world.validators[0], STAKE, world.staking)
    world.staking.send(world.validators[0], "addStake", VALIDATOR, STAKE)
    world.fund(50 * CREDIT)
    signers = [world.key_of(v) for v in world.validators[:2]]
    done = world.commit({world.staking.address: 10, world.user.address: CREDIT}, keys=signers)
    world.finalise()
    sent = world.staking.send("anybody", "distribute", *distribution(world, done))
    credits = [world.staking.call("creditOf", v) for v in world.validators]
    assert credits == [6, 3, 0]  # 10 * 2/3 and 10 * 1/3, rounded down; one wei stays for the next time
    assert sent.event("RewardsDistributed").amount == 9
    world.staking.send("anybody", "withdrawCredit", world.validators[0])
    assert world.balance(world.validators[0]) == 6
    with world.evm.reverts("NothingToWithdraw"):
        world.staking.send("anybody", "withdrawCredit", world.validators[0])
    following = world.commit({world.staking.address: 19}, keys=[world.key_of(v) for v in world.validators])
    world.finalise()
    world.staking.send("anybody", "distribute", *distribution(world, following))
    assert [world.staking.call("creditOf", v) for v in world.validators] == [5, 5, 2]
    assert world.staking.call("distributedCumulative") == 9 + 9


def test_p54_a_part_is_distributed_once_and_only_forwards(world: Settlement) -> None:
    world.fund(50 * CREDIT)
    first = world.commit({world.staking.address: 300})
    second = world.commit({world.staking.address: 600})
    world.finalise()
    world.staking.send("anybody", "distribute", *distribution(world, second))
    assert [world.staking.call("creditOf", v) for v in world.validators] == [200] * 3
    for done in (first, second):
        with world.evm.reverts("AlreadyDistributed", 2, done.epoch.epoch_id):
            world.staking.send("anybody", "distribute", *distribution(world, done))


def test_a_part_claimed_or_settled_by_others_is_distributed_all_the_same(world: Settlement) -> None:
    world.fund(50 * CREDIT)
    first = world.commit({world.staking.address: 300, world.user.address: 5})
    second = world.commit({world.staking.address: 600, world.user.address: 5})
    world.finalise()
    world.claim(first, world.staking.address)
    world.ledger.send("anybody", "settle", second.entry, second.payouts)
    world.staking.send("anybody", "distribute", *distribution(world, second))
    assert [world.staking.call("creditOf", v) for v in world.validators] == [200] * 3
    for owner in world.validators:
        world.staking.send("anybody", "withdrawCredit", owner)
        assert world.balance(owner) == 200


def test_votes_that_were_not_the_commits_earn_nothing(world: Settlement) -> None:
    world.fund(50 * CREDIT)
    done = world.commit({world.staking.address: 300}, keys=[world.key_of(v) for v in world.validators])
    world.finalise()
    for changed in (
        replace(done, votes=done.votes[:2]),
        replace(done, votes=(done.votes[0] + 1, *done.votes[1:])),
        replace(done, proposer=Actor("thief").address),
    ):
        entry, proposer, votes, *leaf = distribution(world, changed)
        with world.evm.reverts("UnknownEpoch"):  # forged together with its digest
            world.staking.send("thief", "distribute", entry, proposer, votes, *leaf)
        with world.evm.reverts("SignersMismatch"):  # forged beside the true digest
            world.staking.send("thief", "distribute", done.entry, proposer, votes, *leaf)


def test_rewards_of_a_rotated_key_go_to_its_owner(world: Settlement) -> None:
    world.fund(50 * CREDIT)
    done = world.commit({world.staking.address: 300})
    add_key(world, world.validators[0], Actor("new key"))
    world.finalise()
    world.staking.send("anybody", "distribute", *distribution(world, done))
    assert world.staking.call("creditOf", world.validators[0]) == 100


def test_nothing_is_distributed_before_finality(world: Settlement) -> None:
    world.fund(50 * CREDIT)
    done = world.commit({world.staking.address: 300})
    with world.evm.reverts("EpochNotFinal"):
        world.staking.send("anybody", "distribute", *distribution(world, done))


def test_p22_the_stakings_balance_is_all_that_it_owes(world: Settlement) -> None:
    world.fund(50 * CREDIT)
    done = world.commit({world.staking.address: 301})
    world.finalise()
    world.staking.send("anybody", "distribute", *distribution(world, done))
    world.staking.send(world.disputes, "slash", world.provider, PROVIDER, 333_333, b"\1" * 32, Actor("challenger"))
    stakes = [position(world, v, VALIDATOR).stake for v in world.validators]
    stakes.append(position(world, world.provider, PROVIDER).stake)
    owed = [world.staking.call("creditOf", a) for a in (*world.validators, Actor("challenger"))]
    undistributed = 301 - world.staking.call("distributedCumulative")
    held = sum(stakes) + sum(owed) + world.staking.call("burned") + undistributed
    assert world.balance(world.staking) == held
