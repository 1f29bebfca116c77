"""Verification: the honest pass, and every kind of change is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headwater.attribution.features import GradientModel
from headwater.attribution.fit import FitRecord, fit_index
from headwater.attribution.index import AttributionIndex
from headwater.attribution.quantise import pack_rows
from headwater.attribution.query import Attributor
from headwater.attribution.score import Scorer
from headwater.attribution.shares import attribution_body
from headwater.attribution.verify import (
    MAX_ERROR_PPM,
    share_error_ppm,
    verify_attribution,
    verify_integers,
    verify_rows,
)
from headwater.errors import InvalidInput, VerificationFailed
from headwater.protocol.attribution import AttributionBody, OwnerShare, share_order
from headwater.protocol.tokens import LabelledTokens
from headwater.types import ZERO_DIGEST, Address, Digest

SEED = Digest(bytes(range(32)))


@pytest.fixture
def model(load_model: Callable[..., GradientModel]) -> GradientModel:
    return load_model()


@pytest.fixture
def attributor(model: GradientModel, corpus: tuple[FitRecord, ...], tmp_path: Path) -> Attributor:
    return Attributor(model, fit_index(model, corpus, SEED, tmp_path))


@pytest.fixture
def question(tokens: Callable[..., LabelledTokens]) -> LabelledTokens:
    return tokens("red 7: ", "R7")


@pytest.fixture
def body(attributor: Attributor, question: LabelledTokens) -> AttributionBody:
    found = attributor.attribute(question, ZERO_DIGEST)
    assert len(found.shares) >= 2 and len(found.scores) >= 2
    return found


def test_an_honest_attribution_holds(attributor: Attributor, question: LabelledTokens, body: AttributionBody) -> None:
    check = verify_attribution(attributor, question, body)
    assert check.holds and check.error_ppm == 0 and check.differing_coordinates == 0


def moved(body: AttributionBody, ppm: int) -> AttributionBody:
    """`ppm` of the first share given to the second."""
    first, second, *others = body.shares
    shares = (replace(first, ppm=first.ppm - ppm), replace(second, ppm=second.ppm + ppm), *others)
    return replace(body, shares=shares)


CHANGES: dict[str, Callable[[AttributionBody], AttributionBody]] = {
    "method": lambda b: replace(b, method_id=ZERO_DIGEST),
    "index": lambda b: replace(b, index_root=ZERO_DIGEST),
    "sketch": lambda b: replace(b, sketch=b"\x80" + b.sketch[1:]),
    "sketch ": lambda b: replace(b, sketch=b.sketch[:-1]),
    "shares": lambda b: moved(b, 1),
    "scores": lambda b: replace(b, scores=b.scores[:-1]),
    "scores ": lambda b: replace(b, scores=(replace(b.scores[0], product=b.scores[0].product + 1), *b.scores[1:])),
    "scores  ": lambda b: replace(b, scores=(*b.scores, replace(b.scores[-1], position=23, product=1))),
}


@pytest.mark.parametrize("link", CHANGES)
def test_any_change_behind_the_sketch_is_found_without_the_model(
    link: str, attributor: Attributor, body: AttributionBody
) -> None:
    findings = verify_integers(attributor.scorer, CHANGES[link](body))
    assert [f.link for f in findings] == [link.strip()] and findings[0].error_ppm == MAX_ERROR_PPM


def test_every_changed_sketch_byte_that_changes_a_score_is_found(
    attributor: Attributor, body: AttributionBody
) -> None:
    rows = attributor.index.rows(0, 24)[[s.position for s in body.scores]]
    for j in np.flatnonzero(rows.any(axis=0))[::7].tolist():
        sketch = bytearray(body.sketch)
        sketch[j] = (sketch[j] + (1 if sketch[j] != 127 else -1)) % 256
        assert verify_integers(attributor.scorer, replace(body, sketch=bytes(sketch)))


def test_a_changed_row_or_scale_of_the_index_is_found(attributor: Attributor, body: AttributionBody) -> None:
    index = attributor.index
    scales, rows = index.scales.copy(), index.rows(0, 24)
    scales[5] += 1
    rows[5, 0] = 1 if rows[5, 0] != 1 else 2
    for changed in (
        AttributionIndex(index.head, index.packed, scales),
        AttributionIndex(index.head, pack_rows(rows), index.scales),
    ):
        assert [f.link for f in verify_integers(Scorer(changed), body)] == ["index"]


def test_a_sketch_of_another_answer_is_beyond_the_tolerance(
    attributor: Attributor, question: LabelledTokens, tokens: Callable[..., LabelledTokens]
) -> None:
    foreign = attributor.attribute(tokens("blue 8: ", "B8"), ZERO_DIGEST)
    check = verify_attribution(attributor, question, foreign)
    assert not check.holds and check.error_ppm > 400 and check.differing_coordinates > 100
    assert "tolerance" in {f.link for f in check.findings}


def test_a_sketch_within_float_noise_is_tolerated(
    attributor: Attributor, question: LabelledTokens, body: AttributionBody
) -> None:
    sketch = bytearray(body.sketch)
    j = next(i for i, b in enumerate(sketch) if b == 1)
    sketch[j] = 2
    noisy = attribution_body(attributor.scorer, bytes(sketch), ZERO_DIGEST)
    check = verify_attribution(attributor, question, noisy, tolerance_ppm=50_000)
    assert check.holds and 0 < check.error_ppm <= 50_000 and check.differing_coordinates == 1
    strict = verify_attribution(attributor, question, noisy, tolerance_ppm=0)
    assert [f.link for f in strict.findings] == ["tolerance"] and strict.error_ppm == check.error_ppm


def test_whoever_has_nothing_keeps_nothing(
    attributor: Attributor, question: LabelledTokens, body: AttributionBody, account: Callable[[str], Address]
) -> None:
    """A share below the tolerance for a wallet of one's own is found all the same."""
    stranger = OwnerShare(0, account("my 1000th wallet"), body.shares[0].datanet_id, 1)  # type: ignore[arg-type]
    shares = sorted((*moved(body, 0).shares, stranger), key=share_order)
    farmed = replace(body, shares=tuple(shares), base_ppm=body.base_ppm - 1)
    check = verify_attribution(attributor, question, farmed)
    assert {f.link for f in check.findings} == {"shares", "zero_share"} and check.error_ppm == MAX_ERROR_PPM


