"""Which attribution methods this room can carry out, and the one it proposes.

In: an `AttributionMethod` of the protocol. Out: the same, if every number in it can be honoured here, and the
derived constants that several modules share. The default was chosen on the drug-safety task (SmolLM2-135M, one
training on 400 records, 60 own answers): the last 5 of 30 layers with damping 2 put the right contributor first in
60 of 60, at half the cost of all layers. It was chosen and counted on the same 60, and several neighbours did as
well. Gradients are float64 because float32 under AVX2 instead of AVX-512 moved shares by up to 376 ppm (60
answers), of the 400 that a validator tolerates; float64 moved none (30 answers), at about 1.8 times the time.
"""

from __future__ import annotations

from typing import Final

from headwater.errors import InvalidInput
from headwater.protocol.attribution import AttributionMethod
from headwater.types import WHOLE_PPM, Ppm

NAME: Final = "influence-sketch-v1"
GRADIENT_TYPES: Final = ("float32", "float64")
ROW_LIMIT: Final = 7
"""Rows are int4, used symmetrically: -7 ... 7."""
QUERY_LIMIT: Final = 127
"""Queries are int8, used symmetrically: -127 ... 127."""
SCALE_UNIT: Final = 1 << 24
"""A row's integer scale counts quantisation steps of 2**-24."""
MAX_SCALE: Final = 1 << 38
"""Keeps |dot product| x scale below 2**63 for every sketch width allowed here."""
MAX_WIDTH: Final = 1 << 14

DEFAULT_METHOD: Final = AttributionMethod(
    name=NAME,
    top_layers=5,
    gradient_type="float64",
    adam_epsilon_ppt=10_000,
    sketch_width=2_048,
    damping_ppm=2_000_000,
    row_clip_ppm=2_750_000,
    floor_queries=64,
    floor_quantile_ppm=Ppm(990_000),
    record_cap_ppm=Ppm(250_000),
    listed_rows=64,
)


def require_supported(method: AttributionMethod) -> AttributionMethod:
    """Raises InvalidInput for a method that this room would have to carry out differently from its words."""
    if method.name != NAME:
        raise InvalidInput(f"the attribution method {method.name!r} is not known here", f"use {NAME!r}")
    if method.gradient_type not in GRADIENT_TYPES:
        raise InvalidInput(
            f"gradients in {method.gradient_type!r} cannot be recomputed within the tolerance",
            "use float32 or float64",
        )
    width = method.sketch_width
    if width < 8 or width > MAX_WIDTH or width & (width - 1):
        raise InvalidInput(f"the sketch width {width} is not a power of two from 8 to {MAX_WIDTH:,}", "use 2048")
    for name in ("adam_epsilon_ppt", "damping_ppm", "row_clip_ppm", "floor_queries", "record_cap_ppm", "listed_rows"):
        if getattr(method, name) == 0:
            raise InvalidInput(f"the attribution method's {name} is zero", "choose at least 1")
    for name in ("floor_quantile_ppm", "record_cap_ppm"):
        if getattr(method, name) > WHOLE_PPM:
            raise InvalidInput(f"the attribution method's {name} is above the whole", "choose at most 1,000,000 ppm")
    return method
