"""Verbatim spans against a search by brute force."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.attribution.spans import SpanIndex, quotation_ppm
from headwater.errors import InvalidInput
from headwater.protocol.attribution import Quotation

TOKENS = st.lists(st.integers(0, 3), max_size=12)


def brute_force(records: list[list[int]], answer: list[int], least: int) -> list[Quotation]:
    out: list[Quotation] = []
    for start in range(len(answer)):
        for length in range(len(answer) - start, least - 1, -1):
            span = answer[start : start + length]
            holders = [
                i for i, r in enumerate(records) if any(r[j : j + length] == span for j in range(len(r) - length + 1))
            ]
            if holders:
                if not out or start + length > out[-1].output_start + out[-1].token_count:
                    out.append(Quotation(holders[0], start, length))
                break
    return out


@given(st.lists(TOKENS, min_size=1, max_size=5), TOKENS, st.integers(1, 4))
def test_spans_equal_those_of_a_search_by_brute_force(
    records: list[list[int]], answer: list[int], least: int
) -> None:
    assert list(SpanIndex(records).quotations(answer, least)) == brute_force(records, answer, least)


def test_a_span_never_runs_over_the_end_of_a_record() -> None:
    assert SpanIndex([[1, 2, 3], [4, 5, 6]]).quotations([2, 3, 4, 5], min_tokens=2) == (
        Quotation(0, 0, 2),
        Quotation(1, 2, 2),
    )


def test_the_first_record_that_holds_a_span_is_named() -> None:
    assert SpanIndex([[9], [7, 8], [7, 8]]).quotations([7, 8], min_tokens=2) == (Quotation(1, 0, 2),)


def test_the_quoted_part_counts_each_token_once() -> None:
    assert quotation_ppm((Quotation(0, 0, 3), Quotation(1, 2, 3)), 10) == 500_000
    assert quotation_ppm((), 0) == 0


def test_no_records_are_refused() -> None:
    with pytest.raises(InvalidInput):
        SpanIndex([])
