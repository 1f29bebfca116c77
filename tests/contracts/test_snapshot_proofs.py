"""Snapshots that hold what they must not: one transaction by anybody, and no version can use them (P57)."""

from __future__ import annotations

from typing import Any

import pytest
from bare_evm import Actor, Evm, Sent
from registry_world import Registries, name

from headwater.protocol.snapshot import SnapshotEntry, entries_tree
from headwater.types import Digest

INVALID = 4


@pytest.fixture
def world(evm: Evm) -> Registries:
    return Registries(evm)


def entries(world: Registries, contributions: list[Digest], owner: Any = None) -> list[SnapshotEntry]:
    account = (owner or world.contributor).address
    names = [name(f"record {i}") for i in range(len(contributions))]
    return [SnapshotEntry(i, n, account, n, c) for i, (n, c) in enumerate(zip(names, contributions, strict=True))]


def committed(world: Registries, rows: list[SnapshotEntry], **changes: Any) -> Digest:
    return world.commit(world.snapshot(records_root=entries_tree(rows).root, record_count=len(rows), **changes))


def invalidate(
    world: Registries, snapshot_id: Digest, rows: list[SnapshotEntry], which: int, place: int = -1
) -> Sent:
    at = which if place < 0 else place
    proof = entries_tree(rows).proof(which)
    return world.log.send("challenger", "invalidateSnapshot", snapshot_id, rows[which], at, proof)


def seal(world: Registries, snapshot_id: Digest) -> None:
    world.evm.mine()
    world.log.send("anybody", "seal", snapshot_id)


@pytest.mark.parametrize("is_sealed", [False, True])
def test_p57_a_revoked_record_inside_makes_a_snapshot_invalid(world: Registries, is_sealed: bool) -> None:
    kept, gone = world.anchored(1), world.anchored(2)
    world.withdraw(world.withdrawal(gone))
    rows = entries(world, [kept, gone, kept])
    snapshot_id = committed(world, rows)
    if is_sealed:
        seal(world, snapshot_id)
    with world.evm.reverts("RecordIsSound", snapshot_id, kept):
        invalidate(world, snapshot_id, rows, 0)
    sent = invalidate(world, snapshot_id, rows, 1)
    event = sent.event("SnapshotInvalidated")
    assert (event.snapshotId, event.contributionId) == (snapshot_id, gone)
    assert event.challenger == Actor("challenger").address
    assert world.log.call("snapshotStatusOf", snapshot_id) == INVALID
    with world.evm.reverts("SnapshotIsInvalid", snapshot_id):
        invalidate(world, snapshot_id, rows, 1)
    world.evm.mine()
    with world.evm.reverts("AlreadySealed" if is_sealed else "SnapshotIsInvalid", snapshot_id):
        world.log.send("anybody", "seal", snapshot_id)
    version = world.model_version([snapshot_id])
    with world.evm.reverts("SnapshotNotSealed", snapshot_id):
        world.register(version, [snapshot_id])


def test_a_record_revoked_after_the_named_head_is_sound(world: Registries) -> None:
    made = world.anchored(1)
    rows = entries(world, [made])
    snapshot_id = committed(world, rows)
    world.withdraw(world.withdrawal(made))
    with world.evm.reverts("RecordIsSound", snapshot_id, made):
        invalidate(world, snapshot_id, rows, 0)


def test_a_record_that_was_never_anchored_or_only_later_makes_a_snapshot_invalid(world: Registries) -> None:
    world.anchored(1)
    unknown = entries(world, [name("nowhere")])
    invalidate(world, committed(world, unknown), unknown, 0)
    later = Digest(world.log.call("contributionIdOf", world.contribution(9)))
    rows = entries(world, [later, later])
    snapshot_id = committed(world, rows)
    world.anchored(9)
    invalidate(world, snapshot_id, rows, 1)


def test_a_record_under_another_owner_makes_a_snapshot_invalid(world: Registries) -> None:
    rows = entries(world, [world.anchored(1)], owner=Actor("thief"))
    invalidate(world, committed(world, rows), rows, 0)


def test_what_is_not_in_a_snapshot_proves_nothing(world: Registries) -> None:
    gone = world.anchored(1)
    world.withdraw(world.withdrawal(gone))
    rows = entries(world, [world.anchored(2), world.anchored(3)])
    snapshot_id = committed(world, rows)
    with world.evm.reverts("NotInSnapshot", snapshot_id, 0):
        invalidate(world, snapshot_id, entries(world, [gone, gone]), 0)
    with world.evm.reverts("NotInSnapshot", snapshot_id, 1):
        invalidate(world, snapshot_id, rows, 0, place=1)
    with world.evm.reverts("UnknownSnapshot"):
        invalidate(world, name("no snapshot"), rows, 0)
