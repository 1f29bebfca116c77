"""`/v1/chat/completions` over a scripted provider: whole and streamed answers, refusals, vouchers."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from headwater.api import openai_format as fmt
from headwater.api.chat import ChatApi
from headwater.errors import JobFailed, NotEnoughCredit, Refused, Unavailable
from headwater.protocol.receipt import Receipt
from headwater.service.inference import LaneOrder
from headwater.service.paying import SignedVoucher
from headwater.settlement.receipts import LanePosition
from headwater.settlement.vouchers import voucher_for
from headwater.testing import examples
from headwater.testing.serving import BASE, TUNED, ScriptedInference
from headwater.types import hex0x

Ask = Callable[..., Awaitable[Any]]
ASKED = {"model": TUNED, "messages": [{"role": "user", "content": "Poisoning by penicillins"}]}


@pytest.fixture
def inference() -> ScriptedInference:
    return ScriptedInference()


@pytest.fixture
def told() -> list[bool]:
    """One entry for each receipt that the attribution worker was woken for."""
    return []


@pytest.fixture
async def client(with_routes: Any, inference: ScriptedInference, told: list[bool]) -> Any:
    api = ChatApi(inference, lambda: 1_000, lambda: told.append(True))  # type: ignore[arg-type]
    return await with_routes(api.routes())


def lane_order(inference: ScriptedInference, nonce: str = "nonce") -> LaneOrder:
    terms, position = inference.lanes.terms_of, inference.lanes.position
    voucher = voucher_for(terms, position)
    return LaneOrder(terms.lane_id, examples.word(nonce), voucher, examples.sign("session", voucher, examples.ESCROW))


async def ask(client: Any, body: dict[str, Any], order: LaneOrder | None = None) -> Any:
    return await client.post(
        "/v1/chat/completions", json=body, headers={} if order is None else fmt.lane_headers(order)
    )


def events(text: str) -> list[Any]:
    """The data of a stream of server-sent events, which must end as OpenAI's do."""
    *lines, last = [line for line in text.split("\n\n") if line]
    assert last == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines]


# -- models ------------------------------------------------------------------------------------------------------


async def test_models_are_listed_with_what_the_chain_knows_of_them(client: Any) -> None:
    base, tuned = (await (await client.get("/v1/models")).json())["data"]
    assert (base["id"], base["parent"], base["headwater"]) == (BASE, None, None)
    assert (tuned["id"], tuned["parent"], tuned["owned_by"]) == (TUNED, BASE, "owner")
    assert tuned["headwater"] == {
        "model_id": hex0x(examples.MODEL),
        "version": 1,
        "adapter_digest": hex0x(examples.ADAPTER),
        "certificate": "uncertified",
    }


# -- answers -----------------------------------------------------------------------------------------------------


async def test_a_paid_answer_comes_with_its_receipt(client: Any, inference: ScriptedInference, told: Any) -> None:
    answer = await ask(client, ASKED, lane_order(inference))
    body = await answer.json()
    receipt = Receipt.from_json(body["headwater"]["receipt"])
    assert body["choices"][0]["message"]["content"] == "T36.0X1A"
    assert (receipt.sequence, receipt.output_tokens) == (1, 3)
    assert answer.headers[fmt.RECEIPT_HEADER] == hex0x(receipt.request_id)
    assert told == [True]


async def test_a_free_answer_has_no_receipt_and_wakes_nobody(client: Any, told: list[bool]) -> None:
    body = await (await ask(client, ASKED | {"model": BASE})).json()
    assert (body["model"], body["headwater"], told) == (BASE, None, [])


async def test_a_stream_gives_role_pieces_end_and_then_usage_with_the_receipt(
    client: Any, inference: ScriptedInference, told: list[bool]
) -> None:
    streamed = ASKED | {"stream": True, "stream_options": {"include_usage": True}}
    answer = await ask(client, streamed, lane_order(inference))
    assert answer.content_type == "text/event-stream"
    first, *pieces, end, last = events(await answer.text())
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [p["choices"][0]["delta"]["content"] for p in pieces] == ["T36", ".0X", "1A"]
    assert end["choices"][0]["finish_reason"] == "stop"
    assert (last["choices"], last["usage"]["completion_tokens"]) == ([], 3)
    receipt = Receipt.from_json(last["headwater"]["receipt"])
    assert answer.headers[fmt.RECEIPT_HEADER] == hex0x(receipt.request_id)
    assert told == [True]


async def test_a_stream_without_usage_ends_with_the_finish_reason(client: Any) -> None:
    answer = await ask(client, ASKED | {"model": BASE, "stream": True})
    last = events(await answer.text())[-1]
    assert (last["choices"][0]["finish_reason"], "usage" in last) == ("stop", False)


