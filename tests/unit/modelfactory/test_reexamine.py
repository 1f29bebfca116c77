"""A report is believed only as far as its answers carry it, and a drawn batch of answers is asked again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from headwater.errors import InvalidInput, VerificationFailed
from headwater.modelfactory import job_spec as files
from headwater.modelfactory.evaluate import run_evaluation
from headwater.modelfactory.job_spec import JobSpec
from headwater.modelfactory.reexamine import batches, open_report, repeat_answers
from headwater.protocol.evaluation import Contender, EvaluationReport
from headwater.types import Digest


@pytest.fixture
def examined(evaluation: tuple[Path, JobSpec]) -> tuple[Path, JobSpec, EvaluationReport]:
    folder, spec = evaluation
    return folder, spec, run_evaluation(folder, spec, lambda line: None)


def test_a_drawn_batch_gives_the_recorded_answers_again(examined: tuple[Path, JobSpec, EvaluationReport]) -> None:
    folder, spec, report = examined
    assert open_report(folder, report.digest()) == report
    assert batches(report) == 1
    again = repeat_answers(folder, spec, report, 0)
    assert (again.first, len(again.recorded), again.different) == (0, 4, 0)


def test_another_report_than_the_chains_is_refused(examined: tuple[Path, JobSpec, EvaluationReport]) -> None:
    with pytest.raises(VerificationFailed, match="not the version's"):
        open_report(examined[0], Digest(bytes(32)))


def test_answers_changed_after_the_report_are_found(examined: tuple[Path, JobSpec, EvaluationReport]) -> None:
    folder, spec, report = examined
    change_answers(folder, lambda tuned: [*tuned[:-1], "r9"])
    with pytest.raises(VerificationFailed, match="not those that the report names"):
        repeat_answers(folder, spec, report, 0)


def test_scores_that_the_answers_do_not_carry_are_found(examined: tuple[Path, JobSpec, EvaluationReport]) -> None:
    folder, spec, report = examined
    tuned = report.score_of(Contender.TUNED)
    assert tuned is not None
    better = replace(tuned, correct=tuned.total, value_ppm=1_000_000, high_ppm=1_000_000)
    forged = replace(report, scores=tuple(better if s is tuned else s for s in report.scores))
    with pytest.raises(VerificationFailed, match="do not follow"):
        repeat_answers(folder, spec, forged, 0)


def test_invented_answers_with_a_report_to_match_are_found_by_asking_again(
    examined: tuple[Path, JobSpec, EvaluationReport], right_answers: Callable[[Path, JobSpec], EvaluationReport]
) -> None:
    """The one forgery that arithmetic cannot see."""
    folder, spec, _ = examined
    again = repeat_answers(folder, spec, right_answers(folder, spec), 0)
    assert again.different > 0


def test_a_batch_that_does_not_exist_is_refused(examined: tuple[Path, JobSpec, EvaluationReport]) -> None:
    folder, spec, report = examined
    with pytest.raises(InvalidInput, match="no batch 1"):
        repeat_answers(folder, spec, report, 1)


def change_answers(folder: Path, change: Callable[[list[str]], list[str]]) -> dict[str, list[str]]:
    path = folder / files.ANSWERS_FILE
    answers: dict[str, list[str]] = json.loads(path.read_text())
    answers["tuned"] = change(answers["tuned"])
    path.write_text(json.dumps(answers))
    return answers


@pytest.fixture
def right_answers() -> Callable[[Path, JobSpec], EvaluationReport]:
    """Puts the right answers into the tuned model's mouth and writes a report that follows from them."""
    from headwater.modelfactory.data import read_examples
    from headwater.modelfactory.report import build_report

    def forge(folder: Path, spec: JobSpec) -> EvaluationReport:
        held_out = read_examples(folder / files.HELD_OUT_FILE)
        answers = change_answers(folder, lambda tuned: [e.answer for e in held_out])
        assert spec.evaluation is not None
        honest = EvaluationReport.from_bytes((folder / files.REPORT_FILE).read_bytes())
        given = {Contender(name): tuple(words) for name, words in answers.items()}
        return build_report(spec.recipe, honest.adapter_digest, spec.evaluation, held_out, given)

    return forge
