"""A recipe holds every number that decides a training; senseless ones are refused by name."""

from dataclasses import fields, replace
from typing import Any

import pytest

from headwater.errors import InvalidInput
from headwater.protocol.recipe import ComputeType, Recipe
from headwater.protocol.snapshot import DataSplit
from headwater.testing import examples
from headwater.types import Ppm

RECIPE = Recipe(
    base_digest=examples.word("base"),
    snapshot_ids=(examples.word("snapshot"),),
    data_split=DataSplit.COMPOSITIONAL,
    training_records=400,
    rank=8,
    alpha=16,
    target_modules=("q_proj", "v_proj"),
    learning_rate_ppb=2_000_000,
    warmup_steps=10,
    epochs=4,
    batch_size=8,
    weight_decay_ppm=Ppm(0),
    adam_beta1_ppm=Ppm(900_000),
    adam_beta2_ppm=Ppm(999_000),
    adam_epsilon_ppt=10_000,
    checkpoint_ppm=Ppm(250_000),
    max_tokens=256,
    compute_type=ComputeType.FLOAT32,
    template="chatml-v1",
    seed=examples.word("seed"),
)
OTHER: dict[str, Any] = {
    "snapshot_ids": (examples.word("another"),),
    "data_split": DataSplit.RANDOM,
    "target_modules": ("q_proj",),
    "compute_type": ComputeType.BFLOAT16,
    "base_digest": examples.word("other"),
    "seed": examples.word("other"),
}


def test_a_recipe_survives_its_bytes() -> None:
    assert Recipe.from_bytes(RECIPE.canonical_bytes()) == RECIPE


@pytest.mark.parametrize("member", [f.name for f in fields(Recipe) if f.name != "template"])
def test_every_member_is_in_the_digest(member: str) -> None:
    changed = replace(RECIPE, **{member: OTHER.get(member, 7)})
    assert changed.digest() != RECIPE.digest()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"template": "alpaca"}, "template"),
        ({"snapshot_ids": ()}, "snapshot"),
        ({"target_modules": ()}, "target modules"),
        ({"target_modules": ("v_proj", "q_proj")}, "sorted"),
        ({"target_modules": ("q_proj", "q_proj")}, "once"),
        ({"checkpoint_ppm": 0}, "checkpoint"),
        ({"checkpoint_ppm": 1_000_001}, "checkpoint"),
        ({"rank": 2**32}, "uint32"),
        ({"warmup_steps": -1}, "uint32"),
        *(
            ({name: 0}, f"{name} is zero")
            for name in ("rank", "alpha", "epochs", "batch_size", "learning_rate_ppb", "max_tokens")
        ),
    ],
)
def test_what_cannot_be_trained_is_refused(change: dict[str, Any], word: str) -> None:
    with pytest.raises(InvalidInput, match=word):
        replace(RECIPE, **change)


def test_all_records_and_no_warm_up_are_choices() -> None:
    assert replace(RECIPE, training_records=0, warmup_steps=0, checkpoint_ppm=Ppm(1_000_000)).training_records == 0
