"""Greedy answers to many prompts at once: the evaluation's own small generation loop.

In: a frozen module, prompts as token ids. Out: answers as token ids, without the end mark. Batches are formed in the
given order and padded on the left, so that a validator who is drawn one prompt repeats its whole batch and rounds
alike. Serving has engines of its own; here only the most probable token counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch

from headwater.errors import InvalidInput
from headwater.modelfactory.tokenizer import Tokenizer

BATCH: Final = 25


@torch.inference_mode()
def answer_batch(
    module: Any, tokenizer: Tokenizer, prompts: Sequence[Sequence[int]], max_new_tokens: int
) -> list[list[int]]:
    """Answers of one batch. Raises InvalidInput if a prompt and its answer would exceed the base's context."""
    length = max(len(ids) for ids in prompts)
    context = int(module.config.max_position_embeddings)
    if length + max_new_tokens > context:
        raise InvalidInput(
            f"a prompt of {length:,} tokens leaves no room for {max_new_tokens} more in {context:,}",
            "retrieve fewer records, or shorten them",
        )
    device = module.get_input_embeddings().weight.device
    ids = torch.full((len(prompts), length), tokenizer.pad_id)
    mask = torch.zeros((len(prompts), length), dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, length - len(prompt) :] = torch.tensor(prompt)
        mask[row, length - len(prompt) :] = 1
    ids, mask = ids.to(device), mask.to(device)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    answers: list[list[int]] = [[] for _ in prompts]
    open_rows = set(range(len(prompts)))
    cache, head = None, module.get_output_embeddings()
    for _ in range(max_new_tokens):
        out = module.base_model(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
        )
        cache = out.past_key_values
        # Not `logits_to_keep`: on a strided slice torch copies the whole output head once for each row.
        chosen = head(out.last_hidden_state[:, -1].contiguous()).argmax(-1)
        for row, token in enumerate(chosen.tolist()):
            if row in open_rows and token == tokenizer.end_id:
                open_rows.remove(row)
            elif row in open_rows:
                answers[row].append(token)
        if not open_rows:
            break
        ids, positions = chosen.unsqueeze(1), positions[:, -1:] + 1
        mask = torch.cat([mask, mask.new_ones(len(prompts), 1)], dim=1)
    return answers


def answer_all(
    module: Any, tokenizer: Tokenizer, prompts: Sequence[Sequence[int]], max_new_tokens: int
) -> tuple[str, ...]:
    """Answers in order, surrounding space removed."""
    answers: list[list[int]] = []
    for start in range(0, len(prompts), BATCH):
        answers += answer_batch(module, tokenizer, prompts[start : start + BATCH], max_new_tokens)
    return tuple(tokenizer.decode(ids).strip() for ids in answers)
