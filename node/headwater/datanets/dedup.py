"""Which records say the same thing: the first commitment owns the cluster, copies earn nothing.

In: records in canonical order. Out: for each the commitment that leads its cluster. Two records are the same if
their texts are equal after compatibility caseless and white space folding. What this cannot see: a paraphrase.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from hashlib import sha256

from headwater.protocol.canonical import canonical_json
from headwater.protocol.contribution import Record
from headwater.types import Digest


def normalised(text: str) -> str:
    """Compatibility form, case folded, white space folded; its own normal form.

    Composed again at the end: folding case leaves decomposed letters behind.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())


def content_key(record: Record) -> Digest:
    """Equal for records that say the same."""
    return Digest(sha256(canonical_json([normalised(record.prompt), normalised(record.answer)])).digest())


def answer_key(record: Record) -> Digest:
    """Equal for records with the same answer: the group of a compositional split."""
    return Digest(sha256(normalised(record.answer).encode()).digest())


def clusters(records: Iterable[tuple[Digest, Record]]) -> dict[Digest, Digest]:
    """Commitment -> leading commitment, over (commitment, record) pairs in canonical order."""
    leaders: dict[Digest, Digest] = {}
    return {name: leaders.setdefault(content_key(record), name) for name, record in records}
