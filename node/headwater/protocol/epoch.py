"""An epoch from its frozen inputs to the root that pays (PROTOCOL.md §6).

In: lanes, receipts and attributions that are due. Out: the leaves and roots that a proposal freezes, the verdict a
validator signs, the Epoch that a quorum signs, and the chunks of the public bundle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from eth_utils import keccak

from headwater.protocol.attribution import Attribution, AttributionBody
from headwater.protocol.codec import Account, Bytes32, Document, Flag, Uint16, Uint32, Uint64, WeiAmount
from headwater.protocol.merkle import MerkleTree, merkle_root
from headwater.protocol.receipt import Receipt
from headwater.protocol.typed_data import TypedStruct, signed_by_contract
from headwater.types import Digest, Signature

CHUNK_BYTES: Final = 4_096
TOLERANCE_PPM: Final = 400


@dataclass(frozen=True, slots=True)
class LaneRow(TypedStruct):
    """Leaf of the lanes root: where a lane stands after this epoch, counted from its opening; ascending by id."""

    lane_id: Bytes32
    user: Account
    provider: Account
    covered_sequence: Uint64
    """Last receipt that any epoch has covered."""
    covered_head: Bytes32
    covered: WeiAmount
    """Wei of all covered receipts."""
    refunded: WeiAmount
    """Redeemed credit that went back to the user because no epoch covered it in time."""


@dataclass(frozen=True, slots=True)
class ReceiptLeaf(TypedStruct):
    """Leaf of the receipts root, ascending by (lane, sequence)."""

    lane_id: Bytes32
    sequence: Uint64
    receipt_digest: Bytes32
    signature_digest: Bytes32
    """keccak-256 of the provider's signature, so that a bad one can be shown."""


@dataclass(frozen=True, slots=True)
class AttributionLeaf(TypedStruct):
    """Leaf of the attributions root, in the receipts' order."""

    receipt_digest: Bytes32
    attribution_digest: Bytes32
    signature_digest: Bytes32


@dataclass(frozen=True, slots=True)
class StrikeLeaf(TypedStruct):
    """Leaf of the strike root: a receipt that is refunded; ascending by position, so that absence can be shown."""

    position: Uint32
    """The receipt's index in the receipts root."""
    receipt_digest: Bytes32
    error_ppm: Uint32
    undelivered: Flag


@dataclass(frozen=True, slots=True)
class PartLeaf(TypedStruct):
    """Leaf of the parts root: one payment out of one receipt; ascending by (account, position, slot), none of zero.

    An account's parts are neighbours, so what an epoch adds to its payout is the difference of two prefix sums.
    """

    account: Account
    position: Uint32
    """The receipt's index in the receipts root."""
    slot: Uint16
    """Where in the receipt's division the part comes from, see `shares`."""
    amount: WeiAmount


@dataclass(frozen=True, slots=True)
class VerdictFinding(TypedStruct):
    """Leaf of a verdict's findings root: what came out of one drawn receipt."""

    receipt_digest: Bytes32
    error_ppm: Uint32
    """Σ|Δ| over all shares and the base part."""
    undelivered: Flag


@dataclass(frozen=True, slots=True)
class Proposal(TypedStruct):
    """What a proposer freezes by transaction."""

    epoch_id: Uint64
    attempt: Uint32
    previous_epoch: Bytes32
    lanes_root: Bytes32
    receipts_root: Bytes32
    attributions_root: Bytes32
    receipt_count: Uint32
    chunks_root: Bytes32
    """keccak Merkle root over 4 KiB chunks of the public bundle."""
    bundle_digest: Bytes32
    """sha2-256 of the public bundle; its CID follows from it."""


@signed_by_contract("AttributionLedger")
@dataclass(frozen=True, slots=True)
class Verdict(TypedStruct):
    """One validator's findings on the receipts that the sealed hash drew for it."""

    epoch_id: Uint64
    attempt: Uint32
    validator: Account
    validator_set_id: Uint64
    proposal_digest: Bytes32
    sealed_hash: Bytes32
    preimage: Bytes32
    findings_root: Bytes32
    findings_count: Uint32


@signed_by_contract("AttributionLedger")
@dataclass(frozen=True, slots=True)
class Epoch(TypedStruct):
    """What the quorum signs and the ring keeps: inputs, strikes, payouts, one parent."""

    epoch_id: Uint64
    attempt: Uint32
    validator_set_id: Uint64
    previous_epoch: Bytes32
    lanes_root: Bytes32
    receipts_root: Bytes32
    attributions_root: Bytes32
    chunks_root: Bytes32
    strikes_root: Bytes32
    parts_root: Bytes32
    """Root of the Merkle-sum tree of `PartLeaf`; its total is what this epoch pays, over all accounts."""
    payout_root: Bytes32
    payout_total: WeiAmount


@dataclass(frozen=True, slots=True)
class SignedReceipt(Document):
    """A receipt and its attribution with both signatures, as they stand in a bundle."""

    receipt: Receipt
    receipt_signature: Signature
    attribution: Attribution
    attribution_signature: Signature
    body: AttributionBody


@dataclass(frozen=True, slots=True)
class EpochBundle(Document):
    """The public bundle: everything a stranger needs to recompute the payout root."""

    epoch_id: Uint64
    attempt: Uint32
    chain_id: Uint64
    ledger: Account
    previous_epoch: Bytes32
    lanes: tuple[LaneRow, ...]
    receipts: tuple[SignedReceipt, ...]
    previous_payouts: tuple[PayoutEntry, ...]
    """Cumulative payouts of the epoch before; empty for the first."""


@dataclass(frozen=True, slots=True)
class PayoutEntry(Document):
    account: Account
    cumulative: WeiAmount


def receipt_leaf(signed: SignedReceipt) -> ReceiptLeaf:
    receipt = signed.receipt
    return ReceiptLeaf(receipt.lane_id, receipt.sequence, receipt.digest(), Digest(keccak(signed.receipt_signature)))


def attribution_leaf(signed: SignedReceipt) -> AttributionLeaf:
    return AttributionLeaf(
        signed.receipt.digest(), signed.attribution.digest(), Digest(keccak(signed.attribution_signature))
    )


def leaves_tree(leaves: Sequence[TypedStruct]) -> MerkleTree:
    return MerkleTree([leaf.digest() for leaf in leaves])


def chunks_root(bundle: bytes) -> Digest:
    """Merkle root over keccak-256 of consecutive 4 KiB chunks; the last one may be shorter."""
    return merkle_root([keccak(bundle[i : i + CHUNK_BYTES]) for i in range(0, len(bundle), CHUNK_BYTES)])
