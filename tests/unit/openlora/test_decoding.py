"""One request's state, on a model whose next tokens are written down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import torch

from headwater.openlora.decoding import Decoding
from headwater.openlora.engine import GenerationRequest
from headwater.openlora.generation import TokenEvent
from headwater.openlora.lora_ops import LoraSwitch, ResidentAdapter
from headwater.openlora.models import BaseModel
from headwater.openlora.sampling import SamplingParameters
from headwater.protocol.completion import Completion, FinishReason
from headwater.types import Digest

RequestMaker = Callable[..., GenerationRequest]


class ScriptedModel(torch.nn.Module):
    """Says the given tokens, whatever it is asked; notes the inputs."""

    def __init__(self, answer: Sequence[int], vocabulary: int) -> None:
        super().__init__()
        self.left = list(answer)
        self.vocabulary = vocabulary
        self.inputs: list[list[int]] = []

    def forward(self, input_ids: torch.Tensor, **_: Any) -> Any:
        self.inputs.append(input_ids[0].tolist())
        logits = torch.full((1, 1, self.vocabulary), -50.0)
        logits[0, 0, self.left[0]] = 50.0
        return SimpleNamespace(logits=logits)


def answer(
    base: BaseModel, request: GenerationRequest, tokens: Sequence[int], chunk: int = 256
) -> tuple[list[TokenEvent], Completion, ScriptedModel]:
    model = ScriptedModel(tokens, base.tokenizer.vocabulary_size)
    decoding, events = Decoding(request, None, base, chunk), []
    while decoding.finish is None:
        event = decoding.step(model, LoraSwitch())
        if event is not None:
            events.append(event)
            model.left.pop(0)
    return events, decoding.completion(decoding.finish), model


def test_a_prompt_goes_in_chunks_and_then_each_token_once(base: BaseModel, request_for: RequestMaker) -> None:
    _, _, model = answer(base, request_for(prompt_ids=(1, 2, 3, 4, 5), max_tokens=3), [7, 8, 9], chunk=2)
    assert model.inputs == [[1, 2], [3, 4], [5], [7], [8]]


def test_the_end_mark_ends_the_answer_and_has_no_text(base: BaseModel, request_for: RequestMaker) -> None:
    ids = (*base.tokenizer.encode("ok"), base.tokenizer.end_id)
    events, done, _ = answer(base, request_for(), ids)
    assert [e.text for e in events] == ["o", "k", ""]
    assert (done.text, done.output_ids, done.finish_reason) == ("ok", ids, FinishReason.STOP)


def test_half_a_character_at_the_limit_is_shown_with_the_last_token(
    base: BaseModel, request_for: RequestMaker
) -> None:
    events, done, _ = answer(base, request_for(max_tokens=3), base.tokenizer.encode("a€"))
    assert [e.text for e in events] == ["a", "", "\ufffd"]
    assert (done.text, done.finish_reason) == ("a\ufffd", FinishReason.LENGTH)


def test_what_only_looked_like_a_stop_is_shown_at_the_end(base: BaseModel, request_for: RequestMaker) -> None:
    ids = (*base.tokenizer.encode("aEN"), base.tokenizer.end_id)
    events, done, _ = answer(base, request_for(stop=("END",)), ids)
    assert [e.text for e in events] == ["a", "", "", "EN"]
    assert done.text == "aEN"


def test_no_token_follows_a_stop(base: BaseModel, request_for: RequestMaker) -> None:
    _, done, model = answer(base, request_for(stop=("b",)), base.tokenizer.encode("abcd"))
    assert (done.text, done.output_ids) == ("a", base.tokenizer.encode("ab"))
    assert len(model.left) == 2


def test_a_stop_that_is_met_at_the_limit_counts_as_a_stop(base: BaseModel, request_for: RequestMaker) -> None:
    events, done, _ = answer(base, request_for(stop=("END",), max_tokens=4), base.tokenizer.encode("aEND"))
    assert "".join(e.text for e in events) == done.text == "a"
    assert done.finish_reason == FinishReason.STOP
    events, done, _ = answer(base, request_for(stop=("\ufffd",), max_tokens=2), base.tokenizer.encode("€"))
    assert (done.text, done.finish_reason) == ("", FinishReason.STOP)


def test_each_position_draws_its_own_number(base: BaseModel, request_for: RequestMaker) -> None:
    class Flat(torch.nn.Module):
        def forward(self, **_: Any) -> Any:
            return SimpleNamespace(logits=torch.zeros(1, 1, base.tokenizer.vocabulary_size))

    hot = SamplingParameters(temperature_ppm=1_000_000)
    decoding = Decoding(request_for(max_tokens=20, sampling=hot), None, base, 256)
    tokens = [event.token_id for _ in range(10) if (event := decoding.step(Flat(), LoraSwitch()))]
    assert len(set(tokens)) > 5


def test_the_record_names_what_was_applied_not_what_was_asked_for(base: BaseModel, request_for: RequestMaker) -> None:
    """An engine that mixes two adapters up must not be able to hide it."""
    asked, applied = Digest(b"\x01" * 32), Digest(b"\x02" * 32)
    decoding = Decoding(request_for(adapter=asked), ResidentAdapter(applied, {}), base, 256)
    decoding.step(ScriptedModel([7], base.tokenizer.vocabulary_size), LoraSwitch())
    assert decoding.completion(FinishReason.CANCELLED).weights_digest == applied


def test_before_any_step_nothing_was_applied(base: BaseModel, request_for: RequestMaker) -> None:
    decoding = Decoding(request_for(), ResidentAdapter(Digest(b"\x02" * 32), {}), base, 256)
    done = decoding.completion(FinishReason.CANCELLED)
    assert (done.weights_digest, done.output_ids, done.text) == (Digest(bytes(32)), (), "")
