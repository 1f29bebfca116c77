"""From a query's gradient sketch to exact scores of all rows, and the noise floor that they are measured against.

In: an index; then a float64 sketch, or the public int8 one. Out: int8 bytes (the last rounding), int64 scores, an
integer floor. The soft inverse stands on the query's side: (C + lambda I)^-1, lambda = damping x mean eigenvalue of C
(attribution.md §2; influence functions after Koh and Liang 2017). Scores need no float: products run in float32
matrices whose every partial sum is an integer below 2**24, so they are exact in any order on any machine.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from hashlib import shake_256
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from headwater.attribution.index import AttributionIndex
from headwater.attribution.method import QUERY_LIMIT
from headwater.attribution.quantise import Float64Array, Int8Array, quantise_query, unpack_floats
from headwater.errors import InvalidInput
from headwater.protocol.influence import floor_of
from headwater.types import WHOLE_PPM, Digest

Int64Array = NDArray[np.int64]

FLOOR_DOMAIN: Final = b"headwater noise floor v1"
ROW_BLOCK: Final = 128
"""Rows converted at a time: 1 MiB of float32, which stays in a core's cache."""


class SoftInverse:
    """Turns a gradient sketch into the public query. Holds one Cholesky factor [k, k] of float64."""

    def __init__(self, index: AttributionIndex) -> None:
        """Raises InvalidInput for an index whose rows are all zero."""
        covariance = index.covariance()
        mean = float(np.trace(covariance)) / len(covariance)
        if mean == 0.0:
            raise InvalidInput("all rows of the index are zero", "fit it on a checkpoint with second moments")
        # In units of the mean eigenvalue: the query's length is free, and the numbers stay near one.
        matrix = torch.from_numpy(covariance / mean)
        matrix.diagonal().add_(index.method.damping_ppm / WHOLE_PPM)
        self._factor = torch.linalg.cholesky(matrix)

    def query(self, features: Float64Array) -> bytes:
        """The int8 sketch [k] of one answer's gradient sketch [k]: what is signed and published."""
        direction = torch.cholesky_solve(torch.from_numpy(features)[:, None], self._factor)[:, 0]
        return quantise_query(direction.numpy()).tobytes()


class Scorer:
    """Exact dot products and floors over one index."""

    def __init__(self, index: AttributionIndex) -> None:
        self.index = index

    def products(self, sketch: bytes) -> Int64Array:
        """Dot product of every row with the public sketch, [n] int64, exact. A row's score is this x its scale.

        Raises InvalidInput for a malformed sketch.
        """
        products: Int64Array = self._products(self.read(sketch)[None])[0]
        return products

    def floor(self, sketch: bytes) -> int:
        """The dot product that noise reaches with a query of this sketch's length; an integer, rounded down.

        Random queries of +1 and -1, drawn from the index's seed, meet all rows but copies. The method's quantile of
        the absolute products is the floor at length sqrt(k); at length L it is L / sqrt(k) times as high.
        Rows are clipped at a multiple of their RMS, so their integer lengths are nearly equal and the floor is
        nearly a threshold on the cosine: neither a row's scale nor anybody else's rows move it.
        """
        self.read(sketch)
        return floor_of(self.floor_unit, sketch)

    def read(self, sketch: bytes) -> Int8Array:
        """The sketch's coordinates, int8 [k]. Raises InvalidInput for another length or the value -128."""
        width = self.index.method.sketch_width
        if len(sketch) != width:
            raise InvalidInput(f"the sketch has {len(sketch):,} coordinates, not {width:,}", "pass the whole sketch")
        query = np.frombuffer(sketch, np.int8)
        if int(query.min()) < -QUERY_LIMIT:
            raise InvalidInput("the sketch holds the value -128", "pass the sketch as it was published")
        return query

    @functools.cached_property
    def floor_unit(self) -> int:
        """The floor at length sqrt(k); a model version commits to it."""
        method = self.index.method
        originals = self.index.divisors > 0
        total = int(originals.sum()) * method.floor_queries
        rank = max(1, -(-total * method.floor_quantile_ppm // WHOLE_PPM))  # nearest rank, counted from the lowest
        keep = total - rank + 1
        queries = np.stack(
            list(_noise_queries(self.index.head.sketch_seed, method.floor_queries, method.sketch_width))
        )
        largest = np.zeros(0, np.int64)
        for row in np.abs(self._products(queries)):
            largest = np.concatenate([largest, row[originals]])
            if len(largest) > keep:
                largest = np.partition(largest, -keep)[-keep:]
        return int(largest.min())

    def _products(self, queries: Int8Array) -> Int64Array:
        """Dot products [q, n] of int8 queries [q, k] with all rows, exact: |sum| <= k x 7 x 127 < 2**24."""
        right = np.ascontiguousarray(queries.T, np.float32)
        out = np.empty((len(self.index), len(queries)), np.int64)
        buffer = np.empty((ROW_BLOCK, len(right)), np.float32)
        for start in range(0, len(self.index), ROW_BLOCK):
            packed = np.asarray(self.index.packed[start : start + ROW_BLOCK])
            block = buffer[: len(packed)]
            unpack_floats(packed, block)
            out[start : start + len(packed)] = block @ right
        return out.T


def _noise_queries(seed: Digest, count: int, width: int) -> Iterator[Int8Array]:
    """Query j: bit i of SHAKE-256(domain ‖ seed ‖ j as 8 big-endian bytes), low bits first; 0 is +1, 1 is -1."""
    for j in range(count):
        stream = shake_256(FLOOR_DOMAIN + seed + j.to_bytes(8, "big")).digest(width // 8)
        bits = np.unpackbits(np.frombuffer(stream, np.uint8), bitorder="little")
        yield (1 - 2 * bits.astype(np.int8)).astype(np.int8)
