"""The contributor's side: from records to a signature request, and what a person must know before signing.

In: records, a Datanet's licence, the contributor's address. Out: the batch with its salts, the `Contribution` to
sign, and the terms in words. The salts come from an `Entropy`, so a command that is run again makes the same batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from headwater.errors import Refused
from headwater.protocol.contribution import (
    Contribution,
    ContributionBatch,
    Record,
    SaltedRecord,
    commitment,
    records_tree,
)
from headwater.protocol.license import License, Purpose
from headwater.protocol.merkle import MerkleTree
from headwater.signing.entropy import Entropy
from headwater.types import ZERO_DIGEST, Address, Digest, digest, hex0x


@dataclass(frozen=True, slots=True)
class PreparedBatch:
    """Everything that stays with the contributor until the root is anchored."""

    contribution: Contribution
    batch: ContributionBatch


def prepare_batch(
    records: Sequence[Record],
    datanet_id: Digest,
    contributor: Address,
    terms: License,
    entropy: Entropy,
    deadline: int,
    metadata_digest: Digest = ZERO_DIGEST,
) -> PreparedBatch:
    """Salt every record and name the root. Raises Refused if the licence does not let the records train a model."""
    if Purpose.TRAIN not in terms.purposes:
        raise Refused(f"the licence {terms.name!r} does not allow training", "choose a Datanet that trains")
    content = digest(_content_label(records))
    label = f"contribution/{hex0x(datanet_id)}/{contributor}/{hex0x(content)}"
    salted = tuple(SaltedRecord(r, digest(entropy.draw(f"{label}/salt/{i}", 32))) for i, r in enumerate(records))
    batch = ContributionBatch(salted)
    draft = Contribution(
        datanet_id=datanet_id,
        contributor=contributor,
        records_root=ZERO_DIGEST,
        record_count=len(records),
        license_digest=terms.digest(),
        metadata_digest=metadata_digest,
        salt=digest(entropy.draw(f"{label}/batch", 32)),
        deadline=deadline,
    )
    return PreparedBatch(replace(draft, records_root=batch_tree(draft, batch).root), batch)


def batch_tree(contribution: Contribution, batch: ContributionBatch) -> MerkleTree:
    """The tree over a batch's commitments; only the contribution's Datanet and contributor enter."""
    return records_tree([commitment(contribution, salted) for salted in batch.records])


def terms_in_words(terms: License, record_count: int) -> tuple[str, ...]:
    """What a person is told before signing: who can read, under which licence, for what, and how to leave."""
    sale = "and answers may be sold" if terms.commercial else "and answers may not be sold"
    return (
        f"You sign {record_count:,} records under the licence {terms.name!r}.",
        f"Who can read them: {terms.readers}",
        f"Purposes: {', '.join(p.value for p in terms.purposes)}; {sale}.",
        f"Contributors get at least {terms.contributors_minimum_ppm / 10_000:g} % of every price.",
        f"How to leave: {terms.exit}",
    )


def _content_label(records: Sequence[Record]) -> bytes:
    return sha256(b"".join(r.digest() for r in records)).digest()
