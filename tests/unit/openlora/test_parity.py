"""Token by token against stock peft, in float32, each adapter on a model of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import peft
import pytest
import torch
import transformers

from headwater.openlora.adapters import LoadedAdapter
from headwater.openlora.engine import GenerationRequest
from headwater.openlora.exact import ExactEngine
from headwater.openlora.models import BaseModel

PROMPTS = ["hello", "ICD-10-CM code: poisoning by aspirin", "€", "a longer prompt, " * 6]
STEPS = 24


def stock_answer(
    base_folder: Path, adapter: Path | None, prompt: tuple[int, ...]
) -> tuple[tuple[int, ...], list[float]]:
    """Greedy tokens and their log-probabilities from transformers' and peft's own code."""
    model = transformers.AutoModelForCausalLM.from_pretrained(base_folder, dtype=torch.float32)
    if adapter is not None:
        model = peft.PeftModel.from_pretrained(model, adapter)
    model.eval()
    with torch.inference_mode():
        out = model.generate(
            input_ids=torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=STEPS,
            do_sample=False,
            pad_token_id=0,
            output_logits=True,
            return_dict_in_generate=True,
        )
    ids = tuple(out.sequences[0, len(prompt) :].tolist())
    logprobs = [float(torch.log_softmax(row[0].double(), 0)[i]) for row, i in zip(out.logits, ids, strict=True)]
    return ids, logprobs


@pytest.mark.parametrize("prompt", PROMPTS)
def test_interleaved_adapters_answer_as_stock_peft_does_one_by_one(
    engine: ExactEngine,
    request_for: Callable[..., GenerationRequest],
    base: BaseModel,
    base_folder: Path,
    adapters: list[LoadedAdapter],
    adapter_folders: list[Path],
    prompt: str,
) -> None:
    kinds = [(None, None)] + [(engine.register(a), f) for a, f in zip(adapters, adapter_folders, strict=True)]
    generations = [
        engine.submit(request_for(prompt, adapter=digest, max_tokens=STEPS, logprobs=True)) for digest, _ in kinds
    ]
    answers = set()
    for generation, (_, folder) in zip(generations, kinds, strict=True):
        events = list(generation)
        ids, logprobs = stock_answer(base_folder, folder, base.tokenizer.encode(prompt))
        assert tuple(e.token_id for e in events) == ids
        assert [e.logprob for e in events] == pytest.approx(logprobs, abs=1e-4)
        answers.add(ids)
    assert len(answers) == len(kinds)
