"""CountSketch: a seeded, linear projection of a long gradient to a few thousand coordinates.

In: a 32-byte seed that nobody could choose, and a gradient in canonical coordinate order. Out: its sketch. Each
coordinate is added to one bucket with one sign, so the inner product of two sketches is an unbiased estimate of the
inner product of the gradients (Charikar, Chen and Farach-Colton 2002; Weinberger et al. 2009). Knows no model.

The hash, so that a stranger can write it again: word t of block b is the t-th little-endian 32-bit word of
SHAKE-256("headwater countsketch v1" ‖ seed ‖ b as 8 big-endian bytes); coordinate j uses word j mod 4,096 of block
j div 4,096. Its bucket is the word modulo the width (a power of two), its sign is + where the top bit is 0.
"""

from __future__ import annotations

from hashlib import shake_256
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headwater.errors import InvalidInput
from headwater.types import Digest

DOMAIN: Final = b"headwater countsketch v1"
BLOCK: Final = 4_096


def sketch_words(seed: Digest, start: int, count: int) -> NDArray[np.uint32]:
    """The hash words of coordinates start ... start + count - 1."""
    first, last = start // BLOCK, -(-(start + count) // BLOCK)
    stream = b"".join(
        shake_256(DOMAIN + seed + block.to_bytes(8, "big")).digest(4 * BLOCK) for block in range(first, last)
    )
    words = np.frombuffer(stream, "<u4").astype(np.uint32)
    return words[start - first * BLOCK :][:count]


class CountSketch:
    """The sketch of gradients with `size` coordinates, each first multiplied by its entry of `weights`."""

    def __init__(self, seed: Digest, width: int, size: int, weights: NDArray[np.float64] | None = None) -> None:
        """`weights` [size], float64: the metric (here 1 / (sqrt(v) + eps)); None = ones."""
        if weights is not None and weights.shape != (size,):
            raise InvalidInput(f"the sketch needs {size:,} weights, not {weights.shape}", "pass one a coordinate")
        words = sketch_words(seed, 0, size)
        self.width, self.size = width, size
        self._buckets: NDArray[np.intp] = (words & np.uint32(width - 1)).astype(np.intp)
        signs = np.where(words >> np.uint32(31), -1.0, 1.0)
        self._signed: NDArray[np.float64] = signs if weights is None else signs * weights

    def add(self, sketch: NDArray[np.float64], values: NDArray[np.floating], start: int) -> None:
        """Add coordinates start ... start + len(values) - 1 of one gradient to its `sketch` [width], in place.

        Sums run in float64 in coordinate order, whatever the number of threads.
        """
        here = slice(start, start + values.size)
        flat = values.reshape(-1).astype(np.float64) * self._signed[here]
        sketch += np.bincount(self._buckets[here], weights=flat, minlength=self.width)

    def apply(self, gradient: NDArray[np.floating]) -> NDArray[np.float64]:
        """The sketch [width] of one whole gradient [size]."""
        if gradient.size != self.size:
            raise InvalidInput(
                f"the gradient has {gradient.size:,} coordinates, not {self.size:,}", "pass all of them"
            )
        out = np.zeros(self.width)
        self.add(out, gradient, 0)
        return out
