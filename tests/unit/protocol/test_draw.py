"""Draws are distinct, within bounds, and fixed before the hash that they are mixed with."""

from hypothesis import given
from hypothesis import strategies as st

from headwater.protocol.draw import anchor_of, draw_distinct, is_preimage, preimage_at
from headwater.types import digest

SECRET = digest(b"\x03" * 32)


@given(st.binary(min_size=32, max_size=32).map(digest), st.integers(0, 300), st.integers(0, 50))
def test_draws_are_distinct_ascending_and_in_bounds(seed: bytes, bound: int, count: int) -> None:
    drawn = draw_distinct(digest(seed), bound, count)
    assert len(drawn) == min(bound, count)
    assert list(drawn) == sorted(set(drawn))
    assert all(0 <= d < bound for d in drawn)


def test_each_preimage_leads_to_the_anchor_and_none_is_known_from_those_before() -> None:
    anchor = anchor_of(SECRET, 10)
    preimages = [preimage_at(SECRET, 10, i) for i in range(10)]
    assert all(is_preimage(p, i, anchor) for i, p in enumerate(preimages))
    assert not is_preimage(preimages[3], 4, anchor)
    assert preimages[9] == SECRET
