"""Batched greedy answers equal answering one by one without a cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from headwater.errors import InvalidInput
from headwater.modelfactory.bases import open_base
from headwater.modelfactory.generate import BATCH, answer_all, answer_batch
from headwater.modelfactory.tokenizer import Tokenizer
from headwater.protocol.chat import render_question
from headwater.protocol.recipe import ComputeType


@torch.inference_mode()
def one_by_one(module: Any, prompt: list[int], count: int, end_id: int) -> list[int]:
    ids = list(prompt)
    for _ in range(count):
        token = int(module(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax())
        if token == end_id:
            break
        ids.append(token)
    return ids[len(prompt) :]


@pytest.mark.parametrize("max_tokens", [96, 0], ids=["eager", "sdpa"])
def test_padding_and_cache_change_no_answer(base_folder: Path, max_tokens: int) -> None:
    module = open_base(base_folder, ComputeType.FLOAT32, max_tokens=max_tokens)
    tokenizer = Tokenizer.from_folder(base_folder)
    texts = ["a", "a much longer question", "q" * 30, "what?"]
    prompts = [tokenizer.encode(render_question(t)) for t in texts]
    expected = [one_by_one(module, p, 12, tokenizer.end_id) for p in prompts]
    assert answer_batch(module, tokenizer, prompts, 12) == expected
    assert any(expected)


def test_answers_end_at_the_end_mark(base_folder: Path) -> None:
    module = open_base(base_folder, ComputeType.FLOAT32)
    tokenizer = Tokenizer.from_folder(base_folder)
    prompt = tokenizer.encode(render_question("a"))
    answer = one_by_one(module, prompt, 6, -1)
    tokenizer.end_id = answer[3]  # type: ignore[misc]
    first = answer.index(answer[3])
    assert answer_batch(module, tokenizer, [prompt], 6) == [answer[:first]]


def test_many_questions_are_answered_in_order(base_folder: Path) -> None:
    module = open_base(base_folder, ComputeType.FLOAT32)
    tokenizer = Tokenizer.from_folder(base_folder)
    prompts = tokenizer.encode_many([render_question(f"question {i}") for i in range(BATCH + 3)])
    answers = answer_all(module, tokenizer, prompts, 5)
    assert len(answers) == BATCH + 3
    assert answers[-1] == tokenizer.decode(one_by_one(module, prompts[-1], 5, tokenizer.end_id)).strip()


def test_a_prompt_beyond_the_context_is_refused(base_folder: Path) -> None:
    module = open_base(base_folder, ComputeType.FLOAT32)
    tokenizer = Tokenizer.from_folder(base_folder)
    with pytest.raises(InvalidInput, match="leaves no room"):
        answer_batch(module, tokenizer, [[5] * 250], 7)
