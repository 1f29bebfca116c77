"""BM25 by its formula, worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from math import log

import pytest

from headwater.attribution.baseline import Bm25, owner_ranking, words
from headwater.errors import InvalidInput
from headwater.types import Address

DOCUMENTS = [["red", "hat"], ["red", "red", "shoe", "lace"], ["blue"]]


def test_a_score_is_the_formulas() -> None:
    mean = 7 / 3
    idf = log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    expected = [
        idf * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * length / mean)) for count, length in ((1, 2), (2, 4))
    ]
    assert Bm25(DOCUMENTS).scores(["red", "unseen"]).tolist() == pytest.approx([*expected, 0.0])


def test_the_ranking_lists_matches_only_best_first() -> None:
    ranking = Bm25(DOCUMENTS).ranking(["red", "shoe"], limit=5)
    assert [record for record, _ in ranking] == [1, 0]
    assert len(Bm25(DOCUMENTS).ranking(["red"], limit=1)) == 1


def test_equal_scores_stand_in_the_records_order() -> None:
    assert [r for r, _ in Bm25([["a"], ["b"], ["a"]]).ranking(["a"], 3)] == [0, 2]


def test_owners_are_ranked_by_their_records_sum(account: Callable[[str], Address]) -> None:
    owners = [account("x"), account("y"), account("x")]
    assert owner_ranking(((1, 3.0), (0, 2.0), (2, 1.5)), owners) == ((account("x"), 3.5), (account("y"), 3.0))


def test_words_are_folded_runs_of_letters_and_digits() -> None:
    assert words("T36.0X1A, Straße!") == ["t36", "0x1a", "strasse"]


def test_no_records_are_refused() -> None:
    with pytest.raises(InvalidInput):
        Bm25([])
