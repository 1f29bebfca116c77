"""What a validator owes: which receipts it must recompute, and what it checks of every bundle before signing.

In: a frozen bundle, the sealed hash, the validator's preimage, facts from the chain. Out: the drawn receipts, or
VerificationFailed naming the first thing that anybody could prove wrong on chain (PROTOCOL.md §7). No model here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headwater.errors import VerificationFailed
from headwater.protocol.draw import draw_distinct, draw_seed
from headwater.protocol.epoch import EpochBundle, LaneRow, SignedReceipt
from headwater.protocol.sumtree import PayoutTree
from headwater.protocol.typed_data import Domain
from headwater.settlement.epochs import advance_lane, proposal_of
from headwater.types import ZERO_ADDRESS, ZERO_DIGEST, Digest, Wei
from headwater.validator import rules
from headwater.validator.rules import RegistryFacts


@dataclass(frozen=True, slots=True)
class BundleFacts(RegistryFacts):
    """What the chain says about everything that a bundle names."""

    ledger: Domain
    proposal_digest: Digest
    previous_epoch: Digest
    """Digest of the last committed epoch; zero before the first."""
    previous_payout_root: Digest


def drawn_receipts(sealed_hash: Digest, preimage: Digest, count: int, sample: int) -> tuple[int, ...]:
    """Positions in the bundle that this validator must recompute; at most `sample`, all of them if fewer."""
    return draw_distinct(draw_seed(sealed_hash, preimage, "epoch receipts"), count, sample)


def check_bundle(bundle: EpochBundle, escrow: Domain, before: Sequence[LaneRow], facts: BundleFacts) -> None:
    """Raise VerificationFailed at the first thing in the bundle that can be proved wrong."""
    if proposal_of(bundle).digest() != facts.proposal_digest:
        raise _wrong("the bundle", "is not the one that was frozen on chain")
    _check_parent(bundle, facts)
    places = [(s.receipt.lane_id, s.receipt.sequence) for s in bundle.receipts]
    if places != sorted(places):
        raise _wrong("the receipts", "do not stand by lane and sequence")
    lanes = {row.lane_id: row for row in before}
    for signed in bundle.receipts:
        name = f"receipt {signed.receipt.sequence} of lane 0x{signed.receipt.lane_id.hex()[:12]}"
        if fault := _fault_of(signed, escrow, facts):
            raise _wrong(name, fault)
        row = lanes.get(signed.receipt.lane_id) or _fresh(signed.receipt.lane_id, facts)
        lanes[signed.receipt.lane_id] = advance_lane(row, signed)
    _check_lanes(bundle, lanes, facts)


def _check_parent(bundle: EpochBundle, facts: BundleFacts) -> None:
    """The bundle goes on where the last committed epoch ended: its digest, and everyone's payouts under its root."""
    if (bundle.chain_id, bundle.ledger) != (facts.ledger.chain_id, facts.ledger.verifying_contract):
        raise _wrong("the bundle", "is for another ledger")
    if bundle.previous_epoch != facts.previous_epoch:
        raise _wrong("the bundle", "does not follow the last committed epoch")
    payouts = {e.account: e.cumulative for e in bundle.previous_payouts}
    root = PayoutTree(bundle.chain_id, bundle.ledger, payouts).root
    if root != facts.previous_payout_root or len(payouts) != len(bundle.previous_payouts):
        raise _wrong("the payouts so far", "are not those under the last committed root")


def _fault_of(signed: SignedReceipt, escrow: Domain, facts: BundleFacts) -> str | None:
    """The first rule that the receipt or its attribution breaks."""
    receipt, attribution, body = signed.receipt, signed.attribution, signed.body
    provider = receipt.provider
    fault = (
        rules.signature_fault(receipt, signed.receipt_signature, provider, escrow, facts)
        or rules.signature_fault(attribution, signed.attribution_signature, provider, escrow, facts)
        or rules.terms_fault(receipt, facts)
        or rules.foreign_fault(receipt, attribution, facts)
        or rules.body_fault(signed)
    )
    if fault:
        return fault
    version = facts.versions[receipt.model_id, receipt.version]
    return (
        rules.floor_fault(attribution, body, version)
        or rules.listing_fault(attribution, body, version)
        or rules.shares_fault(attribution, body, version)
    )


def _check_lanes(bundle: EpochBundle, lanes: Mapping[Digest, LaneRow], facts: BundleFacts) -> None:
    stated = {row.lane_id: row for row in bundle.lanes}
    if len(stated) != len(bundle.lanes) or list(stated) != sorted(stated):
        raise _wrong("the lane table", "names a lane twice or out of order")
    for lane_id in sorted(lanes.keys() | stated.keys()):
        # A lane that no receipt and no earlier epoch names can only just have been opened.
        row = lanes.get(lane_id) or _fresh(lane_id, facts)
        if stated.get(lane_id) != row:
            raise _wrong(f"lane 0x{lane_id.hex()[:12]}", "does not stand where its receipts lead")
        if row.covered + row.refunded > facts.lanes[lane_id].redeemed_wei:
            raise _wrong(f"lane 0x{lane_id.hex()[:12]}", "is covered above what its vouchers redeemed")


def _fresh(lane_id: Digest, facts: BundleFacts) -> LaneRow:
    lane = facts.lanes[lane_id]
    if lane.user == ZERO_ADDRESS:
        raise _wrong(f"lane 0x{lane_id.hex()[:12]}", "was never opened")
    return LaneRow(lane_id, lane.user, lane.provider, 0, ZERO_DIGEST, Wei(0), Wei(0))


def _wrong(what: str, why: str) -> VerificationFailed:
    return VerificationFailed(f"{what}: {why}", "do not sign this epoch; prove the fault on chain", link=what)
