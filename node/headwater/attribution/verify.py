"""Doing an attribution again, and saying what differs.

In: an attribution's public body and the index; with the tokens also the gradient stage; drawn index rows with their
records' tokens. Out: findings, each with the link that broke and its size in ppm. Everything after the public sketch
is compared exactly; only the gradient has a tolerance: Σ|Δ| over all shares and the base part, and whoever has
nothing in the recomputation must have nothing in the claim (PROTOCOL.md §6.3), so that tolerance cannot be farmed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from headwater.attribution.features import GradientModel
from headwater.attribution.index import AttributionIndex
from headwater.attribution.quantise import quantise_row, row_scale
from headwater.attribution.query import Attributor, require_same_model
from headwater.attribution.score import Scorer
from headwater.attribution.shares import attribution_body
from headwater.errors import InvalidInput
from headwater.protocol.attribution import AttributionBody
from headwater.protocol.epoch import TOLERANCE_PPM
from headwater.protocol.model import ModelVersion
from headwater.protocol.tokens import LabelledTokens
from headwater.types import WHOLE_PPM, Address, Digest

MAX_ERROR_PPM: Final = 2 * WHOLE_PPM
"""Σ|Δ| of two divisions that have nothing in common; also given to what is wrong in kind, not in degree."""
ROW_DIFFERENCES_PPM: Final = 1_000
"""At most 0.1 % of a row's coordinates may differ, by one step each (PROTOCOL.md §2.4)."""
SCALE_TOLERANCE_PPM: Final = 100
"""How far a recomputed row scale may lie from the committed one: float32 noise was 19 ppm at most in 40 rows."""

Link = Literal[
    "method", "index", "floor", "sketch", "scores", "shares", "tolerance", "zero_share", "row_scale", "row"
]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not hold. `position`: the index row it is about, if it is about one."""

    link: Link
    message: str
    error_ppm: int
    position: int | None = None


@dataclass(frozen=True, slots=True)
class AttributionCheck:
    """Outcome for one attribution. `error_ppm` enters the verdict: Σ|Δ|, or MAX_ERROR_PPM for a broken link."""

    findings: tuple[Finding, ...]
    error_ppm: int
    differing_coordinates: int
    """Of the claimed int8 sketch against the recomputed one."""

    @property
    def holds(self) -> bool:
        return not self.findings


def verify_integers(scorer: Scorer, body: AttributionBody) -> tuple[Finding, ...]:
    """Check everything that follows from the published sketch, bit for bit; needs neither model nor prompt."""
    index = scorer.index
    if body.method_id != index.method.digest():
        return (Finding("method", "the attribution names another method than its index", MAX_ERROR_PPM),)
    if body.index_root != index.root:
        return (Finding("index", "the attribution names another index root", MAX_ERROR_PPM),)
    try:
        again = attribution_body(scorer, body.sketch, body.receipt_digest)
    except InvalidInput as error:
        return (Finding("sketch", error.cause, MAX_ERROR_PPM),)
    findings = []
    if body.floor != again.floor:
        findings.append(Finding("floor", "the floor does not follow from the sketch", MAX_ERROR_PPM))
    if body.scores != again.scores:
        wrong = set(body.scores) ^ set(again.scores)
        position = min((s.position for s in wrong), default=None)
        findings.append(
            Finding(
                "scores", "the listed rows or their scores do not follow from the sketch", MAX_ERROR_PPM, position
            )
        )
    if body.shares != again.shares or body.base_ppm != again.base_ppm:
        findings.append(Finding("shares", "the shares do not follow from the sketch", MAX_ERROR_PPM))
    return tuple(findings)


def verify_attribution(
    attributor: Attributor, tokens: LabelledTokens, body: AttributionBody, tolerance_ppm: int = TOLERANCE_PPM
) -> AttributionCheck:
    """Recompute one attribution from prompt and answer. Raises InvalidInput for tokens that do not fit the model."""
    findings = list(verify_integers(attributor.scorer, body))
    again = attributor.attribute(tokens, body.receipt_digest)
    error = share_error_ppm(body, again)
    if error > tolerance_ppm:
        findings.append(
            Finding("tolerance", f"the shares differ by {error:,} ppm, {tolerance_ppm:,} are allowed", error)
        )
    named = {(s.account, s.datanet_id) for s in again.shares}
    findings += [
        Finding("zero_share", f"{s.account} has {s.ppm:,} ppm and should have none", MAX_ERROR_PPM)
        for s in body.shares
        if (s.account, s.datanet_id) not in named
    ]
    differing = sum(a != b for a, b in zip(body.sketch, again.sketch, strict=False))
    return AttributionCheck(tuple(findings), max((f.error_ppm for f in findings), default=error), differing)


def verify_terms(scorer: Scorer, version: ModelVersion) -> tuple[Finding, ...]:
    """Hold what a version states of its method and floor against the index, recomputed exactly."""
    method = scorer.index.method
    stated = (version.method_id, version.record_cap_ppm, version.listed_rows)
    findings = []
    if stated != (method.digest(), method.record_cap_ppm, method.listed_rows):
        findings.append(Finding("method", "the version states other terms than its method's", MAX_ERROR_PPM))
    if version.floor_unit != scorer.floor_unit:
        findings.append(Finding("floor", "the version's floor does not follow from its index", MAX_ERROR_PPM))
    return tuple(findings)


def verify_rows(
    index: AttributionIndex, model: GradientModel, drawn: Mapping[int, LabelledTokens]
) -> tuple[Finding, ...]:
    """Recompute drawn rows (position -> the record's tokens) one at a time.

    Raises VerificationFailed if the model is not the index's, InvalidInput for a position that is not in the index.
    """
    require_same_model(model, index)
    sketch = model.sketch_of(index.head.sketch_seed)
    findings = []
    for position, tokens in sorted(drawn.items()):
        if not 0 <= position < len(index):
            raise InvalidInput(f"the index has no row {position}", f"draw below {len(index):,}")
        features = model.features([tokens], sketch)[0]
        committed = int(index.scales[position])
        scale = row_scale(features, model.method.row_clip_ppm)
        if abs(scale - committed) * WHOLE_PPM > SCALE_TOLERANCE_PPM * scale:
            off = min(MAX_ERROR_PPM, abs(scale - committed) * WHOLE_PPM // max(scale, 1))
            findings.append(Finding("row_scale", f"row {position} has another scale", off, position))
        steps = np.abs(quantise_row(features, committed).astype(int) - index.rows(position, position + 1)[0])
        differing = int((steps > 0).sum())
        if differing * WHOLE_PPM > ROW_DIFFERENCES_PPM * len(steps) or int(steps.max()) > 1:
            error = differing * WHOLE_PPM // len(steps)
            findings.append(Finding("row", f"row {position} differs in {differing:,} coordinates", error, position))
    return tuple(findings)


def share_error_ppm(one: AttributionBody, other: AttributionBody) -> int:
    """Σ|Δ| over all shares and the base part, 0 ... 2,000,000."""
    a, b = _shares(one), _shares(other)
    return abs(one.base_ppm - other.base_ppm) + sum(abs(a.get(k, 0) - b.get(k, 0)) for k in a.keys() | b.keys())


def _shares(body: AttributionBody) -> dict[tuple[int, Address, Digest], int]:
    return {(s.kind, s.account, s.datanet_id): s.ppm for s in body.shares}
