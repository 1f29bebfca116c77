"""The first pages: an overview, one no-code form to train, a job's progress, and who taught an answer.

Server-rendered, no CDN, no bundler. Pages show digests, accounts and figures, never prompts or records. Starting a
training needs the home's token, which a person brings once with `?token=…` and the browser keeps in a strict cookie.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from importlib.resources import files
from typing import Any, Final

import jinja2
from aiohttp import web

from headwater.api.auth import COOKIE, Unauthorized, bears
from headwater.errors import InvalidInput, Refused
from headwater.modelfactory.bases import BASES
from headwater.modelfactory.recipe import PRESETS
from headwater.protocol.evaluation import EvaluationReport
from headwater.service.claims import Claims
from headwater.service.node import Node
from headwater.service.receipt_rows import ReceiptRows
from headwater.service.snapshot_rows import sealed_snapshots
from headwater.types import WEI_PER_CREDIT, digest, hex0x

SETTINGS: Final = ("epochs", "training_records", "rank")
STATIC: Final = {"headwater.css": "text/css", "job.js": "text/javascript"}
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class Pages:
    def __init__(self, node: Node, receipts: ReceiptRows) -> None:
        self._node = node
        self._receipts = receipts
        loader = jinja2.PackageLoader("headwater.web")
        self._templates = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
        filters: dict[str, Callable[..., Any]] = {
            "hex": hex0x,
            "short": lambda text: f"{text[:12]}…",
            "credits": _credits,
            "percent": lambda ppm: f"{ppm / 10_000:.1f} %",
            "any_bit": any,
        }
        self._templates.filters |= filters

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/", self.index),
            web.get("/train", self.train_form),
            web.post("/train", self.train),
            web.get("/jobs/{job}", self.job),
            web.post("/jobs/{job}/evaluate", self.evaluate),
            web.get("/receipts/{receipt}", self.receipt),
            web.get("/static/{name}", self.static),
        ]

    async def index(self, request: web.Request) -> web.StreamResponse:
        return await self._page(request, "index.html", self._overview)

    def _overview(self) -> dict[str, Any]:
        node = self._node
        versions = node.models.all()
        return {
            "chain_id": node.config.chain_id,
            "height": node.bench.chain.block().number,
            "single_operator": node.config.is_embedded_chain,
            "datanets": node.datanets.list(),
            "models": versions,
            "names": {row.version.model_id: row.name for row in versions},
            "jobs": node.jobs.rows.all(),
            "receipts": list(reversed(self._receipts.all()))[:50],
            "payouts": _payouts(node),
        }

    async def train_form(self, request: web.Request) -> web.StreamResponse:
        def facts() -> dict[str, Any]:
            return {
                "bases": [b.name for b in BASES],
                "presets": list(PRESETS.values()),
                "snapshots": sealed_snapshots(self._node.bench, self._node.datanets),
                "trusted": bears(request, self._node.token) or self._brings_token(request),
            }

        return await self._page(request, "train.html", facts)

    async def train(self, request: web.Request) -> web.StreamResponse:
        """Start the training that the form describes, and show its progress."""
        self._require_token(request)
        form = await request.post()
        changes = {}
        for name in SETTINGS:
            text = str(form.get(name, "")).strip()
            if text and not (text.isascii() and text.isdigit()):
                raise InvalidInput(f"{name.replace('_', ' ')} must be a whole number", "write digits only")
            if text:
                changes[name] = int(text)
        wanted = {
            "snapshot_ids": [hex0x(digest(str(form.get("snapshot", ""))))],
            "base": str(form.get("base", "")),
            "preset": str(form.get("preset", "")),
            "changes": changes,
            "data_split": "compositional",
        }
        job_id = await asyncio.to_thread(self._node.jobs.submit, "train", wanted)
        raise web.HTTPSeeOther(f"/jobs/{job_id}")

    async def evaluate(self, request: web.Request) -> web.StreamResponse:
        self._require_token(request)
        wanted = {"train_job": request.match_info["job"], "limit": 0}
        job_id = await asyncio.to_thread(self._node.jobs.submit, "evaluate", wanted)
        raise web.HTTPSeeOther(f"/jobs/{job_id}")

    async def job(self, request: web.Request) -> web.StreamResponse:
        def facts() -> dict[str, Any]:
            row = self._node.jobs.rows.get(request.match_info["job"])
            is_report = row.kind == "evaluate" and row.result is not None
            report = EvaluationReport.from_json(row.result["report"]) if is_report and row.result else None
            return {"job": row, "report": report}

        return await self._page(request, "job.html", facts)

    async def receipt(self, request: web.Request) -> web.StreamResponse:
        def facts() -> dict[str, Any]:
            row = self._receipts.required(digest(request.match_info["receipt"]))
            owners: dict[str, int] = {}
            for share in () if row.body is None else row.body.shares:
                owners[share.account] = owners.get(share.account, 0) + share.ppm
            return {"row": row, "body": row.body, "owners": sorted(owners.items(), key=lambda kv: -kv[1])}

        return await self._page(request, "receipt.html", facts)

    async def static(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name not in STATIC:
            raise web.HTTPNotFound()
        text = (files("headwater.web") / "static" / name).read_text("utf-8")
        return web.Response(text=text, content_type=STATIC[name], headers={"X-Content-Type-Options": "nosniff"})

    async def _page(self, request: web.Request, name: str, facts: Any) -> web.StreamResponse:
        values = await asyncio.to_thread(facts)
        html = self._templates.get_template(name).render(**values)
        response = web.Response(text=html, content_type="text/html", headers=HEADERS)
        if self._brings_token(request):
            response.set_cookie(COOKIE, self._node.token, httponly=True, samesite="Strict", path="/")
        return response

    def _brings_token(self, request: web.Request) -> bool:
        given = request.query.get("token", "")
        return bool(given) and hmac.compare_digest(given.encode(), self._node.token.encode())

    def _require_token(self, request: web.Request) -> None:
        if not bears(request, self._node.token):
            raise Unauthorized("this browser has not brought the node's token", "open /train?token=… once")


def _payouts(node: Node) -> Any:
    claims = Claims(node.bench)
    try:
        return claims.rows(claims.final())
    except Refused:
        return ()


def _credits(wei: int) -> str:
    whole, rest = divmod(wei, WEI_PER_CREDIT)
    return f"{whole}.{rest:018d}"[: len(str(whole)) + 7]
