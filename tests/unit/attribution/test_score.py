"""The integer stage: exact products, the floor as written down, divisors of clusters."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import shake_256
from math import isqrt
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.attribution.index import AttributionIndex
from headwater.attribution.method import MAX_WIDTH, QUERY_LIMIT, ROW_LIMIT
from headwater.attribution.quantise import pack_rows
from headwater.attribution.score import ROW_BLOCK, Scorer, SoftInverse
from headwater.errors import InvalidInput

Make = Callable[..., AttributionIndex]


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_products_equal_those_of_pythons_integers(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.integers(-7, 8, (ROW_BLOCK + 3, 256)).astype(np.int8)
    sketch = rng.integers(-127, 128, 256).astype(np.int8).tobytes()
    got = Scorer(_bare(rows)).products(sketch)
    query = [b - 256 if b > 127 else b for b in sketch]
    for i in (0, 1, ROW_BLOCK - 1, ROW_BLOCK, ROW_BLOCK + 2):
        assert int(got[i]) == sum(a * b for a, b in zip(rows[i].tolist(), query, strict=True))


def test_products_are_exact_at_the_largest_values_that_any_method_allows() -> None:
    rows = np.full((3, MAX_WIDTH), ROW_LIMIT, np.int8)
    rows[1, 0] = ROW_LIMIT - 1
    sketch = np.full(MAX_WIDTH, QUERY_LIMIT, np.int8).tobytes()
    whole = MAX_WIDTH * ROW_LIMIT * QUERY_LIMIT
    assert whole < 1 << 24
    assert Scorer(_bare(rows)).products(sketch).tolist() == [whole, whole - QUERY_LIMIT, whole]


def test_a_stranger_recomputes_the_floor_from_its_description(make_index: Make) -> None:
    rng = np.random.default_rng(5)
    rows = rng.integers(-7, 8, (30, 64)).astype(np.int8)
    index = make_index(rows, floor_queries=8, floor_quantile_ppm=950_000)
    products = []
    for j in range(8):
        stream = shake_256(b"headwater noise floor v1" + index.head.sketch_seed + j.to_bytes(8, "big")).digest(8)
        query = [-1 if stream[i // 8] >> (i % 8) & 1 else 1 for i in range(64)]
        products += [abs(sum(a * b for a, b in zip(row, query, strict=True))) for row in rows.tolist()]
    unit = sorted(products)[-(-len(products) * 950_000 // 1_000_000) - 1]
    sketch = rng.integers(-127, 128, 64).astype(np.int8)
    squared = sum(v * v for v in sketch.tolist())
    assert Scorer(index).floor(sketch.tobytes()) == isqrt(unit * unit * squared // 64)


def test_the_floor_rises_with_the_quantile_and_ignores_scales(make_index: Make) -> None:
    rng = np.random.default_rng(6)
    rows, sketch = rng.integers(-7, 8, (20, 64)), rng.integers(-127, 128, 64).astype(np.int8).tobytes()
    floors = [Scorer(make_index(rows, floor_quantile_ppm=q)).floor(sketch) for q in (1, 500_000, 900_000, 1_000_000)]
    assert floors == sorted(floors) and floors[0] < floors[-1]
    scaled = make_index(rows, floor_quantile_ppm=900_000, scales=list(range(1, 21)))
    assert Scorer(scaled).floor(sketch) == floors[2]


def test_random_queries_pass_the_floor_as_rarely_as_the_quantile_says(make_index: Make) -> None:
    rng = np.random.default_rng(7)
    index = make_index(rng.integers(-7, 8, (200, 512)), floor_quantile_ppm=990_000)
    scorer = Scorer(index)
    above = 0
    for _ in range(50):
        sketch = np.clip(np.rint(rng.normal(0, 35, 512)), -127, 127).astype(np.int8).tobytes()
        above += int((scorer.products(sketch) > scorer.floor(sketch)).sum())
    assert 0.002 < above / (200 * 50) < 0.009  # one side of 1 %


@pytest.mark.parametrize("sketch", [b"", bytes(15), bytes(17), b"\x80" + bytes(15)])
def test_a_malformed_sketch_is_refused(sketch: bytes, make_index: Make) -> None:
    with pytest.raises(InvalidInput):
        Scorer(make_index(np.ones((2, 16)))).products(sketch)


def test_the_soft_inverse_is_the_inverse_of_the_damped_covariance(make_index: Make) -> None:
    rng = np.random.default_rng(8)
    index = make_index(rng.integers(-7, 8, (40, 32)), damping_ppm=2_000_000)
    covariance = index.covariance()
    damped = covariance + 2 * np.trace(covariance) / 32 * np.eye(32)
    features = rng.normal(size=32)
    exact = np.linalg.solve(damped, features)
    query = np.frombuffer(SoftInverse(index).query(features), np.int8)
    assert np.abs(query / 127 - exact / np.abs(exact).max()).max() <= 0.5 / 127 * (1 + 1e-9)
    assert not np.frombuffer(SoftInverse(index).query(np.zeros(32)), np.int8).any()


def test_an_index_of_zeros_has_no_inverse(make_index: Make) -> None:
    with pytest.raises(InvalidInput, match="zero"):
        SoftInverse(make_index(np.zeros((3, 16))))


class _bare(AttributionIndex):
    """Rows without records: enough for products."""

    def __init__(self, rows: np.ndarray) -> None:
        self.packed = pack_rows(rows)
        self.head = SimpleNamespace(method=SimpleNamespace(sketch_width=rows.shape[1]))  # type: ignore[assignment]

    def __len__(self) -> int:
        return len(self.packed)
