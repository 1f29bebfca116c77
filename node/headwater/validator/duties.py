"""What a validator owes: which receipts it must recompute, and what it checks of every bundle before signing.

In: a frozen bundle, the sealed hash, the validator's preimage, facts from the chain. Out: the drawn receipts, or
VerificationFailed naming the first thing that anybody could prove wrong on chain (PROTOCOL.md §7). No model here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from eth_utils import keccak

from headwater.errors import VerificationFailed
from headwater.protocol.attribution import ShareKind, scores_root, shares_root
from headwater.protocol.draw import draw_distinct, draw_seed
from headwater.protocol.epoch import EpochBundle, LaneRow, SignedReceipt
from headwater.protocol.model import price_wei
from headwater.protocol.signatures import recover
from headwater.protocol.sumtree import PayoutTree
from headwater.protocol.typed_data import Domain
from headwater.settlement.epochs import advance_lane, proposal_of
from headwater.types import ZERO_ADDRESS, ZERO_DIGEST, Address, Digest, Wei


@dataclass(frozen=True, slots=True)
class LaneFacts:
    """A lane as the escrow holds it; zero accounts for one that was never opened."""

    user: Address
    provider: Address
    disclosure: int
    redeemed_wei: int


@dataclass(frozen=True, slots=True)
class VersionCommitment:
    """What a model version commits to, as far as its answers must show it."""

    adapter_digest: Digest
    method_id: Digest
    index_root: Digest


@dataclass(frozen=True, slots=True)
class BundleFacts:
    """What the chain says about everything that a bundle names."""

    ledger: Domain
    proposal_digest: Digest
    previous_epoch: Digest
    """Digest of the last committed epoch; zero before the first."""
    previous_payout_root: Digest
    lanes: Mapping[Digest, LaneFacts]
    price_per_thousand_tokens_wei: Mapping[tuple[Digest, int, int], int]
    """Per (model id, version, price version)."""
    versions: Mapping[tuple[Digest, int], VersionCommitment]
    """Per (model id, version)."""
    is_provider_key: Callable[[Address, Address], bool]
    """(provider, key): whether the key was ever registered for that provider."""


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
        _check_signatures(signed, escrow, facts, name)
        _check_terms(signed, facts, name)
        _check_attribution(signed, facts, name)
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


def _check_signatures(signed: SignedReceipt, escrow: Domain, facts: BundleFacts, name: str) -> None:
    provider = signed.receipt.provider
    for what, struct, signature in (
        ("receipt", signed.receipt, signed.receipt_signature),
        ("attribution", signed.attribution, signed.attribution_signature),
    ):
        key = recover(struct.signing_digest(escrow), signature)
        if not facts.is_provider_key(provider, key):
            raise _wrong(name, f"its {what} is signed by {key}, which is no key of {provider}")
    if signed.attribution.provider != provider:
        raise _wrong(name, "its attribution names another provider")


def _check_terms(signed: SignedReceipt, facts: BundleFacts, name: str) -> None:
    receipt = signed.receipt
    key = (receipt.model_id, receipt.version, receipt.price_version)
    if key not in facts.price_per_thousand_tokens_wei:
        raise _wrong(name, "its price version does not exist")
    due = price_wei(facts.price_per_thousand_tokens_wei[key], receipt.prompt_tokens + receipt.output_tokens)
    if receipt.price != due:
        raise _wrong(name, f"its price is {receipt.price} wei, its tokens cost {due}")
    if receipt.weights_digest != facts.versions[receipt.model_id, receipt.version].adapter_digest:
        raise _wrong(name, "it was answered with other weights than its version's")
    lane = facts.lanes.get(receipt.lane_id)
    if lane is None or (lane.user, lane.provider, lane.disclosure) != (
        receipt.user,
        receipt.provider,
        receipt.disclosure,
    ):
        raise _wrong(name, "its user, provider or disclosure are not its lane's")


def _check_attribution(signed: SignedReceipt, facts: BundleFacts, name: str) -> None:
    attribution, body = signed.attribution, signed.body
    version = (attribution.model_id, attribution.version)
    if version != (signed.receipt.model_id, signed.receipt.version):
        raise _wrong(name, "its attribution names another version")
    committed = facts.versions[version]
    agree = (
        body.digest() == attribution.body_digest
        and body.receipt_digest == attribution.receipt_digest == signed.receipt.digest()
        and body.index_root == attribution.index_root == committed.index_root
        and body.method_id == attribution.method_id == committed.method_id
        and Digest(keccak(body.sketch)) == attribution.sketch_digest
        and scores_root(body) == attribution.scores_root
        and shares_root(body) == attribution.shares_root
        and body.ppm_of(ShareKind.INFLUENCE) == attribution.influence_ppm
        and body.ppm_of(ShareKind.RETRIEVAL) == attribution.retrieval_ppm
        and body.base_ppm == attribution.base_ppm
    )
    if not agree:
        raise _wrong(name, "its attribution, the body beside it and its version differ")


def _check_lanes(bundle: EpochBundle, lanes: Mapping[Digest, LaneRow], facts: BundleFacts) -> None:
    stated = {row.lane_id: row for row in bundle.lanes}
    if len(stated) != len(bundle.lanes) or list(stated) != sorted(stated):
        raise _wrong("the lane table", "names a lane twice or out of order")
    for lane_id in sorted(lanes.keys() | stated.keys()):
        # A lane that no receipt and no earlier epoch names can only just have been opened.
        row = lanes.get(lane_id) or _fresh(lane_id, facts)
        if stated.get(lane_id) != row:
            raise _wrong(f"lane 0x{lane_id.hex()[:12]}", "does not stand where its receipts lead")
        if row.covered > facts.lanes[lane_id].redeemed_wei:
            raise _wrong(f"lane 0x{lane_id.hex()[:12]}", "is covered above what its vouchers redeemed")


def _fresh(lane_id: Digest, facts: BundleFacts) -> LaneRow:
    lane = facts.lanes[lane_id]
    if lane.user == ZERO_ADDRESS:
        raise _wrong(f"lane 0x{lane_id.hex()[:12]}", "was never opened")
    return LaneRow(lane_id, lane.user, lane.provider, 0, ZERO_DIGEST, Wei(0), Wei(0))


def _wrong(what: str, why: str) -> VerificationFailed:
    return VerificationFailed(f"{what}: {why}", "do not sign this epoch; prove the fault on chain", link=what)
