"""`headwater proxy`: the user's side, on the user's machine, with the lane's session key.

In: requests of any OpenAI client. Out: the same answers from the provider, after their receipts were checked member
by member and paid by the next voucher. A receipt that is wrong is not paid: the stream ends with an error and the
lane should be closed. A lane's answers follow one another, because each receipt names the one before it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

from headwater.api import openai_format as fmt
from headwater.api.errors import envelope, json_response
from headwater.errors import HeadwaterError, NotFound, Unavailable, VerificationFailed
from headwater.protocol.canonical import parse_json
from headwater.protocol.completion import FinishReason, InferenceResponse
from headwater.protocol.receipt import Receipt
from headwater.service.inference import LaneOrder
from headwater.service.paying import Paying, Prepared, SignedVoucher
from headwater.types import Signature, hex0x


@dataclass(frozen=True, slots=True)
class Arrived:
    """What the provider's last chunk or whole answer brought."""

    text: str
    proof: dict[str, Any] | None


class Proxy:
    """An aiohttp application in front of one provider and one lane."""

    def __init__(self, paying: Paying, provider_url: str) -> None:
        self._paying = paying
        self._url = provider_url.rstrip("/")
        self._one_at_a_time = asyncio.Lock()
        self._session: aiohttp.ClientSession | None = None

    def app(self) -> web.Application:
        app = web.Application(client_max_size=4 * 2**20)
        app.add_routes(
            [
                web.post("/v1/chat/completions", self.complete),
                web.get("/v1/{tail:.*}", self.pass_through),
            ]
        )
        app.cleanup_ctx.append(self._sessions)
        return app

    async def _sessions(self, app: web.Application) -> AsyncIterator[None]:
        # Answers may take minutes; a provider that says nothing for one minute is gone.
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            self._session = session
            yield

    async def pass_through(self, request: web.Request) -> web.StreamResponse:
        """Reading needs no payment: models and receipts come from the provider as they are."""
        async with self._client().get(self._url + request.path_qs, headers=_bearer(request)) as answer:
            return web.Response(body=await answer.read(), status=answer.status, content_type=answer.content_type)

    async def complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        chat = fmt.read_chat(body, {})
        async with self._one_at_a_time:
            prepared = await asyncio.to_thread(self._paying.prepare, chat.order)
            upstream = {**parse_json(body, "the request", floats=True), "stream": chat.stream}
            if chat.stream:
                upstream["stream_options"] = {"include_usage": True}
            headers = _bearer(request) | (fmt.lane_headers(prepared.order) if prepared.order else {})
            url = f"{self._url}/v1/chat/completions"
            try:
                async with self._client().post(url, json=upstream, headers=headers) as answer:
                    if answer.status != 200:
                        return web.Response(
                            body=await answer.read(), status=answer.status, content_type=answer.content_type
                        )
                    if chat.stream:
                        return await self._relay_stream(request, chat, prepared, answer)
                    return await self._relay_whole(prepared, answer)
            except (aiohttp.ClientError, TimeoutError) as error:
                raise Unavailable(
                    f"the provider at {self._url} does not answer: {error}", "check that it runs, then ask again"
                ) from error

    async def _relay_whole(self, prepared: Prepared, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        data = await answer.read()
        raw = json.loads(data)
        await self._check_and_pay(prepared, Arrived(raw["choices"][0]["message"]["content"], raw.get("headwater")))
        return json_response(raw, headers=_receipt_header(answer))

    async def _relay_stream(
        self, request: web.Request, chat: fmt.ChatRequest, prepared: Prepared, answer: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"} | _receipt_header(answer)
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        text: list[str] = []
        proof: dict[str, Any] | None = None
        failed = False
        async for line in answer.content:
            if not line.startswith(b"data: ") or line.strip() == b"data: [DONE]":
                continue
            event = json.loads(line[6:])
            failed = failed or "error" in event
            text.extend(c["delta"].get("content") or "" for c in event.get("choices", ()))
            proof = event.get("headwater", proof)
            if event.get("choices") or failed or chat.include_usage:
                await response.write(line.rstrip() + b"\n\n")
        if not failed:
            try:
                await self._check_and_pay(prepared, Arrived("".join(text), proof))
            except HeadwaterError as error:
                await response.write(f"data: {json.dumps(envelope(error))}\n\n".encode())
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response

    async def _check_and_pay(self, prepared: Prepared, arrived: Arrived) -> None:
        """Check the receipt, keep it, sign the voucher and hand it over."""
        if prepared.order is None:
            return
        if arrived.proof is None:
            raise VerificationFailed("the provider sent no receipt for a paid answer", "do not pay; close the lane")
        receipt = Receipt.from_json(arrived.proof["receipt"])
        signature = Signature(bytes.fromhex(str(arrived.proof["signature"]).removeprefix("0x")))
        response = InferenceResponse(
            arrived.text, tuple(arrived.proof["output_ids"]), FinishReason(arrived.proof["finish_reason"])
        )
        voucher = await asyncio.to_thread(self._paying.settle, prepared, receipt, signature, response)
        await self._hand_over(prepared.order, voucher)

    async def _hand_over(self, order: LaneOrder, voucher: SignedVoucher) -> None:
        url = f"{self._url}/v1/lanes/{hex0x(order.lane_id)}/vouchers"
        async with self._client().post(url, json=voucher.to_json()) as answer:
            if answer.status != 200:
                raise NotFound(
                    f"the provider refused the voucher: {await answer.text()}",
                    "it travels again with the next request",
                )

    def _client(self) -> aiohttp.ClientSession:
        assert self._session is not None, "the application is not running"
        return self._session


def _bearer(request: web.Request) -> dict[str, str]:
    return {"Authorization": request.headers["Authorization"]} if "Authorization" in request.headers else {}


def _receipt_header(answer: aiohttp.ClientResponse) -> dict[str, str]:
    value = answer.headers.get(fmt.RECEIPT_HEADER)
    return {fmt.RECEIPT_HEADER: value} if value else {}
