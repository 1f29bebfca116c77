"""What a contributor signs: a batch of salted record commitments, and the way out.

In: records, salts, a licence. Out: `Contribution` and `Withdrawal` (EIP-712, ContributionLog) and the commitment of
each record. A commitment includes the Datanet and the contributor, so a copied one names its true author; it is
salted, so that nobody can guess a short record from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from headwater.errors import BadRecord
from headwater.protocol.codec import Account, Bytes32, Document, Uint32, Uint64
from headwater.protocol.merkle import MerkleTree
from headwater.protocol.typed_data import TypedStruct, signed_by_contract
from headwater.types import Digest

MAX_PROMPT_BYTES: Final = 8_192
MAX_ANSWER_BYTES: Final = 4_096
MAX_RECORDS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Record(Document):
    """One example: what is asked and what a good model answers. Its digest is sha2-256 of its canonical JSON."""

    prompt: str
    answer: str

    def __post_init__(self) -> None:
        for name, text, limit in (
            ("prompt", self.prompt, MAX_PROMPT_BYTES),
            ("answer", self.answer, MAX_ANSWER_BYTES),
        ):
            if not text.strip():
                raise BadRecord(f"the record's {name} is empty", f"give every record a {name}")
            size = len(text.encode("utf-8", "surrogatepass"))
            if size > limit:
                raise BadRecord(
                    f"the record's {name} has {size:,} bytes, the limit is {limit:,}", "shorten or split it"
                )


@dataclass(frozen=True, slots=True)
class RecordCommitment(TypedStruct):
    """Leaf of `records_root`; its digest is the record's public name."""

    datanet_id: Bytes32
    contributor: Account
    content_digest: Bytes32
    salt: Bytes32


@signed_by_contract("ContributionLog")
@dataclass(frozen=True, slots=True)
class Contribution(TypedStruct):
    """A contributor's signature under one batch of records. Its id is its signing digest."""

    datanet_id: Bytes32
    contributor: Account
    records_root: Bytes32
    record_count: Uint32
    license_digest: Bytes32
    metadata_digest: Bytes32
    salt: Bytes32
    deadline: Uint64


@signed_by_contract("ContributionLog")
@dataclass(frozen=True, slots=True)
class Withdrawal(TypedStruct):
    """A contributor's way out: no later snapshot may hold this contribution."""

    datanet_id: Bytes32
    contributor: Account
    contribution_id: Bytes32
    reason_digest: Bytes32
    deadline: Uint64


@dataclass(frozen=True, slots=True)
class SaltedRecord(Document):
    """A record with its salt, as it is handed over after the root is anchored."""

    record: Record
    salt: Bytes32


@dataclass(frozen=True, slots=True)
class ContributionBatch(Document):
    """What is handed over: the records behind `records_root`, in its order."""

    records: tuple[SaltedRecord, ...]


def commitment(contribution: Contribution, salted: SaltedRecord) -> RecordCommitment:
    return RecordCommitment(contribution.datanet_id, contribution.contributor, salted.record.digest(), salted.salt)


def records_tree(commitments: Sequence[RecordCommitment]) -> MerkleTree:
    """The tree whose root a contributor signs. Raises BadRecord for an empty or oversized batch."""
    if not commitments:
        raise BadRecord("the batch has no records", "contribute at least one")
    if len(commitments) > MAX_RECORDS:
        raise BadRecord(f"the batch has {len(commitments):,} records, the limit is {MAX_RECORDS:,}", "split it")
    return MerkleTree([c.digest() for c in commitments])


def record_names(commitments: Sequence[RecordCommitment]) -> tuple[Digest, ...]:
    return tuple(c.digest() for c in commitments)
