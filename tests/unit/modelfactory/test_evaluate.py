"""Everyone is asked the same questions; the report says who answered what, over a job's folder too."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from headwater.errors import BadAdapter, InvalidInput, VerificationFailed
from headwater.modelfactory import job_spec as files
from headwater.modelfactory.bases import open_base
from headwater.modelfactory.controls import RuleControl
from headwater.modelfactory.data import Example
from headwater.modelfactory.embeddings import SentenceEmbedder
from headwater.modelfactory.evaluate import Contest, run_evaluation
from headwater.modelfactory.job_spec import JobSpec
from headwater.modelfactory.jobs import prepare_job
from headwater.modelfactory.lora import attach_adapter
from headwater.modelfactory.recipe import ALL_LINEAR
from headwater.modelfactory.tokenizer import Tokenizer
from headwater.protocol.evaluation import Contender, EvaluationReport
from headwater.protocol.recipe import ComputeType, Recipe
from headwater.types import Digest


class Echo:
    """A rule that repeats the nearest record's answer in capitals."""

    name = "echo"

    def applies(self, examples: object) -> bool:
        return True

    def subject(self, prompt: str) -> str:
        return prompt

    def answer(self, prompt: str, nearest_answer: str) -> str:
        return nearest_answer.upper()


def contest(
    base_folder: Path, embedder_folder: Path, examples: tuple[Example, ...], rules: tuple[RuleControl, ...]
) -> Contest:
    module = open_base(base_folder, ComputeType.FLOAT32)
    adapter = attach_adapter(module, 2, 4, ALL_LINEAR, Digest(bytes(32)))
    tokenizer, embedder = Tokenizer.from_folder(base_folder), SentenceEmbedder.from_folder(embedder_folder)
    return Contest(module, adapter, tokenizer, embedder, examples[:20], examples[20:], rules)


def test_everyone_answers_every_question(
    base_folder: Path, embedder_folder: Path, examples: tuple[Example, ...]
) -> None:
    answers = contest(base_folder, embedder_folder, examples, (Echo(),)).run(retrieved=2)
    assert set(answers) == set(Contender)
    assert all(len(given) == 4 for given in answers.values())
    assert answers[Contender.TUNED] == answers[Contender.BASE], "an untrained adapter is the base"
    assert answers[Contender.BASE_RETRIEVAL] != answers[Contender.BASE]
    assert answers[Contender.RULE] == tuple(a.upper() for a in answers[Contender.NEAREST])


def test_the_nearest_neighbour_of_a_training_question_is_itself(
    base_folder: Path, embedder_folder: Path, examples: tuple[Example, ...]
) -> None:
    asked = (*examples[:20], *(replace(e, record_id=Digest(bytes([i]) * 32)) for i, e in enumerate(examples[:4])))
    answers = contest(base_folder, embedder_folder, asked, ()).run(retrieved=1)
    assert answers[Contender.NEAREST] == tuple(e.answer for e in examples[:4])


def test_without_a_rule_the_rule_is_absent_and_said_so(
    base_folder: Path, embedder_folder: Path, examples: tuple[Example, ...]
) -> None:
    lines: list[str] = []
    answers = contest(base_folder, embedder_folder, examples, ()).run(retrieved=1, progress=lines.append)
    assert Contender.RULE not in answers
    assert "rule: no rule is written for this data" in lines


def test_nothing_to_ask_is_refused(base_folder: Path, embedder_folder: Path, examples: tuple[Example, ...]) -> None:
    with pytest.raises(InvalidInput, match="nothing to evaluate"):
        contest(base_folder, embedder_folder, examples[:20], ())


def test_an_evaluation_job_leaves_report_and_answers(evaluation: tuple[Path, JobSpec]) -> None:
    folder, spec = evaluation
    report = run_evaluation(folder, spec, lambda line: None)
    assert EvaluationReport.from_bytes((folder / files.REPORT_FILE).read_bytes()) == report
    assert (report.held_out_count, report.evaluated_count) == (9, 4)
    answers = json.loads((folder / files.ANSWERS_FILE).read_text())
    assert set(answers) == {s.contender.value for s in report.scores} == {c.value for c in Contender} - {"rule"}
    assert json.loads((folder / files.RESULT_FILE).read_text()) == {"evaluation_digest": "0x" + report.digest().hex()}


def test_the_same_evaluation_gives_the_same_digest(evaluation: tuple[Path, JobSpec]) -> None:
    folder, spec = evaluation
    first, second = (run_evaluation(folder, spec, lambda line: None) for _ in range(2))
    assert first.digest() == second.digest()


def test_an_adapter_of_another_base_is_refused(
    evaluation: tuple[Path, JobSpec], recipe_for: Callable[..., Recipe]
) -> None:
    folder, spec = evaluation
    other = replace(spec, recipe=recipe_for(base_digest=Digest(bytes(32))))
    with pytest.raises(VerificationFailed, match="another base"):
        run_evaluation(folder, other, lambda line: None)


def test_a_pickled_adapter_is_refused(evaluation: tuple[Path, JobSpec]) -> None:
    folder, spec = evaluation
    assert spec.evaluation is not None
    (Path(spec.evaluation.adapter_folder) / "adapter_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(BadAdapter, match="pickle"):
        run_evaluation(folder, spec, lambda line: None)


def test_an_evaluation_without_held_out_records_is_refused(
    tmp_path: Path, evaluation: tuple[Path, JobSpec], examples: tuple[Example, ...]
) -> None:
    with pytest.raises(InvalidInput, match="held-out"):
        prepare_job(tmp_path / "other", evaluation[1], examples)
