"""A recipe's schedule, and the recipes that are refused before anything starts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import InvalidInput, NotFound
from headwater.modelfactory.recipe import (
    PRESETS,
    check_recipe,
    checkpoint_step,
    learning_rate,
    make_recipe,
    preset,
    total_steps,
    used_records,
)
from headwater.protocol.recipe import ComputeType, Recipe
from headwater.types import Digest

ZERO = Digest(bytes(32))
SHAPES = {f"model.layers.0.{n}": (32, 32) for n in ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj")}
SHAPES["model.layers.0.down_proj"] = (32, 64)
CONFIG = {"max_position_embeddings": 256}


def standard(**changes: object) -> Recipe:
    from dataclasses import replace

    made = make_recipe(
        preset("standard"), base_digest=ZERO, snapshot_ids=(ZERO,), seed=ZERO, compute_type=ComputeType.BFLOAT16
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_the_standard_preset_is_the_measured_one() -> None:
    recipe = standard()
    assert total_steps(recipe, 400) == 200
    assert checkpoint_step(recipe, 200) == 50
    assert recipe.learning_rate_ppb == 2_000_000
    assert (recipe.rank, recipe.alpha, recipe.batch_size, recipe.warmup_steps) == (8, 16, 8, 10)


def test_the_slice_preset_takes_thirty_steps() -> None:
    assert (
        total_steps(
            make_recipe(
                PRESETS["slice"], base_digest=ZERO, snapshot_ids=(ZERO,), seed=ZERO, compute_type=ComputeType.FLOAT32
            ),
            240,
        )
        == 30
    )


def test_an_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(NotFound, match="standard"):
        preset("best")


def test_the_rate_rises_to_its_peak_and_falls_towards_zero() -> None:
    recipe = standard()
    rates = [learning_rate(recipe, step, 200) for step in range(200)]
    assert rates[0] == pytest.approx(2e-4)
    assert rates[9] == rates[10] == max(rates) == pytest.approx(2e-3)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] == pytest.approx(2e-3 / 190)


@given(st.integers(2, 10_000), st.integers(1, 1_000_000))
def test_the_checkpoint_lies_after_the_first_step_and_within_the_training(steps: int, ppm: int) -> None:
    """After one step LoRA's A has had no gradient, and attribution divides by its second moment."""
    assert 2 <= checkpoint_step(standard(checkpoint_ppm=ppm), steps) <= steps


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"batch_size": 41}, "a batch of 41"),
        ({"warmup_steps": 20}, "20 warm-up steps leave nothing of 20 steps"),
        ({"learning_rate_ppb": 200_000_000}, "above 0.1"),
        ({"adam_beta1_ppm": 1_000_000}, "adam_beta1_ppm"),
        ({"adam_epsilon_ppt": 0}, "epsilon"),
        ({"max_tokens": 257}, "context of 256"),
        ({"target_modules": ("w_pack",)}, "no linear layer called 'w_pack'"),
        ({"rank": 33}, "rank 33"),
    ],
)
def test_impossible_recipes_are_refused_in_words(changes: dict[str, object], words: str) -> None:
    check_recipe(standard(), CONFIG, SHAPES, 40)
    with pytest.raises(InvalidInput) as caught:
        check_recipe(standard(**changes), CONFIG, SHAPES, 40)
    assert words in caught.value.cause


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        check_recipe(standard(rank=64, max_tokens=9_999), CONFIG, SHAPES, 40)
    assert len(caught.value.details["faults"]) == 8  # type: ignore[arg-type]


@pytest.mark.parametrize(("available", "words"), [(0, "no training records"), (299, "the split has 299")])
def test_too_few_records_are_refused(available: int, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        used_records(standard(training_records=300), available)


def test_zero_means_all_records(recipe_for: Callable[..., Recipe]) -> None:
    assert used_records(recipe_for(training_records=0), 24) == 24
    assert used_records(recipe_for(training_records=5), 24) == 5
