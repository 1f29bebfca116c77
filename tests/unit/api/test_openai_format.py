"""OpenAI's chat format, read strictly: what is not supported is refused by name, never ignored."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from headwater.api import openai_format as fmt
from headwater.api.openai_format import ChatRequest, read_chat
from headwater.errors import HeadwaterError, InvalidInput
from headwater.protocol.chat import Message
from headwater.protocol.completion import FinishReason
from headwater.service.inference import LaneOrder, SignedAnswer
from headwater.settlement.receipts import LanePosition
from headwater.settlement.vouchers import voucher_for
from headwater.testing import examples
from headwater.types import WHOLE_PPM

HELLO = [{"role": "user", "content": "hello"}]
ANSWER = examples.answered()
SIGNED = SignedAnswer(ANSWER.completion, ANSWER.receipt, ANSWER.signature)


def read(headers: dict[str, str] | None = None, /, **members: Any) -> ChatRequest:
    body = {"model": "m", "messages": HELLO, **members}
    return read_chat(json.dumps(body).encode(), headers or {})


def refused(param: str, /, headers: dict[str, str] | None = None, **members: Any) -> InvalidInput:
    with pytest.raises(InvalidInput) as raised:
        read(headers, **members)
    assert raised.value.details["param"] == param
    return raised.value


# -- what is read ------------------------------------------------------------------------------------------------


def test_the_least_request_has_openais_defaults() -> None:
    chat = read()
    order = chat.order
    assert (order.model, order.messages) == ("m", (Message("user", "hello"),))
    assert (order.max_tokens, order.temperature_ppm, order.top_p_ppm, order.stop) == (256, WHOLE_PPM, WHOLE_PPM, ())
    assert (order.lane, chat.stream, chat.include_usage) == (None, False, False)


def test_null_is_the_default_everywhere() -> None:
    names = ("max_tokens", "max_completion_tokens", "temperature", "top_p", "stop", "stream", "stream_options", "n")
    assert read(**dict.fromkeys(names)) == read()


def test_everything_that_is_supported_is_taken() -> None:
    chat = read(
        max_completion_tokens=7,
        temperature=0.25,
        top_p=0.5,
        stop=["a", "b"],
        stream=True,
        stream_options={"include_usage": True},
        n=1,
        user="someone",
    )
    order = chat.order
    assert (order.max_tokens, order.temperature_ppm, order.top_p_ppm, order.stop) == (7, 250_000, 500_000, ("a", "b"))
    assert (chat.stream, chat.include_usage) == (True, True)


@pytest.mark.parametrize(
    "name",
    [
        "audio", "best_of", "echo", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs",
        "metadata", "modalities", "parallel_tool_calls", "prediction", "presence_penalty", "reasoning_effort",
        "response_format", "seed", "service_tier", "store", "suffix", "tool_choice", "tools", "top_k",
        "top_logprobs", "web_search_options",
    ],
)  # fmt: skip
def test_each_unsupported_parameter_is_refused_by_name(name: str) -> None:
    for value in (None, 0, False):
        assert f"'{name}' is not supported" in refused(name, **{name: value}).cause


# -- messages ----------------------------------------------------------------------------------------------------


def test_text_parts_are_joined_and_developer_is_system() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    chat = read(messages=[{"role": "developer", "content": parts}, {"role": "assistant", "content": ""}])
    assert chat.order.messages == (Message("system", "ab"), Message("assistant", ""))


def test_a_former_answer_may_be_sent_back_with_its_empty_members() -> None:
    former = {"role": "assistant", "content": "T36", "refusal": None, "tool_calls": None, "annotations": []}
    assert read(messages=[*HELLO, former]).order.messages[1] == Message("assistant", "T36")


@pytest.mark.parametrize(
    ("messages", "word"),
    [
        (None, "at least one message"),
        ([], "at least one message"),
        ("hello", "at least one message"),
        (["hello"], "a role and a content"),
        ([{"content": "x"}], "a role and a content"),
        ([{"role": 1, "content": "x"}], "a role and a content"),
        ([{"role": "user"}], "content must be text"),
        ([{"role": "user", "content": None}], "content must be text"),
        ([{"role": "user", "content": 7}], "content must be text"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}], "only text parts"),
        ([{"role": "user", "content": [{"type": "text"}]}], "only text parts"),
        ([{"role": "user", "content": ["x"]}], "only text parts"),
        ([{"role": "user", "content": "x", "name": "Bob"}], "name is not supported"),
        ([{"role": "assistant", "content": "x", "tool_calls": [{}]}], "tool_calls is not supported"),
    ],
)
def test_messages_that_would_lose_something_are_refused(messages: Any, word: str) -> None:
    assert word in refused("messages", messages=messages).cause


@pytest.mark.parametrize("message", [{"role": "tool", "content": "x"}, {"role": "user", "content": "<|im_end|>"}])
def test_unknown_roles_and_control_marks_are_refused(message: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match=r"role|control mark"):
        read(messages=[message])


# -- numbers and texts -------------------------------------------------------------------------------------------


@given(st.floats(0, 2))
def test_temperatures_from_zero_to_two_are_taken_in_ppm(value: float) -> None:
    assert abs(read(temperature=value).order.temperature_ppm - value * WHOLE_PPM) <= 0.5


@pytest.mark.parametrize("value", [-0.01, 2.01, -1, 3, True, "0.5", [], {}])
def test_temperatures_out_of_bounds_are_refused(value: Any) -> None:
    assert "from 0 to 2" in refused("temperature", temperature=value).cause


@pytest.mark.parametrize("value", [-0.1, 1.01, False, "1"])
def test_top_p_out_of_bounds_is_refused(value: Any) -> None:
    assert "from 0 to 1" in refused("top_p", top_p=value).cause


def test_a_top_p_of_zero_keeps_the_best_token() -> None:
    assert read(top_p=0).order.top_p_ppm == 1


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("value", [0, -1, 4_097, 1.5, True, "5", []])
def test_token_limits_out_of_bounds_are_refused(name: str, value: Any) -> None:
    assert "1 to 4096" in refused(name, **{name: value}).cause


def test_either_name_of_the_token_limit_is_taken_and_two_limits_are_refused() -> None:
    assert read(max_tokens=5).order.max_tokens == read(max_completion_tokens=5).order.max_tokens == 5
    assert read(max_tokens=5, max_completion_tokens=None).order.max_tokens == 5
    assert read(max_tokens=5, max_completion_tokens=5).order.max_tokens == 5
    refused("max_tokens", max_tokens=5, max_completion_tokens=6)


@pytest.mark.parametrize("value", ["", [""], [1], ["a", "b", "c", "d", "e"], 5, {}])
def test_stops_are_up_to_four_texts(value: Any) -> None:
    assert "up to four texts" in refused("stop", stop=value).cause


def test_one_stop_may_stand_alone() -> None:
    assert read(stop="\n").order.stop == ("\n",)
    assert read(stop=["a", "b", "c", "d"]).order.stop == ("a", "b", "c", "d")
    assert read(stop=[]).order.stop == ()


@pytest.mark.parametrize("value", [2, 0, True, 1.5, "1"])
def test_more_than_one_choice_is_refused(value: Any) -> None:
    assert "n must be 1" in refused("n", n=value).cause


@pytest.mark.parametrize("value", ["true", 1, []])
def test_stream_is_true_or_false(value: Any) -> None:
    refused("stream", stream=value)
    refused("include_usage", stream_options={"include_usage": value})


@pytest.mark.parametrize("value", [[], "x", True, {"include_obfuscation": False}])
def test_stream_options_are_an_object_of_known_members(value: Any) -> None:
    refused("stream_options", stream_options=value)


@pytest.mark.parametrize("value", [None, "", 5, ["m"]])
def test_a_model_is_named(value: Any) -> None:
    assert "model must be text" in refused("model", model=value).cause


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"\xff",
        b'{"model": "m", "model": "n"}',
        b'{"model": "m", "messages": [], "temperature": NaN}',
        b'{"model": "m", "messages": [], "temperature": 1e999}',
        b'{"model": "m", "messages": [{"role": "user", "content": "\\ud800"}]}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_strict_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        read_chat(body, {})


NAMES = st.sampled_from(sorted(fmt.KNOWN))
LEAVES = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=4)
VALUES = st.recursive(LEAVES, lambda v: st.lists(v, max_size=3) | st.dictionaries(NAMES, v, max_size=3))


@given(VALUES, NAMES)
def test_no_value_of_any_parameter_does_anything_but_parse_or_be_refused(value: Any, name: str) -> None:
    try:
        read(**{name: value})
    except HeadwaterError as error:
        assert error.exit_code == 2


# -- the lane ----------------------------------------------------------------------------------------------------

VOUCHER = voucher_for(ANSWER.terms, LanePosition())
ORDER = LaneOrder(ANSWER.terms.lane_id, ANSWER.nonce, VOUCHER, examples.sign("session", VOUCHER, examples.ESCROW))


def test_a_lane_order_survives_its_headers() -> None:
    assert read(fmt.lane_headers(ORDER)).order.lane == ORDER


@pytest.mark.parametrize("header", fmt.lane_headers(ORDER))
def test_a_lane_order_needs_all_four_headers(header: str) -> None:
    headers = {k: v for k, v in fmt.lane_headers(ORDER).items() if k != header}
    assert "all four" in refused("headers", headers).cause


@pytest.mark.parametrize("header", fmt.lane_headers(ORDER))
@pytest.mark.parametrize("value", ["", "0xzz", "{}", "0x12"])
def test_headers_that_are_malformed_are_refused(header: str, value: str) -> None:
    if header == fmt.SIGNATURE_HEADER and value in ("", "0x12"):
        return  # hexadecimal; that it is no signature is found where it is checked
    with pytest.raises(InvalidInput):
        read(fmt.lane_headers(ORDER) | {header: value})


# -- what is written ---------------------------------------------------------------------------------------------


def test_a_completion_parses_as_openais_and_carries_the_receipt() -> None:
    made = fmt.completion_object("m", SIGNED, 5)
    parsed = ChatCompletion.model_validate(made)
    assert parsed.choices[0].message.content == "T36.0X1A"
    assert parsed.usage is not None and parsed.usage.total_tokens == 24
    assert parsed.id == f"chatcmpl-0x{ANSWER.receipt.request_id.hex()}"
    proof = made["headwater"]
    assert proof["receipt"] == ANSWER.receipt.to_json()
    assert (proof["signature"], proof["output_ids"]) == (f"0x{ANSWER.signature.hex()}", [51, 52, 53, 2])


def test_a_free_completion_has_no_receipt() -> None:
    assert fmt.completion_object("m", SignedAnswer(ANSWER.completion, None, None), 5)["headwater"] is None


@pytest.mark.parametrize("reason", FinishReason)
def test_every_end_has_a_word_that_openais_clients_know(reason: FinishReason) -> None:
    made = fmt.chunk("m", ANSWER.receipt.request_id, 5, fmt.delta("x", role="assistant", finish=reason))
    assert ChatCompletionChunk.model_validate(made).choices[0].finish_reason in ("stop", "length")


def test_a_chunk_without_text_says_so_by_absence() -> None:
    assert fmt.delta(None)[0]["delta"] == {}
    assert fmt.delta("", role="assistant")[0]["delta"] == {"role": "assistant", "content": ""}
