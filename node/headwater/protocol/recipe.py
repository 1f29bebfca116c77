"""How an adapter is trained: every number that decides the outcome, as integers, hashed into the version.

In: choices. Out: a `Recipe` whose digest is on chain. Nothing measured enters it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from headwater.errors import InvalidInput
from headwater.protocol.chat import TEMPLATE
from headwater.protocol.codec import Bytes32, Document, PpmShare, Uint32, Uint64
from headwater.protocol.snapshot import DataSplit
from headwater.types import WHOLE_PPM


class ComputeType(enum.Enum):
    """Number format of the frozen base while training; adapters are always float32."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


@dataclass(frozen=True, slots=True)
class Recipe(Document):
    """LoRA (Hu et al. 2021) by AdamW with linear warm-up and decay, loss on the answer's tokens only."""

    base_digest: Bytes32
    snapshot_ids: tuple[Bytes32, ...]
    data_split: DataSplit
    training_records: Uint32
    """How many records of the train side are used, in the split's order; 0 = all."""
    rank: Uint32
    alpha: Uint32
    target_modules: tuple[str, ...]
    learning_rate_ppb: Uint64
    """Peak learning rate in parts per billion: 2e-3 is 2,000,000."""
    warmup_steps: Uint32
    epochs: Uint32
    batch_size: Uint32
    weight_decay_ppm: PpmShare
    adam_beta1_ppm: PpmShare
    adam_beta2_ppm: PpmShare
    adam_epsilon_ppt: Uint64
    """AdamW's epsilon in parts per trillion: 1e-8 is 10,000."""
    checkpoint_ppm: PpmShare
    """At which part of the steps the attribution checkpoint is kept."""
    max_tokens: Uint32
    """Longest example, prompt and answer; longer ones are refused, never cut."""
    compute_type: ComputeType
    template: str
    seed: Bytes32
    """Derived from the first snapshot's seal."""

    def __post_init__(self) -> None:
        Document.__post_init__(self)
        if self.template != TEMPLATE:
            raise InvalidInput(f"the template {self.template!r} is unknown", f"use {TEMPLATE!r}")
        if not self.snapshot_ids or not self.target_modules:
            raise InvalidInput("a recipe needs a snapshot and target modules", "name at least one of each")
        if list(self.target_modules) != sorted(set(self.target_modules)):
            raise InvalidInput("target modules must be sorted and named once", "sort them")
        for name in ("rank", "alpha", "epochs", "batch_size", "learning_rate_ppb", "max_tokens"):
            if getattr(self, name) == 0:
                raise InvalidInput(f"{name} is zero", "choose at least 1")
        if not 0 < self.checkpoint_ppm <= WHOLE_PPM:
            raise InvalidInput("the checkpoint must lie within the training", "choose 1 to 1,000,000 ppm")
