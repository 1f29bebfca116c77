"""Rounding: bounds of int4 rows and int8 queries, and their bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from headwater.attribution.method import SCALE_UNIT
from headwater.attribution.quantise import (
    has_foreign_value,
    pack_rows,
    quantise_query,
    quantise_row,
    row_scale,
    unpack_floats,
    unpack_rows,
)
from headwater.errors import InvalidInput

CLIP_PPM = 2_750_000
FLOATS = hnp.arrays(np.float64, 64, elements=st.floats(-1e3, 1e3, width=32))


@given(FLOATS)
def test_a_row_is_wrong_by_half_a_step_at_most_inside_the_clip(features: np.ndarray) -> None:
    scale = row_scale(features, CLIP_PPM)
    row = quantise_row(features, scale)
    assert np.abs(row).max(initial=0) <= 7
    step = scale / SCALE_UNIT
    inside = np.abs(features) <= 7 * step
    assert (np.abs(row * step - features)[inside] <= step / 2 * (1 + 1e-9) + 1e-12).all()
    assert (np.abs(row[~inside]) == (7 if scale else 0)).all()


def test_the_range_is_the_clip_times_the_root_mean_square() -> None:
    features = np.array([1.0, -1.0] * 32)
    assert row_scale(features, 2_000_000) == round(2 / 7 * SCALE_UNIT)
    assert row_scale(np.zeros(8), CLIP_PPM) == 0
    assert not quantise_row(np.zeros(8), 0).any()


@given(hnp.arrays(np.int8, (3, 16), elements=st.integers(-7, 7)))
def test_packing_loses_nothing(rows: np.ndarray) -> None:
    packed = pack_rows(rows)
    assert packed.shape == (3, 8) and packed.dtype == np.uint8
    assert (unpack_rows(packed) == rows).all()


def test_the_even_coordinate_stands_in_the_low_nibble() -> None:
    assert pack_rows(np.array([[1, -1]], np.int8)).tolist() == [[0xF1]]


@given(hnp.arrays(np.int8, (3, 16), elements=st.integers(-7, 7)))
def test_unpacking_to_floats_gives_the_same_values(rows: np.ndarray) -> None:
    out = np.empty((3, 16), np.float32)
    unpack_floats(pack_rows(rows), out)
    assert (out == rows).all() and not has_foreign_value(pack_rows(rows))


@pytest.mark.parametrize("byte", [0x08, 0x80])
def test_the_value_that_no_row_holds_is_seen(byte: int) -> None:
    assert has_foreign_value(np.array([[0, byte]], np.uint8))


@given(FLOATS)
def test_a_query_fills_int8_and_keeps_its_direction(direction: np.ndarray) -> None:
    query = quantise_query(direction)
    assert query.dtype == np.int8 and query.min() >= -127
    if direction.any():
        largest = np.abs(direction).max()
        assert np.abs(query).max() == 127
        assert np.abs(query / 127 * largest - direction).max() <= largest / 127 / 2 * (1 + 1e-9)
    else:
        assert not query.any()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(InvalidInput, match="finite"):
        row_scale(np.array([1.0, value]), CLIP_PPM)
    with pytest.raises(InvalidInput, match="finite"):
        quantise_query(np.array([1.0, value]))


def test_a_row_too_large_for_exact_scores_is_refused() -> None:
    with pytest.raises(InvalidInput, match="too large"):
        row_scale(np.full(8, 1e9), CLIP_PPM)
