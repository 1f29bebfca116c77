"""One request being answered: its keys and values, its tokens, its text, its end.

In: the request, the adapter's tensors, a model structure to run on. Out: one event a token, and the record of what
was done. Each step depends on this request alone, in the same shapes whatever else runs, so its tokens do too.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from headwater.openlora.engine import GenerationRequest
from headwater.openlora.generation import TokenEvent
from headwater.openlora.lora_ops import LoraSwitch, ResidentAdapter
from headwater.openlora.models import BaseModel
from headwater.openlora.sampling import choose
from headwater.openlora.stopping import StopStrings
from headwater.protocol.completion import Completion, FinishReason
from headwater.types import ZERO_DIGEST, Digest


class Decoding:
    """The state of one running request. Used by the engine's thread alone."""

    def __init__(
        self, request: GenerationRequest, adapter: ResidentAdapter | None, base: BaseModel, prefill_chunk_tokens: int
    ) -> None:
        self.finish: FinishReason | None = None
        self._request = request
        self._adapter = adapter
        self._base = base
        self._chunk = prefill_chunk_tokens
        self._cache: Any = DynamicCache(config=base.module.config)
        self._prefilled = 0
        self._output: list[int] = []
        self._logprob_sum = 0.0
        self._stream = base.tokenizer.stream()
        self._stops = StopStrings(request.stop)
        self._text: list[str] = []
        self._applied: Digest = ZERO_DIGEST
        self._ends = frozenset((base.tokenizer.end_id, *request.stop_ids))

    def step(self, structure: nn.Module, switch: LoraSwitch) -> TokenEvent | None:
        """Run one chunk of the prompt, or one token. Returns the event if a token came of it."""
        ids = self._next_input()
        batch = torch.tensor([ids], device=self._base.device)
        with switch.using(self._adapter):
            output = structure(input_ids=batch, past_key_values=self._cache, use_cache=True, logits_to_keep=1)
            # What the layers were given in this very pass, not what was asked for.
            self._applied = switch.active.digest if switch.active is not None else ZERO_DIGEST
        if self._prefilled < len(self._request.prompt_ids):
            self._prefilled += len(ids)
            if self._prefilled < len(self._request.prompt_ids):
                return None
        return self._accept(output.logits[0, -1])

    def _next_input(self) -> list[int]:
        prompt = self._request.prompt_ids
        if self._prefilled < len(prompt):
            return list(prompt[self._prefilled : self._prefilled + self._chunk])
        return [self._output[-1]]

    def _accept(self, logits: Tensor) -> TokenEvent:
        request, index = self._request, len(self._output)
        choice = choose(logits, request.sampling, request.seed, index, request.top_logprobs)
        self._output.append(choice.token_id)
        self._logprob_sum += choice.logprob
        text = self._text_of(choice.token_id)
        self._text.append(text)
        return TokenEvent(index, choice.token_id, text, choice.logprob if request.logprobs else None, choice.top)

    def _text_of(self, token_id: int) -> str:
        ended = token_id in self._ends
        text = "" if ended else self._stops.push(self._stream.push(token_id))
        if ended or self._stops.stopped:
            self.finish = FinishReason.STOP
        elif len(self._output) == self._request.max_tokens:
            self.finish = FinishReason.LENGTH
        if self.finish is not None:
            text += self._stops.push(self._stream.finish())
            text += self._stops.finish()
            if self._stops.stopped:
                self.finish = FinishReason.STOP
        return text

    def completion(self, reason: FinishReason) -> Completion:
        """The record, as things stand. The weights are those of the last pass; before any pass, none."""
        request = self._request
        return Completion(
            request_id=request.request_id,
            base_digest=self._base.digest,
            weights_digest=self._applied,
            prompt_ids=request.prompt_ids,
            output_ids=tuple(self._output),
            text="".join(self._text),
            finish_reason=reason,
            seed=request.seed,
            logprob_sum_micronats=round(self._logprob_sum * 1_000_000),
        )
