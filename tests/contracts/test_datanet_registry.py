"""DatanetRegistry: ids nobody can take, terms that change forward only, ownership in two steps."""

from __future__ import annotations

import pytest
from bare_evm import Actor, Evm
from eth_abi.abi import encode
from eth_utils import keccak
from registry_world import DAY, LICENSE, METADATA, TERMS, Registries, name

from headwater.protocol.license import Disclosure
from headwater.types import ZERO_ADDRESS, ZERO_DIGEST

OTHER_TERMS = (name("other licence"), 500_000, Disclosure.PUBLIC.value)
DELAY = 7 * DAY


@pytest.fixture(scope="module")
def deployed() -> tuple[Registries, tuple[bytes, int, int]]:
    world = Registries(Evm())
    return world, world.evm.snapshot()


@pytest.fixture
def world(deployed: tuple[Registries, tuple[bytes, int, int]]) -> Registries:
    made, snapshot = deployed
    made.evm.restore(snapshot)
    return made


@pytest.fixture
def slow() -> Registries:
    """A deployment with the production delay of terms."""
    return Registries(Evm(), terms_delay=DELAY)


def terms_of(world: Registries) -> tuple[bytes, int, int]:
    terms = world.registry.call("termsOf", world.datanet_id)
    return terms.licenseDigest, terms.contributorsMinimumPpm, terms.weakestDisclosure


# -- creation ------------------------------------------------------------------------------------------------------


def test_a_datanet_is_created_with_its_terms_in_force(world: Registries) -> None:
    sent = world.registry.send(world.owner, "create", name("second"), OTHER_TERMS, METADATA)
    event = sent.event("DatanetCreated")
    assert (event.datanetId, event.owner) == (sent.value, world.owner.address)
    assert (event.licenseDigest, event.metadataDigest) == (OTHER_TERMS[0], METADATA)
    datanet = world.registry.call("datanetOf", sent.value)
    assert (datanet.owner, datanet.payee, datanet.pendingOwner) == (
        world.owner.address,
        world.owner.address,
        ZERO_ADDRESS,
    )
    assert (datanet.createdAt, datanet.isRetired) == (world.evm.now, False)
    assert datanet.metadataDigest == METADATA
    assert datanet.terms.contributorsMinimumPpm == 500_000


def test_p55_the_id_belongs_to_its_creator_and_cannot_be_taken(world: Registries) -> None:
    mine = world.registry.call("datanetIdOf", world.owner, name("wanted"))
    words = [world.evm.chain_id, world.registry.address, world.owner.address, name("wanted")]
    assert mine == keccak(encode(["uint256", "address", "address", "bytes32"], words))
    theirs = world.registry.send(world.thief, "create", name("wanted"), TERMS, METADATA).value
    assert theirs != mine
    assert world.registry.send(world.owner, "create", name("wanted"), TERMS, METADATA).value == mine


def test_a_salt_is_used_once(world: Registries) -> None:
    with world.evm.reverts("DatanetExists", world.datanet_id):
        world.registry.send(world.owner, "create", name("first"), TERMS, METADATA)


def test_terms_need_a_licence_and_a_minimum_that_a_split_can_keep(world: Registries) -> None:
    with world.evm.reverts("EmptyLicense"):
        world.registry.send(world.owner, "create", name("x"), (ZERO_DIGEST, 0, 0), METADATA)
    world.registry.send(world.owner, "create", name("y"), (LICENSE, 970_000, 0), METADATA)
    with world.evm.reverts("ContributorsMinimumTooHigh", 970_001, 970_000):
        world.registry.send(world.owner, "create", name("x"), (LICENSE, 970_001, 0), METADATA)
    with world.evm.reverts("ContributorsMinimumTooHigh", 970_001, 970_000):
        world.registry.send(world.owner, "proposeTerms", world.datanet_id, (LICENSE, 970_001, 0))


# -- terms ---------------------------------------------------------------------------------------------------------


def test_without_a_delay_terms_are_in_force_at_once(world: Registries) -> None:
    sent = world.registry.send(world.owner, "proposeTerms", world.datanet_id, OTHER_TERMS)
    assert sent.names() == ["TermsProposed", "TermsApplied"]
    assert terms_of(world) == OTHER_TERMS
    assert world.registry.call("openLicenseOf", world.datanet_id) == OTHER_TERMS[0]


def test_with_a_delay_terms_come_into_force_exactly_after_it(slow: Registries) -> None:
    effective = slow.registry.send(slow.owner, "proposeTerms", slow.datanet_id, OTHER_TERMS).event("TermsProposed")
    assert effective.effectiveAt == slow.evm.now + DELAY
    slow.evm.now = effective.effectiveAt - 2
    with slow.evm.reverts("TermsNotRipe", effective.effectiveAt):
        slow.registry.send("anybody", "applyTerms", slow.datanet_id)
    assert terms_of(slow) == TERMS
    slow.registry.send("anybody", "applyTerms", slow.datanet_id)
    assert terms_of(slow) == OTHER_TERMS
    with slow.evm.reverts("NoTermsProposed", slow.datanet_id):
        slow.registry.send("anybody", "applyTerms", slow.datanet_id)


def test_a_new_proposal_starts_the_delay_again(slow: Registries) -> None:
    slow.registry.send(slow.owner, "proposeTerms", slow.datanet_id, OTHER_TERMS)
    slow.evm.advance(DELAY)
    slow.registry.send(slow.owner, "proposeTerms", slow.datanet_id, TERMS)
    with slow.evm.reverts("TermsNotRipe", slow.evm.now + DELAY):
        slow.registry.send("anybody", "applyTerms", slow.datanet_id)
    terms, effective_at = slow.registry.call("proposedTermsOf", slow.datanet_id)
    assert (terms.licenseDigest, effective_at) == (LICENSE, slow.evm.now - 1 + DELAY)


