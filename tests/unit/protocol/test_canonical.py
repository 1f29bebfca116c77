"""Canonical JSON: one value, one byte string; and a parser that leaves no room for two readings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import InvalidInput
from headwater.protocol.canonical import MAX_SAFE_INTEGER, canonical_json, parse_json

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
keys = st.text(st.characters(max_codepoint=127), max_size=8)
values = st.recursive(
    scalars, lambda v: st.lists(v, max_size=4) | st.dictionaries(keys, v, max_size=4), max_leaves=12
)


@given(values)
def test_parsing_canonical_bytes_gives_the_value_back(value: object) -> None:
    assert parse_json(canonical_json(value)) == value


@given(st.dictionaries(keys, scalars, max_size=6))
def test_order_of_insertion_does_not_enter(value: dict[str, object]) -> None:
    assert canonical_json(dict(reversed(value.items()))) == canonical_json(value)


@pytest.mark.parametrize(
    ("source", "word"),
    [
        (b'{"a":1,"a":2}', "twice"),
        (b"[NaN]", "NaN"),
        (b"[Infinity]", "Infinity"),
        (b"[1.5]", "fraction"),
        (b"\xff", "UTF-8"),
        (b'"\\ud800"', "surrogate"),
        (b"[" * 100_000, "deeply"),
        (b"[" * 80 + b"]" * 80, "deeply"),
        (b"9007199254740993", "beyond"),
        (b"9" * 5_000, "smaller"),
        (b"{", "line 1"),
        ('{"ä":1}'.encode(), "ASCII"),
    ],
)
def test_refuses_what_two_readers_could_read_differently(source: bytes, word: str) -> None:
    with pytest.raises(InvalidInput, match=word):
        parse_json(source)


def test_floats_pass_only_where_they_are_not_hashed() -> None:
    assert parse_json(b'{"temperature":0.7}', floats=True) == {"temperature": 0.7}
    with pytest.raises(InvalidInput, match="beyond"):
        parse_json(b"1e999", floats=True)
    with pytest.raises(InvalidInput, match="canonical"):
        canonical_json(0.5)
