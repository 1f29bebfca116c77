"""One step's loss is the textbook's: mean cross-entropy over the answers' tokens, whatever the padding."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from headwater.errors import InvalidInput
from headwater.modelfactory.bases import open_base
from headwater.modelfactory.data import Example
from headwater.modelfactory.job_spec import JobSpec
from headwater.modelfactory.recipe import learning_rate
from headwater.modelfactory.trainer import prepare_loop
from headwater.protocol.recipe import ComputeType


def test_the_loss_is_the_mean_over_the_answers_tokens_alone(
    base_folder: Path, train_spec: JobSpec, examples: tuple[Example, ...]
) -> None:
    longer = tuple(Example(e.record_id, e.prompt + "!" * i, e.answer * (1 + i % 3)) for i, e in enumerate(examples))
    loop = prepare_loop(train_spec, longer)[0]
    done = loop.step()
    module = open_base(base_folder, ComputeType.FLOAT32)
    losses = []
    for tokens in (loop.labelled[i] for i in done.positions):
        with torch.inference_mode():
            logits = module(input_ids=torch.tensor([tokens.ids]), use_cache=False).logits[0].log_softmax(-1)
        losses += [-float(logits[at - 1, tokens.ids[at]]) for at in range(tokens.answer_start, len(tokens.ids))]
    assert done.loss == pytest.approx(sum(losses) / len(losses), rel=1e-5)
    assert done.tokens == sum(len(loop.labelled[i].ids) for i in done.positions)


def test_the_first_step_moves_each_weight_by_the_learning_rate(
    train_spec: JobSpec, examples: tuple[Example, ...]
) -> None:
    """AdamW's first step is the sign of the gradient times the rate (Loshchilov and Hutter 2019)."""
    loop = prepare_loop(train_spec, examples)[0]
    before = loop.state()
    loop.step()
    after = loop.state()
    rate = learning_rate(loop.recipe, 0, loop.steps)
    moved = [(after.adapter[n] - t).abs() for n, t in before.adapter.items() if n.endswith("lora_B.weight")]
    assert max(float(m.max()) for m in moved) == pytest.approx(rate, rel=1e-3)
    assert all(bool((after.second_moment[n] >= 0).all()) for n in before.adapter)


def test_a_finished_training_has_no_next_step(train_spec: JobSpec, examples: tuple[Example, ...]) -> None:
    loop = prepare_loop(train_spec, examples)[0]
    while loop.completed < loop.steps:
        loop.step()
    with pytest.raises(InvalidInput, match="over after 12 steps"):
        loop.step()
