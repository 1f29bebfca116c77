"""What must hold of one receipt and its attribution, each rule once: for who signs an epoch and who prosecutes it.

In: a receipt or an attribution with its body, facts from the chain. Out: in words what does not hold, or None. No
gradient here: everything is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from eth_utils import keccak

from headwater.errors import BadSignature
from headwater.protocol.attribution import Attribution, AttributionBody, ShareKind, scores_root, shares_root
from headwater.protocol.epoch import SignedReceipt
from headwater.protocol.influence import divide, floor_of
from headwater.protocol.model import price_wei
from headwater.protocol.receipt import Receipt
from headwater.protocol.signatures import recover
from headwater.protocol.typed_data import Domain, TypedStruct
from headwater.types import Address, Digest


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
    index_rows: int
    floor_unit: int
    record_cap_ppm: int
    listed_rows: int


@dataclass(frozen=True, slots=True)
class RegistryFacts:
    """What the chain says about lanes, prices, versions and keys."""

    lanes: Mapping[Digest, LaneFacts]
    price_per_thousand_tokens_wei: Mapping[tuple[Digest, int, int], int]
    """Per (model id, version, price version)."""
    versions: Mapping[tuple[Digest, int], VersionCommitment]
    """Per (model id, version)."""
    is_provider_key: Callable[[Address, Address], bool]
    """(provider, key): whether the key was ever registered for that provider."""


def signature_fault(
    struct: TypedStruct, signature: bytes, provider: Address, escrow: Domain, facts: RegistryFacts
) -> str | None:
    """Whether a key of `provider` signed a receipt or an attribution."""
    try:
        key = recover(struct.signing_digest(escrow), signature)
    except BadSignature as error:
        return f"its {type(struct).__name__.lower()}'s signature is none: {error.cause}"
    if not facts.is_provider_key(provider, key):
        return f"its {type(struct).__name__.lower()} is signed by {key}, which is no key of {provider}"
    return None


def terms_fault(receipt: Receipt, facts: RegistryFacts) -> str | None:
    """Price, weights, and the lane's parties and disclosure."""
    key = (receipt.model_id, receipt.version, receipt.price_version)
    if key not in facts.price_per_thousand_tokens_wei:
        return "its price version does not exist"
    due = price_wei(facts.price_per_thousand_tokens_wei[key], receipt.prompt_tokens + receipt.output_tokens)
    if receipt.price != due:
        return f"its price is {receipt.price} wei, its tokens cost {due}"
    if receipt.weights_digest != facts.versions[receipt.model_id, receipt.version].adapter_digest:
        return "it was answered with other weights than its version's"
    lane = facts.lanes.get(receipt.lane_id)
    stated = receipt.user, receipt.provider, receipt.disclosure
    if lane is None or (lane.user, lane.provider, lane.disclosure) != stated:
        return "its user, provider or disclosure are not its lane's"
    return None


def foreign_fault(receipt: Receipt, attribution: Attribution, facts: RegistryFacts) -> str | None:
    """Whether the attribution is about this receipt, by its version's method and index."""
    if attribution.receipt_digest != receipt.digest():
        return "its attribution is about another receipt"
    if attribution.provider != receipt.provider:
        return "its attribution names another provider"
    version = attribution.model_id, attribution.version
    if version != (receipt.model_id, receipt.version):
        return "its attribution names another version"
    committed = facts.versions[version]
    if (attribution.method_id, attribution.index_root) != (committed.method_id, committed.index_root):
        return "its attribution names another method or index than its version"
    return None


def body_fault(signed: SignedReceipt) -> str | None:
    """Whether the public body is the one that the provider signed."""
    attribution, body = signed.attribution, signed.body
    agree = (
        body.digest() == attribution.body_digest
        and body.receipt_digest == attribution.receipt_digest
        and body.index_root == attribution.index_root
        and body.method_id == attribution.method_id
        and body.floor == attribution.floor
        and Digest(keccak(body.sketch)) == attribution.sketch_digest
        and scores_root(body) == attribution.scores_root
        and shares_root(body) == attribution.shares_root
        and body.ppm_of(ShareKind.INFLUENCE) == attribution.influence_ppm
        and body.ppm_of(ShareKind.RETRIEVAL) == attribution.retrieval_ppm
        and body.base_ppm == attribution.base_ppm
    )
    return None if agree else "its attribution and the body beside it differ"


def floor_fault(attribution: Attribution, body: AttributionBody, version: VersionCommitment) -> str | None:
    if not body.sketch or attribution.floor != floor_of(version.floor_unit, body.sketch):
        return "its floor does not follow from its sketch"
    return None


def listing_fault(attribution: Attribution, body: AttributionBody, version: VersionCommitment) -> str | None:
    """Whether the listed rows may be listed: above the floor, in order, not too many."""
    scores = body.scores
    if any(s.product <= attribution.floor or s.divisor == 0 for s in scores) or len(scores) > version.listed_rows:
        return "it lists a row that does not count"
    if any(one.order >= other.order for one, other in pairwise(scores)):
        return "its listed rows are out of order"
    return None


def shares_fault(attribution: Attribution, body: AttributionBody, version: VersionCommitment) -> str | None:
    """Whether shares and base part follow from the listed rows. They must have no `listing_fault`."""
    division = divide(body.scores, attribution.floor, version.record_cap_ppm)
    stated = attribution.influence_ppm, attribution.retrieval_ppm, attribution.base_ppm
    whole = sum(s.ppm for s in division.shares)
    if body.shares != division.shares or stated != (whole, 0, division.base_ppm):
        return "its shares do not follow from its listed rows"
    return None