def test_the_delay_is_bounded(evm: Evm) -> None:
    assert evm.deploy("DatanetRegistry", Actor("access"), 30 * DAY).call("termsDelaySeconds") == 30 * DAY
    with evm.reverts("DelayTooLong", 30 * DAY + 1, 30 * DAY):
        evm.deploy("DatanetRegistry", Actor("access"), 30 * DAY + 1)


# -- owner, payee, curators ----------------------------------------------------------------------------------------


def test_ownership_moves_in_two_steps_and_takes_the_payee_along(world: Registries) -> None:
    heir = Actor("heir")
    world.registry.send(world.owner, "setPayee", world.datanet_id, Actor("old payee"))
    offer = world.registry.send(world.owner, "transferOwnership", world.datanet_id, heir)
    assert offer.event("OwnershipTransferStarted").pendingOwner == heir.address
    assert world.registry.call("datanetOf", world.datanet_id).owner == world.owner.address
    with world.evm.reverts("NotPendingOwner", world.datanet_id, world.thief):
        world.registry.send(world.thief, "acceptOwnership", world.datanet_id)
    taken = world.registry.send(heir, "acceptOwnership", world.datanet_id)
    assert taken.names() == ["OwnershipTransferred", "PayeeSet"]
    datanet = world.registry.call("datanetOf", world.datanet_id)
    assert (datanet.owner, datanet.payee, datanet.pendingOwner) == (heir.address, heir.address, ZERO_ADDRESS)
    with world.evm.reverts("NotDatanetOwner", world.datanet_id, world.owner):
        world.registry.send(world.owner, "retire", world.datanet_id)


def test_an_offer_can_be_taken_back(world: Registries) -> None:
    world.registry.send(world.owner, "transferOwnership", world.datanet_id, Actor("heir"))
    world.registry.send(world.owner, "transferOwnership", world.datanet_id, ZERO_ADDRESS)
    with world.evm.reverts("NotPendingOwner", world.datanet_id, Actor("heir")):
        world.registry.send("heir", "acceptOwnership", world.datanet_id)


def test_the_owner_names_a_payee_but_not_nobody(world: Registries) -> None:
    sent = world.registry.send(world.owner, "setPayee", world.datanet_id, Actor("payee"))
    assert sent.event("PayeeSet").payee == Actor("payee").address
    assert world.registry.call("payeeOf", world.datanet_id) == Actor("payee").address
    with world.evm.reverts("ZeroAccount"):
        world.registry.send(world.owner, "setPayee", world.datanet_id, ZERO_ADDRESS)


def test_curators_come_and_go(world: Registries) -> None:
    def may() -> bool:
        return bool(world.registry.call("mayCurate", world.datanet_id, world.curator))

    assert world.registry.call("mayCurate", world.datanet_id, world.owner) is True
    assert not may()
    sent = world.registry.send(world.owner, "setCurator", world.datanet_id, world.curator, True)
    assert sent.event("CuratorSet").isCurator is True
    assert may()
    world.registry.send(world.owner, "setCurator", world.datanet_id, world.curator, False)
    assert not may()
    with world.evm.reverts("ZeroAccount"):
        world.registry.send(world.owner, "setCurator", world.datanet_id, ZERO_ADDRESS, True)


def test_a_retired_datanet_is_closed_for_good(world: Registries) -> None:
    assert world.registry.send(world.owner, "retire", world.datanet_id).names() == ["DatanetRetired"]
    with world.evm.reverts("DatanetIsRetired", world.datanet_id):
        world.registry.call("openLicenseOf", world.datanet_id)
    with world.evm.reverts("DatanetIsRetired", world.datanet_id):
        world.registry.send(world.owner, "retire", world.datanet_id)
    with world.evm.reverts("DatanetIsRetired", world.datanet_id):
        world.registry.send(world.owner, "proposeTerms", world.datanet_id, OTHER_TERMS)


def test_retiring_drops_proposed_terms(slow: Registries) -> None:
    slow.registry.send(slow.owner, "proposeTerms", slow.datanet_id, OTHER_TERMS)
    slow.registry.send(slow.owner, "retire", slow.datanet_id)
    slow.evm.advance(DELAY)
    with slow.evm.reverts("NoTermsProposed", slow.datanet_id):
        slow.registry.send("anybody", "applyTerms", slow.datanet_id)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("proposeTerms", (OTHER_TERMS,)),
        ("setCurator", (Actor("thief"), True)),
        ("setPayee", (Actor("thief"),)),
        ("transferOwnership", (Actor("thief"),)),
        ("retire", ()),
    ],
)
def test_p63_only_the_owner_decides(world: Registries, function: str, arguments: tuple[object, ...]) -> None:
    world.registry.send(world.owner, "setCurator", world.datanet_id, world.curator, True)
    for who in (world.thief, world.curator):
        with world.evm.reverts("NotDatanetOwner", world.datanet_id, who):
            world.registry.send(who, function, world.datanet_id, *arguments)
    with world.evm.reverts("UnknownDatanet", name("nothing")):
        world.registry.send(world.owner, function, name("nothing"), *arguments)


@pytest.mark.parametrize("view", ["datanetOf", "termsOf", "openLicenseOf", "payeeOf"])
def test_views_name_an_unknown_datanet(world: Registries, view: str) -> None:
    with world.evm.reverts("UnknownDatanet", name("nothing")):
        world.registry.call(view, name("nothing"))
    with world.evm.reverts("UnknownDatanet", name("nothing")):
        world.registry.call("mayCurate", name("nothing"), world.owner)
