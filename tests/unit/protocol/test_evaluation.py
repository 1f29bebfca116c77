"""A report is bound to all that it claims, and a score that contradicts itself is none."""

from dataclasses import replace

import pytest

from headwater.errors import InvalidInput
from headwater.protocol.evaluation import Contender, EvaluationReport, Finding, Score
from headwater.protocol.snapshot import DataSplit
from headwater.testing import examples
from headwater.types import Ppm

TUNED = Score(Contender.TUNED, 145, 150, Ppm(966_666), Ppm(924_000), Ppm(985_500))
BASE = Score(Contender.BASE, 0, 150, Ppm(0), Ppm(0), Ppm(25_000))
REPORT = EvaluationReport(
    snapshot_ids=(examples.word("snapshot"),),
    data_split=DataSplit.COMPOSITIONAL,
    base_digest=examples.word("base"),
    adapter_digest=examples.ADAPTER,
    recipe_digest=examples.word("recipe"),
    held_out_count=150,
    evaluated_count=150,
    scores=(BASE, TUNED),
    finding=Finding.USEFUL,
    unused_snapshot_ids=(),
    answers_digest=examples.word("answers"),
)


def test_a_report_survives_its_bytes() -> None:
    assert EvaluationReport.from_bytes(REPORT.canonical_bytes()) == REPORT


def test_scores_are_found_by_contender_or_not_at_all() -> None:
    assert REPORT.score_of(Contender.TUNED) == TUNED
    assert REPORT.score_of(Contender.RULE) is None


@pytest.mark.parametrize(
    "change",
    [
        {"value_ppm": Ppm(900_000)},
        {"value_ppm": Ppm(990_000)},
        {"low_ppm": Ppm(985_600)},
        {"high_ppm": Ppm(1_000_001)},
        {"correct": 151},
    ],
    ids=["below low", "above high", "low above high", "above the whole", "more right than asked"],
)
def test_a_score_that_contradicts_itself_is_refused(change: dict[str, int]) -> None:
    with pytest.raises(InvalidInput, match="score of tuned contradicts"):
        replace(TUNED, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"snapshot_ids": ()},
        {"data_split": DataSplit.RANDOM},
        {"adapter_digest": examples.word("other")},
        {"evaluated_count": 149},
        {"scores": (TUNED,)},
        {"finding": Finding.UNDECIDED},
        {"unused_snapshot_ids": (examples.word("shopped for"),)},
        {"answers_digest": examples.word("other")},
    ],
    ids=lambda c: next(iter(c)),
)
def test_each_claim_is_in_the_digest(change: dict[str, object]) -> None:
    assert replace(REPORT, **change).digest() != REPORT.digest()  # type: ignore[arg-type]
