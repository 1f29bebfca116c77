"""One training job over its folder: records and recipe in, adapter, checkpoint, step chain and result out.

In: a folder with `job.json` and `train.jsonl`. Out: `metrics.jsonl` while it runs, then `checkpoint/`, `adapter/`,
`steps.jsonl` and, last of all, `result.json`: a folder with a result is whole. The same recipe, records and machine
give the same digests. Runs in the calling process; `worker` gives it one of its own.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from headwater.errors import DiskFull, VerificationFailed
from headwater.modelfactory.assets import Progress
from headwater.modelfactory.bases import base_digest, open_base
from headwater.modelfactory.checkpoints import write_adapter, write_checkpoint
from headwater.modelfactory.data import Example, count_tokens, examples_digest, label_all, read_examples
from headwater.modelfactory.job_spec import (
    ADAPTER_FOLDER,
    CHECKPOINT_FOLDER,
    METRICS_FILE,
    RESULT_FILE,
    STEPS_FILE,
    TRAIN_FILE,
    JobSpec,
)
from headwater.modelfactory.loop import StepOutcome, TrainingLoop
from headwater.modelfactory.lora import attach_adapter, linear_shapes
from headwater.modelfactory.machine import Machine, detect_machine, make_repeatable
from headwater.modelfactory.recipe import check_recipe, learning_rate, used_records
from headwater.modelfactory.tokenizer import Tokenizer
from headwater.protocol.canonical import canonical_json
from headwater.protocol.codec import Bytes32, Document, Uint32, Uint64
from headwater.protocol.recipe import Recipe
from headwater.protocol.training import TrainingStep, chain_start, quantise_loss
from headwater.storage.files import write_durably
from headwater.types import ZERO_DIGEST, Digest, hex0x

SPARE_BYTES: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class TrainingOutcome(Document):
    """What a training produced; equal for equal recipe, records and machine. Nothing measured is in it."""

    recipe_digest: Bytes32
    examples_digest: Bytes32
    adapter_digest: Bytes32
    checkpoint_digest: Bytes32
    step_chain_digest: Bytes32
    steps: Uint32
    checkpoint_step: Uint32
    records: Uint32
    prompt_tokens: Uint64
    answer_tokens: Uint64
    longest: Uint32
    last_loss_micronats: Uint64


@dataclass(frozen=True, slots=True)
class TrainingResult(Document):
    """`result.json`: the outcome, and beside it what was measured and where."""

    outcome: TrainingOutcome
    wall_ms: Uint64
    """Of the steps alone, without opening the base."""
    cpu_ms: Uint64
    """Processor time of the same, all threads: what remains comparable on a shared machine."""
    tokens_per_second: Uint32
    machine: Machine


def prepare_loop(spec: JobSpec, examples: Sequence[Example]) -> tuple[TrainingLoop, tuple[Example, ...], Machine]:
    """Check everything, open the base, attach a fresh adapter. Returns the loop, the records used, the machine.

    Raises InvalidInput, BadRecord, VerificationFailed (another base than the recipe's), MissingContent.
    """
    recipe, folder = spec.recipe, Path(spec.base_folder)
    machine = detect_machine(spec.device, spec.threads)
    make_repeatable(machine)
    used = tuple(examples[: used_records(recipe, len(examples))])
    tokenizer = Tokenizer.from_folder(folder)
    labelled = label_all(tokenizer, used, recipe.max_tokens)
    module = open_checked_base(spec, machine, recipe.max_tokens)
    check_recipe(recipe, module.config.to_dict(), linear_shapes(module), len(used))
    adapter = attach_adapter(module, recipe.rank, recipe.alpha, recipe.target_modules, recipe.seed)
    ids = [e.record_id for e in used]
    return TrainingLoop(module, adapter, recipe, labelled, ids, tokenizer.pad_id), used, machine


def open_checked_base(spec: JobSpec, machine: Machine, max_tokens: int = 0) -> Any:
    """The frozen base in the recipe's number format, for sequences of `max_tokens` (0 = any).

    Raises VerificationFailed if it is not the recipe's base.
    """
    folder, recipe = Path(spec.base_folder), spec.recipe
    actual = base_digest(folder)
    if actual != recipe.base_digest:
        raise VerificationFailed(
            f"the base in {folder} has the digest {hex0x(actual)}, the recipe names {hex0x(recipe.base_digest)}",
            "train on the base that the recipe names",
        )
    return open_base(folder, recipe.compute_type, machine.device, max_tokens)


def run_training(folder: Path, spec: JobSpec, progress: Progress = print) -> TrainingResult:
    """Train and write everything. Raises what `prepare_loop` raises, DiskFull, JobFailed."""
    loop, used, machine = prepare_loop(spec, read_examples(folder / TRAIN_FILE))
    _check_room(folder, loop)
    recipe = spec.recipe
    progress(f"base in {recipe.compute_type.value}; {machine.reason}; {machine.device}, {machine.threads} threads")
    progress(f"{len(used)} records, {loop.steps} steps, attribution checkpoint after step {loop.checkpoint_step}")
    start, cpu_start = time.monotonic(), time.process_time()
    chain, checkpoint_digest, tokens = _run_steps(folder, loop, used, start, progress)
    wall_ms = max(1, round((time.monotonic() - start) * 1000))
    cpu_ms = round((time.process_time() - cpu_start) * 1000)
    manifest = write_adapter(folder / ADAPTER_FOLDER, loop.state().adapter, recipe)
    write_durably(folder / STEPS_FILE, b"".join(s.canonical_bytes() + b"\n" for s in chain))
    outcome = _outcome(loop, recipe, used, chain, manifest.digest(), checkpoint_digest)
    result = TrainingResult(outcome, wall_ms, cpu_ms, tokens * 1000 // wall_ms, machine)
    write_durably(folder / RESULT_FILE, result.canonical_bytes())
    progress(
        f"done in {wall_ms / 1000:.1f} s ({cpu_ms / 1000:.1f} s of processor), adapter {hex0x(manifest.digest())}"
    )
    return result


def _run_steps(
    folder: Path, loop: TrainingLoop, used: Sequence[Example], start: float, progress: Progress
) -> tuple[list[TrainingStep], Digest, int]:
    chain: list[TrainingStep] = []
    previous = chain_start(loop.recipe.digest(), examples_digest(used))
    checkpoint_digest, tokens = ZERO_DIGEST, 0
    with (folder / METRICS_FILE).open("wb", buffering=0) as metrics:
        while loop.completed < loop.steps:
            done = loop.step()
            tokens += done.tokens
            state_digest = ZERO_DIGEST
            if done.step == loop.checkpoint_step:
                kept = write_checkpoint(folder / CHECKPOINT_FOLDER, loop.state(), loop.recipe)
                state_digest = checkpoint_digest = kept.digest()
                progress(f"kept the attribution checkpoint after step {done.step}")
            elif done.step == loop.steps:
                state_digest = loop.state().checkpoint(loop.recipe).digest()
            ids = tuple(used[i].record_id for i in done.positions)
            link = TrainingStep(previous, done.step, ids, done.tokens, quantise_loss(done.loss), state_digest)
            chain.append(link)
            previous = link.digest()
            metrics.write(_metrics(loop, done, tokens, time.monotonic() - start))
    return chain, checkpoint_digest, tokens


def _metrics(loop: TrainingLoop, done: StepOutcome, tokens: int, seconds: float) -> bytes:
    line = {
        "step": done.step,
        "steps": loop.steps,
        "loss_micronats": quantise_loss(done.loss),
        "learning_rate_ppb": round(learning_rate(loop.recipe, done.step - 1, loop.steps) * 1e9),
        "tokens_per_second": round(tokens / max(seconds, 1e-3)),
        "elapsed_ms": round(seconds * 1000),
        "left_ms": round(seconds * 1000 * (loop.steps - done.step) / done.step),
    }
    return canonical_json(line) + b"\n"


def _outcome(
    loop: TrainingLoop,
    recipe: Recipe,
    used: Sequence[Example],
    chain: Sequence[TrainingStep],
    adapter_digest: Digest,
    checkpoint_digest: Digest,
) -> TrainingOutcome:
    counts = count_tokens(loop.labelled)
    return TrainingOutcome(
        recipe_digest=recipe.digest(),
        examples_digest=examples_digest(used),
        adapter_digest=adapter_digest,
        checkpoint_digest=checkpoint_digest,
        step_chain_digest=chain[-1].digest(),
        steps=loop.steps,
        checkpoint_step=loop.checkpoint_step,
        records=counts.records,
        prompt_tokens=counts.prompt_tokens,
        answer_tokens=counts.answer_tokens,
        longest=counts.longest,
        last_loss_micronats=chain[-1].loss_micronats,
    )


def _check_room(folder: Path, loop: TrainingLoop) -> None:
    """Adapter twice and two moments must fit, before an hour of work finds out that they do not."""
    needed = 4 * loop.adapter_bytes + SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DiskFull(
            f"the training needs {needed:,} bytes in {folder}, the disk has {free:,}", "free space, then start again"
        )
