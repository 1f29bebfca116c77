"""From covered receipts to cumulative payouts, and the claim that takes one home.

In: each receipt's parts, the cumulative payouts of the epoch before. Out: the new cumulative payouts; a `Claim`
with its proof. Pure arithmetic: which receipts are struck is decided before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from headwater.protocol.codec import Account, Bytes32, Document, Uint32, Uint64, WeiAmount
from headwater.protocol.epoch import Epoch
from headwater.protocol.shares import Part
from headwater.protocol.sumtree import PayoutTree, SumNode
from headwater.types import Address, Digest, Wei


@dataclass(frozen=True, slots=True)
class Payout(Document):
    """What one account received in one epoch in one role."""

    epoch_id: Uint64
    account: Account
    role: str
    wei: WeiAmount


@dataclass(frozen=True, slots=True)
class Claim(Document):
    """Everything that `AttributionLedger.claim` needs."""

    epoch: Epoch
    committed_at: Uint64
    signers_digest: Bytes32
    """keccak over who voted, as the ring entry binds it."""
    account: Account
    cumulative: WeiAmount
    index: Uint32
    proof: tuple[SumNode, ...]

    def values(self) -> tuple[Any, ...]:
        """The arguments of `AttributionLedger.claim`, in its order."""
        committed = (self.epoch.values(), self.committed_at, self.signers_digest)
        return (committed, self.account, self.cumulative, self.index, [(n.hash, n.sum) for n in self.proof])


def accumulate(previous: Mapping[Address, Wei], parts: Iterable[Part]) -> dict[Address, Wei]:
    """New cumulative payouts; an account never goes down."""
    out = dict(previous)
    for part in parts:
        out[part.account] = Wei(out.get(part.account, Wei(0)) + part.wei)
    return out


def claim_for(tree: PayoutTree, epoch: Epoch, committed_at: int, signers_digest: Digest, account: Address) -> Claim:
    """Raises NotFound if the account has no payout."""
    return Claim(
        epoch=epoch,
        committed_at=committed_at,
        signers_digest=signers_digest,
        account=account,
        cumulative=tree.cumulative_of(account),
        index=tree.index_of(account),
        proof=tree.proof(account),
    )
