"""`headwater proxy`: the user's side, on the user's machine, with the lane's session key.

In: requests of any OpenAI client. Out: the same answers from the provider, after their receipts were checked member
by member and paid by the next voucher. A receipt that is wrong is not paid: the stream ends with an error and the
lane should be closed. A lane's answers follow one another, because each receipt names the one before it; one whose
end was lost is fetched and paid before the next question is sent.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from headwater.api import openai_format as fmt
from headwater.api.auth import require_local_names
from headwater.api.errors import Handler, envelope, error_middleware, json_response
from headwater.errors import HeadwaterError, InvalidInput, NotFound, Unavailable, VerificationFailed
from headwater.protocol.canonical import parse_json
from headwater.protocol.completion import InferenceResponse
from headwater.protocol.receipt import Receipt
from headwater.service.inference import LaneOrder
from headwater.service.paying import Paying, Prepared, SignedVoucher
from headwater.types import Signature, hex0x


@dataclass(frozen=True, slots=True)
class Arrived:
    """What the provider's last chunk or whole answer brought. Nothing in it is trusted."""

    text: str
    proof: Any


class Proxy:
    """An aiohttp application in front of one provider and one lane."""

    def __init__(self, paying: Paying, provider_url: str, host: str = "127.0.0.1") -> None:
        """`host`: where it listens; requests for or from other names are refused, for they would spend the lane."""
        self._paying = paying
        self._host = host
        self._url = provider_url.rstrip("/")
        self._one_at_a_time = asyncio.Lock()
        self._session: aiohttp.ClientSession | None = None

    def app(self) -> web.Application:
        app = web.Application(client_max_size=4 * 2**20, middlewares=[error_middleware, self._only_local])
        app.add_routes(
            [
                web.post("/v1/chat/completions", self.complete),
                web.get("/v1/{tail:.*}", self.pass_through),
            ]
        )
        app.cleanup_ctx.append(self._sessions)
        return app

    @web.middleware
    async def _only_local(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        require_local_names(request, self._host)
        return await handler(request)

    async def _sessions(self, app: web.Application) -> AsyncIterator[None]:
        # Answers may take minutes; a provider that says nothing for one minute is gone.
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            self._session = session
            yield

    async def pass_through(self, request: web.Request) -> web.StreamResponse:
        """Reading needs no payment: models and receipts come from the provider as they are."""
        try:
            async with self._client().get(self._url + request.path_qs, headers=_bearer(request)) as answer:
                return web.Response(body=await answer.read(), status=answer.status, content_type=answer.content_type)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._gone(error) from error

    async def complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        chat = fmt.read_chat(body, {})
        async with self._one_at_a_time:
            await self._settle_missed()
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
                raise self._gone(error) from error

    async def _relay_whole(self, prepared: Prepared, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        raw = _object(await answer.read())
        try:
            text = raw["choices"][0]["message"]["content"]
        except (LookupError, TypeError):
            raise _malformed("the provider's answer is no completion") from None
        await self._check_and_pay(prepared, Arrived(text, raw.get("headwater")))
        return json_response(raw, headers=_receipt_header(answer))

    async def _relay_stream(
        self, request: web.Request, chat: fmt.ChatRequest, prepared: Prepared, answer: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        """What goes wrong after the first byte is told as an event: the status has been sent."""
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"} | _receipt_header(answer)
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        problem: HeadwaterError | None = None
        try:
            arrived = await self._copy(chat, answer, response)
            if arrived is not None:
                await self._check_and_pay(prepared, arrived)
        except HeadwaterError as error:
            problem = error
        except (aiohttp.ClientError, TimeoutError) as error:
            if request.transport is None:  # the reader has left, not the provider
                raise
            problem = self._gone(error)
        except (ValueError, HttpProcessingError):  # aiohttp's two words for a line beyond its buffer
            problem = _malformed("the provider sent an event that is too long")
        if problem is not None:
            await response.write(f"data: {json.dumps(envelope(problem))}\n\n".encode())
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response

    @staticmethod
    async def _copy(
        chat: fmt.ChatRequest, answer: aiohttp.ClientResponse, response: web.StreamResponse
    ) -> Arrived | None:
        """Pass the events on as they come; None if the provider told of an error itself."""
        text: list[str] = []
        proof: Any = None
        failed = False
        async for line in answer.content:
            if not line.startswith(b"data: ") or line.strip() == b"data: [DONE]":
                continue
            event = _object(line[6:])
            failed = failed or "error" in event
            try:
                text.extend(str(c["delta"].get("content") or "") for c in event.get("choices", ()))
            except (LookupError, TypeError, AttributeError):
                raise _malformed("the provider sent an event that is no chunk") from None
            proof = event.get("headwater", proof)
            if event.get("choices") or failed or chat.include_usage:
                await response.write(line.rstrip() + b"\n\n")
        return None if failed else Arrived("".join(text), proof)

    async def _settle_missed(self) -> None:
        """Pay for an answer whose end never arrived: the provider's next receipt will name the one of that answer."""
        pending = await asyncio.to_thread(self._paying.missed)
        if pending is None:
            return
        url = f"{self._url}/v1/lanes/{hex0x(pending.lane_id)}/missed"
        try:
            async with self._client().post(url, json={"user_nonce": hex0x(pending.user_nonce)}) as answer:
                body = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._gone(error) from error
        if answer.status == 404:
            await asyncio.to_thread(self._paying.forget, pending)
            return
        if answer.status != 200:
            raise Unavailable(
                f"the provider does not say how the lane's last answer ended: {body.decode('utf-8', 'replace')}",
                "ask again in a few seconds",
            )
        raw = _object(body)
        prepared = await asyncio.to_thread(self._paying.recall, pending)
        await self._check_and_pay(prepared, Arrived(str(raw.get("text")), raw.get("headwater")))

    async def _check_and_pay(self, prepared: Prepared, arrived: Arrived) -> None:
        """Check the receipt, keep it, sign the voucher and hand it over."""
        if prepared.order is None:
            return
        if arrived.proof is None:
            raise VerificationFailed("the provider sent no receipt for a paid answer", "do not pay; close the lane")
        receipt, signature, response = _read_proof(arrived)
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

    def _gone(self, error: Exception) -> Unavailable:
        return Unavailable(
            f"the provider at {self._url} does not answer: {error}", "check that it runs, then ask again"
        )

    def _client(self) -> aiohttp.ClientSession:
        assert self._session is not None, "the application is not running"
        return self._session


def _read_proof(arrived: Arrived) -> tuple[Receipt, Signature, InferenceResponse]:
    """Receipt, its signature, and the answer that it is about. Raises VerificationFailed if it is none of that."""
    try:
        proof = arrived.proof
        receipt = Receipt.from_json(proof["receipt"])
        signature = Signature(bytes.fromhex(str(proof["signature"]).removeprefix("0x")))
        answer = {"text": arrived.text, "output_ids": proof["output_ids"], "finish_reason": proof["finish_reason"]}
        return receipt, signature, InferenceResponse.from_json(answer)
    except (InvalidInput, LookupError, TypeError, ValueError) as error:
        raise _malformed(f"the provider's receipt is malformed: {error}") from None


def _object(data: bytes) -> dict[str, Any]:
    try:
        raw = parse_json(data, "the provider's answer", floats=True)
    except InvalidInput as error:
        raise _malformed(error.cause) from None
    if not isinstance(raw, dict):
        raise _malformed("the provider's answer is no object")
    return raw


def _malformed(cause: str) -> VerificationFailed:
    return VerificationFailed(cause, "do not pay it: close the lane, or ask another provider")


def _bearer(request: web.Request) -> dict[str, str]:
    return {"Authorization": request.headers["Authorization"]} if "Authorization" in request.headers else {}


def _receipt_header(answer: aiohttp.ClientResponse) -> dict[str, str]:
    value = answer.headers.get(fmt.RECEIPT_HEADER)
    return {fmt.RECEIPT_HEADER: value} if value else {}
