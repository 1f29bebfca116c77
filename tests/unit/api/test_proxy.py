"""The user's proxy: the same answers, each receipt checked and paid; a lying provider is told and not paid."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import openai
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from headwater.api.chat import ChatApi
from headwater.api.proxy import Proxy
from headwater.errors import NotEnoughCredit, Refused
from headwater.service.inference import SignedAnswer
from headwater.testing import examples
from headwater.testing.serving import BASE, TUNED, ScriptedInference, ScriptedPaying

ASKED = {"model": TUNED, "messages": [{"role": "user", "content": "Poisoning by penicillins"}]}
PATH = "/v1/chat/completions"


@dataclass
class World:
    """A provider behind HTTP, the user's proxy before it, and a client of the proxy."""

    inference: ScriptedInference
    paying: ScriptedPaying
    provider: TestClient[Any, Any]
    client: TestClient[Any, Any]

    async def ask(self, **changes: Any) -> Any:
        return await self.client.post(PATH, json=ASKED | changes)


Make = Callable[..., Awaitable[World]]


@pytest.fixture
def make(serve: Any, with_routes: Any) -> Make:
    async def start(routes: Any = None) -> World:
        inference, paying = ScriptedInference(), ScriptedPaying()
        api = ChatApi(inference, lambda: 1_000, lambda: None)  # type: ignore[arg-type]
        provider = await with_routes(routes(api) if callable(routes) else routes or api.routes())
        proxy = Proxy(paying, str(provider.make_url("/")))  # type: ignore[arg-type]
        return World(inference, paying, provider, await serve(proxy.app()))

    return start


@pytest.fixture
async def world(make: Make) -> World:
    return await make()


def stream(text: str) -> list[Any]:
    *lines, last = [line for line in text.split("\n\n") if line]
    assert last == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines]


# -- honest providers --------------------------------------------------------------------------------------------


async def test_a_paid_answer_is_checked_paid_and_handed_on(world: World) -> None:
    answer = await world.ask()
    assert (answer.status, (await answer.json())["choices"][0]["message"]["content"]) == (200, "T36.0X1A")
    (voucher,) = world.paying.paid
    assert voucher.cumulative == world.inference.lanes.position.cumulative_wei > 0
    assert world.inference.lanes.vouchers[-1] == voucher


async def test_answers_follow_one_another_and_each_names_the_one_before(world: World) -> None:
    for _ in range(3):
        assert (await world.ask()).status == 200
    assert world.inference.lanes.position == world.paying.position
    assert [v.cumulative for v in world.paying.paid] == [23 * 10**12 * n for n in (1, 2, 3)]


async def test_a_stream_arrives_piece_by_piece_and_is_paid(world: World) -> None:
    seen = stream(await (await world.ask(stream=True)).text())
    assert "".join(c["delta"].get("content", "") for e in seen for c in e["choices"]) == "T36.0X1A"
    assert len(world.paying.paid) == 1


@pytest.mark.parametrize("wanted", [False, True])
async def test_usage_and_receipt_are_handed_on_only_if_asked_for(world: World, wanted: bool) -> None:
    """The proxy itself always asks the provider for them."""
    answer = await world.ask(stream=True, stream_options={"include_usage": wanted})
    assert any("headwater" in e for e in stream(await answer.text())) == wanted
    assert len(world.paying.paid) == 1


@pytest.mark.parametrize("streamed", [False, True])
async def test_the_bases_answers_are_free(world: World, streamed: bool) -> None:
    answer = await world.ask(model=BASE, stream=streamed)
    assert answer.status == 200 and "T36" in await answer.text()
    assert (world.paying.paid, world.inference.orders[0].lane) == ([], None)


async def test_the_stock_client_streams_through_it(world: World) -> None:
    async with openai.AsyncOpenAI(base_url=str(world.client.make_url("/v1")), api_key="none") as client:
        chunks = await client.chat.completions.create(stream=True, **ASKED)  # type: ignore[call-overload]
        text = "".join([c.choices[0].delta.content or "" async for c in chunks if c.choices])
    assert text == "T36.0X1A"


async def test_reading_passes_through(world: World) -> None:
    models = await (await world.client.get("/v1/models")).json()
    assert [m["id"] for m in models["data"]] == [BASE, TUNED]
    assert (await world.client.get("/v1/nothing")).status == 404


