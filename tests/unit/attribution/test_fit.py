"""Fitting: interrupted or not, the same root; another input, another fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from headwater.attribution.features import GradientModel
from headwater.attribution.fit import BATCH_SIZE, FitRecord, fit_index
from headwater.attribution.index import AttributionIndex
from headwater.errors import InvalidInput
from headwater.protocol.tokens import LabelledTokens
from headwater.types import Digest

SEED = Digest(bytes(range(32)))


class Killed(Exception):
    """Stands for the power going."""


def kill_at(limit: int) -> Callable[[int, int], None]:
    def progress(done: int, total: int) -> None:
        if done >= limit:
            raise Killed

    return progress


class Counting:
    """A gradient model that counts the examples it was asked for."""

    def __init__(self, model: GradientModel) -> None:
        self.model, self.examples = model, 0

    def __getattr__(self, name: str) -> object:
        return getattr(self.model, name)

    def features(self, batch: Sequence[LabelledTokens], sketch: object) -> object:
        self.examples += len(batch)
        return self.model.features(batch, sketch)  # type: ignore[arg-type]


@pytest.fixture
def undisturbed(
    load_model: Callable[..., GradientModel], corpus: tuple[FitRecord, ...], tmp_path: Path
) -> AttributionIndex:
    return fit_index(load_model(), corpus, SEED, tmp_path / "undisturbed")


def test_the_fit_reports_progress_and_leaves_a_whole_folder(
    load_model: Callable[..., GradientModel], corpus: tuple[FitRecord, ...], tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []
    index = fit_index(load_model(), corpus, SEED, tmp_path, lambda done, total: seen.append((done, total)))
    assert seen == [(0, 24), (8, 24), (16, 24), (24, 24)]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["index.safetensors", "manifest.json"]
    assert AttributionIndex.load(tmp_path).root == index.root
    assert index.rows(0, 24).any(axis=1).all() and (index.scales > 0).all()


@pytest.mark.parametrize("torn", [0, 1, 300])
def test_a_killed_fit_goes_on_and_ends_in_the_same_root(
    torn: int,
    load_model: Callable[..., GradientModel],
    corpus: tuple[FitRecord, ...],
    tmp_path: Path,
    undisturbed: AttributionIndex,
) -> None:
    folder = tmp_path / "killed"
    with pytest.raises(Killed):
        fit_index(load_model(), corpus, SEED, folder, kill_at(16))
    (journal,) = folder.iterdir()
    if torn:
        journal.write_bytes(journal.read_bytes()[:-torn])
    model = Counting(load_model())
    index = fit_index(model, corpus, SEED, folder)  # type: ignore[arg-type]
    assert model.examples == (8 if not torn else 16)
    assert index.root == undisturbed.root


def test_a_damaged_journal_entry_is_computed_again(
    load_model: Callable[..., GradientModel],
    corpus: tuple[FitRecord, ...],
    tmp_path: Path,
    undisturbed: AttributionIndex,
) -> None:
    folder = tmp_path / "killed"
    with pytest.raises(Killed):
        fit_index(load_model(), corpus, SEED, folder, kill_at(16))
    (journal,) = folder.iterdir()
    data = bytearray(journal.read_bytes())
    data[20] ^= 1
    journal.write_bytes(data)
    assert fit_index(load_model(), corpus, SEED, folder).root == undisturbed.root


def test_another_seed_never_continues_a_fit(
    load_model: Callable[..., GradientModel], corpus: tuple[FitRecord, ...], tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        fit_index(load_model(), corpus, SEED, tmp_path, kill_at(8))
    model = Counting(load_model())
    fit_index(model, corpus, Digest(bytes(32)), tmp_path)  # type: ignore[arg-type]
    assert model.examples == 24


def test_records_with_the_same_tokens_have_the_same_row(
    load_model: Callable[..., GradientModel],
    corpus: tuple[FitRecord, ...],
    tmp_path: Path,
    named: Callable[[str], Digest],
) -> None:
    copy = FitRecord(replace(corpus[3].record, commitment=named("copy")), corpus[3].tokens)
    model = Counting(load_model())
    index = fit_index(model, (*corpus, copy), SEED, tmp_path)  # type: ignore[arg-type]
    assert model.examples == 24
    assert index.leaves[3].row_digest == index.leaves[24].row_digest and index.scales[3] == index.scales[24]


def test_the_row_of_a_record_does_not_depend_on_the_others(
    load_model: Callable[..., GradientModel],
    corpus: tuple[FitRecord, ...],
    tmp_path: Path,
    undisturbed: AttributionIndex,
) -> None:
    """Up to the tolerance of PROTOCOL.md §2.4: 0.1 % of the coordinates, by one step."""
    alone = fit_index(load_model(), corpus[:1], SEED, tmp_path / "alone")
    steps = np.abs(alone.rows(0, 1).astype(int) - undisturbed.rows(0, 1))
    assert steps.max() <= 1 and (steps > 0).sum() <= BATCH_SIZE // 8


def test_an_example_that_does_not_fit_stops_the_fit(
    load_model: Callable[..., GradientModel],
    corpus: tuple[FitRecord, ...],
    tokens: Callable[..., LabelledTokens],
    tmp_path: Path,
) -> None:
    long = FitRecord(corpus[0].record, tokens("x" * 300, "y"))
    with pytest.raises(InvalidInput, match="context"):
        fit_index(load_model(), (long,), SEED, tmp_path)
