"""Showing that two leaves stand side by side, or that one is the first or the last of its tree.

In: a tree and a place in its list. Out: a gap that `contracts/libraries/Neighbours.sol` checks. Lists under a root
ascend strictly, so a gap shows what is missing, what is out of order, and where a range begins and ends.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from headwater.protocol.merkle import MerkleTree
from headwater.protocol.sumtree import SumNode, SumTree
from headwater.types import Digest


class Place(enum.IntEnum):
    """Where a gap lies; the numbers are the contract's."""

    BETWEEN = 0
    FIRST = 1
    LAST = 2
    EMPTY = 3

    @property
    def has_left(self) -> bool:
        return self in (Place.BETWEEN, Place.LAST)

    @property
    def has_right(self) -> bool:
        return self in (Place.BETWEEN, Place.FIRST)


@dataclass(frozen=True, slots=True)
class Gap:
    """`index` and `proof` are the left leaf's (the right one's for FIRST); `below` the right leaf's, for BETWEEN."""

    place: Place
    index: int
    proof: tuple[Digest, ...]
    below: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class SumGap:
    place: Place
    index: int
    proof: tuple[SumNode, ...]
    below: tuple[SumNode, ...]


NO_GAP = Gap(Place.EMPTY, 0, (), ())
NO_SUM_GAP = SumGap(Place.EMPTY, 0, (), ())


def gap_before(tree: MerkleTree, index: int) -> Gap:
    """The gap left of leaf `index`, 0 ... size."""
    place, anchor, meet = _locate(tree.size, index)
    if place is Place.EMPTY:
        return NO_GAP
    below = tree.proof(index)[:meet] if place is Place.BETWEEN else ()
    return Gap(place, anchor, tree.proof(anchor), below)


def sum_gap_before(tree: SumTree, index: int) -> SumGap:
    """The same in a sum tree."""
    place, anchor, meet = _locate(tree.size, index)
    if place is Place.EMPTY:
        return NO_SUM_GAP
    below = tree.proof_at(index)[:meet] if place is Place.BETWEEN else ()
    return SumGap(place, anchor, tree.proof_at(anchor), below)


def leaf_place(tree: MerkleTree, index: int) -> Gap:
    """A leaf's own place, in the shape of a gap: index and proof."""
    return Gap(Place.BETWEEN, index, tree.proof(index), ())


def sum_leaf_place(tree: SumTree, index: int) -> SumGap:
    return SumGap(Place.BETWEEN, index, tree.proof_at(index), ())


def _locate(size: int, index: int) -> tuple[Place, int, int]:
    """(place, the leaf that is proven, how many levels below the meeting the right leaf has)."""
    if size == 0:
        return Place.EMPTY, 0, 0
    if index == 0:
        return Place.FIRST, 0, 0
    if index >= size:
        return Place.LAST, size - 1, 0
    left = index - 1
    return Place.BETWEEN, left, (~left & (left + 1)).bit_length() - 1
