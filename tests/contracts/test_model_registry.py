"""ModelRegistry: what a version must prove to be registered, how its status moves, and who decides about it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from bare_evm import Actor, Evm
from eth_abi.abi import encode
from eth_utils import keccak
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from registry_world import DAY, FEE, METADATA, PRICE, Registries, name

from headwater.protocol.merkle import merkle_root
from headwater.protocol.model import DEFAULT_SPLIT, ModelVersion, VersionVerdict
from headwater.types import ZERO_ADDRESS, ZERO_DIGEST, Digest

SPLIT = DEFAULT_SPLIT.values()
EDGES = {
    "attest": ("Registered", "Attested"),
    "lapse": ("Registered", "Lapsed"),
    "activate": ("Attested", "Active"),
    "deprecate": ("Active", "Deprecated"),
    "revoke": ("Active", "Revoked"),
    "revoke deprecated": ("Deprecated", "Revoked"),
}
Deployed = tuple[Registries, Digest, tuple[bytes, int, int]]


@pytest.fixture(scope="module")
def deployed() -> Deployed:
    world = Registries(Evm())
    world.add_validator(0)
    world.anchored()
    snapshot_id = world.sealed_snapshot()
    return world, snapshot_id, world.evm.snapshot()


@pytest.fixture
def world(deployed: Deployed) -> Registries:
    made, _, snapshot = deployed
    made.evm.restore(snapshot)
    return made


@pytest.fixture
def snapshots(deployed: Deployed) -> list[Digest]:
    """The one sealed snapshot."""
    return [deployed[1]]


def attested(world: Registries, snapshots: list[Digest], salt: str = "model") -> ModelVersion:
    version = world.model_version(snapshots, salt)
    world.register(version, snapshots, salt)
    world.seal_version(version)
    key = Actor("validator 0 key")
    world.attest(world.verdict(version, key), key)
    return version


def step(world: Registries, version: ModelVersion, function: str, sender: Actor | None = None) -> None:
    world.models.send(sender or world.maker, function, version.model_id, version.version)


# -- one definition in two languages -------------------------------------------------------------------------------


def test_p2_type_hashes_equal_pythons(world: Registries) -> None:
    assert world.models.call("MODEL_VERSION_TYPEHASH") == ModelVersion.type_hash()
    assert world.models.call("VERSION_VERDICT_TYPEHASH") == VersionVerdict.type_hash()
    assert world.models.call("eip712Domain")[1] == "Headwater ModelRegistry"


# -- registration --------------------------------------------------------------------------------------------------


def test_a_model_is_registered_with_its_first_version(world: Registries, snapshots: list[Digest]) -> None:
    version = world.model_version(snapshots)
    sent = world.register(version, snapshots)
    assert sent.value == (version.model_id, 1)
    assert sent.names() == [
        "ModelRegistered",
        "SnapshotUsed",
        "VersionRegistered",
        "StatusChanged",
        "PriceAdded",
        "Transfer",
    ]
    event = sent.event("VersionRegistered")
    assert (event.versionDigest, event.adapterDigest) == (version.digest(), version.adapter_digest)
    assert tuple(vars(event.split).values()) == SPLIT
    stored = world.models.call("versionOf", version.model_id, 1)
    assert tuple(vars(stored).values()) == version.values()
    state = world.models.call("stateOf", version.model_id, 1)
    assert (state.versionDigest, state.payer, state.feeWei) == (version.digest(), world.maker.address, FEE)
    assert (state.registeredBlock, state.registeredAt) == (world.evm.block_number, world.evm.now)
    assert world.status(version) == "Registered"
    assert world.settlement.balance(world.models) == FEE
    model = world.models.call("modelOf", version.model_id)
    assert (model.owner, model.latestVersion) == (world.maker.address, 1)
    assert world.models.call("isSnapshotUsed", snapshots[0]) is True
    assert world.models.call("isSnapshotUsed", name("nothing")) is False


def test_p55_the_id_belongs_to_its_creator_and_cannot_be_taken(world: Registries, snapshots: list[Digest]) -> None:
    mine = world.model_version(snapshots)
    words = [world.evm.chain_id, world.models.address, world.maker.address, name("model")]
    assert mine.model_id == keccak(encode(["uint256", "address", "address", "bytes32"], words))
    theirs = world.models.call("modelIdOf", world.thief, name("model"))
    with world.evm.reverts("WrongModelId", theirs, mine.model_id):
        world.models.send(world.thief, "register", name("model"), mine, snapshots, PRICE, SPLIT)
    world.register(mine, snapshots)
    with world.evm.reverts("ModelExists", mine.model_id):
        world.register(mine, snapshots)


def test_p55_a_failed_registration_leaves_no_trace(world: Registries, snapshots: list[Digest]) -> None:
    version = world.model_version(snapshots)
    with world.evm.reverts("ERC20InsufficientAllowance"):  # the fee comes last
        world.models.send(world.maker, "register", name("model"), version, snapshots, PRICE, SPLIT)
    with world.evm.reverts("UnknownModel", version.model_id):
        world.models.call("modelOf", version.model_id)
    assert world.models.call("isSnapshotUsed", snapshots[0]) is False


def test_versions_count_up_from_one(world: Registries, snapshots: list[Digest]) -> None:
    first = world.model_version(snapshots)
    with world.evm.reverts("WrongVersionNumber", 1, 2):
        world.models.send(world.maker, "register", name("model"), replace(first, version=2), snapshots, PRICE, SPLIT)
    with world.evm.reverts("UnknownModel", first.model_id):
        world.register(replace(first, version=2), snapshots)
    world.register(first, snapshots)
    with world.evm.reverts("WrongVersionNumber", 2, 3):
        world.register(replace(first, version=3), snapshots)
    second = replace(first, version=2, parent_model_id=first.model_id, parent_version=1)
    assert world.register(second, snapshots).value == 2
    with world.evm.reverts("NotModelOwner", first.model_id, world.thief):
        third = replace(first, version=3)
        world.models.send(world.thief, "addVersion", third, snapshots, PRICE, SPLIT)


@pytest.mark.parametrize("field", ["base_digest", "recipe_digest", "adapter_digest"])
def test_a_version_names_its_base_recipe_and_adapter(world: Registries, snapshots: list[Digest], field: str) -> None:
    first, rest = field.split("_")
    with world.evm.reverts("EmptyDigest", (first + rest.capitalize()).encode().ljust(32, b"\0")):
        world.register(world.model_version(snapshots, **{field: ZERO_DIGEST}), snapshots)


def test_a_data_split_is_one_of_two(world: Registries, snapshots: list[Digest]) -> None:
    with world.evm.reverts("UnknownDataSplit", 2):
        world.register(world.model_version(snapshots, data_split=2), snapshots)
    world.register(world.model_version(snapshots, data_split=1), snapshots)


# -- snapshots -----------------------------------------------------------------------------------------------------


def test_only_sealed_snapshots_are_trained_on(world: Registries, snapshots: list[Digest]) -> None:
    unsealed = world.commit(world.snapshot(1))
    for bad in (unsealed, name("nothing")):
        with world.evm.reverts("SnapshotNotSealed", bad):
            world.register(world.model_version([bad]), [bad])


def test_snapshots_ascend_and_make_up_the_root(world: Registries, snapshots: list[Digest]) -> None:
    several = sorted([*snapshots, *(world.sealed_snapshot(n) for n in range(1, 5))])
    for count in (1, 2, 3, 5):  # padding included
        chosen = several[:count]
        version = world.model_version(chosen, f"model {count}")
        assert len(world.register(version, chosen, f"model {count}").names()) == 5 + count
    swapped = [several[1], several[0]]
    with world.evm.reverts("SnapshotsNotAscending", 1):
        world.register(world.model_version(swapped), swapped)
    doubled = [several[0], several[0]]
    with world.evm.reverts("SnapshotsNotAscending", 1):
        world.register(world.model_version(doubled), doubled)
    with world.evm.reverts("WrongSnapshotsRoot", merkle_root(several[:2]), merkle_root(several[:3])):
        world.register(world.model_version(several[:3]), several[:2])


def test_a_version_has_between_1_and_64_snapshots(world: Registries, snapshots: list[Digest]) -> None:
    with world.evm.reverts("WrongSnapshotCount", 0, 64):
        world.register(world.model_version([]), [])
    many = [name(str(n)) for n in range(65)]
    with world.evm.reverts("WrongSnapshotCount", 65, 64):
        world.register(world.model_version(many), many)


# -- price split ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("split", "error", "arguments"),
    [
        ((500_000, 150_000, 50_000, 220_000, 50_000, 29_999), "SplitNotWhole", (999_999,)),
        ((500_001, 150_000, 50_000, 220_000, 50_000, 30_000), "SplitNotWhole", (1_000_001,)),
        ((2**32 - 1,) * 6, "SplitNotWhole", (6 * (2**32 - 1),)),
        ((399_999, 250_001, 50_000, 220_000, 50_000, 30_000), "PartTooLow", (b"contributors", 399_999, 400_000)),
        ((530_001, 150_000, 50_000, 220_000, 19_999, 30_000), "PartTooLow", (b"validators", 19_999, 20_000)),
        ((520_001, 150_000, 50_000, 220_000, 50_000, 9_999), "PartTooLow", (b"protocol", 9_999, 10_000)),
    ],
)
def test_p28_a_split_is_whole_and_keeps_the_least_parts(
    world: Registries,
    snapshots: list[Digest],
    split: tuple[int, ...],
    error: str,
    arguments: tuple[object, ...],
) -> None:
    words = tuple(a.ljust(32, b"\0") if isinstance(a, bytes) else a for a in arguments)
    with world.evm.reverts(error, *words):
        world.register(world.model_version(snapshots), snapshots, split=split)


def test_p28_a_split_may_hold_exactly_the_least_parts(world: Registries, snapshots: list[Digest]) -> None:
    least = (400_000, 350_000, 50_000, 170_000, 20_000, 10_000)
    world.register(world.model_version(snapshots), snapshots, split=least)


def test_the_highest_minimum_of_all_datanets_binds(world: Registries, snapshots: list[Digest]) -> None:
    strict = world.create_datanet("strict", (name("strict licence"), 600_000, 0))
    world.anchored(1, datanet_id=strict, license_digest=name("strict licence"))
    both = sorted([*snapshots, world.sealed_snapshot(1, datanet_id=strict, head=world.head(strict))])
    with world.evm.reverts("PartTooLow", b"contributors".ljust(32, b"\0"), 500_000, 600_000):
        world.register(world.model_version(both), both)
    generous = (600_000, 50_000, 50_000, 220_000, 50_000, 30_000)
    world.register(world.model_version(both), both, split=generous)


def test_terms_that_come_later_leave_a_version_alone(world: Registries, snapshots: list[Digest]) -> None:
    version = world.model_version(snapshots)
    world.register(version, snapshots)
    world.registry.send(world.owner, "proposeTerms", world.datanet_id, (METADATA, 900_000, 0))
    assert tuple(vars(world.models.call("splitOf", version.model_id, 1)).values()) == SPLIT


# -- lineage -------------------------------------------------------------------------------------------------------


def test_a_parent_must_exist_so_lineage_has_no_cycle(world: Registries, snapshots: list[Digest]) -> None:
    lonely = world.model_version(snapshots)
    for parent in ((name("nothing"), 1), (lonely.model_id, 1), (ZERO_DIGEST, 1), (name("nothing"), 0)):
        orphan = replace(lonely, parent_model_id=parent[0], parent_version=parent[1])
        with world.evm.reverts("UnknownParent", *parent):
            world.register(orphan, snapshots)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parents=st.lists(st.integers(0, 100), min_size=1, max_size=8), limit=st.integers(0, 9))
def test_p59_lineage_is_a_path_to_a_root_in_pages(deployed: Deployed, parents: list[int], limit: int) -> None:
    world, snapshot_id, snapshot = deployed
    world.evm.restore(snapshot)
    made: list[ModelVersion] = []
    for number, choice in enumerate(parents):
        version = world.model_version([snapshot_id], f"model {number}")
        if made and choice % (len(made) + 1):
            parent = made[choice % len(made)]
            version = replace(version, parent_model_id=parent.model_id, parent_version=parent.version)
        world.register(version, [snapshot_id], f"model {number}")
        made.append(version)
    by_id = {v.model_id: v for v in made}
    expected = [made[-1]]
    while expected[-1].parent_version:
        expected.append(by_id[expected[-1].parent_model_id])
    found = world.models.call("lineage", made[-1].model_id, 1, limit)
    assert [(r.modelId, r.version) for r in found] == [(v.model_id, 1) for v in expected[:limit]]
    if 0 < limit < len(expected):  # the next page begins with the last one's parent
        following = world.models.call("lineage", expected[limit].model_id, 1, 64)
        assert [r.modelId for r in following] == [v.model_id for v in expected[limit:]]


def test_p62_one_call_returns_at_most_64_forebears(world: Registries, snapshots: list[Digest]) -> None:
    version = world.model_version(snapshots)
    world.register(version, snapshots)
    for number in range(2, 67):
        version = replace(version, version=number, parent_model_id=version.model_id, parent_version=number - 1)
        world.register(version, snapshots)
    found = world.models.call("lineage", version.model_id, 66, 1_000)
    assert [r.version for r in found] == list(range(66, 2, -1))
    with world.evm.reverts("UnknownVersion", version.model_id, 67):
        world.models.call("lineage", version.model_id, 67, 1)


# -- status --------------------------------------------------------------------------------------------------------


def test_p59_a_version_moves_along_its_states(world: Registries, snapshots: list[Digest]) -> None:
    version = attested(world, snapshots)
    for function, status in (("activate", "Active"), ("deprecate", "Deprecated"), ("revoke", "Revoked")):
        step(world, version, function)
        assert world.status(version) == status
    assert world.models.call("stateOf", version.model_id, 1).revokedAt == world.evm.now
    assert world.models.call("stateOf", version.model_id, 1).revokedInEpoch == 1  # the one that comes next
    assert world.models.call("lineage", version.model_id, 1, 1)  # P58: revoked, not forgotten


def test_p59_no_other_step_is_possible_from_any_state(world: Registries, snapshots: list[Digest]) -> None:
    """Bring a version to each state, then try every step: only the edges of PROTOCOL.md §9 are there."""
    paths: dict[str, tuple[str, ...]] = {
        "Registered": (),
        "Attested": ("attest",),
        "Active": ("attest", "activate"),
        "Deprecated": ("attest", "activate", "deprecate"),
        "Revoked": ("attest", "activate", "revoke"),
        "Lapsed": ("lapse",),
    }
    begin = world.evm.snapshot()
    for state, path in paths.items():
        for function in ("attest", "lapse", "activate", "deprecate", "revoke"):
            world.evm.restore(begin)
            version = world.model_version(snapshots)
            world.register(version, snapshots)
            world.seal_version(version)
            for earlier in path:
                do(world, version, earlier)
            assert world.status(version) == state
            allowed = [to for name_, (origin, to) in EDGES.items() if name_.startswith(function) and origin == state]
            if allowed:
                do(world, version, function)
                assert world.status(version) == allowed[0]
            else:
                with world.evm.reverts("InvalidTransition"):
                    do(world, version, function)
                assert world.status(version) == state


def do(world: Registries, version: ModelVersion, function: str) -> None:
    if function == "attest":
        key = Actor("validator 0 key")
        world.attest(world.verdict(version, key), key)
    elif function == "lapse":
        registered_at = world.models.call("stateOf", version.model_id, version.version).registeredAt
        world.evm.now = max(world.evm.now, registered_at + 3_600)
        step(world, version, "lapse", Actor("anybody"))
    else:
        step(world, version, function)


@pytest.mark.parametrize("function", ["activate", "deprecate", "revoke"])
def test_p63_only_the_owner_moves_a_version(world: Registries, snapshots: list[Digest], function: str) -> None:
    version = attested(world, snapshots)
    for who in (world.thief, Actor("timelock"), Actor("deployer")):
        with world.evm.reverts("NotModelOwner", version.model_id, who):
            step(world, version, function, who)
    with world.evm.reverts("UnknownVersion", version.model_id, 2):
        step(world, replace(version, version=2), function)


def test_ownership_moves_in_two_steps(world: Registries, snapshots: list[Digest]) -> None:
    version, heir = attested(world, snapshots), Actor("heir")
    offer = world.models.send(world.maker, "transferOwnership", version.model_id, heir)
    assert offer.event("OwnershipTransferStarted").pendingOwner == heir.address
    with world.evm.reverts("NotPendingOwner", version.model_id, world.thief):
        world.models.send(world.thief, "acceptOwnership", version.model_id)
    step(world, version, "activate")  # still the old owner's
    taken = world.models.send(heir, "acceptOwnership", version.model_id)
    assert taken.event("OwnershipTransferred").previousOwner == world.maker.address
    assert world.models.call("modelOf", version.model_id).pendingOwner == ZERO_ADDRESS
    assert world.models.call("modelOf", version.model_id).owner == heir.address
    with world.evm.reverts("NotModelOwner", version.model_id, world.maker):
        step(world, version, "deprecate")
    step(world, version, "deprecate", heir)


# -- payees --------------------------------------------------------------------------------------------------------


def test_only_the_timelock_names_base_and_protocol_payees(world: Registries) -> None:
    base, payee = name("base"), Actor("base payee")
    assert world.models.call("basePayeeOf", base) == ZERO_ADDRESS
    sent = world.models.send("timelock", "setBasePayee", base, payee)
    assert sent.event("BasePayeeSet").payee == payee.address
    assert world.models.call("basePayeeOf", base) == payee.address
    sent = world.models.send("timelock", "setProtocolPayee", payee)
    assert sent.event("ProtocolPayeeSet").payee == payee.address
    assert world.models.call("protocolPayee") == payee.address
    for who in (world.maker, world.thief, Actor("deployer")):
        with world.evm.reverts("AccessManagedUnauthorized", who):
            world.models.send(who, "setBasePayee", base, who)
        with world.evm.reverts("AccessManagedUnauthorized", who):
            world.models.send(who, "setProtocolPayee", who)
    with world.evm.reverts("EmptyDigest", b"baseDigest".ljust(32, b"\0")):
        world.models.send("timelock", "setBasePayee", ZERO_DIGEST, payee)
    with world.evm.reverts("ZeroAccount"):
        world.models.send("timelock", "setProtocolPayee", ZERO_ADDRESS)


# -- deployment ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "culprit", "value"),
    [
        ((0, 0, 3_600), b"attestationFeeWei", 0),
        ((1, 30 * DAY + 1, 3_600), b"priceRiseDelaySeconds", 30 * DAY + 1),
        ((1, 0, 0), b"attestationWindowSeconds", 0),
        ((1, 0, 30 * DAY + 1), b"attestationWindowSeconds", 30 * DAY + 1),
    ],
)
def test_parameters_are_bounded(
    world: Registries, parameters: tuple[int, int, int], culprit: bytes, value: int
) -> None:
    with world.evm.reverts("ParameterOutOfBounds", culprit.ljust(32, b"\0"), value):
        world._deploy_models(parameters)


def test_the_bounds_themselves_are_allowed(world: Registries) -> None:
    models = world._deploy_models((1, 30 * DAY, 30 * DAY))
    assert tuple(vars(models.call("parameters")).values()) == (1, 30 * DAY, 30 * DAY)


def test_views_name_what_they_do_not_know(world: Registries) -> None:
    unknown = name("nothing")
    with world.evm.reverts("UnknownModel", unknown):
        world.models.call("modelOf", unknown)
    for view in ("versionOf", "stateOf", "splitOf", "quote"):
        with world.evm.reverts("UnknownVersion", unknown, 1):
            world.models.call(view, unknown, 1)


def test_edges_are_forward_only() -> None:
    order = ["Registered", "Attested", "Active", "Deprecated", "Revoked"]
    for origin, to in (e for e in EDGES.values() if e[1] != "Lapsed"):
        assert order.index(origin) < order.index(to)
    assert all(a != b for a, b in pairwise(order))
