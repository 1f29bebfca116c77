"""Merkle-sum trees of payouts and of parts: the root carries the total, so no set of proofs can pay out more than it.

In: (account, cumulative wei) pairs, or typed leaves with their amounts. Out: root hash and total, proofs, their
check. Leaf hash = keccak(keccak(typed leaf)), leaf sum = its amount; node hash = keccak(abi.encode(left hash, left
sum, right hash, right sum)), node sum = the sum of both, below 2**128. Payouts ascend strictly by account; leaves are
padded with (0, 0) to a power of two. Source: Merkle-sum trees as in summa and proof-of-liabilities work; the index
rule of `merkle` holds here too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from eth_utils import keccak

from headwater.errors import InvalidInput, NotFound
from headwater.protocol.codec import Account, Bytes32, Document, Uint256, WeiAmount
from headwater.protocol.merkle import MAX_DEPTH
from headwater.protocol.typed_data import TypedStruct
from headwater.types import ZERO_DIGEST, Address, Digest, Wei, address_bytes

_SUM_LIMIT: Final = 1 << 128


@dataclass(frozen=True, slots=True)
class PayoutLeaf(TypedStruct):
    """What one account has earned over all epochs, bound to its chain and ledger."""

    chain_id: Uint256
    ledger: Account
    account: Account
    cumulative: WeiAmount


@dataclass(frozen=True, slots=True)
class SumNode(Document):
    """A node's hash and the sum of the leaves below it."""

    hash: Bytes32
    sum: WeiAmount


_PADDING: Final = SumNode(ZERO_DIGEST, Wei(0))


def sum_parent(left: SumNode, right: SumNode) -> SumNode:
    """Raises InvalidInput if the sum leaves uint128."""
    total = left.sum + right.sum
    if total >= _SUM_LIMIT:
        raise InvalidInput(
            "the payouts add up to more than uint128", "no credit supply is that large: check the inputs"
        )
    words = left.hash + left.sum.to_bytes(32, "big") + right.hash + right.sum.to_bytes(32, "big")
    return SumNode(Digest(keccak(words)), Wei(total))


class SumTree:
    """All levels over leaf nodes in order: each leaf's hash is keccak(typed leaf hash), its sum the leaf's amount."""

    def __init__(self, leaves: Sequence[SumNode]) -> None:
        self.size = len(leaves)
        level = list(leaves)
        self._levels = [level]
        padding = _PADDING
        while len(level) > 1:
            if len(level) % 2:
                level = [*level, padding]
                self._levels[-1] = level
            level = [sum_parent(level[i], level[i + 1]) for i in range(0, len(level), 2)]
            padding = sum_parent(padding, padding)
            self._levels.append(level)

    @property
    def depth(self) -> int:
        return len(self._levels) - 1

    @property
    def root(self) -> Digest:
        return self._levels[-1][0].hash if self.size else ZERO_DIGEST

    @property
    def total(self) -> Wei:
        return self._levels[-1][0].sum if self.size else Wei(0)

    def proof_at(self, index: int) -> tuple[SumNode, ...]:
        """Sibling nodes from the leaf's level upwards. Raises NotFound for an index without a leaf."""
        if not 0 <= index < self.size:
            raise NotFound(f"the tree has no leaf {index}", f"use an index below {self.size}")
        return tuple(level[(index >> height) ^ 1] for height, level in enumerate(self._levels[:-1]))


def sum_leaf(leaf: TypedStruct, amount: Wei) -> SumNode:
    return SumNode(Digest(keccak(leaf.digest())), amount)


class PayoutTree(SumTree):
    """The payout tree of one epoch; `cumulative` maps each account to its total since the ledger began."""

    def __init__(self, chain_id: int, ledger: Address, cumulative: Mapping[Address, Wei]) -> None:
        self.accounts: tuple[Address, ...] = tuple(sorted(cumulative, key=address_bytes))
        self._cumulative = dict(cumulative)
        leaves = [PayoutLeaf(chain_id, ledger, a, cumulative[a]) for a in self.accounts]
        super().__init__([sum_leaf(leaf, leaf.cumulative) for leaf in leaves])

    def cumulative_of(self, account: Address) -> Wei:
        return self._cumulative.get(account, Wei(0))

    def index_of(self, account: Address) -> int:
        """Raises NotFound if the account is not in the tree."""
        try:
            return self.accounts.index(account)
        except ValueError:
            raise NotFound(f"{account} has no payout in this epoch", "list the payouts to see who has") from None

    def proof(self, account: Address) -> tuple[SumNode, ...]:
        """Sibling nodes from the leaf's level upwards."""
        return self.proof_at(self.index_of(account))


def verify_payout(root: Digest, total: Wei, leaf: PayoutLeaf, index: int, proof: Sequence[SumNode]) -> bool:
    """Whether `leaf` stands at `index` under (root, total)."""
    if root == ZERO_DIGEST or len(proof) > MAX_DEPTH or not 0 <= index < 1 << len(proof):
        return False
    node = SumNode(Digest(keccak(leaf.digest())), leaf.cumulative)
    for sibling in proof:
        if node.sum + sibling.sum >= _SUM_LIMIT:
            return False
        node = sum_parent(sibling, node) if index & 1 else sum_parent(node, sibling)
        index >>= 1
    return node.hash == root and node.sum == total
