"""Verifying an exported receipt: every link by name, no node, no network.

In: the bytes of an export; optionally the digest of the committed epoch that the reader trusts. Out: the links that
hold and how far they reach; or VerificationFailed with `link`, the first that does not hold. What it cannot know
without a chain: that the provider's key was registered, and that the epoch was committed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from eth_utils import keccak

from headwater.errors import BadSignature, HeadwaterError, VerificationFailed
from headwater.protocol.attribution import ShareKind, scores_root, shares_root
from headwater.protocol.epoch import attribution_leaf, receipt_leaf
from headwater.protocol.merkle import verify_merkle
from headwater.protocol.signatures import require_signer
from headwater.protocol.typed_data import Domain
from headwater.protocol.voucher import request_digest, request_id, response_digest, sampling_seed
from headwater.provenance.export import FORMAT, ReceiptExport, checksum_of
from headwater.types import Digest

CONSISTENT: Final = "consistent; chain not checked"
ANCHORED: Final = "verified"


@dataclass(frozen=True, slots=True)
class Verification:
    """What held. `is_anchored`: the epoch's digest equals one that the reader trusts."""

    links: tuple[str, ...]
    is_anchored: bool

    @property
    def summary(self) -> str:
        return ANCHORED if self.is_anchored else CONSISTENT


Link = tuple[str, Callable[[], bool]]


def read_export(data: bytes) -> ReceiptExport:
    """Parse strictly. Raises VerificationFailed with link 'file' for anything but the canonical bytes."""
    try:
        export = ReceiptExport.from_bytes(data.removesuffix(b"\n"))
    except HeadwaterError as error:
        raise _broken("file", error.cause) from None
    if export.format != FORMAT:
        raise _broken("file", f"the format {export.format!r} is unknown")
    if export.canonical_bytes() != data.removesuffix(b"\n"):
        raise _broken("file", "the file is not in canonical form")
    return export


def verify_export(data: bytes, trusted_epoch: Callable[[int], Digest | None] | None = None) -> Verification:
    """Check every link in order. Raises VerificationFailed(link=...) at the first that does not hold.

    `trusted_epoch(epoch_id)` gives the committed Epoch's digest that the reader trusts, from a chain or by hand.
    """
    export = read_export(data)
    held = []
    for name, holds in _links(export):
        try:
            good = holds()
        except BadSignature as error:
            raise _broken(name, error.cause) from None
        if not good:
            raise _broken(name, "what it states and what follows from the rest differ")
        held.append(name)
    if trusted_epoch is None or export.place is None:
        return Verification(tuple(held), False)
    trusted = trusted_epoch(export.place.epoch.epoch_id)
    if trusted is None or trusted != export.place.epoch.digest():
        raise _broken("epoch on chain", "the committed epoch has another digest, or there is none")
    return Verification((*held, "epoch on chain"), True)


def _links(export: ReceiptExport) -> Iterator[Link]:
    yield from _signature_links(export)
    yield from _attribution_links(export)
    if export.disclosed is not None:
        yield from _disclosure_links(export)
    if export.place is not None:
        yield from _epoch_links(export)
    yield "checksum", lambda: checksum_of(export) == export.checksum


def _signature_links(export: ReceiptExport) -> Iterator[Link]:
    signed, domain = export.signed, Domain("CreditEscrow", export.chain_id, export.escrow)

    def by_provider(digest: Digest, signature: bytes, what: str) -> bool:
        require_signer(digest, signature, export.provider_key, what)
        return True

    yield (
        "receipt signature",
        lambda: by_provider(signed.receipt.signing_digest(domain), signed.receipt_signature, "the receipt"),
    )
    yield (
        "attribution signature",
        lambda: by_provider(
            signed.attribution.signing_digest(domain), signed.attribution_signature, "the attribution"
        ),
    )


def _attribution_links(export: ReceiptExport) -> Iterator[Link]:
    receipt, attribution, body = export.signed.receipt, export.signed.attribution, export.signed.body
    yield (
        "attribution of this receipt",
        lambda: (
            attribution.receipt_digest == body.receipt_digest == receipt.digest()
            and (attribution.provider, attribution.model_id, attribution.version)
            == (receipt.provider, receipt.model_id, receipt.version)
        ),
    )
    yield "attribution body", lambda: body.digest() == attribution.body_digest
    yield "attribution method", lambda: export.method.digest() == attribution.method_id == body.method_id
    yield (
        "sketch",
        lambda: (
            Digest(keccak(body.sketch)) == attribution.sketch_digest
            and len(body.sketch) == export.method.sketch_width
        ),
    )
    yield "scores", lambda: scores_root(body) == attribution.scores_root
    yield (
        "shares",
        lambda: (
            shares_root(body) == attribution.shares_root
            and body.ppm_of(ShareKind.INFLUENCE) == attribution.influence_ppm
            and body.ppm_of(ShareKind.RETRIEVAL) == attribution.retrieval_ppm
            and body.base_ppm == attribution.base_ppm
        ),
    )
    yield "index rows", lambda: _rows_hold(export)


def _rows_hold(export: ReceiptExport) -> bool:
    """Every listed score has its row, in order, and each row stands under the index root."""
    body = export.signed.body
    if body.index_root != export.signed.attribution.index_root:
        return False
    if [p.row.position for p in export.rows] != [s.position for s in body.scores]:
        return False
    return all(verify_merkle(body.index_root, p.row.digest(), p.row.position, p.proof) for p in export.rows)


def _disclosure_links(export: ReceiptExport) -> Iterator[Link]:
    disclosed, receipt = export.disclosed, export.signed.receipt
    assert disclosed is not None
    nonce = disclosed.user_nonce
    yield "request id", lambda: request_id(receipt.lane_id, nonce) == receipt.request_id
    yield "request", lambda: request_digest(disclosed.request.digest(), nonce) == receipt.request_digest
    yield "response", lambda: response_digest(disclosed.response.digest(), nonce) == receipt.response_digest
    yield "sampling seed", lambda: sampling_seed(receipt.request_digest, nonce) == receipt.seed


def _epoch_links(export: ReceiptExport) -> Iterator[Link]:
    place = export.place
    assert place is not None
    yield (
        "receipt in epoch",
        lambda: verify_merkle(
            place.epoch.receipts_root,
            receipt_leaf(export.signed).digest(),
            place.receipt_index,
            place.receipt_proof,
        ),
    )
    yield (
        "attribution in epoch",
        lambda: verify_merkle(
            place.epoch.attributions_root,
            attribution_leaf(export.signed).digest(),
            place.receipt_index,
            place.attribution_proof,
        ),
    )


def _broken(link: str, cause: str) -> VerificationFailed:
    return VerificationFailed(
        f"broken link: {link}: {cause}", "do not rely on this file: ask its sender for the original", link=link
    )
