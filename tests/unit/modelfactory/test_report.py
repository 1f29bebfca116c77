"""Scores, intervals, and a verdict that never hides a control that wins."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import InvalidInput
from headwater.modelfactory.data import Example
from headwater.modelfactory.job_spec import EvaluationPlan
from headwater.modelfactory.report import Answers, build_report, describe_report, finding_of, form_ppm, wilson_ppm
from headwater.modelfactory.report import score as score_answers
from headwater.protocol.evaluation import Contender, EvaluationReport, Finding, Score
from headwater.protocol.recipe import Recipe
from headwater.types import Digest, Ppm

BASE, RETRIEVAL, NEAREST, RULE, TUNED = Contender


def example(i: int) -> Example:
    return Example(Digest(hashlib.sha256(str(i).encode()).digest()), f"question {i}", f"T{i:03}.A")


HELD_OUT = tuple(example(i) for i in range(100))
TRAIN = tuple(example(i) for i in range(100, 140))
PLAN = EvaluationPlan("adapter", "embedder", 120, 5, ())


def right(count: int, wrong: str = "?") -> tuple[str, ...]:
    return tuple(e.answer if i < count else wrong for i, e in enumerate(HELD_OUT))


def scores(**right_of: int) -> dict[Contender, Score]:
    return {Contender(n): score_answers(Contender(n), right(k), HELD_OUT) for n, k in right_of.items()}


@given(st.integers(1, 5_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_value(pair: tuple[int, int]) -> None:
    value, low, high = wilson_ppm(*pair)
    assert 0 <= low <= value <= high <= 1_000_000


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [(0, 10, 0, 277_533), (10, 10, 722_467, 1_000_000), (145, 150, 924_310, 985_700), (50, 100, 403_831, 596_169)],
)
def test_wilsons_interval_by_table(correct: int, total: int, low: int, high: int) -> None:
    """Against scipy.stats.binomtest(...).proportion_ci(method="wilson"), rounded outwards."""
    value, got_low, got_high = wilson_ppm(correct, total)
    assert value == correct * 1_000_000 // total
    assert abs(got_low - low) <= 60
    assert abs(got_high - high) <= 60


@given(st.integers(1, 2_000), st.integers(0, 2_000))
def test_more_right_answers_never_lower_an_interval(total: int, correct: int) -> None:
    correct = min(correct, total - 1)
    assert all(a <= b for a, b in zip(wilson_ppm(correct, total), wilson_ppm(correct + 1, total), strict=True))


@pytest.mark.parametrize(("correct", "total"), [(0, 0), (2, 1), (-1, 3)])
def test_no_score_without_questions(correct: int, total: int) -> None:
    with pytest.raises(InvalidInput):
        wilson_ppm(correct, total)


@pytest.mark.parametrize(
    ("right_of", "finding"),
    [
        ({"base": 0, "base_retrieval": 5, "nearest": 0, "tuned": 97}, Finding.USEFUL),
        ({"base": 0, "base_retrieval": 5, "nearest": 0, "rule": 100, "tuned": 97}, Finding.USEFUL),
        ({"base": 0, "base_retrieval": 5, "nearest": 85, "tuned": 70}, Finding.RETRIEVE_INSTEAD),
        ({"base": 10, "base_retrieval": 70, "nearest": 0, "tuned": 70}, Finding.RETRIEVE_INSTEAD),
        ({"base": 0, "base_retrieval": 60, "nearest": 0, "tuned": 65}, Finding.UNDECIDED),
        ({"base": 10, "base_retrieval": 12, "nearest": 0, "tuned": 14}, Finding.NO_GAIN),
        ({"base": 50, "base_retrieval": 12, "nearest": 0, "tuned": 20}, Finding.NO_GAIN),
    ],
)
def test_the_finding_follows_from_the_intervals(right_of: dict[str, int], finding: Finding) -> None:
    assert finding_of(scores(**right_of)) is finding


@given(*(st.integers(0, 100) for _ in range(4)))
def test_useful_means_that_every_look_up_was_beaten(base: int, retrieval: int, nearest: int, tuned: int) -> None:
    found = scores(base=base, base_retrieval=retrieval, nearest=nearest, tuned=tuned)
    if finding_of(found) is Finding.USEFUL:
        assert tuned > max(base, retrieval, nearest)


def report_of(recipe: Recipe, answers: Answers) -> EvaluationReport:
    return build_report(recipe, Digest(bytes(32)), PLAN, HELD_OUT, answers)


def test_the_report_holds_every_score_and_survives_its_json(recipe_for: Callable[..., Recipe]) -> None:
    answers = {TUNED: right(97), BASE: right(0), RETRIEVAL: right(5), NEAREST: right(0), RULE: right(100)}
    report = report_of(recipe_for(), answers)
    assert [s.contender for s in report.scores] == list(Contender)
    assert (report.held_out_count, report.evaluated_count) == (120, 100)
    assert EvaluationReport.from_bytes(report.canonical_bytes()) == report


def test_every_answer_counts_in_the_digest(recipe_for: Callable[..., Recipe]) -> None:
    answers: dict[Contender, tuple[str, ...]] = {BASE: right(0), NEAREST: right(0), TUNED: right(97)}
    changed = answers | {BASE: ("!", *answers[BASE][1:])}
    recipe = recipe_for()
    assert report_of(recipe, answers).answers_digest != report_of(recipe, changed).answers_digest


def test_a_rule_that_wins_is_said(recipe_for: Callable[..., Recipe]) -> None:
    answers = {BASE: right(0), NEAREST: right(0), RULE: right(100), TUNED: right(97)}
    words = describe_report(report_of(recipe_for(), answers), answers, TRAIN, HELD_OUT)
    assert any("an expert's rule does at least as well" in line for line in words)
    assert "rule: 1.000 [0.963, 1.000], 100 of 100" in words
    del answers[RULE]
    words = describe_report(report_of(recipe_for(), answers), answers, TRAIN, HELD_OUT)
    assert any("no expert's rule is written" in line for line in words)


def test_a_parrot_gets_the_verdict_memorised_vocabulary(recipe_for: Callable[..., Recipe]) -> None:
    answers = {BASE: right(0), NEAREST: right(0), TUNED: right(1, wrong="T999.Z")}
    words = describe_report(report_of(recipe_for(), answers), answers, TRAIN, HELD_OUT)
    assert any(line.startswith("memorised vocabulary: 100 %") for line in words)
    useful = {BASE: right(0), NEAREST: right(0), TUNED: right(97, wrong="T999.Z")}
    words = describe_report(report_of(recipe_for(), useful), useful, TRAIN, HELD_OUT)
    assert not any("memorised" in line for line in words)


def test_the_form_of_an_answer_ignores_which_digits_and_letters() -> None:
    assert form_ppm(("T123.B", "no idea", "T12.B", HELD_OUT[3].answer), HELD_OUT[:4], TRAIN) == 333_333
    assert form_ppm(right(100), HELD_OUT, TRAIN) == 0


def test_a_score_that_contradicts_itself_cannot_be_made() -> None:
    with pytest.raises(InvalidInput):
        replace(scores(base=5)[BASE], low_ppm=Ppm(60_000))
