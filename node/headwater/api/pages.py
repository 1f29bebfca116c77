"""The first pages: an overview, and who taught an answer. Training and what follows is in `train_pages`.

Server-rendered, no CDN, no bundler. Pages show digests, accounts and figures, never prompts or records.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any, Final

from aiohttp import web

from headwater.api.html import HEADERS, Html
from headwater.errors import Refused
from headwater.protocol.attribution import AttributionBody
from headwater.protocol.model import is_certified
from headwater.service.claims import Claims
from headwater.service.node import Node
from headwater.service.receipt_rows import ReceiptRows
from headwater.types import Address, digest

STATIC: Final = {"headwater.css": "text/css", "job.js": "text/javascript", "favicon.svg": "image/svg+xml"}
SHOWN_RECEIPTS: Final = 50
SHOWN_ROWS: Final = 16


class Pages:
    def __init__(self, node: Node, receipts: ReceiptRows, html: Html) -> None:
        self._node = node
        self._receipts = receipts
        self._html = html

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/", self.index),
            web.get("/receipts/{receipt}", self.receipt),
            web.get("/static/{name}", self.static),
        ]

    async def index(self, request: web.Request) -> web.StreamResponse:
        return await self._html.page(request, "index.html", self._overview)

    def _overview(self) -> dict[str, Any]:
        node = self._node
        versions, receipts = node.models.all(), self._receipts.all()
        return {
            "chain_id": node.config.chain_id,
            "height": node.bench.chain.block().number,
            "single_operator": node.config.is_embedded_chain,
            "serving": node.inference is not None,
            "wallets": wallet_names(node),
            "datanets": node.datanets.list(),
            "models": [(row, is_certified(row.version)) for row in versions],
            "names": {row.version.model_id: row.name for row in versions},
            "jobs": list(reversed(node.jobs.rows.all())),
            "receipts": list(reversed(receipts))[:SHOWN_RECEIPTS],
            "receipts_not_shown": max(0, len(receipts) - SHOWN_RECEIPTS),
            "payouts": _payouts(node),
        }

    async def receipt(self, request: web.Request) -> web.StreamResponse:
        def facts() -> dict[str, Any]:
            row = self._receipts.required(digest(request.match_info["receipt"].removeprefix("chatcmpl-")))
            key = (row.receipt.model_id, row.receipt.version)
            found = [v for v in self._node.models.all() if (v.version.model_id, v.version.version) == key]
            return {
                "row": row,
                "body": row.body,
                "owners": [] if row.body is None else owners_of(row.body),
                "model": found[0].name if found else None,
                "certified": any(is_certified(v.version) for v in found),
                "wallets": wallet_names(self._node),
                "shown_rows": SHOWN_ROWS,
            }

        return await self._html.page(request, "receipt.html", facts)

    async def static(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name not in STATIC:
            raise web.HTTPNotFound()
        text = (files("headwater.web") / "static" / name).read_text("utf-8")
        headers = HEADERS | {"Cache-Control": "no-cache"}
        return web.Response(text=text, content_type=STATIC[name], headers=headers)


def wallet_names(node: Node) -> dict[Address, str]:
    """What this home calls the accounts that are its own."""
    return {account: name for name, account in node.bench.signer.wallets().items()}


def owners_of(body: AttributionBody) -> list[tuple[Address, int]]:
    """(account, ppm), the largest first."""
    owners: dict[Address, int] = {}
    for share in body.shares:
        owners[share.account] = owners.get(share.account, 0) + share.ppm
    return sorted(owners.items(), key=lambda item: (-item[1], item[0]))


def _payouts(node: Node) -> Any:
    claims = Claims(node.bench)
    try:
        return claims.rows(claims.final())
    except Refused:
        return ()
