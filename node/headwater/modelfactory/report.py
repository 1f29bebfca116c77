"""From answers to a verdict: exact matches, 95 % intervals, and what they say in words.

In: everyone's answers to the held-out questions. Out: the `EvaluationReport` that is hashed into the version, and
sentences for people. The verdict follows from the intervals alone: a control that wins is named as the winner.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final, TypeAlias

from headwater.errors import InvalidInput
from headwater.modelfactory.data import Example
from headwater.modelfactory.job_spec import EvaluationPlan
from headwater.protocol.canonical import canonical_json
from headwater.protocol.evaluation import Contender, EvaluationReport, Finding, Score
from headwater.protocol.recipe import Recipe
from headwater.types import WHOLE_PPM, Digest, Ppm

Answers: TypeAlias = Mapping[Contender, Sequence[str]]

Z_95: Final = 1.959963984540054
"""The normal quantile of 0.975."""
LOOK_UPS: Final = (Contender.BASE_RETRIEVAL, Contender.NEAREST)
VOCABULARY_PPM: Final = 800_000
"""If so many of its wrong answers have a training answer's form, the model has learned the form alone."""

_WORDS: Final = {
    Finding.USEFUL: "useful: the tuned model beats the base and every look-up beyond the intervals",
    Finding.RETRIEVE_INSTEAD: "retrieve instead: a look-up does at least as well, do not fine-tune for this",
    Finding.NO_GAIN: "no gain: the tuned model is not better than the base beyond the intervals",
    Finding.UNDECIDED: "undecided: better than the base, but the intervals overlap with a look-up's; hold out more",
}


def wilson_ppm(correct: int, total: int) -> tuple[int, int, int]:
    """(value, low, high) in ppm of `correct` in `total`; Wilson's interval (1927), rounded outwards.

    Raises InvalidInput unless 0 <= correct <= total and total > 0.
    """
    if not 0 <= correct <= total or total == 0:
        raise InvalidInput(f"{correct} right answers of {total} make no score", "evaluate at least one record")
    share, z2 = correct / total, Z_95 * Z_95
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = Z_95 * math.sqrt(share * (1 - share) / total + z2 / (4 * total * total)) / (1 + z2 / total)
    value = correct * WHOLE_PPM // total
    low = 0 if correct == 0 else math.floor((centre - half) * WHOLE_PPM)
    high = WHOLE_PPM if correct == total else math.ceil((centre + half) * WHOLE_PPM)
    return value, max(0, min(low, value)), min(WHOLE_PPM, max(high, value))


def score(contender: Contender, answers: Sequence[str], held_out: Sequence[Example]) -> Score:
    """Exact matches, surrounding space aside."""
    correct = sum(a.strip() == e.answer.strip() for a, e in zip(answers, held_out, strict=True))
    value, low, high = wilson_ppm(correct, len(held_out))
    return Score(contender, correct, len(held_out), Ppm(value), Ppm(low), Ppm(high))


def finding_of(scores: Mapping[Contender, Score]) -> Finding:
    """The verdict, from the intervals. Needs base, tuned and at least one look-up."""
    base, tuned = scores[Contender.BASE], scores[Contender.TUNED]
    look_up = max((scores[c] for c in LOOK_UPS if c in scores), key=lambda s: s.value_ppm)
    if tuned.low_ppm > base.high_ppm and tuned.low_ppm > look_up.high_ppm:
        return Finding.USEFUL
    if look_up.value_ppm >= tuned.value_ppm and look_up.low_ppm > base.high_ppm:
        return Finding.RETRIEVE_INSTEAD
    if tuned.low_ppm <= base.high_ppm:
        return Finding.NO_GAIN
    return Finding.UNDECIDED


def build_report(
    recipe: Recipe, adapter_digest: Digest, plan: EvaluationPlan, held_out: Sequence[Example], answers: Answers
) -> EvaluationReport:
    """The report of one evaluation; scores in the order of `Contender`."""
    scores = {c: score(c, answers[c], held_out) for c in Contender if c in answers}
    return EvaluationReport(
        snapshot_ids=recipe.snapshot_ids,
        data_split=recipe.data_split,
        base_digest=recipe.base_digest,
        adapter_digest=adapter_digest,
        recipe_digest=recipe.digest(),
        held_out_count=plan.held_out_count,
        evaluated_count=len(held_out),
        scores=tuple(scores.values()),
        finding=finding_of(scores),
        unused_snapshot_ids=plan.unused_snapshot_ids,
        answers_digest=answers_digest(answers, held_out),
    )


def answers_digest(answers: Answers, held_out: Sequence[Example]) -> Digest:
    """sha2-256 over the canonical list of [record id, {contender: answer}] in the order of the questions."""
    listing = [
        [e.record_id.hex(), {c.value: answers[c][i] for c in Contender if c in answers}]
        for i, e in enumerate(held_out)
    ]
    return Digest(sha256(canonical_json(listing)).digest())


def form_ppm(answers: Sequence[str], held_out: Sequence[Example], train: Sequence[Example]) -> int:
    """How many of the wrong answers have the form of some training answer, in ppm of the wrong ones; 0 for none.

    Form: digits to 9, letters to A, the rest as it is. A model that has only picked up the domain's look scores high.
    """
    forms = {_form(e.answer) for e in train}
    wrong = [a for a, e in zip(answers, held_out, strict=True) if a.strip() != e.answer.strip()]
    return sum(_form(a) in forms for a in wrong) * WHOLE_PPM // len(wrong) if wrong else 0


def describe_report(
    report: EvaluationReport, answers: Answers, train: Sequence[Example], held_out: Sequence[Example]
) -> list[str]:
    """Sentences for people: each score with its interval, the finding, and what qualifies it."""
    lines = [_score_line(s) for s in report.scores]
    lines.append(_WORDS[report.finding])
    tuned, rule = report.score_of(Contender.TUNED), report.score_of(Contender.RULE)
    if tuned is None:
        return lines
    vocabulary = form_ppm(answers[Contender.TUNED], held_out, train)
    if report.finding is not Finding.USEFUL and vocabulary >= VOCABULARY_PPM:
        lines.append(
            f"memorised vocabulary: {vocabulary / 10_000:.0f} % of its wrong answers look like right ones and are not"
        )
    if rule is None:
        lines.append("no expert's rule is written for this data, so there is no ceiling to compare with")
    elif rule.value_ppm >= tuned.value_ppm:
        lines.append(
            "an expert's rule does at least as well: it is the ceiling that somebody must program for each domain, "
            "where the model learned it from examples"
        )
    return lines


def _score_line(s: Score) -> str:
    name = s.contender.value.replace("_", " + ")
    low, high = s.low_ppm / WHOLE_PPM, s.high_ppm / WHOLE_PPM
    return f"{name}: {s.value_ppm / WHOLE_PPM:.3f} [{low:.3f}, {high:.3f}], {s.correct} of {s.total}"


def _form(answer: str) -> str:
    return re.sub(r"[A-Za-z]+", lambda m: "A" * min(len(m[0]), 3), re.sub(r"[0-9]", "9", answer.strip()))
