"""What a job is asked to do, as the `job.json` that its folder holds.

In: choices of the service. Out: one document for the worker. Paths are of this machine; nothing here is hashed into
anything that leaves it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from headwater.protocol.codec import Bytes32, Document, Uint32
from headwater.protocol.recipe import Recipe

SPEC_FILE: Final = "job.json"
TRAIN_FILE: Final = "train.jsonl"
HELD_OUT_FILE: Final = "held_out.jsonl"
METRICS_FILE: Final = "metrics.jsonl"
LOG_FILE: Final = "log.txt"
LOCK_FILE: Final = "worker.lock"
FAILURE_FILE: Final = "failure.json"
RESULT_FILE: Final = "result.json"
STEPS_FILE: Final = "steps.jsonl"
ADAPTER_FOLDER: Final = "adapter"
CHECKPOINT_FOLDER: Final = "checkpoint"
REPORT_FILE: Final = "evaluation.json"
ANSWERS_FILE: Final = "answers.json"


class JobKind(enum.Enum):
    TRAIN = "train"
    EVALUATE = "evaluate"


@dataclass(frozen=True, slots=True)
class EvaluationPlan(Document):
    """What an evaluation needs beside the recipe."""

    adapter_folder: str
    embedder_folder: str
    """The MiniLM model's folder."""
    held_out_count: Uint32
    """Records on the held-out side; the job's folder holds those that are asked."""
    retrieved: Uint32
    """How many nearest records the retrieval control puts before the question."""
    unused_snapshot_ids: tuple[Bytes32, ...]


@dataclass(frozen=True, slots=True)
class JobSpec(Document):
    """One job. `threads` 0 = one a core; `device` as in `Config.device`."""

    kind: JobKind
    base_folder: str
    recipe: Recipe
    device: str
    threads: Uint32
    evaluation: EvaluationPlan | None
