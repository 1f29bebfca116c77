"""The rows of receipts: draft -> signed -> attributed -> covered, with what stays private beside them.

The prompt, the answer and the nonce are kept encrypted under a key of this home until a validator has asked for
them and the challenge window has passed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select, update

from headwater.errors import NotFound
from headwater.protocol.attribution import Attribution, AttributionBody
from headwater.protocol.codec import Bytes32, Document
from headwater.protocol.completion import InferenceRequest, InferenceResponse
from headwater.protocol.epoch import SignedReceipt
from headwater.protocol.receipt import Receipt
from headwater.service.private_box import PrivateBox
from headwater.storage.database import Database
from headwater.storage.schema import receipts
from headwater.types import Digest, Signature, hex0x


@dataclass(frozen=True, slots=True)
class PrivateAnswer(Document):
    """What was asked and answered, as user, provider and drawn validators know it."""

    request: InferenceRequest
    response: InferenceResponse
    user_nonce: Bytes32
    prompt_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ReceiptRow:
    receipt: Receipt
    signature: Signature | None
    attribution: Attribution | None
    attribution_signature: Signature | None
    body: AttributionBody | None
    state: str

    def signed(self) -> SignedReceipt:
        """Raises NotFound while the attribution is still being made."""
        if not (self.signature and self.attribution and self.attribution_signature and self.body):
            raise NotFound(
                f"the attribution of {hex0x(self.receipt.request_id)} is not there yet", "ask again in a few seconds"
            )
        return SignedReceipt(self.receipt, self.signature, self.attribution, self.attribution_signature, self.body)


class ReceiptRows:
    def __init__(self, database: Database, home: Path) -> None:
        self._database = database
        self._box = PrivateBox(home)

    def draft(self, receipt: Receipt, private: PrivateAnswer) -> None:
        """Keep a receipt before it is signed. Raises a database error if the lane's sequence number is taken."""
        values = {
            "request_id": hex0x(receipt.request_id),
            "lane_id": hex0x(receipt.lane_id),
            "sequence": receipt.sequence,
            "document": receipt.json_text(),
            "private": self._box.seal(private.canonical_bytes(), receipt.request_id),
            "state": "draft",
            "created_at": receipt.issued_at,
        }
        self._database.write(lambda c: c.execute(insert(receipts).values(values)))

    def signed(self, receipt: Receipt, signature: Signature) -> None:
        self._update(receipt.request_id, signature=hex0x(signature), state="signed")

    def attributed(
        self, receipt: Receipt, attribution: Attribution, signature: Signature, body: AttributionBody
    ) -> None:
        self._update(
            receipt.request_id,
            attribution=attribution.json_text(),
            attribution_signature=hex0x(signature),
            attribution_body=body.json_text(),
            state="attributed",
        )

    def set_state(self, request_id: Digest, state: str) -> None:
        self._update(request_id, state=state)

    def drafts(self) -> tuple[Receipt, ...]:
        return tuple(row.receipt for row in self.in_state("draft"))

    def in_state(self, state: str) -> tuple[ReceiptRow, ...]:
        query = select(receipts).where(receipts.c.state == state).order_by(receipts.c.lane_id, receipts.c.sequence)
        return tuple(_row(r) for r in self._database.read(lambda c: c.execute(query).all()))

    def all(self) -> tuple[ReceiptRow, ...]:
        query = select(receipts).order_by(receipts.c.created_at, receipts.c.lane_id, receipts.c.sequence)
        return tuple(_row(r) for r in self._database.read(lambda c: c.execute(query).all()))

    def get(self, request_id: Digest) -> ReceiptRow | None:
        query = select(receipts).where(receipts.c.request_id == hex0x(request_id))
        row = self._database.read(lambda c: c.execute(query).one_or_none())
        return None if row is None else _row(row)

    def required(self, request_id: Digest) -> ReceiptRow:
        """Raises NotFound."""
        row = self.get(request_id)
        if row is None:
            raise NotFound(f"no receipt {hex0x(request_id)} is here", "see `headwater receipt list`")
        return row

    def private(self, request_id: Digest) -> PrivateAnswer:
        """Raises NotFound once it has been deleted."""
        query = select(receipts.c.private).where(receipts.c.request_id == hex0x(request_id))
        blob = self._database.read(lambda c: c.scalar(query))
        if blob is None:
            raise NotFound("the prompt and answer of this receipt are not kept here", "ask the lane's user for them")
        return PrivateAnswer.from_bytes(self._box.open(blob, request_id))

    def _update(self, request_id: Digest, **values: Any) -> None:
        where = receipts.c.request_id == hex0x(request_id)
        self._database.write(lambda c: c.execute(update(receipts).where(where).values(**values)))


def _row(row: Any) -> ReceiptRow:
    def signature(text: str | None) -> Signature | None:
        return None if text is None else Signature(bytes.fromhex(text[2:]))

    return ReceiptRow(
        Receipt.from_bytes(row.document),
        signature(row.signature),
        None if row.attribution is None else Attribution.from_bytes(row.attribution),
        signature(row.attribution_signature),
        None if row.attribution_body is None else AttributionBody.from_bytes(row.attribution_body),
        row.state,
    )
