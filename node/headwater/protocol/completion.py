"""What was asked and what the engine did: the request document, and the one record an engine emits for it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from headwater.protocol.chat import Message
from headwater.protocol.codec import Bytes32, Document, PpmShare, Uint32


class FinishReason(enum.Enum):
    STOP = "stop"
    LENGTH = "length"
    CANCELLED = "cancelled"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class InferenceRequest(Document):
    """What the user signs off by its digest in the receipt: nothing that changes the answer is outside it."""

    model_id: Bytes32
    version: Uint32
    messages: tuple[Message, ...]
    max_tokens: Uint32
    temperature_ppm: Uint32
    top_p_ppm: PpmShare
    stop: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InferenceResponse(Document):
    """The answer as it was given."""

    text: str
    output_ids: tuple[Uint32, ...]
    finish_reason: FinishReason


@dataclass(frozen=True, slots=True)
class Completion(Document):
    """Exactly one per request, written by the engine itself and never by the HTTP layer."""

    request_id: Bytes32
    base_digest: Bytes32
    weights_digest: Bytes32
    """Adapter digest computed from the tensors that were applied; zero = base alone."""
    prompt_ids: tuple[Uint32, ...]
    output_ids: tuple[Uint32, ...]
    """Generated tokens, an end mark included."""
    text: str
    finish_reason: FinishReason
    seed: Bytes32
    logprob_sum_micronats: int
    """Sum of the chosen tokens' log-probabilities times 10**6, rounded; informative, never hashed into a receipt."""
