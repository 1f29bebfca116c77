"""From one row of logits to one token: pure, and the same on every machine that has the same logits.

In: logits, sampling parameters, a 32-byte seed and the token's position in the answer. Out: the token id and its
log-probability under the model. Knows neither models nor requests.

Randomness is counter-based: position `i` of an answer uses the one number `uniform(seed, i)`, so a validator can
redo any single token without replaying those before it, and nothing that runs beside a request can shift its draws.
The draw is inverted through the cumulative distribution in float64, tokens in order of falling probability (ties:
lower id first); nucleus filtering after Holtzman et al., "The Curious Case of Neural Text Degeneration" (2020).
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import torch
from torch import Tensor

from headwater.errors import InvalidInput, VerificationFailed
from headwater.types import WHOLE_PPM

DOMAIN: Final = b"headwater.sampling.v1"
MAX_TEMPERATURE_PPM: Final = 2_000_000
MAX_TOP_LOGPROBS: Final = 20


@dataclass(frozen=True, slots=True)
class SamplingParameters:
    """How to choose a token, in ppm as in `InferenceRequest`, so that both sides divide the same integers.

    `temperature_ppm` 0 is greedy; `top_p_ppm` 1,000,000 and `top_k` 0 keep every token. Raises InvalidInput.
    """

    temperature_ppm: int = 0
    top_p_ppm: int = WHOLE_PPM
    top_k: int = 0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("temperature_ppm", 0, MAX_TEMPERATURE_PPM),
            ("top_p_ppm", 1, WHOLE_PPM),
            ("top_k", 0, 1 << 31),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise InvalidInput(f"{name} {value!r} is not a whole number from {low:,} to {high:,}", "correct it")


GREEDY: Final = SamplingParameters()


@dataclass(frozen=True, slots=True)
class Choice:
    """One chosen token; log-probabilities are in nats, under the model itself (temperature 1, unfiltered)."""

    token_id: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()
    """The most probable tokens with their log-probabilities, best first."""


def uniform(seed: bytes, position: int) -> float:
    """A number in [0, 1) with 53 random bits: sha2-256(domain, seed, position as uint64), its first 53 bits."""
    block = sha256(DOMAIN + seed + position.to_bytes(8, "big")).digest()
    return (int.from_bytes(block[:8], "big") >> 11) / (1 << 53)


def choose(
    logits: Tensor, parameters: SamplingParameters, seed: bytes, position: int, top_logprobs: int = 0
) -> Choice:
    """Choose a token from `logits` (float, shape [vocabulary]). Raises VerificationFailed if they hold NaN."""
    row = logits.detach().to(device="cpu", dtype=torch.float64)
    if not bool(torch.isfinite(row).all()):
        raise VerificationFailed(
            "the model's logits hold NaN or infinity", "check the adapter and the base with `headwater model verify`"
        )
    if parameters.temperature_ppm == 0:
        token_id = int(row.argmax())
    else:
        token_id = _draw(row, parameters, uniform(seed, position))
    logprobs = row - row.logsumexp(0)
    return Choice(token_id, float(logprobs[token_id]), _top(logprobs, top_logprobs))


def _draw(row: Tensor, parameters: SamplingParameters, number: float) -> int:
    ordered, ids = torch.sort(row, descending=True, stable=True)
    if parameters.top_k:
        ordered, ids = ordered[: parameters.top_k], ids[: parameters.top_k]
    cumulative = torch.softmax(ordered / (parameters.temperature_ppm / WHOLE_PPM), 0).cumsum(0)
    kept = len(ordered)
    if parameters.top_p_ppm < WHOLE_PPM:
        # The smallest set whose mass reaches top_p: the token that crosses the line belongs to it.
        kept = min(kept, int(torch.searchsorted(cumulative, parameters.top_p_ppm / WHOLE_PPM)) + 1)
    mass = float(cumulative[kept - 1])
    index = int(torch.searchsorted(cumulative[:kept], number * mass, right=True))
    return int(ids[min(index, kept - 1)])


def _top(logprobs: Tensor, count: int) -> tuple[tuple[int, float], ...]:
    if count == 0:
        return ()
    values, ids = torch.sort(logprobs, descending=True, stable=True)
    return tuple((int(i), float(v)) for i, v in zip(ids[:count], values[:count], strict=True))
