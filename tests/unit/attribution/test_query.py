"""The whole path on a tiny model: records that taught the answer come first; foreign indexes are refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from headwater.attribution.features import GradientModel
from headwater.attribution.fit import FitRecord, fit_index
from headwater.attribution.index import AttributionIndex, IndexedRecord
from headwater.attribution.query import Attributor
from headwater.errors import InvalidInput, VerificationFailed
from headwater.protocol.tokens import LabelledTokens
from headwater.types import WHOLE_PPM, ZERO_DIGEST, Address, Digest

SEED = Digest(bytes(range(32)))


def test_planted_records_rank_first(
    load_model: Callable[..., GradientModel],
    corpus: tuple[FitRecord, ...],
    tokens: Callable[..., LabelledTokens],
    tmp_path: Path,
    named: Callable[[str], Digest],
    account: Callable[[str], Address],
) -> None:
    """Three duplicates of the question's own record stand among twenty-four others: they lead the list."""
    question = tokens("penicillins, initial: ", "T36.0X1A")
    planted = tuple(
        FitRecord(
            IndexedRecord(named(f"planted {i}"), account("teacher"), named("net"), named(f"planted {i}")), question
        )
        for i in range(3)
    )
    model = load_model()
    attributor = Attributor(model, fit_index(model, (*corpus, *planted), SEED, tmp_path))
    body = attributor.attribute(question, ZERO_DIGEST)
    assert {s.position for s in body.scores[:3]} == {24, 25, 26}
    shares = {s.account: s.ppm for s in body.shares}
    assert max(shares, key=shares.__getitem__) == account("teacher")
    assert sum(shares.values()) + body.base_ppm == WHOLE_PPM


def test_the_same_answer_has_the_same_body(
    load_model: Callable[..., GradientModel], corpus: tuple[FitRecord, ...], tmp_path: Path
) -> None:
    model = load_model()
    index = fit_index(model, corpus, SEED, tmp_path)
    first = Attributor(model, index).attribute(corpus[2].tokens, ZERO_DIGEST)
    again = Attributor(load_model(), AttributionIndex.load(tmp_path, index.root)).attribute(
        corpus[2].tokens, ZERO_DIGEST
    )
    assert first == again and first.scores[0].position == 2


def test_an_index_of_another_model_or_method_is_refused(
    load_model: Callable[..., GradientModel], corpus: tuple[FitRecord, ...], tmp_path: Path
) -> None:
    model = load_model()
    index = fit_index(model, corpus[:4], SEED, tmp_path)
    with pytest.raises(VerificationFailed, match="another method"):
        Attributor(load_model(damping_ppm=1), index)
    for field, words in (("base_digest", "another base"), ("checkpoint_digest", "another checkpoint")):
        foreign = AttributionIndex(replace(index.head, **{field: ZERO_DIGEST}), index.packed, index.scales)
        with pytest.raises(VerificationFailed, match=words):
            Attributor(model, foreign)
    other = AttributionIndex(replace(index.head, adam_beta2_ppm=990_000), index.packed, index.scales)
    with pytest.raises(VerificationFailed, match="beta2"):
        Attributor(model, other)


def test_an_answer_beyond_the_context_is_refused(
    load_model: Callable[..., GradientModel],
    corpus: tuple[FitRecord, ...],
    tokens: Callable[..., LabelledTokens],
    tmp_path: Path,
) -> None:
    model = load_model()
    attributor = Attributor(model, fit_index(model, corpus[:4], SEED, tmp_path))
    with pytest.raises(InvalidInput, match="context"):
        attributor.attribute(tokens("x", "y" * 300), ZERO_DIGEST)
