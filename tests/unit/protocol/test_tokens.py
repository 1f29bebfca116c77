"""An example has a prompt and an answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import InvalidInput
from headwater.protocol.tokens import LabelledTokens


@given(st.lists(st.integers(0, 50_000), max_size=9).map(tuple), st.integers(0, 12))
def test_both_sides_of_the_answers_start_are_taken(ids: tuple[int, ...], start: int) -> None:
    if 0 < start < len(ids):
        made = LabelledTokens(ids, start)
        assert LabelledTokens.from_bytes(made.canonical_bytes()) == made
        return
    with pytest.raises(InvalidInput, match="no prompt or no answer"):
        LabelledTokens(ids, start)


def test_a_negative_start_is_refused() -> None:
    with pytest.raises(InvalidInput, match="uint32"):
        LabelledTokens((1, 2, 3), -1)