# -- answers whose end is lost ----------------------------------------------------------------------------------


def losing_the_first(api: ChatApi) -> list[web.RouteDef]:
    """A provider whose first answer is made and signed, and whose connection breaks before it arrives."""
    calls = []

    async def complete(request: web.Request) -> web.StreamResponse:
        calls.append(request)
        answer = await api.complete(request)
        if len(calls) == 1:
            assert request.transport is not None
            request.transport.close()
        return answer

    return [web.post(PATH, complete), *(r for r in api.routes() if r.path != PATH)]


async def test_an_answer_whose_end_was_lost_is_fetched_and_paid_before_the_next_question(make: Make) -> None:
    world = await make(losing_the_first)
    assert (await world.ask()).status == 503
    assert (world.paying.paid, world.paying.pending is not None) == ([], True)
    assert (await world.ask()).status == 200
    assert [v.cumulative for v in world.paying.paid] == [23 * 10**12, 46 * 10**12]
    assert world.inference.lanes.position == world.paying.position
    assert world.paying.pending is None


async def test_a_question_that_was_never_answered_is_forgotten(world: World) -> None:
    world.inference.refuses = Refused("not now", "later")
    assert (await world.ask()).status != 200
    assert world.paying.pending is not None, "it was written down before it was sent"
    world.inference.refuses = None
    assert (await world.ask()).status == 200
    assert len(world.paying.paid) == 1


async def test_while_the_missed_answer_is_under_way_nothing_new_is_asked(world: World) -> None:
    world.inference.refuses = Refused("not now", "later")
    await world.ask()
    world.inference.busy = True
    asked = len(world.inference.orders)
    answer = await world.ask()
    assert (answer.status, (await answer.json())["error"]["code"]) == (503, "unavailable")
    assert len(world.inference.orders) == asked


async def test_a_missed_answer_is_checked_like_any_other(make: Make) -> None:
    world = await make(losing_the_first)
    await world.ask()
    (nonce, given) = next(iter(world.inference.given.items()))
    dear = replace(given.receipt, price=given.receipt.price + 1)
    forged = replace(given, receipt=dear, signature=examples.sign("provider key", dear, examples.ESCROW))
    world.inference.given[nonce] = forged
    answer = await world.ask()
    assert (answer.status, world.paying.paid) == (422, [])
    assert "price" in (await answer.json())["error"]["message"]


# -- refusals ----------------------------------------------------------------------------------------------------


async def test_the_providers_refusal_is_handed_on_and_nothing_is_paid(world: World) -> None:
    world.inference.refuses = NotEnoughCredit("the lane lacks 7 wei", "top it up", missing_wei="7")
    answer = await world.ask()
    assert (answer.status, (await answer.json())["error"]["missing_wei"]) == (402, "7")
    assert world.paying.paid == []


async def test_an_unknown_model_is_404_and_a_bad_request_400_before_anything_is_sent(world: World) -> None:
    unknown = await world.ask(model="gpt-4")
    assert (unknown.status, (await unknown.json())["error"]["code"]) == (404, "model_not_found")
    bad = await world.ask(temperature=9)
    assert (bad.status, (await bad.json())["error"]["param"]) == (400, "temperature")
    assert world.inference.orders == []


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}])
async def test_a_foreign_page_cannot_spend_the_lane(world: World, headers: dict[str, str]) -> None:
    answer = await world.client.post(PATH, data=json.dumps(ASKED), headers=headers)
    assert answer.status == 403
    assert (world.inference.orders, world.paying.paid) == ([], [])


@pytest.mark.parametrize("path", [PATH, "/v1/models"])
async def test_a_provider_that_is_gone_is_503(world: World, path: str) -> None:
    await world.provider.close()
    answer = await (world.client.get(path) if path != PATH else world.ask())
    assert (answer.status, (await answer.json())["error"]["code"]) == (503, "unavailable")


# -- lying providers ---------------------------------------------------------------------------------------------


def dearer(answer: SignedAnswer) -> SignedAnswer:
    assert answer.receipt is not None
    receipt = replace(answer.receipt, price=answer.receipt.price + 1)
    return replace(answer, receipt=receipt, signature=examples.sign("provider key", receipt, examples.ESCROW))


def unsigned(answer: SignedAnswer) -> SignedAnswer:
    assert answer.receipt is not None
    return replace(answer, signature=examples.sign("thief", answer.receipt, examples.ESCROW))


