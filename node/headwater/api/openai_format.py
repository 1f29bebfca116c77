"""OpenAI's chat format: reading requests strictly, writing completions and chunks.

In: JSON bodies. Out: `Order`s; objects that the stock `openai` client parses. A parameter that is not supported is
refused by name, never ignored. The receipt travels in the completion's id, a header and the usage chunk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from headwater.errors import InvalidInput
from headwater.protocol.canonical import parse_json
from headwater.protocol.chat import Message
from headwater.protocol.completion import Completion, FinishReason, InferenceResponse
from headwater.protocol.receipt import Receipt
from headwater.protocol.voucher import Voucher
from headwater.service.inference import LaneOrder, Order, SignedAnswer
from headwater.settlement.receipts import response_of
from headwater.types import WHOLE_PPM, Digest, Ppm, Signature, digest, hex0x

RECEIPT_HEADER: Final = "X-Receipt-Id"
LANE_HEADER: Final = "X-Headwater-Lane"
NONCE_HEADER: Final = "X-Headwater-Nonce"
VOUCHER_HEADER: Final = "X-Headwater-Voucher"
SIGNATURE_HEADER: Final = "X-Headwater-Voucher-Signature"
DEFAULT_MAX_TOKENS: Final = 256
MAX_TOKENS: Final = 4_096
KNOWN: Final = frozenset(
    {
        "model",
        "messages",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "stop",
        "stream",
        "stream_options",
        "n",
        "user",
    }
)
FINISH: Final = {
    FinishReason.STOP: "stop",
    FinishReason.LENGTH: "length",
    FinishReason.CANCELLED: "stop",
    FinishReason.ERROR: "stop",
}


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A parsed request: what to generate and how to answer."""

    order: Order
    stream: bool
    include_usage: bool


def read_chat(body: bytes, headers: Mapping[str, str]) -> ChatRequest:
    """Raises InvalidInput naming the parameter."""
    raw = parse_json(body, "the request", floats=True)
    if not isinstance(raw, dict):
        raise _bad("the request is not an object", "body")
    if unknown := sorted(raw.keys() - KNOWN):
        raise InvalidInput(f"the parameter {unknown[0]!r} is not supported", "leave it out", param=unknown[0])
    if isinstance(raw.get("n"), bool) or raw.get("n") not in (None, 1):
        raise _bad("n must be 1", "n")
    order = Order(
        model=_text(raw, "model"),
        messages=_messages(raw.get("messages")),
        max_tokens=_max_tokens(raw),
        temperature_ppm=_ppm(raw, "temperature", 2.0),
        top_p_ppm=Ppm(_ppm(raw, "top_p", 1.0) or 1),
        stop=_stop(raw.get("stop")),
        lane=_lane(headers),
    )
    return ChatRequest(order, _flag(raw, "stream"), _include_usage(raw.get("stream_options")))


def completion_object(name: str, answer: SignedAnswer, created: int) -> dict[str, Any]:
    """A whole, unstreamed completion."""
    completion = answer.completion
    return {
        "id": f"chatcmpl-{hex0x(completion.request_id)}",
        "object": "chat.completion",
        "created": created,
        "model": name,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": completion.text, "refusal": None},
                "logprobs": None,
                "finish_reason": FINISH[completion.finish_reason],
            }
        ],
        "usage": usage_object(completion),
        "headwater": receipt_object(answer),
    }


def chunk(name: str, request_id: Digest, created: int, choices: list[dict[str, Any]], **extra: Any) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{hex0x(request_id)}",
        "object": "chat.completion.chunk",
        "created": created,
        "model": name,
        "choices": choices,
        **extra,
    }


def delta(content: str | None, role: str | None = None, finish: FinishReason | None = None) -> list[dict[str, Any]]:
    body = {k: v for k, v in (("role", role), ("content", content)) if v is not None}
    return [
        {"index": 0, "delta": body, "logprobs": None, "finish_reason": None if finish is None else FINISH[finish]}
    ]


def usage_object(completion: Completion) -> dict[str, int]:
    prompt, output = len(completion.prompt_ids), len(completion.output_ids)
    return {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}


def receipt_object(answer: SignedAnswer) -> dict[str, Any] | None:
    """What the lane's holder needs to check the receipt; None for a free answer."""
    if answer.receipt is None or answer.signature is None:
        return None
    return proof_object(answer.receipt, answer.signature, response_of(answer.completion))


