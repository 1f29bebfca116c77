"""Intake: signed contributions, then their content; withdrawals; the terms under which they are given."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aiohttp import web

from headwater.api.errors import json_response
from headwater.protocol.codec import Document
from headwater.protocol.contribution import Contribution, ContributionBatch, Withdrawal
from headwater.service.datanets import Datanets
from headwater.types import Signature, digest, hex0x


@dataclass(frozen=True, slots=True)
class SignedContribution(Document):
    contribution: Contribution
    signature: Signature


@dataclass(frozen=True, slots=True)
class SignedWithdrawal(Document):
    withdrawal: Withdrawal
    signature: Signature


class IntakeApi:
    """Handlers over one node's Datanets. An answer means: it is on disk, or on chain, as the handler says."""

    def __init__(self, datanets: Datanets) -> None:
        self._datanets = datanets

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/datanets", self.list),
            web.get("/api/datanets/{datanet}/terms", self.terms),
            web.post("/api/contributions", self.anchor),
            web.post("/api/contributions/{contribution}/content", self.deliver),
            web.post("/api/withdrawals", self.withdraw),
        ]

    async def list(self, request: web.Request) -> web.StreamResponse:
        cards = await asyncio.to_thread(self._datanets.list)
        rows = [
            {
                "datanet_id": hex0x(c.datanet_id),
                "name": c.name,
                "owner": c.owner,
                "license_digest": hex0x(c.license_digest),
                "contributions": c.contributions,
                "records": c.records,
            }
            for c in cards
        ]
        return json_response({"datanets": rows})

    async def terms(self, request: web.Request) -> web.StreamResponse:
        terms = await asyncio.to_thread(self._datanets.terms, digest(request.match_info["datanet"]))
        return json_response(terms.to_json())

    async def anchor(self, request: web.Request) -> web.StreamResponse:
        """Put a signed root on chain. The node has seen no record yet."""
        signed = SignedContribution.from_bytes(await request.read())
        name = await asyncio.to_thread(self._datanets.anchor, signed.contribution, signed.signature)
        return json_response({"contribution_id": hex0x(name), "state": "anchored"})

    async def deliver(self, request: web.Request) -> web.StreamResponse:
        """Take the content behind an anchored root; acknowledged once it is encrypted and on disk."""
        batch = ContributionBatch.from_bytes(await request.read())
        name = digest(request.match_info["contribution"])
        cid = await asyncio.to_thread(self._datanets.deliver, name, batch)
        return json_response({"contribution_id": hex0x(name), "state": "delivered", "bundle_cid": cid})

    async def withdraw(self, request: web.Request) -> web.StreamResponse:
        signed = SignedWithdrawal.from_bytes(await request.read())
        await asyncio.to_thread(self._datanets.withdraw, signed.withdrawal, signed.signature)
        return json_response({"contribution_id": hex0x(signed.withdrawal.contribution_id), "state": "withdrawn"})
