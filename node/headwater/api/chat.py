"""`/v1/chat/completions` and `/v1/models`: the stock OpenAI client asks, the pool answers, the receipt follows.

In: HTTP. Out: JSON, or server-sent events whose last data chunk before `[DONE]` carries usage and receipt. Everything
that blocks runs in threads; a client that leaves cancels its generation.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from headwater.api import openai_format as fmt
from headwater.api.errors import envelope, json_response
from headwater.errors import HeadwaterError, InvalidInput
from headwater.protocol.canonical import parse_json
from headwater.service.inference import Inference, Running, SignedAnswer
from headwater.service.paying import SignedVoucher
from headwater.types import digest, hex0x


class ChatApi:
    """Handlers over one `Inference`; `on_signed` is told of each receipt, so that its attribution can be made."""

    def __init__(self, inference: Inference, now: Callable[[], int], on_signed: Callable[[], None]) -> None:
        self._inference = inference
        self._now = now
        self._on_signed = on_signed

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/models", self.models),
            web.post("/v1/chat/completions", self.complete),
            web.post("/v1/lanes/{lane}/vouchers", self.take_voucher),
            web.post("/v1/lanes/{lane}/missed", self.missed),
        ]

    async def models(self, request: web.Request) -> web.StreamResponse:
        served = await asyncio.to_thread(self._inference.pool.models)
        base = served[0].name
        rows = [
            {
                "id": m.name,
                "object": "model",
                "created": 0,
                "owned_by": m.name.split("/")[0],
                "root": base,
                "parent": None if m.version is None else base,
                "headwater": None
                if m.version is None
                else {
                    "model_id": hex0x(m.version.model_id),
                    "version": m.version.version,
                    "adapter_digest": hex0x(m.version.adapter_digest),
                    "certificate": "certified" if m.is_certified else "uncertified",
                },
            }
            for m in served
        ]
        return json_response({"object": "list", "data": rows})

    async def complete(self, request: web.Request) -> web.StreamResponse:
        chat = fmt.read_chat(await request.read(), request.headers)
        running = await asyncio.to_thread(self._inference.start, chat.order)
        try:
            if chat.stream:
                return await self._stream(request, chat, running)
            answer = await asyncio.to_thread(self._inference.finish, running)
        except (asyncio.CancelledError, ConnectionResetError):
            self._inference.abandon(running)
            raise
        self._told(answer)
        body = fmt.completion_object(chat.order.model, answer, self._now())
        return json_response(body, headers={fmt.RECEIPT_HEADER: hex0x(running.request_id)})

    async def _stream(self, request: web.Request, chat: fmt.ChatRequest, running: Running) -> web.StreamResponse:
        headers = {
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-store",
            fmt.RECEIPT_HEADER: hex0x(running.request_id),
        }
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        name, created = chat.order.model, self._now()

        async def send(choices: list[dict[str, Any]], **extra: Any) -> None:
            data = json.dumps(fmt.chunk(name, running.request_id, created, choices, **extra), ensure_ascii=False)
            await response.write(f"data: {data}\n\n".encode())

        try:
            await send(fmt.delta("", role="assistant"))
            async for event in running.generation:
                if event.text:
                    await send(fmt.delta(event.text))
            answer = await asyncio.to_thread(self._inference.finish, running)
        except HeadwaterError as error:
            self._inference.abandon(running)
            await response.write(f"data: {json.dumps(envelope(error))}\n\n".encode())
            return response
        self._told(answer)
        await send(fmt.delta(None, finish=answer.completion.finish_reason))
        if chat.include_usage:
            await send([], usage=fmt.usage_object(answer.completion), headwater=fmt.receipt_object(answer))
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response

    async def take_voucher(self, request: web.Request) -> web.StreamResponse:
        """The voucher for the last receipt: `{"voucher": {...}, "signature": "0x..."}`. Idempotent."""
        signed = SignedVoucher.from_bytes(await request.read())
        voucher, signature = signed.voucher, signed.signature
        lanes = self._inference.lanes
        terms = await asyncio.to_thread(lanes.terms, digest(request.match_info["lane"]))
        await asyncio.to_thread(lanes.accept_voucher, terms, voucher, signature)
        return json_response({"accepted": True, "cumulative_wei": str(voucher.cumulative)})

    async def missed(self, request: web.Request) -> web.StreamResponse:
        """The end of an answer that its user never received: `{"user_nonce": "0x..."}`, which only the user knows."""
        raw = parse_json(await request.read(), "the request")
        if not isinstance(raw, dict) or raw.keys() != {"user_nonce"}:
            raise InvalidInput("the request needs user_nonce and nothing else", "send the nonce of the missed answer")
        lane, nonce = digest(request.match_info["lane"]), digest(raw["user_nonce"])
        found = await asyncio.to_thread(self._inference.missed, lane, nonce)
        return json_response(
            {
                "text": found.response.text,
                "headwater": fmt.proof_object(found.receipt, found.signature, found.response),
            }
        )

    def _told(self, answer: SignedAnswer) -> None:
        if answer.receipt is not None:
            self._on_signed()
