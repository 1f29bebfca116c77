"""Asking a part of somebody's evaluation again: what a validator does before it vouches for a version's scores.

In: an evaluation's folder, the report's digest from the chain, the number of a batch. Out: recorded and repeated
answers of the tuned model side by side. Before that the whole report is held against the kept answers: scores and
finding follow from them, or the report lies. Batches are those of the evaluation, so that one machine repeats its
own to the letter; another one may differ in a near tie, and how many are forgiven is the caller's to choose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headwater.errors import InvalidInput, VerificationFailed
from headwater.modelfactory.data import Example, read_examples
from headwater.modelfactory.evaluate import longest_answer, open_tuned
from headwater.modelfactory.generate import BATCH, answer_all
from headwater.modelfactory.job_spec import ANSWERS_FILE, HELD_OUT_FILE, REPORT_FILE, TRAIN_FILE, JobSpec
from headwater.modelfactory.recipe import used_records
from headwater.modelfactory.report import Answers, answers_digest, finding_of, score
from headwater.protocol.canonical import parse_json
from headwater.protocol.chat import render_question
from headwater.protocol.evaluation import Contender, EvaluationReport
from headwater.types import Digest

_DO_NOT: Final = "do not vouch for it"


@dataclass(frozen=True, slots=True)
class RepeatedAnswers:
    """Answers of the tuned model to the questions `first`, `first + 1`, …"""

    first: int
    recorded: tuple[str, ...]
    repeated: tuple[str, ...]

    @property
    def different(self) -> int:
        return sum(a != b for a, b in zip(self.recorded, self.repeated, strict=True))


def open_report(folder: Path, evaluation_digest: Digest) -> EvaluationReport:
    """The report that the chain names. Raises VerificationFailed if the folder holds another."""
    report = EvaluationReport.from_bytes((folder / REPORT_FILE).read_bytes())
    if report.digest() != evaluation_digest:
        raise VerificationFailed("the evaluation report is not the version's", "fetch the version's report again")
    return report


def batches(report: EvaluationReport) -> int:
    """How many batches of questions can be drawn from."""
    return -(-report.evaluated_count // BATCH)


def repeat_answers(folder: Path, spec: JobSpec, report: EvaluationReport, batch: int) -> RepeatedAnswers:
    """Ask the tuned model the questions of one batch again.

    Raises VerificationFailed if the report does not follow from the kept answers, or the adapter is another;
    InvalidInput for a batch that does not exist.
    """
    if not 0 <= batch < batches(report):
        raise InvalidInput(f"the evaluation has no batch {batch}", f"choose 0 to {batches(report) - 1}")
    if spec.evaluation is None:
        raise InvalidInput("the job has no evaluation plan", "name the job of an evaluation")
    held_out = read_examples(folder / HELD_OUT_FILE)
    recorded = _require_true(folder, report, held_out)[Contender.TUNED]
    tuned = open_tuned(spec, Path(spec.evaluation.adapter_folder))
    if tuned.adapter_digest != report.adapter_digest:
        raise VerificationFailed("the adapter is not the one that the report names", _DO_NOT)
    train = read_examples(folder / TRAIN_FILE)
    room = longest_answer(tuned.tokenizer, train[: used_records(spec.recipe, len(train))])
    place = slice(batch * BATCH, (batch + 1) * BATCH)
    prompts = tuned.tokenizer.encode_many([render_question(e.prompt) for e in held_out[place]])
    repeated = answer_all(tuned.module, tuned.tokenizer, prompts, room)
    return RepeatedAnswers(place.start, tuple(recorded[place]), tuple(repeated))


def _require_true(folder: Path, report: EvaluationReport, held_out: tuple[Example, ...]) -> Answers:
    """The kept answers, after every score was counted from them again."""
    answers = _answers(parse_json((folder / ANSWERS_FILE).read_bytes(), ANSWERS_FILE))
    if answers_digest(answers, held_out) != report.answers_digest:
        raise VerificationFailed("the answers are not those that the report names", "fetch the answers again")
    scores = {c: score(c, answers[c], held_out) for c in Contender if c in answers}
    if tuple(scores.values()) != report.scores or finding_of(scores) is not report.finding:
        raise VerificationFailed("the report's scores do not follow from its answers", _DO_NOT)
    return answers


def _answers(raw: object) -> Mapping[Contender, tuple[str, ...]]:
    if not isinstance(raw, dict) or Contender.TUNED.value not in raw:
        raise VerificationFailed(f"{ANSWERS_FILE} holds no answers of the tuned model", "fetch the answers again")
    return {c: tuple(map(str, raw[c.value])) for c in Contender if c.value in raw}
