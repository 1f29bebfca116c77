"""CountSketch: the hash as written down, linearity, unbiased inner products."""

from __future__ import annotations

from hashlib import shake_256

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.attribution.sketch import BLOCK, CountSketch, sketch_words
from headwater.errors import InvalidInput
from headwater.types import Digest

SEED = Digest(bytes(range(32)))


def test_a_stranger_recomputes_the_hash_from_its_description() -> None:
    gradient = np.random.default_rng(0).normal(size=BLOCK + 50)
    expected = np.zeros(64)
    for j, value in enumerate(gradient):
        stream = shake_256(b"headwater countsketch v1" + SEED + (j // 4096).to_bytes(8, "big")).digest(4 * 4096)
        word = int.from_bytes(stream[4 * (j % 4096) :][:4], "little")
        expected[word % 64] += -value if word >> 31 else value
    assert np.allclose(CountSketch(SEED, 64, gradient.size).apply(gradient), expected, rtol=0, atol=1e-12)


@given(start=st.integers(0, 3 * BLOCK), count=st.integers(0, 2 * BLOCK))
@settings(max_examples=25, deadline=None)
def test_words_of_any_range_equal_those_of_the_whole(start: int, count: int) -> None:
    assert (sketch_words(SEED, start, count) == sketch_words(SEED, 0, 5 * BLOCK)[start : start + count]).all()


def test_inner_products_are_unbiased_over_seeds() -> None:
    """The mean of <s(x), s(y)> over seeds lies within four standard errors of <x, y>."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=300), rng.normal(size=300)
    estimates = []
    for i in range(400):
        sketch = CountSketch(Digest(i.to_bytes(32, "big")), 32, 300)
        estimates.append(sketch.apply(x) @ sketch.apply(y))
    error = np.std(estimates) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates) - x @ y) < 4 * error
    assert np.std(estimates) < 1.5 * np.linalg.norm(x) * np.linalg.norm(y) * np.sqrt(2 / 32)


def test_the_sketch_is_linear_and_may_be_added_in_pieces() -> None:
    rng = np.random.default_rng(2)
    x, y, weights = rng.normal(size=(3, 5_000))
    sketch = CountSketch(SEED, 128, 5_000, weights)
    assert np.allclose(sketch.apply(2 * x + y), 2 * sketch.apply(x) + sketch.apply(y))
    pieces = np.zeros(128)
    sketch.add(pieces, x[:1_234], 0)
    sketch.add(pieces, x[1_234:], 1_234)
    assert np.allclose(pieces, sketch.apply(x))
    assert np.allclose(CountSketch(SEED, 128, 5_000).apply(x * weights), sketch.apply(x))


def test_another_seed_gives_another_sketch() -> None:
    x = np.ones(1_000)
    assert not np.allclose(CountSketch(SEED, 64, 1_000).apply(x), CountSketch(Digest(bytes(32)), 64, 1_000).apply(x))


def test_weights_and_gradients_of_another_size_are_refused() -> None:
    with pytest.raises(InvalidInput):
        CountSketch(SEED, 64, 10, np.ones(9))
    with pytest.raises(InvalidInput):
        CountSketch(SEED, 64, 10).apply(np.ones(11))
