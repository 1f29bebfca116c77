"""Credits as people write them: exact, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.api.amounts import credits_to_wei, in_credits
from headwater.errors import InvalidInput


@given(wei=st.integers(0, 10**40))
def test_what_is_shown_reads_back_as_the_same_wei(wei: int) -> None:
    assert credits_to_wei(in_credits(wei)) == wei


@pytest.mark.parametrize(
    ("text", "wei"),
    [("0", 0), ("1", 10**18), ("2.5", 25 * 10**17), ("0.000000000000000001", 1), ("007", 7 * 10**18), ("1.", 10**18)],
)
def test_an_amount_is_exact(text: str, wei: int) -> None:
    assert credits_to_wei(text) == wei


@pytest.mark.parametrize(
    "text", ["", ".5", "-1", "+1", "1e3", "1,5", " 1", "٣", "1.2.3", "0x1", "1.0000000000000000001", "9" * 31]
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        credits_to_wei(text)
