"""One training over a folder: repeatable, chained, replayable, and refused before it starts where it cannot work."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from headwater.errors import BadRecord, InvalidInput, JobFailed, VerificationFailed
from headwater.modelfactory import job_spec as files
from headwater.modelfactory.checkpoints import read_checkpoint
from headwater.modelfactory.data import Example, examples_digest
from headwater.modelfactory.job_spec import JobSpec
from headwater.modelfactory.jobs import prepare_job
from headwater.modelfactory.replay import read_steps, replay_segment
from headwater.modelfactory.trainer import TrainingOutcome, TrainingResult, prepare_loop, run_training
from headwater.protocol.recipe import Recipe
from headwater.protocol.training import chain_start, verify_steps
from headwater.types import ZERO_DIGEST, Digest


def train(folder: Path, spec: JobSpec, examples: Sequence[Example]) -> TrainingOutcome:
    prepare_job(folder, spec, examples)
    return run_training(folder, spec, lambda line: None).outcome


@pytest.fixture
def trained(tmp_path: Path, train_spec: JobSpec, examples: tuple[Example, ...]) -> tuple[Path, TrainingOutcome]:
    return tmp_path / "job", train(tmp_path / "job", train_spec, examples)


def test_the_same_recipe_and_records_give_the_same_digests(
    tmp_path: Path, train_spec: JobSpec, examples: tuple[Example, ...], trained: tuple[Path, TrainingOutcome]
) -> None:
    assert train(tmp_path / "again", train_spec, examples) == trained[1]


@pytest.mark.parametrize("changes", [{"seed": Digest(b"\1" * 32)}, {"learning_rate_ppb": 1_999_999}, {"epochs": 1}])
def test_another_recipe_gives_another_adapter(
    tmp_path: Path,
    train_spec: JobSpec,
    recipe_for: Callable[..., Recipe],
    examples: tuple[Example, ...],
    trained: tuple[Path, TrainingOutcome],
    changes: dict[str, object],
) -> None:
    other = train(tmp_path / "other", replace(train_spec, recipe=recipe_for(**changes)), examples)
    assert other.adapter_digest != trained[1].adapter_digest
    assert other.step_chain_digest != trained[1].step_chain_digest


def test_the_loss_falls(
    train_spec: JobSpec, recipe_for: Callable[..., Recipe], examples: tuple[Example, ...]
) -> None:
    recipe = recipe_for(learning_rate_ppb=20_000_000, rank=4, epochs=8)
    loop = prepare_loop(replace(train_spec, recipe=recipe), examples)[0]
    losses = [loop.step().loss for _ in range(loop.steps)]
    assert sum(losses[-6:]) < 0.7 * sum(losses[:6])


def test_the_chain_covers_every_step_and_the_checkpoint(
    trained: tuple[Path, TrainingOutcome], train_spec: JobSpec, examples: tuple[Example, ...]
) -> None:
    folder, outcome = trained
    steps = read_steps(folder / files.STEPS_FILE)
    start = chain_start(train_spec.recipe.digest(), examples_digest(examples))
    assert verify_steps(steps, start) == outcome.step_chain_digest
    assert len(steps) == outcome.steps == 12
    assert [s.step for s in steps if s.state_digest != ZERO_DIGEST] == [3, 12]
    assert steps[2].state_digest == outcome.checkpoint_digest
    assert read_checkpoint(folder / files.CHECKPOINT_FOLDER, outcome.checkpoint_digest).step == 3


def test_a_changed_loss_breaks_the_chain(
    trained: tuple[Path, TrainingOutcome], train_spec: JobSpec, examples: tuple[Example, ...]
) -> None:
    steps = list(read_steps(trained[0] / files.STEPS_FILE))
    start = chain_start(train_spec.recipe.digest(), examples_digest(examples))
    steps[4] = replace(steps[4], loss_micronats=steps[4].loss_micronats - 1)
    with pytest.raises(VerificationFailed, match="training step 6"):
        verify_steps(steps, start)
    with pytest.raises(VerificationFailed, match="training step 1 "):
        verify_steps(steps, ZERO_DIGEST)


def test_replay_after_the_checkpoint_gives_the_recorded_losses(
    trained: tuple[Path, TrainingOutcome], train_spec: JobSpec
) -> None:
    folder, outcome = trained
    segment = replay_segment(
        folder,
        train_spec,
        4,
        step_chain_digest=outcome.step_chain_digest,
        checkpoint_digest=outcome.checkpoint_digest,
    )
    assert segment.first_step == 4
    assert segment.replayed == segment.recorded
    assert segment.largest_difference == 0


def test_replay_from_the_start_needs_no_checkpoint(
    trained: tuple[Path, TrainingOutcome], train_spec: JobSpec
) -> None:
    folder, outcome = trained
    segment = replay_segment(
        folder, train_spec, 3, step_chain_digest=outcome.step_chain_digest, checkpoint_digest=None
    )
    assert (segment.first_step, segment.largest_difference) == (1, 0)


def test_replay_finds_records_that_were_not_trained_on(
    trained: tuple[Path, TrainingOutcome], train_spec: JobSpec
) -> None:
    folder, outcome = trained
    path = folder / files.TRAIN_FILE
    path.write_bytes(path.read_bytes().replace(b'"r1"', b'"r9"'))
    with pytest.raises(VerificationFailed):
        replay_segment(folder, train_spec, 1, step_chain_digest=outcome.step_chain_digest, checkpoint_digest=None)


def test_replay_beyond_the_end_is_refused(trained: tuple[Path, TrainingOutcome], train_spec: JobSpec) -> None:
    folder, outcome = trained
    with pytest.raises(InvalidInput, match="Replay 1 to 9"):
        replay_segment(
            folder,
            train_spec,
            10,
            step_chain_digest=outcome.step_chain_digest,
            checkpoint_digest=outcome.checkpoint_digest,
        )


def test_a_restored_state_goes_on_as_if_never_interrupted(train_spec: JobSpec, examples: tuple[Example, ...]) -> None:
    straight = prepare_loop(train_spec, examples)[0]
    for _ in range(4):
        straight.step()
    kept = straight.state()
    resumed = prepare_loop(train_spec, examples)[0]
    resumed.restore(kept)
    for _ in range(3):
        assert straight.step() == resumed.step()
    assert all(torch.equal(t, resumed.state().adapter[n]) for n, t in straight.state().adapter.items())


def test_metrics_tell_the_time_left(trained: tuple[Path, TrainingOutcome]) -> None:
    lines = [json.loads(line) for line in (trained[0] / files.METRICS_FILE).read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 13))
    assert lines[-1]["left_ms"] == 0
    assert all(line["steps"] == 12 and line["tokens_per_second"] > 0 for line in lines)


def test_the_result_holds_exact_token_counts(trained: tuple[Path, TrainingOutcome]) -> None:
    result = TrainingResult.from_bytes((trained[0] / files.RESULT_FILE).read_bytes())
    steps = read_steps(trained[0] / files.STEPS_FILE)
    assert sum(s.tokens for s in steps) == 2 * (result.outcome.prompt_tokens + result.outcome.answer_tokens)


def test_another_base_than_the_recipe_names_is_refused(
    train_spec: JobSpec, recipe_for: Callable[..., Recipe], examples: tuple[Example, ...]
) -> None:
    with pytest.raises(VerificationFailed, match="the recipe names"):
        prepare_loop(replace(train_spec, recipe=recipe_for(base_digest=ZERO_DIGEST)), examples)


def test_a_record_that_is_too_long_stops_the_training_before_it_starts(
    train_spec: JobSpec, examples: tuple[Example, ...]
) -> None:
    long = replace(examples[0], prompt="long " * 40)
    with pytest.raises(BadRecord, match="record 0: the record has"):
        prepare_loop(train_spec, (long, *examples[1:]))


def test_a_loss_that_is_no_number_fails_the_job(train_spec: JobSpec, examples: tuple[Example, ...]) -> None:
    loop = prepare_loop(train_spec, examples)[0]
    state = loop.state()
    next(iter(state.adapter.values()))[:] = 3e38
    loop.restore(state)
    with pytest.raises(JobFailed, match="the loss is nan at step 1"):
        loop.step()
