"""`/v1/receipts`: receipt, attribution and shares; never prompt, answer or nonce."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from headwater.api.receipts import ReceiptsApi
from headwater.protocol.attribution import AttributionBody
from headwater.protocol.receipt import Receipt
from headwater.service.receipt_rows import PrivateAnswer, ReceiptRows
from headwater.storage.database import Database
from headwater.storage.schema import lanes
from headwater.testing import examples
from headwater.types import hex0x

ANSWER = examples.answered()
SIGNED = examples.attributed(ANSWER)
NAME = hex0x(ANSWER.receipt.request_id)


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[ReceiptRows]:
    """Books with one receipt that was signed and not yet attributed."""
    with Database(f"sqlite:///{tmp_path / 'headwater.sqlite'}") as database:
        lane = {"lane_id": hex0x(ANSWER.terms.lane_id), "role": "provider", "document": "{}", "state": "open"}
        database.write(lambda c: c.execute(insert(lanes).values(lane)))
        made = ReceiptRows(database, tmp_path)
        made.draft(ANSWER.receipt, PrivateAnswer(ANSWER.request, ANSWER.response, ANSWER.nonce, (1, 2)))
        made.signed(ANSWER.receipt, ANSWER.signature)
        yield made


@pytest.fixture
async def client(with_routes: Any, rows: ReceiptRows) -> Any:
    return await with_routes(ReceiptsApi(rows).routes())


async def test_a_fresh_receipt_is_shown_without_attribution(client: Any) -> None:
    shown = await (await client.get(f"/v1/receipts/{NAME}")).json()
    assert Receipt.from_json(shown["receipt"]) == ANSWER.receipt
    assert shown["receipt_signature"] == hex0x(ANSWER.signature)
    assert (shown["state"], shown["attribution"], shown["shares"]) == ("signed", None, None)


async def test_an_attributed_one_says_who_taught_the_answer(client: Any, rows: ReceiptRows) -> None:
    rows.attributed(ANSWER.receipt, SIGNED.attribution, SIGNED.attribution_signature, SIGNED.body)
    shown = await (await client.get(f"/v1/receipts/chatcmpl-{NAME}")).json()
    assert AttributionBody.from_json(shown["attribution_body"]) == SIGNED.body
    assert shown["shares"] == {
        "owners": {examples.account("alice"): 500_000, examples.account("bob"): 200_000},
        "base_ppm": 300_000,
    }
    assert shown["state"] == "attributed"


async def test_no_prompt_answer_or_nonce_is_ever_shown(client: Any, rows: ReceiptRows) -> None:
    rows.attributed(ANSWER.receipt, SIGNED.attribution, SIGNED.attribution_signature, SIGNED.body)
    text = await (await client.get(f"/v1/receipts/{NAME}")).text() + await (await client.get("/v1/receipts")).text()
    for secret in ("T36.0X1A", "Poisoning", ANSWER.nonce.hex()):
        assert secret not in text


async def test_the_list_has_one_line_a_receipt(client: Any) -> None:
    (line,) = (await (await client.get("/v1/receipts")).json())["data"]
    assert (line["receipt_id"], line["sequence"], line["price_wei"]) == (NAME, 1, str(ANSWER.receipt.price))


@pytest.mark.parametrize(
    ("name", "status"), [(hex0x(examples.word("none")), 404), ("0x12", 400), ("chatcmpl-zz", 400)]
)
async def test_receipts_that_are_not_here_are_told(client: Any, name: str, status: int) -> None:
    assert (await client.get(f"/v1/receipts/{name}")).status == status
