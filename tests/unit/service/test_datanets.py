"""Snapshots of a real Datanet: what is in them is what the chain allows, whoever asks. More: test_contributions."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, update
from trained_world import contribute, plants, sealed

from headwater.errors import Conflict, NotFound, TransactionReverted
from headwater.service.datanets import LOG, Datanets
from headwater.service.snapshot_rows import sealed_snapshots
from headwater.storage.schema import snapshots
from headwater.testing import examples
from headwater.types import Digest, hex0x


@pytest.fixture(scope="module")
def datanets(devnet: Any) -> Datanets:
    made: Datanets = devnet.datanets
    return made


@pytest.fixture(scope="module")
def orchard(devnet: Any, datanets: Datanets) -> Digest:
    """Four records of alice's, in no snapshot yet."""
    datanet = datanets.create("owner", "Orchard", examples.TERMS)
    contribute(devnet, datanet, "alice", plants("alice", 4))
    return datanet


def owners(datanets: Datanets, snapshot_id: Digest) -> set[str]:
    return {e.owner for e in datanets.sealed(snapshot_id).manifest.entries}


def test_nobody_but_the_owner_commits_a_snapshot(devnet: Any, datanets: Datanets, orchard: Digest) -> None:
    before = sealed_snapshots(devnet.bench, datanets)
    with pytest.raises(TransactionReverted, match="NotCurator"):
        datanets.snapshot("bob", orchard, 250_000)
    rows = devnet.bench.database.read(
        lambda c: c.execute(select(snapshots).where(snapshots.c.datanet_id == hex0x(orchard))).all()
    )
    assert (rows, sealed_snapshots(devnet.bench, datanets)) == ([], before)


def test_an_unknown_snapshot_is_neither_sealed_nor_opened(datanets: Datanets) -> None:
    with pytest.raises(TransactionReverted, match="UnknownSnapshot"):
        datanets.seal("owner", examples.word("no snapshot"))
    with pytest.raises(NotFound, match="no sealed snapshot"):
        datanets.sealed(examples.word("no snapshot"))


def test_before_its_seal_a_snapshot_is_not_offered_for_training(
    devnet: Any, datanets: Datanets, orchard: Digest
) -> None:
    """Its data split would be its owner's choice."""
    snapshot_id = datanets.snapshot("owner", orchard, 250_000)
    with pytest.raises(NotFound, match="no sealed snapshot"):
        datanets.sealed(snapshot_id)
    assert hex0x(snapshot_id) not in {c.snapshot_id for c in sealed_snapshots(devnet.bench, datanets)}
    datanets.seal("owner", snapshot_id)
    choice = {c.snapshot_id: c.label for c in sealed_snapshots(devnet.bench, datanets)}[hex0x(snapshot_id)]
    assert choice.startswith("Orchard: 4 records")


def test_what_was_announced_and_never_delivered_is_in_no_snapshot(
    devnet: Any, datanets: Datanets, orchard: Digest
) -> None:
    """And once it came, it is in the next; the older one stays as it was and is shown as unused."""
    batch = devnet.batch("bob", plants("bob", 2), orchard)
    signature = devnet.bench.signer.sign_typed("bob", batch.contribution, devnet.bench.domain(LOG))
    name = datanets.anchor(batch.contribution, signature)
    older = sealed(devnet, orchard, 200_000)
    assert owners(datanets, older) == {devnet.bench.address("alice")}
    datanets.deliver(name, batch.batch)
    newer = sealed(devnet, orchard, 300_000)
    assert owners(datanets, newer) == {devnet.bench.address(w) for w in ("alice", "bob")}
    assert owners(datanets, older) == {devnet.bench.address("alice")}
    assert older in datanets.unused_sealed((newer,)) and newer not in datanets.unused_sealed((newer,))


def test_who_leaves_by_himself_is_out_although_this_node_was_never_told(devnet: Any, datanets: Datanets) -> None:
    datanet = datanets.create("owner", "Left alone", examples.TERMS)
    name = contribute(devnet, datanet, "alice", plants("alice", 3))
    contribute(devnet, datanet, "bob", plants("bob", 3))
    devnet.bench.send("alice", LOG, "revokeSelf", datanet, name, intent=f"alice leaves {hex0x(name)}")
    assert owners(datanets, sealed(devnet, datanet)) == {devnet.bench.address("bob")}


def test_another_manifest_than_the_committed_one_is_not_opened(
    devnet: Any, datanets: Datanets, orchard: Digest
) -> None:
    """Else a home could train on other records than the chain names."""
    one, two = sealed(devnet, orchard, 150_000), sealed(devnet, orchard, 160_000)
    rows = devnet.bench.database.read(lambda c: c.execute(select(snapshots)).all())
    cids = {r.snapshot_id: r.manifest_cid for r in rows}
    where = snapshots.c.snapshot_id == hex0x(one)
    devnet.bench.database.write(
        lambda c: c.execute(update(snapshots).where(where).values(manifest_cid=cids[hex0x(two)]))
    )
    with pytest.raises(Conflict, match="not the one that was committed"):
        datanets.sealed(one)
    devnet.bench.database.write(
        lambda c: c.execute(update(snapshots).where(where).values(manifest_cid=cids[hex0x(one)]))
    )
    assert owners(datanets, one) == owners(datanets, two)
