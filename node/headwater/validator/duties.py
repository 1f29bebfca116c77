"""What a validator owes: which receipts it must recompute, and what it checks of every bundle before signing.

In: a frozen bundle, the sealed hash, the validator's preimage, facts from the chain. Out: the drawn receipts, or
VerificationFailed naming the first thing that anybody could prove wrong on chain (PROTOCOL.md §7). No model here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from eth_utils import keccak

from headwater.errors import VerificationFailed
from headwater.protocol.attribution import scores_root, shares_root
from headwater.protocol.draw import draw_distinct, draw_seed
from headwater.protocol.epoch import EpochBundle, LaneRow, SignedReceipt
from headwater.protocol.model import price_wei
from headwater.protocol.signatures import recover
from headwater.protocol.typed_data import Domain
from headwater.settlement.epochs import advance_lane, proposal_of
from headwater.types import ZERO_DIGEST, Address, Digest, Wei


@dataclass(frozen=True, slots=True)
class BundleFacts:
    """What the chain says about everything that a bundle names."""

    proposal_digest: Digest
    redeemed_wei: Mapping[Digest, int]
    """Per lane."""
    price_per_thousand_tokens_wei: Mapping[tuple[Digest, int, int], int]
    """Per (model id, version, price version)."""
    adapters: Mapping[tuple[Digest, int], Digest]
    """Adapter digest per (model id, version)."""
    index_roots: Mapping[tuple[Digest, int], Digest]
    is_provider_key: Callable[[Address, Address], bool]
    """(provider, key): whether the key was ever registered for that provider."""


def drawn_receipts(sealed_hash: Digest, preimage: Digest, count: int, sample: int) -> tuple[int, ...]:
    """Positions in the bundle that this validator must recompute; at most `sample`, all of them if fewer."""
    return draw_distinct(draw_seed(sealed_hash, preimage, "epoch receipts"), count, sample)


def check_bundle(bundle: EpochBundle, escrow: Domain, before: Sequence[LaneRow], facts: BundleFacts) -> None:
    """Raise VerificationFailed at the first thing in the bundle that can be proved wrong."""
    if proposal_of(bundle).digest() != facts.proposal_digest:
        raise _wrong("the bundle", "is not the one that was frozen on chain")
    lanes = {row.lane_id: row for row in before}
    for signed in bundle.receipts:
        name = f"receipt {signed.receipt.sequence} of lane 0x{signed.receipt.lane_id.hex()[:12]}"
        _check_signatures(signed, escrow, facts, name)
        _check_terms(signed, facts, name)
        _check_attribution(signed, facts, name)
        row = lanes.get(signed.receipt.lane_id) or _fresh(signed)
        lanes[signed.receipt.lane_id] = advance_lane(row, signed)
    _check_lanes(bundle, lanes, facts)


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
    if receipt.weights_digest != facts.adapters[receipt.model_id, receipt.version]:
        raise _wrong(name, "it was answered with other weights than its version's")


def _check_attribution(signed: SignedReceipt, facts: BundleFacts, name: str) -> None:
    attribution, body = signed.attribution, signed.body
    version = (attribution.model_id, attribution.version)
    if version != (signed.receipt.model_id, signed.receipt.version):
        raise _wrong(name, "its attribution names another version")
    agree = (
        body.digest() == attribution.body_digest
        and body.receipt_digest == attribution.receipt_digest == signed.receipt.digest()
        and body.index_root == attribution.index_root == facts.index_roots[version]
        and body.method_id == attribution.method_id
        and Digest(keccak(body.sketch)) == attribution.sketch_digest
        and scores_root(body) == attribution.scores_root
        and shares_root(body) == attribution.shares_root
        and body.base_ppm == attribution.base_ppm
    )
    if not agree:
        raise _wrong(name, "its attribution and the body beside it differ")


def _check_lanes(bundle: EpochBundle, lanes: Mapping[Digest, LaneRow], facts: BundleFacts) -> None:
    stated = {row.lane_id: row for row in bundle.lanes}
    if len(stated) != len(bundle.lanes) or list(stated) != sorted(stated):
        raise _wrong("the lane table", "names a lane twice or out of order")
    for lane_id, row in lanes.items():
        if stated.get(lane_id) != row:
            raise _wrong(f"lane 0x{lane_id.hex()[:12]}", "does not stand where its receipts lead")
        if row.covered > facts.redeemed_wei.get(lane_id, 0):
            raise _wrong(f"lane 0x{lane_id.hex()[:12]}", "is covered above what its vouchers redeemed")


def _fresh(signed: SignedReceipt) -> LaneRow:
    receipt = signed.receipt
    return LaneRow(receipt.lane_id, receipt.user, receipt.provider, 0, ZERO_DIGEST, Wei(0), Wei(0))


def _wrong(what: str, why: str) -> VerificationFailed:
    return VerificationFailed(f"{what}: {why}", "do not sign this epoch; prove the fault on chain", link=what)