def proof_object(receipt: Receipt, signature: Signature, response: InferenceResponse) -> dict[str, Any]:
    """A receipt with everything that it is checked against but the text, which stands where answers stand."""
    return {
        "receipt": receipt.to_json(),
        "signature": hex0x(signature),
        "output_ids": list(response.output_ids),
        "finish_reason": response.finish_reason.value,
    }


def lane_headers(order: LaneOrder) -> dict[str, str]:
    return {
        LANE_HEADER: hex0x(order.lane_id),
        NONCE_HEADER: hex0x(order.user_nonce),
        VOUCHER_HEADER: order.voucher.json_text(),
        SIGNATURE_HEADER: hex0x(order.voucher_signature),
    }


def _lane(headers: Mapping[str, str]) -> LaneOrder | None:
    present = [h for h in (LANE_HEADER, NONCE_HEADER, VOUCHER_HEADER, SIGNATURE_HEADER) if h in headers]
    if not present:
        return None
    if len(present) < 4:
        raise _bad("a paid request needs all four X-Headwater headers", "headers")
    signature = headers[SIGNATURE_HEADER]
    try:
        raw_signature = bytes.fromhex(signature.removeprefix("0x"))
    except ValueError:
        raise _bad("the voucher's signature is not hexadecimal", SIGNATURE_HEADER) from None
    return LaneOrder(
        digest(headers[LANE_HEADER]),
        digest(headers[NONCE_HEADER]),
        Voucher.from_bytes(headers[VOUCHER_HEADER]),
        Signature(raw_signature),
    )


def _messages(raw: Any) -> tuple[Message, ...]:
    if not isinstance(raw, list) or not raw:
        raise _bad("messages must be a list with at least one message", "messages")
    return tuple(_message(item) for item in raw)


def _message(raw: Any) -> Message:
    if not isinstance(raw, dict) or not isinstance(raw.get("role"), str):
        raise _bad("a message needs a role and a content", "messages")
    # Clients send a former answer back with its empty members; one that says something must not be lost.
    if extra := sorted(k for k, v in raw.items() if k not in ("role", "content") and v):
        raise _bad(f"a message's {extra[0]} is not supported", "messages")
    role = "system" if raw["role"] == "developer" else raw["role"]
    content = raw.get("content")
    if isinstance(content, list):
        if not all(
            isinstance(p, dict) and p.get("type") == "text" and isinstance(p.get("text"), str) for p in content
        ):
            raise _bad("only text parts are supported", "messages")
        content = "".join(p["text"] for p in content)
    if not isinstance(content, str):
        raise _bad("a message's content must be text", "messages")
    return Message(role, content)


def _text(raw: Mapping[str, Any], name: str) -> str:
    value = raw.get(name)
    if not isinstance(value, str) or not value:
        raise _bad(f"{name} must be text", name)
    return value


def _flag(raw: Mapping[str, Any], name: str) -> bool:
    value = raw.get(name)
    if value is not None and not isinstance(value, bool):
        raise _bad(f"{name} must be true or false", name)
    return bool(value)


def _include_usage(raw: Any) -> bool:
    if raw is None:
        return False
    if not isinstance(raw, dict):
        raise _bad("stream_options must be an object", "stream_options")
    if unknown := sorted(raw.keys() - {"include_usage"}):
        raise _bad(f"stream_options.{unknown[0]} is not supported", "stream_options")
    return _flag(raw, "include_usage")


def _max_tokens(raw: Mapping[str, Any]) -> int:
    given = {n: raw[n] for n in ("max_tokens", "max_completion_tokens") if raw.get(n) is not None}
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_TOKENS:
            raise _bad(f"{name} must be a whole number from 1 to {MAX_TOKENS}", name)
    if len(set(given.values())) > 1:
        raise _bad("max_tokens and max_completion_tokens say the same, and differ", "max_tokens")
    return next(iter(given.values()), DEFAULT_MAX_TOKENS)


def _ppm(raw: Mapping[str, Any], name: str, highest: float) -> int:
    value = raw.get(name)
    if value is None:
        return WHOLE_PPM
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= highest:
        raise _bad(f"{name} must be a number from 0 to {highest:g}", name)
    return round(value * WHOLE_PPM)


def _stop(raw: Any) -> tuple[str, ...]:
    if raw is None:
        return ()
    items = [raw] if isinstance(raw, str) else raw
    if not isinstance(items, list) or not all(isinstance(s, str) and s for s in items) or len(items) > 4:
        raise _bad("stop must be up to four texts", "stop")
    return tuple(items)


def _bad(cause: str, param: str) -> InvalidInput:
    return InvalidInput(cause, f"correct {param!r}", param=param)
