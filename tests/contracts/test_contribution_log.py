"""ContributionLog: whose word is anchored, who may take it back, and what a snapshot cannot ignore."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bare_evm import Evm
from eth_abi.abi import encode
from eth_utils import keccak, to_canonical_address
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from registry_world import LICENSE, METADATA, TERMS, Registries, name

from headwater.protocol.contribution import Contribution, Withdrawal
from headwater.protocol.signatures import CURVE_ORDER
from headwater.protocol.snapshot import Snapshot
from headwater.protocol.typed_data import Domain
from headwater.types import ZERO_ADDRESS, ZERO_DIGEST, Digest, Ppm

ADDED, WITHDRAWN, TAKEN_DOWN = 0, 1, 2
NONE, COMMITTED, SEALED, DEAD = 0, 1, 2, 3


@pytest.fixture(scope="module")
def deployed() -> tuple[Registries, tuple[bytes, int, int]]:
    world = Registries(Evm())
    world.registry.send(world.owner, "setCurator", world.datanet_id, world.curator, True)
    return world, world.evm.snapshot()


@pytest.fixture
def world(deployed: tuple[Registries, tuple[bytes, int, int]]) -> Registries:
    made, snapshot = deployed
    made.evm.restore(snapshot)
    return made


def head_after(head: bytes, kind: int, contribution_id: bytes) -> Digest:
    return Digest(keccak(encode(["bytes32", "uint8", "bytes32"], [head, kind, contribution_id])))


def revoked_at(world: Registries, contribution_id: Digest) -> int:
    return int(world.log.call("entryOf", world.datanet_id, contribution_id).revokedPosition)


# -- one definition in two languages ---------------------------------------------------------------------------------


def test_p2_type_hashes_equal_pythons(world: Registries) -> None:
    for constant, cls in (("CONTRIBUTION", Contribution), ("WITHDRAWAL", Withdrawal), ("SNAPSHOT", Snapshot)):
        assert world.log.call(f"{constant}_TYPEHASH") == cls.type_hash()


def test_ids_equal_pythons_signing_digests(world: Registries) -> None:
    domain = world.log.domain
    contribution, snapshot = world.contribution(), world.snapshot(head=name("head"))
    assert world.log.call("contributionIdOf", contribution) == contribution.signing_digest(domain)
    assert world.log.call("snapshotIdOf", snapshot) == snapshot.signing_digest(domain)
    _, called, version, chain_id, contract, _, _ = world.log.call("eip712Domain")
    assert (called, version) == ("Headwater ContributionLog", "1")
    assert Domain("ContributionLog", chain_id, contract).separator() == domain.separator()


# -- anchoring -----------------------------------------------------------------------------------------------------


def test_a_signed_contribution_is_anchored_by_anyone(world: Registries) -> None:
    contribution = world.contribution()
    sent = world.anchor(contribution)
    event = sent.event("ContributionAnchored")
    assert event.contributionId == sent.value == contribution.signing_digest(world.log.domain)
    assert (event.datanetId, event.contributor) == (world.datanet_id, world.contributor.address)
    assert (event.recordsRoot, event.recordCount) == (contribution.records_root, 7)
    assert (event.licenseDigest, event.metadataDigest) == (LICENSE, METADATA)
    assert (event.head, event.position) == (head_after(ZERO_DIGEST, ADDED, sent.value), 1)
    entry = world.log.call("entryOf", world.datanet_id, sent.value)
    assert (entry.contributor, entry.position, entry.revokedPosition) == (world.contributor.address, 1, 0)


def test_the_same_contribution_again_has_no_second_effect(world: Registries) -> None:
    contribution = world.contribution()
    contribution_id = world.anchor(contribution).value
    head = world.head()
    with world.evm.reverts("AlreadyAnchored", contribution_id):
        world.anchor(contribution)
    assert world.head() == head


def test_p56_a_copied_contribution_is_another_one_and_leaves_the_first_alone(world: Registries) -> None:
    honest = world.contribution()
    copied = replace(honest, contributor=world.thief.address)
    with world.evm.reverts("WrongSigner", world.contributor, world.thief):
        world.anchor(honest, signer=world.thief)
    copied_id = world.anchor(copied, signer=world.thief).value
    honest_id = world.anchor(honest).value
    assert copied_id != honest_id
    with world.evm.reverts("NotContributor", honest_id, world.thief):
        world.log.send(world.thief, "revokeSelf", world.datanet_id, honest_id)


def test_p1_a_signature_is_void_on_another_chain_and_under_another_log(world: Registries) -> None:
    contribution = world.contribution()
    signature = world.contributor.sign(contribution, world.log.domain)
    elsewhere = world.evm.fork(chain_id=1)
    fork = elsewhere.at("ContributionLog", world.log.address)
    with elsewhere.reverts("WrongSigner"):
        fork.send("relayer", "anchor", ZERO_DIGEST, contribution, signature)
    twin = world.evm.deploy("ContributionLog", world.access, world.registry)
    with world.evm.reverts("WrongSigner"):
        twin.send("relayer", "anchor", ZERO_DIGEST, contribution, signature)


@pytest.mark.parametrize("field", ["records_root", "record_count", "metadata_digest", "salt", "deadline"])
def test_a_signature_binds_every_field(world: Registries, field: str) -> None:
    signed = world.contribution()
    value = getattr(signed, field)
    changed = replace(signed, **{field: value + 1 if isinstance(value, int) else name("changed")})
    signature = world.contributor.sign(signed, world.log.domain)
    with world.evm.reverts("WrongSigner"):
        world.log.send("relayer", "anchor", ZERO_DIGEST, changed, signature)


def test_p3_malleable_and_misshapen_signatures_are_refused(world: Registries) -> None:
    contribution = world.contribution()
    good = world.contributor.sign(contribution, world.log.domain)
    high = (CURVE_ORDER - int.from_bytes(good[32:64], "big")).to_bytes(32, "big")
    malleable = good[:32] + high + bytes([55 - good[64]])
    for bad in (malleable, good[:64] + bytes([good[64] - 27]), good[:-2], good + b"\0", b""):
        with world.evm.reverts("WrongSigner"):
            world.log.send("relayer", "anchor", ZERO_DIGEST, contribution, bad)
    nobody = replace(contribution, contributor=ZERO_ADDRESS)
    with world.evm.reverts("WrongSigner", ZERO_ADDRESS, ZERO_ADDRESS):
        world.log.send("relayer", "anchor", ZERO_DIGEST, nobody, bytes(65))


def test_a_64_byte_signature_is_as_good(world: Registries) -> None:
    contribution = world.contribution()
    good = world.contributor.sign(contribution, world.log.domain)
    s = int.from_bytes(good[32:64], "big") | (good[64] - 27) << 255
    world.log.send("relayer", "anchor", ZERO_DIGEST, contribution, good[:32] + s.to_bytes(32, "big"))


def test_p5_a_contribution_is_accepted_at_its_deadline_and_not_after_it(world: Registries) -> None:
    contribution = world.contribution(deadline=world.evm.now + 100)
    world.evm.now = contribution.deadline
    with world.evm.reverts("Expired", contribution.deadline):
        world.anchor(contribution)
    world.evm.now = contribution.deadline - 1
    world.anchor(contribution)


def test_the_licence_must_be_the_datanets(world: Registries) -> None:
    with world.evm.reverts("WrongLicense", name("old licence"), LICENSE):
        world.anchor(world.contribution(license_digest=name("old licence")))
    world.registry.send(world.owner, "proposeTerms", world.datanet_id, (name("new licence"), *TERMS[1:]))
    with world.evm.reverts("WrongLicense", LICENSE, name("new licence")):
        world.anchor(world.contribution())


def test_an_empty_batch_is_refused(world: Registries) -> None:
    for changes in ({"records_root": ZERO_DIGEST}, {"record_count": 0}):
        with world.evm.reverts("EmptyContribution"):
            world.anchor(world.contribution(**changes))


def test_unknown_and_retired_datanets_take_nothing(world: Registries) -> None:
    with world.evm.reverts("UnknownDatanet", name("nothing")):
        world.anchor(world.contribution(datanet_id=name("nothing")))
    world.registry.send(world.owner, "retire", world.datanet_id)
    with world.evm.reverts("DatanetIsRetired", world.datanet_id):
        world.anchor(world.contribution())


def test_a_relayer_that_expects_another_head_is_told(world: Registries) -> None:
    first = world.anchor(world.contribution(0)).event("ContributionAnchored").head
    world.anchor(world.contribution(1), head=first)
    with world.evm.reverts("StaleHead", first, world.head()):
        world.anchor(world.contribution(2), head=first)


def test_a_wallet_contract_contributes_and_withdraws_by_its_own_transaction(world: Registries) -> None:
    wallet = world.evm.deploy("WalletMock", world.contributor)
    contribution = world.contribution(contributor=wallet.address)
    with world.evm.reverts("WrongSigner", wallet, world.contributor):
        world.anchor(contribution)  # what its code would say could change later
    wallet.send("key", "execute", world.log, world.log.calldata("anchor", ZERO_DIGEST, contribution, b""))
    contribution_id = contribution.signing_digest(world.log.domain)
    wallet.send("key", "execute", world.log, world.log.calldata("revokeSelf", world.datanet_id, contribution_id))
    assert revoked_at(world, contribution_id) == 2


def test_p7_a_delegated_account_contributes_with_its_key(world: Registries) -> None:
    world.evm.set_code(world.contributor, bytes.fromhex("ef0100") + to_canonical_address(world.token.address))
    world.anchored()


# -- leaving -------------------------------------------------------------------------------------------------------


def test_a_signed_withdrawal_is_relayed_by_anyone(world: Registries) -> None:
    contribution_id = world.anchored()
    before = world.head()
    event = world.withdraw(world.withdrawal(contribution_id, reason_digest=name("why"))).event("ContributionRevoked")
    assert (event.contributionId, event.contributor) == (contribution_id, world.contributor.address)
    assert (event.kind, event.reasonDigest, event.position) == (WITHDRAWN, name("why"), 2)
    assert event.head == head_after(before, WITHDRAWN, contribution_id) == world.head()
    assert revoked_at(world, contribution_id) == 2


def test_a_contributor_leaves_alone_even_from_a_retired_datanet(world: Registries) -> None:
    first, second = world.anchored(0), world.anchored(1)
    world.registry.send(world.owner, "retire", world.datanet_id)
    world.log.send(world.contributor, "revokeSelf", world.datanet_id, first)
    world.log.send(world.contributor, "withdraw", world.withdrawal(second), b"")
    assert (revoked_at(world, first), revoked_at(world, second)) == (3, 4)


def test_leaving_twice_has_no_second_effect(world: Registries) -> None:
    contribution_id = world.anchored()
    withdrawal = world.withdrawal(contribution_id)
    world.withdraw(withdrawal)
    head = world.head()
    with world.evm.reverts("AlreadyRevoked", contribution_id, 2):
        world.withdraw(withdrawal)
    with world.evm.reverts("AlreadyRevoked", contribution_id, 2):
        world.log.send(world.contributor, "revokeSelf", world.datanet_id, contribution_id)
    assert world.head() == head


def test_nobody_withdraws_for_another(world: Registries) -> None:
    contribution_id = world.anchored()
    with world.evm.reverts("WrongSigner", world.contributor, world.thief):
        world.withdraw(world.withdrawal(contribution_id), signer=world.thief)
    theirs = world.withdrawal(contribution_id, contributor=world.thief.address)
    with world.evm.reverts("NotContributor", contribution_id, world.thief):
        world.withdraw(theirs, signer=world.thief)
    with world.evm.reverts("NotContributor", contribution_id, world.owner):
        world.log.send(world.owner, "revokeSelf", world.datanet_id, contribution_id)


def test_p5_a_withdrawal_is_accepted_at_its_deadline_and_not_after_it(world: Registries) -> None:
    withdrawal = world.withdrawal(world.anchored(), deadline=world.evm.now + 100)
    world.evm.now = withdrawal.deadline
    with world.evm.reverts("Expired", withdrawal.deadline):
        world.withdraw(withdrawal)
    world.evm.now = withdrawal.deadline - 1
    world.withdraw(withdrawal)


def test_p2_a_contributions_signature_is_no_withdrawal(world: Registries) -> None:
    contribution = world.contribution()
    signature = world.contributor.sign(contribution, world.log.domain)
    contribution_id = Digest(world.anchor(contribution).value)
    with world.evm.reverts("WrongSigner"):
        world.log.send("relayer", "withdraw", world.withdrawal(contribution_id), signature)


def test_only_what_was_anchored_here_can_be_revoked(world: Registries) -> None:
    contribution_id = world.anchored()
    elsewhere = world.create_datanet("second")
    with world.evm.reverts("UnknownContribution", elsewhere, contribution_id):
        world.log.send(world.contributor, "revokeSelf", elsewhere, contribution_id)
    with world.evm.reverts("UnknownContribution", world.datanet_id, name("nothing")):
        world.log.send(world.contributor, "revokeSelf", world.datanet_id, name("nothing"))


def test_p58_a_curator_takes_down_with_a_reason_and_nothing_brings_it_back(world: Registries) -> None:
    contribution = world.contribution()
    contribution_id = Digest(world.anchor(contribution).value)
    with world.evm.reverts("NotCurator", world.datanet_id, world.thief):
        world.log.send(world.thief, "takeDown", world.datanet_id, contribution_id, name("reason"))
    sent = world.log.send(world.curator, "takeDown", world.datanet_id, contribution_id, name("reason"))
    event = sent.event("ContributionRevoked")
    assert (event.kind, event.reasonDigest) == (TAKEN_DOWN, name("reason"))
    with world.evm.reverts("AlreadyAnchored", contribution_id):
        world.anchor(contribution)
    with world.evm.reverts("AlreadyRevoked", contribution_id, 2):
        world.withdraw(world.withdrawal(contribution_id))
    assert world.log.call("entryOf", world.datanet_id, contribution_id).position == 1


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.integers(0, 5), max_size=12))
def test_the_chain_equals_its_definition_whatever_happens(
    deployed: tuple[Registries, tuple[bytes, int, int]], steps: list[int]
) -> None:
    world, snapshot = deployed
    world.evm.restore(snapshot)
    head, live, length = ZERO_DIGEST, list[Digest](), 0
    for number, step in enumerate(steps):
        if step < 3 or not live:
            kind, contribution_id = ADDED, world.anchored(number)
            live.append(contribution_id)
        else:
            contribution_id = live.pop(step % len(live))
            if step == 3:
                kind = TAKEN_DOWN
                world.log.send(world.owner, "takeDown", world.datanet_id, contribution_id, name("reason"))
            else:
                kind = WITHDRAWN
                world.withdraw(world.withdrawal(contribution_id))
        head, length = head_after(head, kind, contribution_id), length + 1
    heads = world.log.call("headsOf", world.datanet_id)
    assert (heads.head, heads.length) == (head, length)
    assert all(revoked_at(world, c) == 0 for c in live)


# -- snapshots -----------------------------------------------------------------------------------------------------


def test_a_snapshot_is_committed_by_owner_or_curator(world: Registries) -> None:
    world.anchored()
    for number, who in enumerate((world.owner, world.curator)):
        snapshot = world.snapshot(number)
        sent = world.log.send(who, "commitSnapshot", snapshot)
        event = sent.event("SnapshotCommitted")
        assert event.snapshotId == sent.value == snapshot.signing_digest(world.log.domain)
        assert (event.head, event.recordsRoot, event.recordCount) == (snapshot.head, snapshot.records_root, 7)
        assert (event.heldOutPpm, event.manifestDigest) == (200_000, snapshot.manifest_digest)
        assert (event.committer, event.committedBlock) == (who.address, world.evm.block_number)
        record = world.log.call("snapshotOf", sent.value)
        assert (record.datanetId, record.recordsRoot) == (world.datanet_id, snapshot.records_root)
        assert (record.headLength, record.recordCount, record.heldOutPpm) == (1, 7, 200_000)
    with world.evm.reverts("NotCurator", world.datanet_id, world.thief):
        world.log.send(world.thief, "commitSnapshot", world.snapshot(3))


def test_a_snapshot_is_committed_once(world: Registries) -> None:
    world.anchored()
    snapshot_id = world.commit(world.snapshot())
    with world.evm.reverts("SnapshotExists", snapshot_id):
        world.commit(world.snapshot())


def test_a_snapshot_without_records_or_training_part_is_refused(world: Registries) -> None:
    world.anchored()
    for changes in ({"records_root": ZERO_DIGEST}, {"record_count": 0}):
        with world.evm.reverts("EmptySnapshot"):
            world.commit(world.snapshot(**changes))
    with world.evm.reverts("HeldOutTooHigh", 1_000_000):
        world.commit(world.snapshot(held_out_ppm=Ppm(1_000_000)))
    world.commit(world.snapshot(held_out_ppm=Ppm(999_999)))


def test_a_snapshot_of_an_empty_or_retired_datanet_is_refused(world: Registries) -> None:
    with world.evm.reverts("HeadTooOld", ZERO_DIGEST, ZERO_DIGEST, ZERO_DIGEST):
        world.commit(world.snapshot())
    world.anchored()
    world.registry.send(world.owner, "retire", world.datanet_id)
    with world.evm.reverts("DatanetIsRetired", world.datanet_id):
        world.commit(world.snapshot())


def test_p57_a_snapshot_on_a_head_before_a_withdrawal_is_refused(world: Registries) -> None:
    world.anchored(0)
    contribution_id = world.anchored(1)
    before = world.snapshot()
    world.withdraw(world.withdrawal(contribution_id))
    stable = world.log.call("headsOf", world.datanet_id).stableHead
    with world.evm.reverts("HeadTooOld", before.head, world.head(), stable):
        world.commit(before)
    snapshot_id = world.commit(world.snapshot())
    record = world.log.call("snapshotOf", snapshot_id)
    assert revoked_at(world, contribution_id) <= record.headLength  # so that holding it would be provable


def test_a_head_of_another_datanet_is_refused(world: Registries) -> None:
    world.anchored()
    foreign = world.head()
    world.create_datanet("second")
    world.anchored(1, datanet_id=world.registry.call("datanetIdOf", world.owner, name("second")))
    with world.evm.reverts("HeadTooOld"):
        world.commit(
            world.snapshot(datanet_id=world.registry.call("datanetIdOf", world.owner, name("second")), head=foreign)
        )


def test_the_stable_head_outlasts_a_flood_of_entries(world: Registries) -> None:
    """Whoever anchors in every block cannot keep a committer from a head that he can still name."""
    world.anchored(0)
    stable = world.head()
    world.evm.mine(200)
    world.anchored(1)
    set_in_block = world.evm.block_number
    for number in range(2, 6):
        world.evm.mine(20)
        world.anchored(number)
        assert world.log.call("headsOf", world.datanet_id).stableHead == stable
    assert world.evm.block_number < set_in_block + 128
    record = world.log.call("snapshotOf", world.commit(world.snapshot(head=stable)))
    assert record.headLength == 1
    world.evm.block_number = set_in_block + 127
    world.anchored(6)  # half its age later it makes room
    assert world.log.call("headsOf", world.datanet_id).stableHead != stable


def test_the_stable_head_ages_out_exactly(world: Registries) -> None:
    world.anchored(0)
    world.anchored(1)
    heads = world.log.call("headsOf", world.datanet_id)
    assert heads.stableUntilBlock == world.evm.block_number + 256
    world.evm.block_number = heads.stableUntilBlock
    with world.evm.reverts("HeadTooOld", heads.stableHead, heads.head, heads.stableHead):
        world.commit(world.snapshot(head=heads.stableHead))
    world.evm.block_number = heads.stableUntilBlock - 1
    world.commit(world.snapshot(head=heads.stableHead))


# -- seals ---------------------------------------------------------------------------------------------------------


def test_a_seal_fixes_the_hash_of_the_block_after_the_commit(world: Registries) -> None:
    world.anchored()
    snapshot_id = world.commit(world.snapshot())
    committed = world.evm.block_number
    assert world.log.call("snapshotStatusOf", snapshot_id) == COMMITTED
    with world.evm.reverts("SealTooEarly", committed + 2):
        world.log.send("anybody", "seal", snapshot_id)
    sent = world.log.send("anybody", "seal", snapshot_id)
    assert world.evm.block_number == committed + 2
    assert sent.value == sent.event("SnapshotSealed").sealedHash == world.evm.block_hash(committed + 1)
    assert world.log.call("snapshotStatusOf", snapshot_id) == SEALED
    assert world.log.call("snapshotOf", snapshot_id).sealedHash == sent.value
    with world.evm.reverts("AlreadySealed", snapshot_id):
        world.log.send("anybody", "seal", snapshot_id)


def test_a_snapshot_is_sealed_at_most_256_blocks_later_or_dead(world: Registries) -> None:
    world.anchored()
    first, second = world.commit(world.snapshot(0)), world.commit(world.snapshot(1))
    committed = world.evm.block_number
    world.evm.block_number = committed + 256  # the last block in which the second one can be sealed
    assert world.log.call("snapshotStatusOf", second) == COMMITTED
    world.evm.block_number = committed + 255
    assert world.log.send("anybody", "seal", second).value == world.evm.block_hash(committed + 1)
    assert world.log.call("snapshotStatusOf", first) == DEAD
    with world.evm.reverts("SnapshotIsDead", first, committed - 1 + 256):
        world.log.send("anybody", "seal", first)


def test_an_unknown_snapshot_has_no_state(world: Registries) -> None:
    assert world.log.call("snapshotStatusOf", name("nothing")) == NONE
    for function in ("snapshotOf", "seal"):
        with world.evm.reverts("UnknownSnapshot", name("nothing")):
            world.log.send("anybody", function, name("nothing"))


# -- gas -----------------------------------------------------------------------------------------------------------


def test_gas_of_an_anchored_batch_stays_where_it_was_measured(world: Registries) -> None:
    first = world.anchor(world.contribution(0)).gas_used
    world.anchored(1)
    repeated = world.anchor(world.contribution(2)).gas_used
    withdrawn = world.withdraw(world.withdrawal(world.anchored(3))).gas_used
    print(f"anchor: first {first:,}, repeated {repeated:,}; withdraw {withdrawn:,}")
    assert first <= 115_000
    assert repeated <= 78_000
    assert withdrawn <= 60_000
