"""A sealed state of a Datanet: which records, in which order, whose, in which cluster; and the split it implies.

In: entries in canonical order, the seal (hash of the block after the commit). Out: the snapshot's roots, and the
data split and seeds that the seal fixes. Nobody chooses a split: the held-out part is committed as a fraction, and
the members follow from a block hash that came later.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from eth_utils import keccak

from headwater.errors import InvalidInput
from headwater.protocol.codec import Account, Bytes32, Document, PpmShare, Uint32
from headwater.protocol.merkle import MerkleTree
from headwater.protocol.typed_data import TypedStruct
from headwater.types import WHOLE_PPM, Digest


@dataclass(frozen=True, slots=True)
class SnapshotEntry(TypedStruct):
    """Leaf of a snapshot's records root."""

    position: Uint32
    commitment: Bytes32
    owner: Account
    cluster: Bytes32
    """The commitment that first brought this content (or near it); equal to `commitment` for an original."""
    contribution_id: Bytes32


@dataclass(frozen=True, slots=True)
class SnapshotManifest(Document):
    """The whole list behind a snapshot; public: commitments and owners, no content."""

    datanet_id: Bytes32
    head: Bytes32
    held_out_ppm: PpmShare
    entries: tuple[SnapshotEntry, ...]
    duplicates: tuple[Bytes32, ...]
    """Commitments that were left out because an earlier record has the same content."""


@dataclass(frozen=True, slots=True)
class Snapshot(TypedStruct):
    """What is committed on chain. Its id is `snapshot_id(domain)`, its signing digest under ContributionLog."""

    datanet_id: Bytes32
    head: Bytes32
    records_root: Bytes32
    record_count: Uint32
    held_out_ppm: PpmShare
    manifest_digest: Bytes32


class DataSplit(enum.Enum):
    """How held-out records are chosen; the number is the one on chain."""

    COMPOSITIONAL = 0
    """No held-out answer occurs among the training answers."""
    RANDOM = 1


@dataclass(frozen=True, slots=True)
class Split:
    """Positions in the snapshot, each list in the order that the seal fixes."""

    train: tuple[int, ...]
    held_out: tuple[int, ...]


def snapshot_of(manifest: SnapshotManifest) -> Snapshot:
    """Raises InvalidInput if positions are not 0, 1, 2, ... or the held-out part is not within the whole."""
    if [e.position for e in manifest.entries] != list(range(len(manifest.entries))):
        raise InvalidInput("the snapshot's positions are not 0, 1, 2, ...", "number the entries in order")
    if not manifest.entries:
        raise InvalidInput("the snapshot has no records", "wait for contributions")
    if manifest.held_out_ppm >= WHOLE_PPM:
        raise InvalidInput("the held-out part leaves nothing to train on", "choose less than 1,000,000 ppm")
    return Snapshot(
        manifest.datanet_id,
        manifest.head,
        entries_tree(manifest.entries).root,
        len(manifest.entries),
        manifest.held_out_ppm,
        manifest.digest(),
    )


def entries_tree(entries: Sequence[SnapshotEntry]) -> MerkleTree:
    return MerkleTree([e.digest() for e in entries])


def derived_seed(snapshot_id: Digest, sealed_hash: Digest, purpose: str) -> Digest:
    """A seed for `purpose` ('split compositional', 'training order', 'sketch', ...) that nobody could choose."""
    return Digest(keccak(b"headwater seed" + snapshot_id + sealed_hash + purpose.encode()))


def split_records(
    entries: Sequence[SnapshotEntry], groups: Sequence[Digest], seed: Digest, held_out_ppm: int
) -> Split:
    """Order whole groups by H(seed, group); the first ones, up to the committed fraction of records, are held out.

    `groups[i]` is the group of entry i: the digest of its answer for a compositional split, its commitment for a
    random one. A group that would overshoot the target is passed over, so |held out| <= floor(n * ppm / 10**6).
    """
    if len(groups) != len(entries):
        raise InvalidInput("the split needs one group for each entry", "pass them in the entries' order")
    target = len(entries) * held_out_ppm // WHOLE_PPM
    members: dict[Digest, list[int]] = {}
    for entry, group in zip(entries, groups, strict=True):
        members.setdefault(group, []).append(entry.position)
    held_out: list[int] = []
    train: list[int] = []
    for group in sorted(members, key=lambda g: keccak(seed + g)):
        fits = len(held_out) + len(members[group]) <= target
        (held_out if fits else train).extend(members[group])
    return Split(tuple(train), tuple(held_out))


def split_seed(snapshot_id: Digest, sealed_hash: Digest, kind: DataSplit) -> Digest:
    return derived_seed(snapshot_id, sealed_hash, f"split {kind.name.lower()}")
