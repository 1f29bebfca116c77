"""From floats to small integers and back into bytes: int4 rows with an integer scale, int8 queries.

In: float64 sketches. Out: integers only; nothing after this module rounds again. A row is clipped at a multiple of
its own root mean square, because a few large coordinates would otherwise cost all others their resolution.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headwater.attribution.method import MAX_SCALE, QUERY_LIMIT, ROW_LIMIT, SCALE_UNIT
from headwater.errors import InvalidInput
from headwater.types import WHOLE_PPM

Int8Array = NDArray[np.int8]
Float64Array = NDArray[np.float64]


def row_scale(features: Float64Array, clip_ppm: int) -> int:
    """The integer scale of one row: clip x RMS / 7 in steps of 2**-24; 0 for a row of zeros.

    Raises InvalidInput for a row that is not finite or too large for exact scores.
    """
    if not np.isfinite(features).all():
        raise InvalidInput(
            "a gradient sketch is not finite", "check the checkpoint: its weights or moments are broken"
        )
    rms = float(np.sqrt(np.mean(np.square(features))))
    if rms == 0.0:
        return 0
    scale = max(1, round(rms * clip_ppm / WHOLE_PPM / ROW_LIMIT * SCALE_UNIT))
    if scale >= MAX_SCALE:
        raise InvalidInput("a gradient sketch is too large for exact scores", "check the checkpoint's second moments")
    return scale


def quantise_row(features: Float64Array, scale: int) -> Int8Array:
    """int4 values (held as int8) of one row under `scale`: round half to even, clipped to -7 ... 7."""
    if scale == 0:
        return np.zeros(features.shape, np.int8)
    return np.clip(np.rint(features * (SCALE_UNIT / scale)), -ROW_LIMIT, ROW_LIMIT).astype(np.int8)


def quantise_query(direction: Float64Array) -> Int8Array:
    """int8 values of a query: the largest coordinate becomes 127. Its length does not matter to shares."""
    if not np.isfinite(direction).all():
        raise InvalidInput("a query's gradient sketch is not finite", "check the checkpoint and the answer's tokens")
    largest = float(np.abs(direction).max())
    if largest == 0.0:
        return np.zeros(direction.shape, np.int8)
    return np.rint(direction * (QUERY_LIMIT / largest)).astype(np.int8)


def pack_rows(rows: Int8Array) -> NDArray[np.uint8]:
    """int4 values [..., k] as bytes [..., k / 2]: coordinate 2j in the low nibble, two's complement."""
    nibbles: NDArray[np.uint8] = rows.view(np.uint8) & np.uint8(0x0F)
    packed: NDArray[np.uint8] = nibbles[..., 0::2] | (nibbles[..., 1::2] << np.uint8(4))
    return packed


def unpack_rows(packed: NDArray[np.uint8]) -> Int8Array:
    """The inverse of `pack_rows`. Raises InvalidInput for the nibble -8, which no row holds."""
    rows = np.empty((*packed.shape[:-1], packed.shape[-1] * 2), np.int8)
    rows[..., 0::2] = (packed << 4).view(np.int8) >> 4
    rows[..., 1::2] = packed.view(np.int8) >> 4
    if rows.size and rows.min() < -ROW_LIMIT:
        raise InvalidInput("an index row holds the value -8", "fetch the index again: it is damaged")
    return rows
