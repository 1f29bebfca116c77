"""From what is due to the root that pays: a deterministic function that every node computes alike.

In: signed receipts with their attributions, lanes, the payouts so far, and the facts that the registry holds about
each version. Out: the public bundle, its proposal, and, given the strikes, the Epoch. No clock, no chain, no choice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from headwater.errors import InvalidInput, VerificationFailed
from headwater.protocol.epoch import (
    Epoch,
    EpochBundle,
    LaneRow,
    PartLeaf,
    PayoutEntry,
    Proposal,
    SignedReceipt,
    StrikeLeaf,
    attribution_leaf,
    chunks_root,
    leaves_tree,
    receipt_leaf,
)
from headwater.protocol.model import PriceSplit
from headwater.protocol.payout import accumulate
from headwater.protocol.shares import Part, Payees, divide_price, refund_price
from headwater.protocol.sumtree import PayoutTree, SumTree, sum_leaf
from headwater.types import Address, Digest, Wei, address_bytes


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """What the chain says about a model version: who is paid, and how a price divides."""

    split: PriceSplit
    model_owner: Address
    base_payee: Address
    """Zero: the base part goes back to the user."""
    datanet_owners: Mapping[Digest, Address]


@dataclass(frozen=True, slots=True)
class Paymasters:
    """Accounts that are payees in every version."""

    validators: Address
    protocol: Address


@dataclass(frozen=True, slots=True)
class ReceiptParts:
    """How one receipt's price was divided."""

    receipt_digest: Digest
    price_wei: Wei
    struck: bool
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class SettledEpoch:
    """An epoch with everything behind its root."""

    epoch: Epoch
    payouts: PayoutTree
    part_leaves: tuple[PartLeaf, ...]
    parts: SumTree
    """Over `part_leaves`."""
    receipts: tuple[ReceiptParts, ...]


VersionKey = tuple[Digest, int]


def assemble_bundle(
    epoch_id: int,
    attempt: int,
    chain_id: int,
    ledger: Address,
    previous_epoch: Digest,
    lanes_before: Sequence[LaneRow],
    due: Sequence[SignedReceipt],
    previous_payouts: Mapping[Address, Wei],
) -> EpochBundle:
    """Sort what is due and move the lanes forward. Raises VerificationFailed for a gap, a fork or an orphan.

    `lanes_before`: every lane that was ever opened, as the last committed epoch left it.
    """
    ordered = tuple(sorted(due, key=lambda s: (s.receipt.lane_id, s.receipt.sequence)))
    lanes = {row.lane_id: row for row in lanes_before}
    for signed in ordered:
        if signed.receipt.lane_id not in lanes:
            raise VerificationFailed("a receipt names a lane that was never opened", "leave the receipt out")
        lanes[signed.receipt.lane_id] = advance_lane(lanes[signed.receipt.lane_id], signed)
    return EpochBundle(
        epoch_id=epoch_id,
        attempt=attempt,
        chain_id=chain_id,
        ledger=ledger,
        previous_epoch=previous_epoch,
        lanes=tuple(sorted(lanes.values(), key=lambda row: row.lane_id)),
        receipts=ordered,
        previous_payouts=tuple(
            PayoutEntry(a, w) for a, w in sorted(previous_payouts.items(), key=lambda kv: int(kv[0], 16))
        ),
    )


def advance_lane(row: LaneRow, signed: SignedReceipt) -> LaneRow:
    """The lane after one more covered receipt. Raises VerificationFailed if it does not continue the lane."""
    receipt = signed.receipt
    continues = (
        receipt.sequence == row.covered_sequence + 1
        and receipt.previous_receipt == row.covered_head
        and receipt.cumulative == row.covered + receipt.price
        and (receipt.lane_id, receipt.user, receipt.provider) == (row.lane_id, row.user, row.provider)
        and signed.attribution.receipt_digest == receipt.digest()
    )
    if not continues:
        raise VerificationFailed(
            f"receipt {receipt.sequence} does not continue its lane after receipt {row.covered_sequence}",
            "an epoch covers a lane without gap, overlap or duplicate: leave it and all after it out",
        )
    return replace(row, covered_sequence=receipt.sequence, covered_head=receipt.digest(), covered=receipt.cumulative)


