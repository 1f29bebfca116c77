"""Who taught one answer, for a person: records, owners by name, the base part, and BM25's opinion beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from headwater.attribution.baseline import Bm25, owner_ranking, words
from headwater.errors import NotFound
from headwater.service.datanets import Datanets
from headwater.service.indexing import open_index
from headwater.service.model_rows import ModelRows
from headwater.service.receipt_rows import ReceiptRows
from headwater.service.workbench import Workbench
from headwater.signing.keystore import Keystore
from headwater.types import WHOLE_PPM, Address, Digest, hex0x

SHOWN_ROWS: Final = 8
LISTED_BY_BM25: Final = 64


@dataclass(frozen=True, slots=True)
class ShownRow:
    position: int
    owner: str
    score: int
    record: str
    """Prompt and answer where this home holds the record's key, else empty."""


@dataclass(frozen=True, slots=True)
class ShownOwner:
    name: str
    account: Address
    ppm: int

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "account": self.account, "ppm": self.ppm}


@dataclass(frozen=True, slots=True)
class Explanation:
    receipt_id: Digest
    state: str
    owners: tuple[ShownOwner, ...]
    base_ppm: int
    rows: tuple[ShownRow, ...]
    bm25: tuple[ShownOwner, ...]

    @property
    def words(self) -> str:
        lines = [f"{o.ppm / 10_000:5.1f} %  {o.name}" for o in self.owners]
        lines.append(f"{self.base_ppm / 10_000:5.1f} %  the base model (under the noise floor)")
        if self.bm25:
            lines.append("by BM25: " + ", ".join(f"{o.name} {o.ppm / 10_000:.0f} %" for o in self.bm25[:3]))
        lines.append("uncertified: nobody has measured these numbers against retraining")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        return {
            "receipt_id": hex0x(self.receipt_id),
            "state": self.state,
            "owners": [o.to_json() for o in self.owners],
            "base_ppm": self.base_ppm,
            "shares": {"owners": {o.account: o.ppm for o in self.owners}, "base_ppm": self.base_ppm},
            "rows": [
                {"position": r.position, "owner": r.owner, "score": str(r.score), "record": r.record}
                for r in self.rows
            ],
            "bm25": [o.to_json() for o in self.bm25],
        }


def explain(bench: Workbench, request_id: Digest) -> Explanation:
    """Raises NotFound while the attribution is being made."""
    receipts = ReceiptRows(bench.database, bench.home.path)
    row = receipts.required(request_id)
    body = row.signed().body
    version = ModelRows(bench.database).get(row.receipt.model_id, row.receipt.version)
    index = open_index(version)
    names = {w.address: w.name for w in Keystore(bench.home.keystore).list()}
    datanets = Datanets(bench)
    owners: dict[Address, int] = {}
    for share in body.shares:
        owners[share.account] = owners.get(share.account, 0) + share.ppm
    shown = []
    for score in body.scores[:SHOWN_ROWS]:
        record = index.head.records[score.position]
        shown.append(
            ShownRow(
                score.position,
                names.get(record.owner, record.owner),
                score.score,
                _record_words(datanets, record.commitment),
            )
        )
    return Explanation(
        request_id,
        row.state,
        _named(owners, names),
        body.base_ppm,
        tuple(shown),
        _named(_bm25(receipts, request_id, datanets, index.head.records), names),
    )


def _bm25(receipts: ReceiptRows, request_id: Digest, datanets: Datanets, records: Any) -> dict[Address, int]:
    """BM25's shares by owner, on the question and the answer against the text of every record that can be read here.

    Empty once question and answer were deleted.
    """
    try:
        private = receipts.private(request_id)
    except NotFound:
        return {}
    asked = words(f"{private.request.messages[-1].content} {private.response.text}")
    readable = [(r.owner, text) for r in records if (text := _record_words(datanets, r.commitment))]
    ranking = Bm25([words(text) for _, text in readable]).ranking(asked, LISTED_BY_BM25) if readable else ()
    owners = owner_ranking(ranking, [owner for owner, _ in readable])
    total = sum(score for _, score in owners)
    return {account: round(score / total * WHOLE_PPM) for account, score in owners}


def _named(owners: dict[Address, int], names: dict[Address, str]) -> tuple[ShownOwner, ...]:
    ranked = sorted(owners.items(), key=lambda kv: (-kv[1], kv[0]))
    return tuple(ShownOwner(names.get(account, account), account, ppm) for account, ppm in ranked if ppm)


def _record_words(datanets: Datanets, commitment: Digest) -> str:
    try:
        record = datanets.record(commitment)
    except NotFound:
        return ""
    return f"{record.prompt} -> {record.answer}"
