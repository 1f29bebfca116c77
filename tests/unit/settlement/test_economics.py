"""What sampling catches, and what a claim costs."""

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.settlement.economics import ClaimWorth, probability_caught


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(0, n))))
def test_the_chance_is_the_hypergeometric_one(case: tuple[int, int, int]) -> None:
    receipts, fraudulent, drawn = case
    missed = comb(receipts - fraudulent, drawn) / comb(receipts, drawn)
    assert probability_caught(receipts, fraudulent, drawn) == pytest.approx(1 - missed, abs=1e-12)


def test_nothing_to_catch_and_nothing_drawn_catch_nothing() -> None:
    assert probability_caught(10, 0, 10) == 0.0
    assert probability_caught(10, 3, 0) == 0.0


def test_drawing_everything_catches_everything() -> None:
    assert probability_caught(20, 1, 20) == pytest.approx(1.0)
    assert probability_caught(20, 1, 300) == pytest.approx(1.0)


def test_gas_is_shown_in_its_own_currency() -> None:
    assert ClaimWorth(amount_wei=5, gas=60_000, gas_price_wei=10**9).cost_native_wei == 6 * 10**13
