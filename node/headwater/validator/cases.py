"""A committed epoch laid open: its lists, the trees over them, and where any leaf or gap stands.

In: the epoch and everything under its roots, in the order in which it was committed, right or wrong. Out: trees, and
places in them. No judgement here, no chain.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from headwater.protocol.epoch import (
    AttributionLeaf,
    Epoch,
    EpochBundle,
    LaneRow,
    PartLeaf,
    PayoutEntry,
    ReceiptLeaf,
    SignedReceipt,
    StrikeLeaf,
    attribution_leaf,
    leaves_tree,
    receipt_leaf,
)
from headwater.protocol.merkle import MerkleTree
from headwater.protocol.sumtree import PayoutLeaf, SumTree, sum_leaf
from headwater.settlement.epochs import SettledEpoch, parts_tree
from headwater.types import ZERO_DIGEST, Address, Digest, address_bytes

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class CommittedLists:
    """Everything under an epoch's roots but the public bundle's chunks."""

    lanes: tuple[LaneRow, ...]
    receipts: tuple[SignedReceipt, ...]
    receipt_leaves: tuple[ReceiptLeaf, ...]
    attribution_leaves: tuple[AttributionLeaf, ...]
    strikes: tuple[StrikeLeaf, ...]
    parts: tuple[PartLeaf, ...]
    payouts: tuple[PayoutEntry, ...]


class Case:
    """One committed epoch; trees are computed once, when asked for."""

    def __init__(
        self,
        epoch: Epoch,
        lists: CommittedLists,
        chain_id: int,
        ledger: Address,
        committed_at: int = 0,
        signers_digest: Digest = ZERO_DIGEST,
    ) -> None:
        self.epoch, self.lists = epoch, lists
        self.chain_id, self.ledger = chain_id, ledger
        self.committed_at, self.signers_digest = committed_at, signers_digest

    @property
    def entry(self) -> tuple[Any, ...]:
        """`IAttributionLedger.CommittedEpoch`."""
        return (self.epoch.values(), self.committed_at, self.signers_digest)

    @functools.cached_property
    def lanes(self) -> MerkleTree:
        return leaves_tree(self.lists.lanes)

    @functools.cached_property
    def receipts(self) -> MerkleTree:
        return leaves_tree(self.lists.receipt_leaves)

    @functools.cached_property
    def attributions(self) -> MerkleTree:
        return leaves_tree(self.lists.attribution_leaves)

    @functools.cached_property
    def strikes(self) -> MerkleTree:
        return leaves_tree(self.lists.strikes)

    @functools.cached_property
    def parts(self) -> SumTree:
        return parts_tree(self.lists.parts)

    @functools.cached_property
    def payouts(self) -> SumTree:
        leaves = [PayoutLeaf(self.chain_id, self.ledger, e.account, e.cumulative) for e in self.lists.payouts]
        return SumTree([sum_leaf(leaf, leaf.cumulative) for leaf in leaves])

    @property
    def is_whole(self) -> bool:
        """Whether the lists are those under the epoch's roots."""
        epoch = self.epoch
        return (
            self.lanes.root == epoch.lanes_root
            and self.receipts.root == epoch.receipts_root
            and self.attributions.root == epoch.attributions_root
            and self.strikes.root == epoch.strikes_root
            and self.parts.root == epoch.parts_root
            and self.payouts.root == epoch.payout_root
        )


def lists_of(bundle: EpochBundle, strikes: Sequence[StrikeLeaf], settled: SettledEpoch) -> CommittedLists:
    """What an honest node keeps of an epoch."""
    return CommittedLists(
        lanes=bundle.lanes,
        receipts=bundle.receipts,
        receipt_leaves=tuple(receipt_leaf(s) for s in bundle.receipts),
        attribution_leaves=tuple(attribution_leaf(s) for s in bundle.receipts),
        strikes=tuple(strikes),
        parts=settled.part_leaves,
        payouts=tuple(PayoutEntry(a, settled.payouts.cumulative_of(a)) for a in settled.payouts.accounts),
    )


def place_of(keys: Sequence[Any], key: Any) -> int | None:
    """Where `key` would stand: the first place between a lower and a higher neighbour; None if there is none."""
    for i in range(len(keys) + 1):
        if (i == 0 or keys[i - 1] < key) and (i == len(keys) or key < keys[i]):
            return i
    return None


def part_key(part: PartLeaf) -> tuple[bytes, int, int]:
    return address_bytes(part.account), part.position, part.slot


def at(items: Sequence[Item], index: int, nothing: Item) -> Item:
    """The item at `index`, or what stands for none."""
    return items[index] if 0 <= index < len(items) else nothing
