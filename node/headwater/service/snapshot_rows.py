"""Sealed snapshots of this home, as a person chooses among them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from headwater.protocol.snapshot import Snapshot
from headwater.service.datanets import Datanets
from headwater.service.workbench import Workbench
from headwater.storage.schema import snapshots


@dataclass(frozen=True, slots=True)
class SnapshotChoice:
    snapshot_id: str
    label: str


def sealed_snapshots(bench: Workbench, datanets: Datanets) -> tuple[SnapshotChoice, ...]:
    """Newest last; labelled by Datanet and size."""
    names = {card.datanet_id: card.name for card in datanets.list()}
    query = select(snapshots).where(snapshots.c.sealed_hash.is_not(None))
    rows = bench.database.read(lambda c: c.execute(query).all())
    out = []
    for row in rows:
        found = Snapshot.from_bytes(row.document)
        label = f"{names.get(found.datanet_id, 'unknown')}: {found.record_count} records ({row.snapshot_id[:12]}…)"
        out.append(SnapshotChoice(row.snapshot_id, label))
    return tuple(out)