# -- refusals ----------------------------------------------------------------------------------------------------


async def test_an_unknown_model_is_404_model_not_found(client: Any) -> None:
    answer = await ask(client, ASKED | {"model": "gpt-4"})
    told = (await answer.json())["error"]
    assert (answer.status, told["code"], told["param"]) == (404, "model_not_found", "model")


@pytest.mark.parametrize("stream", [False, True])
async def test_missing_credit_is_402_with_the_amount_streamed_or_not(
    client: Any, inference: ScriptedInference, stream: bool
) -> None:
    inference.refuses = NotEnoughCredit("the lane lacks 7 wei", "top it up", missing_wei="7")
    answer = await ask(client, ASKED | {"stream": stream}, lane_order(inference))
    assert (answer.status, (await answer.json())["error"]["missing_wei"]) == (402, "7")


@pytest.mark.parametrize(
    ("error", "status"), [(Refused("closed", "open one"), 403), (Unavailable("full", "wait"), 503)]
)
async def test_other_refusals_before_the_first_token_have_their_status(
    client: Any, inference: ScriptedInference, error: Any, status: int
) -> None:
    inference.refuses = error
    assert (await ask(client, ASKED, lane_order(inference))).status == status


async def test_a_bad_request_never_reaches_the_provider(client: Any, inference: ScriptedInference) -> None:
    answer = await ask(client, ASKED | {"tools": []})
    assert (answer.status, (await answer.json())["error"]["param"]) == (400, "tools")
    assert inference.orders == []


async def test_a_failure_while_generating_is_an_error_or_an_error_event(
    client: Any, inference: ScriptedInference, told: list[bool]
) -> None:
    inference.fails = JobFailed("the engine died", "ask again")
    whole = await ask(client, ASKED | {"model": BASE})
    assert (whole.status, (await whole.json())["error"]["code"]) == (503, "job_failed")
    streamed = await ask(client, ASKED | {"model": BASE, "stream": True})
    lines = [line for line in (await streamed.text()).split("\n\n") if line]
    assert json.loads(lines[-1].removeprefix("data: "))["error"]["code"] == "job_failed"
    assert told == []


async def test_an_answer_that_fails_in_its_stream_is_given_up(client: Any, inference: ScriptedInference) -> None:
    """Else it would count as under way for ever, and its user could never ask on that lane again."""
    inference.fails = JobFailed("the engine died", "ask again")
    streamed = await ask(client, ASKED | {"stream": True}, lane_order(inference))
    assert b"job_failed" in await streamed.read()
    assert len(inference.abandoned) == 1


# -- vouchers ----------------------------------------------------------------------------------------------------


async def voucher_after_one_answer(client: Any, inference: ScriptedInference) -> SignedVoucher:
    await ask(client, ASKED, lane_order(inference))
    voucher = voucher_for(inference.lanes.terms_of, inference.lanes.position)
    return SignedVoucher(voucher, examples.sign("session", voucher, examples.ESCROW))


async def test_a_voucher_for_the_last_receipt_is_taken(client: Any, inference: ScriptedInference) -> None:
    signed = await voucher_after_one_answer(client, inference)
    path = f"/v1/lanes/{hex0x(signed.voucher.lane_id)}/vouchers"
    answer = await client.post(path, json=signed.to_json())
    assert (answer.status, (await answer.json())["cumulative_wei"]) == (200, str(signed.voucher.cumulative))
    assert inference.lanes.vouchers[-1] == signed.voucher


async def test_vouchers_that_are_wrong_are_refused(client: Any, inference: ScriptedInference) -> None:
    signed = await voucher_after_one_answer(client, inference)
    mine = f"/v1/lanes/{hex0x(signed.voucher.lane_id)}/vouchers"
    other = f"/v1/lanes/{hex0x(examples.word('other'))}/vouchers"
    forged = SignedVoucher(signed.voucher, examples.sign("thief", signed.voucher, examples.ESCROW))
    later = voucher_for(
        inference.lanes.terms_of, LanePosition(9, examples.word("head"), examples.answered().receipt.price)
    )
    above = SignedVoucher(later, examples.sign("session", later, examples.ESCROW))
    held = len(inference.lanes.vouchers)
    for path, body, status in (
        (mine, {}, 400),
        (mine, signed.to_json() | {"tip": 1}, 400),
        (mine, signed.to_json() | {"signature": "zz"}, 400),
        (mine, forged.to_json(), 401),
        (mine, above.to_json(), 422),
        (other, signed.to_json(), 404),
        ("/v1/lanes/0x12/vouchers", signed.to_json(), 400),
    ):
        assert (await client.post(path, json=body)).status == status
    assert len(inference.lanes.vouchers) == held
