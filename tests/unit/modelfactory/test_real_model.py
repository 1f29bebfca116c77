"""The same mechanics on the real 135M base: a few steps only, never a score.

`pytest -m real_model tests/unit/modelfactory`; the base is prepared once in the user's cache.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from headwater.modelfactory import job_spec as files
from headwater.modelfactory.assets import assets_folder
from headwater.modelfactory.bases import base, base_digest, prepared_base
from headwater.modelfactory.data import Example, label
from headwater.modelfactory.embeddings import minilm_folder
from headwater.modelfactory.evaluate import run_evaluation
from headwater.modelfactory.job_spec import EvaluationPlan, JobKind, JobSpec
from headwater.modelfactory.jobs import prepare_job
from headwater.modelfactory.machine import detect_machine
from headwater.modelfactory.recipe import make_recipe, preset
from headwater.modelfactory.replay import read_steps, replay_segment
from headwater.modelfactory.samples import sample_rows
from headwater.modelfactory.tokenizer import Tokenizer
from headwater.modelfactory.trainer import run_training
from headwater.protocol.evaluation import Contender
from headwater.types import Digest

pytestmark = [pytest.mark.real_model, pytest.mark.slow]

NAME = "SmolLM2-135M-Instruct"
ASSETS = assets_folder("")


def sha(text: str) -> Digest:
    return Digest(hashlib.sha256(text.encode()).digest())


@pytest.fixture(scope="module")
def folder() -> Path:
    return prepared_base(NAME, ASSETS)


@pytest.fixture(scope="module")
def examples() -> tuple[Example, ...]:
    rows = sample_rows("icd10-poisonings", ASSETS)
    shuffled = sorted((Example(sha(r.prompt), r.prompt, r.answer) for r in rows), key=lambda e: e.record_id)
    return tuple(shuffled[:20])


@pytest.fixture(scope="module")
def spec(folder: Path) -> JobSpec:
    recipe = make_recipe(
        replace(preset("smoke"), training_records=16, epochs=5, batch_size=8),
        base_digest=base(NAME).digest,
        snapshot_ids=(sha("snapshot"),),
        seed=sha("seed"),
        compute_type=detect_machine().fastest,
    )
    return JobSpec(JobKind.TRAIN, str(folder), recipe, "cpu", 2, None)


def test_the_prepared_base_has_the_pinned_digest(folder: Path) -> None:
    assert base_digest(folder) == base(NAME).digest
    assert not (folder / "chat_template.jinja").exists()


def test_the_rendered_ids_are_these(folder: Path) -> None:
    """No system prompt, digits and letters of the code one token each, the end mark (2) and not the pad (0) last."""
    tokenizer = Tokenizer.from_folder(folder)
    assert (tokenizer.pad_id, tokenizer.end_id, tokenizer.vocabulary_size) == (0, 2, 49_152)
    labelled = label(tokenizer, Example(sha("x"), "ICD-10-CM code: Poisoning by penicillins", "T36.0X1A"), 64)
    assert labelled.ids == (
        *(1, 4093, 198, 3020, 52, 29, 33, 32, 29, 10625, 2909, 42, 32016, 274, 411, 4423, 286, 388, 927, 2, 198),
        *(1, 520, 9531, 198, 68, 35, 38, 30, 32, 72, 33, 49, 2),
    )
    assert labelled.answer_start == 25


def test_ten_steps_repeat_to_the_bit_and_can_be_replayed_and_evaluated(
    tmp_path: Path, spec: JobSpec, examples: tuple[Example, ...]
) -> None:
    outcomes = []
    for name in ("first", "second"):
        prepare_job(tmp_path / name, spec, examples[:16])
        outcomes.append(run_training(tmp_path / name, spec).outcome)
    assert outcomes[0] == outcomes[1]
    assert outcomes[0].steps == 10
    losses = [s.loss_micronats for s in read_steps(tmp_path / "first" / files.STEPS_FILE)]
    assert losses[-1] < losses[0] / 2

    segment = replay_segment(
        tmp_path / "first",
        spec,
        2,
        step_chain_digest=outcomes[0].step_chain_digest,
        checkpoint_digest=outcomes[0].checkpoint_digest,
    )
    assert (segment.first_step, segment.largest_difference) == (3, 0)

    plan = EvaluationPlan(
        adapter_folder=str(tmp_path / "first" / files.ADAPTER_FOLDER),
        embedder_folder=str(minilm_folder(ASSETS)),
        held_out_count=4,
        retrieved=2,
        unused_snapshot_ids=(),
    )
    asked = replace(spec, kind=JobKind.EVALUATE, evaluation=plan)
    prepare_job(tmp_path / "evaluation", asked, examples[:16], examples[16:])
    report = run_evaluation(tmp_path / "evaluation", asked)
    assert {s.contender for s in report.scores} == set(Contender)
    base_score = report.score_of(Contender.BASE)
    assert base_score is not None
    assert base_score.correct == 0