def without(answer: SignedAnswer) -> SignedAnswer:
    return replace(answer, receipt=None)


def other_tokens(answer: SignedAnswer) -> SignedAnswer:
    return replace(answer, completion=replace(answer.completion, output_ids=(51, 52, 9)))


LIES = {"price": dearer, "signed by": unsigned, "no receipt": without, "response_digest": other_tokens}


@pytest.mark.parametrize("lie", LIES)
async def test_a_wrong_receipt_is_named_and_not_paid(world: World, lie: str) -> None:
    world.inference.bend = LIES[lie]
    answer = await world.ask()
    assert answer.status in (401, 422)
    assert lie in (await answer.json())["error"]["message"]
    assert world.paying.paid == []


@pytest.mark.parametrize("lie", LIES)
async def test_a_wrong_receipt_ends_a_stream_with_an_error(world: World, lie: str) -> None:
    world.inference.bend = LIES[lie]
    last = stream(await (await world.ask(stream=True)).text())[-1]
    assert lie in last["error"]["message"]
    assert world.paying.paid == []


async def test_text_that_was_changed_on_the_way_is_not_paid(world: World) -> None:
    def change(answer: SignedAnswer) -> SignedAnswer:
        return replace(answer, completion=replace(answer.completion, text="T36.0X2A"))

    world.inference.bend = change
    assert (await world.ask()).status == 422
    assert world.paying.paid == []


GARBAGE: dict[str, Any] = {
    "not JSON": b"<html>",
    "not UTF-8": b"\xff",
    "a list": b"[]",
    "no choices": b"{}",
    "choices of nothing": b'{"choices": []}',
    "choices that are none": b'{"choices": 5}',
    "a message that is none": b'{"choices": [{"message": null}]}',
    "no text": b'{"choices": [{"message": {"content": null}}], "headwater": {}}',
    "a receipt that is none": b'{"choices": [{"message": {"content": "x"}}], "headwater": {"receipt": 5}}',
    "a proof that is a list": b'{"choices": [{"message": {"content": "x"}}], "headwater": [1]}',
}


@pytest.mark.parametrize("name", GARBAGE)
@pytest.mark.parametrize("streamed", [False, True])
async def test_whatever_a_hostile_provider_sends_is_told_and_not_paid(make: Make, name: str, streamed: bool) -> None:
    async def hostile(request: web.Request) -> web.Response:
        data = b"data: " + GARBAGE[name] + b"\n\n" if streamed else GARBAGE[name]
        return web.Response(body=data)

    world = await make([web.post(PATH, hostile)])
    answer = await world.ask(stream=streamed)
    error = stream(await answer.text())[-1]["error"] if streamed else (await answer.json())["error"]
    assert error["code"] == "verification_failed"
    assert world.paying.paid == []


async def test_a_stream_that_breaks_off_is_told_and_not_paid(make: Make) -> None:
    async def breaks(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'data: {"choices": [{"delta": {"content": "T36"}}]}\n\n')
        assert request.transport is not None
        request.transport.close()
        return response

    world = await make([web.post(PATH, breaks)])
    first, last = stream(await (await world.ask(stream=True)).text())
    assert first["choices"][0]["delta"]["content"] == "T36"
    assert last["error"]["code"] == "unavailable"
    assert world.paying.paid == []


async def test_an_event_without_end_is_told_and_not_paid(make: Make) -> None:
    async def endless(request: web.Request) -> web.Response:
        return web.Response(body=b"data: " + b"x" * 2**20 + b"\n\n")

    world = await make([web.post(PATH, endless)])
    assert stream(await (await world.ask(stream=True)).text())[-1]["error"]["code"] == "verification_failed"
    assert world.paying.paid == []


async def test_a_refused_voucher_is_told(world: World) -> None:
    """It is in the user's books and travels again with the next request."""
    accept, offered = world.inference.lanes.accept_voucher, []

    def only_the_first(terms: Any, voucher: Any, signature: Any) -> None:
        offered.append(voucher)
        if len(offered) > 1:
            raise Refused("not now", "later")
        accept(terms, voucher, signature)

    world.inference.lanes.accept_voucher = only_the_first  # type: ignore[method-assign]
    answer = await world.ask()
    assert "refused the voucher" in (await answer.json())["error"]["message"]
    assert world.paying.paid == offered[1:]
