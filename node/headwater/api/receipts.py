"""`GET /v1/receipts/{id}`: the source of truth about one answer's receipt and attribution. No prompt, no answer."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from headwater.api.errors import json_response
from headwater.protocol.attribution import AttributionBody
from headwater.service.receipt_rows import ReceiptRow, ReceiptRows
from headwater.types import digest, hex0x


class ReceiptsApi:
    def __init__(self, rows: ReceiptRows) -> None:
        self._rows = rows

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/receipts", self.list), web.get("/v1/receipts/{receipt}", self.show)]

    async def list(self, request: web.Request) -> web.StreamResponse:
        rows = await asyncio.to_thread(self._rows.all)
        return json_response({"object": "list", "data": [summary(r) for r in rows]})

    async def show(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["receipt"].removeprefix("chatcmpl-")
        row = await asyncio.to_thread(self._rows.required, digest(name))
        return json_response(detail(row))


def summary(row: ReceiptRow) -> dict[str, Any]:
    receipt = row.receipt
    return {
        "receipt_id": hex0x(receipt.request_id),
        "lane_id": hex0x(receipt.lane_id),
        "sequence": receipt.sequence,
        "model_id": hex0x(receipt.model_id),
        "version": receipt.version,
        "price_wei": str(receipt.price),
        "issued_at": receipt.issued_at,
        "state": row.state,
    }


def detail(row: ReceiptRow) -> dict[str, Any]:
    """Receipt, signatures and, once it is made, the attribution with its public body."""
    return {
        **summary(row),
        "receipt": row.receipt.to_json(),
        "receipt_signature": None if row.signature is None else hex0x(row.signature),
        "attribution": None if row.attribution is None else row.attribution.to_json(),
        "attribution_signature": None if row.attribution_signature is None else hex0x(row.attribution_signature),
        "attribution_body": None if row.body is None else row.body.to_json(),
        "shares": None if row.body is None else shares(row.body),
    }


def shares(body: AttributionBody) -> dict[str, Any]:
    """Who taught the answer, in ppm: owners and the base part."""
    owners: dict[str, int] = {}
    for share in body.shares:
        owners[share.account] = owners.get(share.account, 0) + share.ppm
    return {"owners": owners, "base_ppm": body.base_ppm}
