"""From floats to small integers and back into bytes: int4 rows with an integer scale, int8 queries.

In: float64 sketches. Out: integers only; nothing after this module rounds again. A row is clipped at a multiple of
its own root mean square, because a few large coordinates would otherwise cost all others their resolution.
"""

from __future__ import annotations

from typing import Final

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
    """The inverse of `pack_rows`: int8 [..., k]."""
    rows: Int8Array = _INT8_PAIRS[packed].view(np.int8)
    return rows


def unpack_floats(packed: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
    """The same as float32, written into `out` [n, k], contiguous: one table look-up a byte."""
    # With mode="raise" numpy would buffer the output; every byte is a valid index.
    np.take(_FLOAT_PAIRS, packed, out=out.view(np.uint64), mode="clip")


def has_foreign_value(packed: NDArray[np.uint8]) -> bool:
    """Whether a nibble holds -8, which is no row's value."""
    return bool(_FOREIGN[packed].any())


_VALUES: Final = ((np.arange(256)[:, None] >> np.array([0, 4])) + 8) % 16 - 8
"""Byte -> its two int4 values, low nibble first."""
_INT8_PAIRS: Final = _VALUES.astype(np.int8).view(np.uint16)[:, 0]
_FLOAT_PAIRS: Final = _VALUES.astype(np.float32).view(np.uint64)[:, 0]
_FOREIGN: Final = (_VALUES < -ROW_LIMIT).any(axis=1)