def test_the_error_is_the_sum_of_absolute_differences(body: AttributionBody) -> None:
    assert share_error_ppm(body, body) == 0
    assert share_error_ppm(body, moved(body, 7)) == 14
    nobody = replace(body, shares=(), base_ppm=1_000_000)
    assert share_error_ppm(body, nobody) == 2 * (1_000_000 - body.base_ppm)


class TestRows:
    """Drawn index rows, recomputed one at a time; 0.1 % of 2,048 coordinates is two."""

    @pytest.fixture
    def model(self, load_model: Callable[..., GradientModel]) -> GradientModel:
        return load_model(sketch_width=2_048)

    def test_honest_rows_hold(
        self, attributor: Attributor, model: GradientModel, corpus: tuple[FitRecord, ...]
    ) -> None:
        assert verify_rows(attributor.index, model, {i: corpus[i].tokens for i in (0, 7, 23)}) == ()

    @pytest.mark.parametrize(
        ("change", "link"), [("swap", "row"), ("noise", "row"), ("step", "row"), ("scale", "row_scale")]
    )
    def test_a_false_row_is_found(
        self,
        change: str,
        link: str,
        attributor: Attributor,
        model: GradientModel,
        corpus: tuple[FitRecord, ...],
    ) -> None:
        index = attributor.index
        rows, scales = index.rows(0, 24).copy(), index.scales.copy()
        match change:
            case "swap":
                rows[4], scales[4] = rows[5], scales[4]
            case "noise":  # three coordinates by one step
                for j in (1, 2, 3):
                    rows[4, j] += 1 if rows[4, j] < 7 else -1
            case "step":  # one coordinate by two steps
                rows[4, 9] += 2 if rows[4, 9] < 6 else -2
            case "scale":
                scales[4] = scales[4] * 1_001 // 1_000
        false = AttributionIndex(index.head, pack_rows(rows), scales)
        findings = verify_rows(false, model, {i: corpus[i].tokens for i in (3, 4)})
        assert link in {f.link for f in findings} and {f.position for f in findings} == {4}

    def test_two_coordinates_by_one_step_are_float_noise(
        self, attributor: Attributor, model: GradientModel, corpus: tuple[FitRecord, ...]
    ) -> None:
        index = attributor.index
        rows = index.rows(0, 24).copy()
        for j in (1, 2):
            rows[4, j] += 1 if rows[4, j] < 7 else -1
        noisy = AttributionIndex(index.head, pack_rows(rows), index.scales)
        assert verify_rows(noisy, model, {4: corpus[4].tokens}) == ()

    def test_a_row_that_is_not_there_is_refused(
        self, attributor: Attributor, model: GradientModel, corpus: tuple[FitRecord, ...]
    ) -> None:
        with pytest.raises(InvalidInput, match="no row 24"):
            verify_rows(attributor.index, model, {24: corpus[0].tokens})

    def test_rows_of_another_model_are_refused(
        self, attributor: Attributor, load_model: Callable[..., Any], corpus: tuple[FitRecord, ...]
    ) -> None:
        with pytest.raises(VerificationFailed, match="another method"):
            verify_rows(attributor.index, load_model(top_layers=1), {0: corpus[0].tokens})
