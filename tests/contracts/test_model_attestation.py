"""ModelRegistry: whose verdict counts, how much, once; and how the fee is divided or returned."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bare_evm import Actor, Evm
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from registry_world import CREDIT, DRAWS, FEE, WINDOW, Registries, name

from headwater.protocol.draw import anchor_of, is_preimage, preimage_at
from headwater.protocol.model import ModelVersion
from headwater.protocol.signatures import CURVE_ORDER
from headwater.types import ZERO_ADDRESS, Digest

KEYS = [Actor(f"validator {n} key") for n in range(3)]
Deployed = tuple[Registries, ModelVersion, tuple[bytes, int, int]]


@pytest.fixture(scope="module")
def deployed() -> Deployed:
    """Three validators of equal stake, one sealed snapshot, one registered version."""
    world = Registries(Evm())
    for number in range(3):
        world.add_validator(number)
    world.anchored()
    snapshots = [world.sealed_snapshot()]
    version = world.model_version(snapshots)
    world.register(version, snapshots)
    return world, version, world.evm.snapshot()


@pytest.fixture
def world(deployed: Deployed) -> Registries:
    made, _, snapshot = deployed
    made.evm.restore(snapshot)
    return made


@pytest.fixture
def version(deployed: Deployed) -> ModelVersion:
    return deployed[1]


def vote(world: Registries, version: ModelVersion, *numbers: int, accepted: bool = True) -> None:
    for number in numbers:
        world.attest(world.verdict(version, KEYS[number], accepted=accepted), KEYS[number])


def pay(world: Registries, version: ModelVersion, key: Actor) -> int:
    return int(world.models.send("anybody", "payAttester", version.model_id, 1, key).value)


# -- seal ----------------------------------------------------------------------------------------------------------


def test_a_seal_fixes_the_next_blocks_hash_and_the_validator_set(world: Registries, version: ModelVersion) -> None:
    registered = world.models.call("stateOf", version.model_id, 1).registeredBlock
    with world.evm.reverts("SealTooEarly", registered + 2):
        world.models.send("anybody", "seal", version.model_id, 1)
    sent = world.models.send("anybody", "seal", version.model_id, 1)
    assert sent.value == world.evm.block_hash(registered + 1)
    assert sent.event("VersionSealed").validatorSetId == world.staking.call("currentSetId")
    with world.evm.reverts("AlreadySealed", version.model_id, 1):
        world.models.send("anybody", "seal", version.model_id, 1)


def test_a_version_is_sealed_at_most_256_blocks_later(world: Registries, version: ModelVersion) -> None:
    registered = world.models.call("stateOf", version.model_id, 1).registeredBlock
    world.evm.block_number = registered + 256
    with world.evm.reverts("SealTooLate", registered + 256):
        world.models.send("anybody", "seal", version.model_id, 1)
    world.evm.block_number = registered + 255
    world.models.send("anybody", "seal", version.model_id, 1)


def test_without_validators_there_is_nothing_to_seal() -> None:
    world = Registries(Evm())
    world.anchored()
    snapshots = [world.sealed_snapshot()]
    version = world.model_version(snapshots)
    world.register(version, snapshots)
    world.evm.mine()
    with world.evm.reverts("NoValidators"):
        world.models.send("anybody", "seal", version.model_id, 1)


# -- quorum --------------------------------------------------------------------------------------------------------


def test_p47_two_of_three_equal_validators_attest(world: Registries, version: ModelVersion) -> None:
    world.seal_version(version)
    event = world.attest(world.verdict(version, KEYS[0]), KEYS[0]).event("VerdictGiven")
    assert (event.key, event.weight, event.accepted) == (KEYS[0].address, 100 * CREDIT, True)
    assert event.findingsDigest == name("findings")
    assert world.status(version) == "Registered"
    moved = world.attest(world.verdict(version, KEYS[1]), KEYS[1]).event("StatusChanged")
    assert (getattr(moved, "from"), moved.to) == (1, 2)
    assert world.status(version) == "Attested"
    state = world.models.call("stateOf", version.model_id, 1)
    assert (state.attesters, state.acceptedWeight) == (2, 200 * CREDIT)
    with world.evm.reverts("InvalidTransition"):
        vote(world, version, 2)


def test_p46_a_validator_counts_once(world: Registries, version: ModelVersion) -> None:
    world.seal_version(version)
    vote(world, version, 0)
    again = world.verdict(version, KEYS[0], findings_digest=name("other findings"))
    with world.evm.reverts("AlreadyVoted", KEYS[0]):
        world.attest(again, KEYS[0])
    assert world.models.call("voteOf", version.model_id, 1, KEYS[0]).weight == 100 * CREDIT


def test_p46_who_is_not_in_the_sealed_set_does_not_count(world: Registries, version: ModelVersion) -> None:
    world.seal_version(version)
    late = world.add_validator(3)
    set_id = world.models.call("stateOf", version.model_id, 1).validatorSetId
    for stranger in (late, world.thief, Actor("validator 0")):  # the owner's own key is no voting key
        with world.evm.reverts("NotInValidatorSet", stranger, set_id):
            world.attest(world.verdict(version, KEYS[0]), stranger)
    with world.evm.reverts("NotInValidatorSet", ZERO_ADDRESS, set_id):
        world.models.send("relayer", "attestVersion", world.verdict(version, KEYS[0]), bytes(65))


def test_p49_weights_are_those_of_the_seal(world: Registries, version: ModelVersion) -> None:
    """Stake that comes or goes after the seal changes nothing about this version."""
    world.seal_version(version)
    owner = Actor("validator 0")
    world.settlement.give(owner, 900 * CREDIT, world.staking)
    world.staking.send(owner, "addStake", 1, 900 * CREDIT)
    vote(world, version, 0)
    assert world.status(version) == "Registered"
    assert world.models.call("stateOf", version.model_id, 1).acceptedWeight == 100 * CREDIT


def test_a_verdict_must_be_about_this_version_set_and_seal(world: Registries, version: ModelVersion) -> None:
    with world.evm.reverts("NotSealed", version.model_id, 1):
        vote(world, version, 0)
    world.seal_version(version)
    right = world.verdict(version, KEYS[0])
    for field, value in (
        ("version_digest", name("other")),
        ("sealed_hash", name("other")),
        ("validator_set_id", right.validator_set_id - 1),
    ):
        with world.evm.reverts("VerdictMismatch"):
            world.attest(replace(right, **{field: value}), KEYS[0])
    with world.evm.reverts("UnknownVersion", version.model_id, 9):
        world.attest(replace(right, version=9), KEYS[0])


def test_p1_a_verdict_is_void_on_another_chain_and_registry(world: Registries, version: ModelVersion) -> None:
    world.seal_version(version)
    verdict = world.verdict(version, KEYS[0])
    signature = KEYS[0].sign(verdict, world.models.domain)
    elsewhere = world.evm.fork(chain_id=1)
    with elsewhere.reverts("NotInValidatorSet"):
        elsewhere.at("ModelRegistry", world.models.address).send("relayer", "attestVersion", verdict, signature)
    other = replace(world.models.domain, verifying_contract=world.log.address)
    with world.evm.reverts("NotInValidatorSet"):
        world.models.send("relayer", "attestVersion", verdict, KEYS[0].sign(verdict, other))


def test_p3_a_malleable_verdict_is_refused(world: Registries, version: ModelVersion) -> None:
    world.seal_version(version)
    verdict = world.verdict(version, KEYS[0])
    good = KEYS[0].sign(verdict, world.models.domain)
    high = (CURVE_ORDER - int.from_bytes(good[32:64], "big")).to_bytes(32, "big")
    with world.evm.reverts("NotInValidatorSet"):
        world.models.send("relayer", "attestVersion", verdict, good[:32] + high + bytes([55 - good[64]]))


# -- draws ---------------------------------------------------------------------------------------------------------


def test_each_verdict_reveals_the_next_link(world: Registries, version: ModelVersion) -> None:
    secret = world.secret(KEYS[0])
    assert is_preimage(preimage_at(secret, DRAWS, 0), 0, anchor_of(secret, DRAWS))
    world.seal_version(version)
    right = world.verdict(version, KEYS[0])
    for wrong in (preimage_at(secret, DRAWS, 1), anchor_of(secret, DRAWS), name("guess")):
        with world.evm.reverts("WrongPreimage"):
            world.attest(replace(right, preimage=wrong), KEYS[0])
    vote(world, version, 0)
    assert world.models.call("drawPositionOf", KEYS[0]) == 1
    snapshots = [world.sealed_snapshot(1)]
    second = world.model_version(snapshots, "second")
    world.register(second, snapshots, "second")
    world.seal_version(second)
    with world.evm.reverts("WrongPreimage"):
        world.attest(world.verdict(second, KEYS[0], preimage=right.preimage), KEYS[0])
    vote(world, second, 0)
    assert world.models.call("drawPositionOf", KEYS[0]) == 2


def test_a_refused_verdict_reveals_nothing(world: Registries, version: ModelVersion) -> None:
    world.seal_version(version)
    right = world.verdict(version, KEYS[0])
    with world.evm.reverts("VerdictMismatch"):
        world.attest(replace(right, sealed_hash=name("other")), KEYS[0])
    assert world.models.call("drawPositionOf", KEYS[0]) == 0


# -- fee -----------------------------------------------------------------------------------------------------------


def test_the_fee_goes_to_those_who_attested(world: Registries, version: ModelVersion) -> None:
    world.seal_version(version)
    vote(world, version, 0)
    with world.evm.reverts("NothingToPay", KEYS[0]):  # not yet
        pay(world, version, KEYS[0])
    vote(world, version, 2, accepted=False)
    vote(world, version, 1)
    for number in (0, 1):
        paid = world.models.send("anybody", "payAttester", version.model_id, 1, KEYS[number])
        assert paid.value == paid.event("AttesterPaid").amountWei == FEE // 2
        assert world.settlement.balance(Actor(f"validator {number}")) == FEE // 2
        with world.evm.reverts("NothingToPay", KEYS[number]):
            pay(world, version, KEYS[number])
    for stranger in (KEYS[2], world.thief):
        with world.evm.reverts("NothingToPay", stranger):
            pay(world, version, stranger)
    assert world.settlement.balance(world.models) == 0


def test_a_quorum_of_rejections_ends_the_version_and_earns_the_fee(world: Registries, version: ModelVersion) -> None:
    world.seal_version(version)
    vote(world, version, 0, 1, accepted=False)
    assert world.status(version) == "Lapsed"
    with world.evm.reverts("InvalidTransition"):
        world.models.send("anybody", "lapse", version.model_id, 1)
    assert pay(world, version, KEYS[0]) + pay(world, version, KEYS[1]) == FEE
    assert world.settlement.balance(world.maker) == 0


def test_silence_returns_the_fee_exactly_after_the_window(world: Registries, version: ModelVersion) -> None:
    world.seal_version(version)
    vote(world, version, 0)
    until = world.models.call("stateOf", version.model_id, 1).registeredAt + WINDOW
    world.evm.now = until - 2
    with world.evm.reverts("AttestationStillOpen", until):
        world.models.send("anybody", "lapse", version.model_id, 1)
    assert world.models.send("anybody", "lapse", version.model_id, 1).event("FeeRefunded").amountWei == FEE
    assert world.status(version) == "Lapsed"
    assert world.settlement.balance(world.maker) == FEE
    with world.evm.reverts("NothingToPay", KEYS[0]):
        pay(world, version, KEYS[0])
    with world.evm.reverts("InvalidTransition"):
        vote(world, version, 1)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stakes=st.lists(st.integers(100 * CREDIT, 10_000 * CREDIT), min_size=1, max_size=4),
    accepted=st.booleans(),
    order=st.randoms(use_true_random=False),
)
def test_p27_the_parts_of_a_fee_add_up_to_it_exactly(
    deployed: Deployed, stakes: list[int], accepted: bool, order: object
) -> None:
    """Whatever the stakes and whoever is paid first: Σ parts = fee, and each part is within a wei of its share."""
    world, _, snapshot = deployed
    world.evm.restore(snapshot)
    keys = [world.add_validator(10 + n, stake) for n, stake in enumerate(stakes)]
    keys, weights = [*KEYS, *keys], [*[100 * CREDIT] * 3, *stakes]
    snapshots = [world.sealed_snapshot(1)]
    version = world.model_version(snapshots, "another")
    world.register(version, snapshots, "another")
    world.seal_version(version)
    voted: dict[Actor, int] = {}
    while world.status(version) == "Registered":
        key = keys[len(voted)]
        world.attest(world.verdict(version, key, accepted=accepted), key)
        voted[key] = weights[keys.index(key)]
    assert sum(voted.values()) * 3 >= sum(weights) * 2 > (sum(voted.values()) - voted[key]) * 3
    before = world.settlement.balance(world.models)
    paid = {}
    for key in order.sample(list(voted), len(voted)):  # type: ignore[attr-defined]
        paid[key] = pay(world, version, key)
    assert sum(paid.values()) == FEE == before - world.settlement.balance(world.models)
    assert all(abs(amount - FEE * voted[key] // sum(voted.values())) <= 1 for key, amount in paid.items())


def test_a_replaced_keys_owner_is_still_paid(world: Registries, version: ModelVersion) -> None:
    world.seal_version(version)
    vote(world, version, 0, 1)
    owner, successor = Actor("validator 0"), Actor("successor key")
    anchors = (name("epoch draws"), anchor_of(world.secret(successor), DRAWS))
    proof = world.settlement.possession(owner, successor, 1, anchors)
    world.staking.send(owner, "addKey", 1, successor, proof, anchors)
    assert pay(world, version, KEYS[0]) == FEE // 2
    assert world.settlement.balance(owner) == FEE // 2


# -- one validator -------------------------------------------------------------------------------------------------


def test_one_validator_alone_attests_and_the_chain_says_so() -> None:
    world = Registries(Evm())
    key = world.add_validator(0)
    world.anchored()
    snapshots: list[Digest] = [world.sealed_snapshot()]
    version = world.model_version(snapshots)
    world.register(version, snapshots)
    world.seal_version(version)
    world.attest(world.verdict(version, key), key)
    assert world.status(version) == "Attested"
    assert world.models.call("stateOf", version.model_id, 1).attesters == 1
