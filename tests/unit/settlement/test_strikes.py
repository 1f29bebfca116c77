"""Who is refunded: more than half of the drawn stake must say so; exactly half does not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.protocol.epoch import TOLERANCE_PPM, SignedReceipt
from headwater.settlement.strikes import WeightedFinding, strike_list
from headwater.testing import examples
from headwater.types import Digest

DUE = examples.receipts_of(examples.lane(), 3)
FIRST, SECOND, THIRD = (s.receipt.digest() for s in DUE)


def good(stake: int = 1) -> WeightedFinding:
    return WeightedFinding(stake, TOLERANCE_PPM, False)


def wrong(stake: int = 1, error_ppm: int = TOLERANCE_PPM + 1) -> WeightedFinding:
    return WeightedFinding(stake, error_ppm, False)


def absent(stake: int = 1) -> WeightedFinding:
    return WeightedFinding(stake, 0, True)


def struck(findings: dict[Digest, list[WeightedFinding]], due: tuple[SignedReceipt, ...] = DUE) -> list[Digest]:
    return [s.receipt_digest for s in strike_list(due, findings)]


def test_without_a_finding_nothing_is_struck() -> None:
    assert strike_list(DUE, {}) == ()


def test_the_tolerance_itself_is_tolerated() -> None:
    assert struck({FIRST: [good()]}) == []
    assert struck({FIRST: [wrong()]}) == [FIRST, SECOND, THIRD]


@pytest.mark.parametrize("bad", [wrong, absent])
def test_exactly_half_of_the_drawn_stake_strikes_nothing(bad: object) -> None:
    assert callable(bad)
    assert struck({FIRST: [bad(500), good(300), good(200)]}) == []
    assert FIRST in struck({FIRST: [bad(501), good(300), good(200)]})


@given(st.lists(st.tuples(st.integers(1, 10**30), st.booleans()), min_size=1, max_size=8))
def test_struck_means_more_than_half_of_the_stake(words: list[tuple[int, bool]]) -> None:
    findings = [absent(stake) if is_bad else good(stake) for stake, is_bad in words]
    bad = sum(stake for stake, is_bad in words if is_bad)
    assert (FIRST in struck({FIRST: findings})) == (2 * bad > sum(stake for stake, _ in words))


def test_an_undelivered_answer_takes_nothing_else_along() -> None:
    (leaf,) = strike_list(DUE, {SECOND: [absent(2), good(1)]})
    assert (leaf.receipt_digest, leaf.undelivered) == (SECOND, True)


def test_an_excess_error_takes_all_receipts_of_that_provider_and_version_along() -> None:
    other_version = replace(DUE[0].receipt, version=2, lane_id=examples.word("lane 2"))
    other_provider = replace(DUE[0].receipt, provider=examples.account("honest"), lane_id=examples.word("lane 3"))
    bystanders = tuple(replace(DUE[0], receipt=r) for r in (other_version, other_provider))
    leaves = strike_list((*DUE, *bystanders), {SECOND: [wrong(3, error_ppm=900), good(2)]})
    assert [(s.receipt_digest, s.error_ppm, s.undelivered) for s in leaves] == [
        (FIRST, 0, False),
        (SECOND, 900, False),
        (THIRD, 0, False),
    ]


def test_the_error_that_is_written_down_is_the_largest_that_was_found() -> None:
    leaves = strike_list(DUE[:1], {FIRST: [wrong(1, 500), wrong(1, 700), good(1)]})
    assert [s.error_ppm for s in leaves] == [700]


def test_half_undelivered_half_wrong_is_no_excess_error() -> None:
    """Only a majority of the bad stake that saw a wrong number condemns the provider's whole version."""
    assert struck({FIRST: [absent(1), wrong(1)]}) == [FIRST]
    assert struck({FIRST: [absent(1), wrong(2)]}) == [FIRST, SECOND, THIRD]


@given(st.permutations([wrong(5), good(2), absent(1), good(1)]))
def test_the_order_of_the_words_does_not_matter(words: list[WeightedFinding]) -> None:
    assert strike_list(DUE, {FIRST: words}) == strike_list(DUE, {FIRST: [wrong(5), good(2), absent(1), good(1)]})


def test_strikes_stand_in_the_receipts_order() -> None:
    findings = {THIRD: [absent()], FIRST: [absent()]}
    assert struck(findings) == [FIRST, THIRD]


def test_receipts_of_a_version_whose_grace_is_over_are_struck_whatever_was_found() -> None:
    other_version = replace(DUE[0], receipt=replace(DUE[0].receipt, version=2, lane_id=examples.word("lane 2")))
    revoked = {(DUE[0].receipt.model_id, DUE[0].receipt.version)}
    leaves = strike_list((*DUE, other_version), {FIRST: [good(5)]}, revoked)
    assert [(s.receipt_digest, s.error_ppm, s.undelivered) for s in leaves] == [
        (name, 0, False) for name in (FIRST, SECOND, THIRD)
    ]
    assert [s.position for s in leaves] == [0, 1, 2]
