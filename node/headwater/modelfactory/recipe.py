"""Choosing a recipe: presets that are known to work, the schedule that follows, and a no in words before the start.

In: a preset's name, changes to it, what the snapshot and its seal fix. Out: a `protocol.recipe.Recipe` (integers
only), its number of steps, learning rate at each step, checkpoint step. Knows the base by its configuration alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from headwater.errors import InvalidInput, NotFound
from headwater.protocol.chat import TEMPLATE
from headwater.protocol.recipe import ComputeType, Recipe
from headwater.protocol.snapshot import DataSplit
from headwater.types import WHOLE_PPM, Digest, Ppm

LinearShapes: TypeAlias = Mapping[str, tuple[int, int]]
"""Module path -> (out, in) of a base's linear layers."""

ALL_LINEAR: Final = ("down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj")
MAX_LEARNING_RATE_PPB: Final = 100_000_000
"""0.1: AdamW moves every weight by about the learning rate a step, so more than this only destroys."""
FIRST_CHECKPOINT: Final = 2


@dataclass(frozen=True, slots=True)
class Preset:
    """A starting point; every number of it may be changed."""

    name: str
    when: str
    epochs: int
    training_records: int = 0
    rank: int = 8
    alpha: int = 16
    learning_rate_ppb: int = 2_000_000
    warmup_steps: int = 10
    batch_size: int = 8
    max_tokens: int = 256


PRESETS: Final[Mapping[str, Preset]] = {
    p.name: p
    for p in (
        Preset("standard", "a few hundred short records whose answers must be composed", epochs=4),
        Preset("thorough", "long or varied answers, or less than 200 records", epochs=8, rank=16, alpha=32),
        Preset("slice", "thirty steps: something real to serve, not good", epochs=1, training_records=240),
        Preset(
            "smoke",
            "mechanics only; its scores mean nothing",
            epochs=1,
            training_records=48,
            warmup_steps=2,
            batch_size=4,
        ),
    )
}


def preset(name: str) -> Preset:
    """Raises NotFound."""
    if name not in PRESETS:
        raise NotFound(f"no preset is called {name!r}", "use one of " + ", ".join(PRESETS))
    return PRESETS[name]


def make_recipe(
    chosen: Preset,
    *,
    base_digest: Digest,
    snapshot_ids: tuple[Digest, ...],
    seed: Digest,
    compute_type: ComputeType,
    data_split: DataSplit = DataSplit.COMPOSITIONAL,
    target_modules: tuple[str, ...] = ALL_LINEAR,
    checkpoint_ppm: int = 250_000,
) -> Recipe:
    """AdamW with its usual betas, no weight decay. Change a preset with `dataclasses.replace` first."""
    return Recipe(
        base_digest=base_digest,
        snapshot_ids=snapshot_ids,
        data_split=data_split,
        training_records=chosen.training_records,
        rank=chosen.rank,
        alpha=chosen.alpha,
        target_modules=tuple(sorted(target_modules)),
        learning_rate_ppb=chosen.learning_rate_ppb,
        warmup_steps=chosen.warmup_steps,
        epochs=chosen.epochs,
        batch_size=chosen.batch_size,
        weight_decay_ppm=Ppm(0),
        adam_beta1_ppm=Ppm(900_000),
        adam_beta2_ppm=Ppm(999_000),
        adam_epsilon_ppt=10_000,
        checkpoint_ppm=Ppm(checkpoint_ppm),
        max_tokens=chosen.max_tokens,
        compute_type=compute_type,
        template=TEMPLATE,
        seed=seed,
    )


def used_records(recipe: Recipe, available: int) -> int:
    """How many of the train side's records the recipe uses. Raises InvalidInput if there are not that many."""
    if available == 0:
        raise InvalidInput("there are no training records", "contribute records, or choose another snapshot")
    if recipe.training_records > available:
        raise InvalidInput(
            f"the recipe asks for {recipe.training_records:,} training records, the split has {available:,}",
            f"ask for at most {available:,}, or 0 for all",
        )
    return recipe.training_records or available


def total_steps(recipe: Recipe, records: int) -> int:
    """Optimiser steps over `records` records; an epoch's last batch may be smaller."""
    return recipe.epochs * -(-records // recipe.batch_size)


def checkpoint_step(recipe: Recipe, steps: int) -> int:
    """After how many completed steps the attribution checkpoint is kept: 2 to `steps`.

    Never after the first: LoRA's B starts at zero, so A has had no gradient by then and Adam's second moment of A is
    zero, by which attribution divides.
    """
    return max(FIRST_CHECKPOINT, steps * recipe.checkpoint_ppm // WHOLE_PPM)


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """The rate of the step with 0-based number `step`: linear warm-up, then linear decay towards zero."""
    peak = recipe.learning_rate_ppb / 1e9
    if step < recipe.warmup_steps:
        return peak * (step + 1) / recipe.warmup_steps
    return peak * (steps - step) / (steps - recipe.warmup_steps)


def check_recipe(recipe: Recipe, config: Mapping[str, Any], shapes: LinearShapes, records: int) -> None:
    """Refuse what cannot work, before anything is loaded for training.

    `config`: the base's `config.json`; `records`: how many are used. Raises InvalidInput with all reasons at once.
    """
    faults = [
        *_schedule_faults(recipe, total_steps(recipe, records), records),
        *_model_faults(recipe, config, shapes),
    ]
    if faults:
        raise InvalidInput("the recipe cannot work: " + "; ".join(faults), "change what is named", faults=faults)


def _schedule_faults(recipe: Recipe, steps: int, records: int) -> list[str]:
    faults = []
    if recipe.batch_size > records:
        faults.append(f"a batch of {recipe.batch_size} is more than the {records} records")
    if steps < FIRST_CHECKPOINT:
        faults.append("one step leaves no place for the attribution checkpoint")
    if recipe.warmup_steps >= steps:
        faults.append(f"{recipe.warmup_steps} warm-up steps leave nothing of {steps} steps")
    if recipe.learning_rate_ppb > MAX_LEARNING_RATE_PPB:
        faults.append(f"a learning rate of {recipe.learning_rate_ppb / 1e9:g} is above 0.1")
    for name in ("adam_beta1_ppm", "adam_beta2_ppm"):
        if getattr(recipe, name) >= WHOLE_PPM:
            faults.append(f"{name} must be below 1,000,000")
    if recipe.adam_epsilon_ppt == 0:
        faults.append("an epsilon of zero divides by zero")
    return faults


def _model_faults(recipe: Recipe, config: Mapping[str, Any], shapes: LinearShapes) -> list[str]:
    faults = []
    context = int(config.get("max_position_embeddings", 0))
    if context and recipe.max_tokens > context:
        faults.append(f"{recipe.max_tokens:,} tokens are more than the base's context of {context:,}")
    for target in recipe.target_modules:
        found = [shape for path, shape in shapes.items() if path.endswith("." + target)]
        if not found:
            faults.append(f"the base has no linear layer called {target!r}")
        elif recipe.rank > min(min(shape) for shape in found):
            faults.append(f"rank {recipe.rank} is more than the smaller side of {target}")
    return faults
