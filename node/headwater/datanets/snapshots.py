"""From anchored contributions to a snapshot, and from its seal to the data split.

In: contributions in the order in which the chain holds them, their records, the withdrawals. Out: a manifest whose
every entry has its place by rule: block, log index, position in the batch. Withdrawn and void batches are absent;
copies are listed as duplicates and take no place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from headwater.datanets.dedup import answer_key, clusters
from headwater.errors import InvalidInput
from headwater.protocol.contribution import Contribution, ContributionBatch, Record, commitment
from headwater.protocol.snapshot import (
    DataSplit,
    SnapshotEntry,
    SnapshotManifest,
    Split,
    split_records,
    split_seed,
)
from headwater.types import Digest, Ppm


@dataclass(frozen=True, slots=True)
class AnchoredBatch:
    """A contribution that the chain has accepted and whose content has arrived and matched its root."""

    contribution_id: Digest
    block_number: int
    log_index: int
    contribution: Contribution
    batch: ContributionBatch


def build_manifest(
    datanet_id: Digest,
    head: Digest,
    held_out_ppm: int,
    batches: Sequence[AnchoredBatch],
    withdrawn: AbstractSet[Digest],
) -> SnapshotManifest:
    """The one manifest that these inputs allow. Raises InvalidInput if nothing is left."""
    ordered = sorted(batches, key=lambda b: (b.block_number, b.log_index))
    rows = [
        (b.contribution_id, commitment(b.contribution, salted).digest(), b.contribution.contributor, salted.record)
        for b in ordered
        if b.contribution_id not in withdrawn
        for salted in b.batch.records
    ]
    if not rows:
        raise InvalidInput("the Datanet holds no records that may be used", "contribute some first")
    leaders = clusters((name, record) for _, name, _, record in rows)
    placed: dict[Digest, SnapshotEntry] = {}
    duplicates = []
    for cid, name, owner, _ in rows:
        # A leader that comes again is the same record under the same salt: it has its place already.
        if leaders[name] == name and name not in placed:
            placed[name] = SnapshotEntry(len(placed), name, owner, name, cid)
        else:
            duplicates.append(name)
    return SnapshotManifest(
        datanet_id=datanet_id,
        head=head,
        held_out_ppm=Ppm(held_out_ppm),
        entries=tuple(placed.values()),
        duplicates=tuple(duplicates),
    )


def sealed_split(
    manifest: SnapshotManifest,
    records: Mapping[Digest, Record],
    snapshot_id: Digest,
    sealed_hash: Digest,
    kind: DataSplit,
) -> Split:
    """The split that the seal fixes; `records` maps each commitment to its record."""
    groups = [
        answer_key(records[e.commitment]) if kind is DataSplit.COMPOSITIONAL else e.commitment
        for e in manifest.entries
    ]
    return split_records(manifest.entries, groups, split_seed(snapshot_id, sealed_hash, kind), manifest.held_out_ppm)
