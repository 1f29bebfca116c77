"""One answer's whole chain of evidence in one file.

In: a signed receipt, its attribution, the index rows that it names, its place in an epoch. Out: a canonical JSON
document whose every member some check binds. The prompt and the answer are in it only if their owner puts them in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from headwater.protocol.attribution import AttributionMethod, IndexRow
from headwater.protocol.codec import Account, Bytes32, Document, Uint32, Uint64
from headwater.protocol.completion import InferenceRequest, InferenceResponse
from headwater.protocol.epoch import Epoch, SignedReceipt
from headwater.types import ZERO_DIGEST, Digest

FORMAT: Final = "headwater-receipt-v1"


@dataclass(frozen=True, slots=True)
class ProvenRow(Document):
    """A row that the attribution lists, with its proof under the index root."""

    row: IndexRow
    proof: tuple[Bytes32, ...]


@dataclass(frozen=True, slots=True)
class EpochPlace(Document):
    """Where the receipt stands in a committed epoch."""

    epoch: Epoch
    receipt_index: Uint32
    receipt_proof: tuple[Bytes32, ...]
    attribution_proof: tuple[Bytes32, ...]
    """At the same index: attributions stand in the receipts' order."""


@dataclass(frozen=True, slots=True)
class DisclosedAnswer(Document):
    """What was asked and answered, with the nonce that salts their digests."""

    request: InferenceRequest
    response: InferenceResponse
    user_nonce: Bytes32


@dataclass(frozen=True, slots=True)
class ReceiptExport(Document):
    format: str
    chain_id: Uint64
    escrow: Account
    ledger: Account
    provider_key: Account
    signed: SignedReceipt
    method: AttributionMethod
    rows: tuple[ProvenRow, ...]
    place: EpochPlace | None
    disclosed: DisclosedAnswer | None
    checksum: Bytes32
    """sha2-256 of this document with a zero checksum: tells a damaged file from a dishonest one."""


def sealed_export(export: ReceiptExport) -> ReceiptExport:
    """The export with its checksum filled in."""
    return replace(export, checksum=checksum_of(export))


def checksum_of(export: ReceiptExport) -> Digest:
    return replace(export, checksum=ZERO_DIGEST).digest()