def proposal_of(bundle: EpochBundle) -> Proposal:
    """What the proposer freezes on chain for this bundle."""
    data = bundle.canonical_bytes()
    return Proposal(
        epoch_id=bundle.epoch_id,
        attempt=bundle.attempt,
        previous_epoch=bundle.previous_epoch,
        lanes_root=leaves_tree(bundle.lanes).root,
        receipts_root=leaves_tree([receipt_leaf(s) for s in bundle.receipts]).root,
        attributions_root=leaves_tree([attribution_leaf(s) for s in bundle.receipts]).root,
        receipt_count=len(bundle.receipts),
        chunks_root=chunks_root(data),
        bundle_digest=bundle.digest(),
    )


def divide_receipt(signed: SignedReceipt, facts: VersionFacts, paymasters: Paymasters, struck: bool) -> ReceiptParts:
    """The parts of one receipt's price; a struck one goes back to its user whole."""
    receipt = signed.receipt
    if struck:
        return ReceiptParts(receipt.digest(), receipt.price, True, refund_price(receipt.price, receipt.user))
    payees = Payees(
        model_owner=facts.model_owner,
        provider=receipt.provider,
        validators=paymasters.validators,
        protocol=paymasters.protocol,
        user=receipt.user,
        base=facts.base_payee,
        datanet_owners=facts.datanet_owners,
    )
    parts = divide_price(receipt.price, facts.split, signed.body, payees)
    return ReceiptParts(receipt.digest(), receipt.price, False, parts)


def settle_epoch(
    bundle: EpochBundle,
    strikes: Sequence[StrikeLeaf],
    facts: Mapping[VersionKey, VersionFacts],
    paymasters: Paymasters,
    validator_set_id: int,
) -> SettledEpoch:
    """The payout root as the function of frozen inputs and strikes. Raises InvalidInput for unknown facts."""
    struck = {s.receipt_digest for s in strikes}
    divided = tuple(
        divide_receipt(s, _facts(facts, s), paymasters, s.receipt.digest() in struck) for s in bundle.receipts
    )
    cumulative = accumulate({e.account: e.cumulative for e in bundle.previous_payouts}, _all_parts(divided))
    tree = PayoutTree(bundle.chain_id, bundle.ledger, cumulative)
    leaves = part_leaves(divided)
    parts = parts_tree(leaves)
    frozen = proposal_of(bundle)
    epoch = Epoch(
        epoch_id=bundle.epoch_id,
        attempt=bundle.attempt,
        validator_set_id=validator_set_id,
        previous_epoch=bundle.previous_epoch,
        lanes_root=frozen.lanes_root,
        receipts_root=frozen.receipts_root,
        attributions_root=frozen.attributions_root,
        chunks_root=frozen.chunks_root,
        strikes_root=leaves_tree(strikes).root,
        parts_root=parts.root,
        payout_root=tree.root,
        payout_total=tree.total,
    )
    return SettledEpoch(epoch, tree, leaves, parts, divided)


def part_leaves(divided: Sequence[ReceiptParts]) -> tuple[PartLeaf, ...]:
    """All parts of all receipts, ascending by (account, position, slot)."""
    leaves = [
        PartLeaf(part.account, position, part.slot, part.wei)
        for position, receipt in enumerate(divided)
        for part in receipt.parts
    ]
    return tuple(sorted(leaves, key=lambda leaf: (address_bytes(leaf.account), leaf.position, leaf.slot)))


def parts_tree(leaves: Sequence[PartLeaf]) -> SumTree:
    return SumTree([sum_leaf(leaf, leaf.amount) for leaf in leaves])


def _all_parts(divided: Iterable[ReceiptParts]) -> Iterable[Part]:
    return (part for receipt in divided for part in receipt.parts)


def _facts(facts: Mapping[VersionKey, VersionFacts], signed: SignedReceipt) -> VersionFacts:
    key = (signed.receipt.model_id, signed.receipt.version)
    if key not in facts:
        raise InvalidInput(
            f"version {key[1]} of model 0x{key[0].hex()} is unknown", "read it from the registry first"
        )
    return facts[key]
