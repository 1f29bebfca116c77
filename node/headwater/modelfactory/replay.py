"""Doing a segment of somebody's training again: what a validator does before it vouches for a version.

In: the job's recipe and records, the recorded steps, a kept checkpoint, how many steps. Out: recorded and replayed
losses side by side. On the same machine they are equal; elsewhere they agree within a tolerance, which is the
verifier's to choose. Replay from zero needs no checkpoint: the start follows from the recipe's seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headwater.errors import InvalidInput, VerificationFailed
from headwater.modelfactory.checkpoints import read_checkpoint
from headwater.modelfactory.data import examples_digest, read_examples
from headwater.modelfactory.job_spec import CHECKPOINT_FOLDER, STEPS_FILE, TRAIN_FILE, JobSpec
from headwater.modelfactory.trainer import prepare_loop
from headwater.protocol.canonical import parse_json
from headwater.protocol.training import TrainingStep, chain_start, quantise_loss, verify_steps
from headwater.types import Digest


@dataclass(frozen=True, slots=True)
class ReplayedSegment:
    """Losses in micronats of the steps `first_step`, `first_step + 1`, ..."""

    first_step: int
    recorded: tuple[int, ...]
    replayed: tuple[int, ...]

    @property
    def largest_difference(self) -> int:
        return max(abs(a - b) for a, b in zip(self.recorded, self.replayed, strict=True))


def read_steps(path: Path) -> tuple[TrainingStep, ...]:
    """Raises InvalidInput naming the line."""
    lines = path.read_bytes().splitlines()
    return tuple(TrainingStep.from_json(parse_json(line, f"{path.name} line {i}")) for i, line in enumerate(lines, 1))


def replay_segment(
    folder: Path,
    spec: JobSpec,
    count: int,
    *,
    step_chain_digest: Digest,
    checkpoint_digest: Digest | None,
) -> ReplayedSegment:
    """Replay `count` steps right after the checkpoint, or from the start if `checkpoint_digest` is None.

    The digests are those of the version on chain. Raises VerificationFailed if records, steps or checkpoint are not
    what they name, or if a step shows other records than the recipe orders; InvalidInput for too many steps.
    """
    loop, used, _ = prepare_loop(spec, read_examples(folder / TRAIN_FILE))
    recorded = read_steps(folder / STEPS_FILE)
    if verify_steps(recorded, chain_start(spec.recipe.digest(), examples_digest(used))) != step_chain_digest:
        raise VerificationFailed("the training steps are not those of the version", "fetch the version's steps again")
    if checkpoint_digest is not None:
        loop.restore(read_checkpoint(folder / CHECKPOINT_FOLDER, checkpoint_digest))
        if recorded[loop.completed - 1].state_digest != checkpoint_digest:
            raise VerificationFailed("the step chain does not name this checkpoint", "fetch both again")
    first = loop.completed
    if not 0 < count <= len(recorded) - first:
        raise InvalidInput(
            f"{count} steps cannot be replayed after step {first} of {len(recorded)}",
            f"replay 1 to {len(recorded) - first}",
        )
    losses = []
    for step in recorded[first : first + count]:
        done = loop.step()
        if tuple(used[i].record_id for i in done.positions) != step.record_ids or done.tokens != step.tokens:
            raise VerificationFailed(
                f"step {step.step} was recorded with other records than the recipe orders", "do not vouch for it"
            )
        losses.append(quantise_loss(done.loss))
    return ReplayedSegment(first + 1, _losses(recorded[first : first + count]), tuple(losses))


def _losses(steps: Sequence[TrainingStep]) -> tuple[int, ...]:
    return tuple(s.loss_micronats for s in steps)
