"""Merkle trees over keccak-256 whose proofs fix the leaf's position.

In: the struct hashes of the leaves, in order. Out: a root, proofs, and their check. A leaf is hashed once more
(32-byte input) so that no inner node (64-byte input) passes as a leaf; left and right follow from the index, not
from sorting; the list is padded to a power of two with zero hashes, which have no preimage. A proof has exactly
`depth` siblings and an index below 2**depth, so one leaf has one index. The empty list has the root zero, which
verifies nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from eth_utils import keccak

from headwater.errors import NotFound
from headwater.types import ZERO_DIGEST, Digest

MAX_DEPTH: Final = 40


def leaf_hash(struct_hash: bytes) -> Digest:
    return Digest(keccak(struct_hash))


class MerkleTree:
    """All levels of a tree over `struct_hashes`; 64 bytes a leaf in memory."""

    def __init__(self, struct_hashes: Sequence[bytes]) -> None:
        self.size = len(struct_hashes)
        level = [leaf_hash(h) for h in struct_hashes]
        self._levels: list[list[Digest]] = [level]
        empty = ZERO_DIGEST  # the root of an all-padding subtree of this height
        while len(level) > 1:
            if len(level) % 2:
                level = [*level, empty]
                self._levels[-1] = level
            level = [Digest(keccak(level[i] + level[i + 1])) for i in range(0, len(level), 2)]
            empty = Digest(keccak(empty + empty))
            self._levels.append(level)

    @property
    def depth(self) -> int:
        return len(self._levels) - 1

    @property
    def root(self) -> Digest:
        return self._levels[-1][0] if self.size else ZERO_DIGEST

    def proof(self, index: int) -> tuple[Digest, ...]:
        """Siblings from the leaf's level upwards. Raises NotFound for an index without a leaf."""
        if not 0 <= index < self.size:
            raise NotFound(f"the tree has no leaf {index}", f"use an index below {self.size}")
        return tuple(level[(index >> height) ^ 1] for height, level in enumerate(self._levels[:-1]))


def merkle_root(struct_hashes: Sequence[bytes]) -> Digest:
    return MerkleTree(struct_hashes).root


def verify_merkle(root: Digest, struct_hash: bytes, index: int, proof: Sequence[bytes]) -> bool:
    """Whether the leaf stands at `index` under `root`."""
    if root == ZERO_DIGEST or len(proof) > MAX_DEPTH or not 0 <= index < 1 << len(proof):
        return False
    node = leaf_hash(struct_hash)
    for sibling in proof:
        node = Digest(keccak(sibling + node if index & 1 else node + sibling))
        index >>= 1
    return node == root
