"""The index as an object and as a folder: leaves, root, covariance, and every changed byte found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from eth_utils import keccak

from headwater.attribution.index import AttributionIndex
from headwater.attribution.quantise import pack_rows
from headwater.errors import HeadwaterError, InvalidInput, MissingContent, VerificationFailed
from headwater.protocol.attribution import IndexRow
from headwater.protocol.merkle import MerkleTree, merkle_root, verify_merkle
from headwater.types import ZERO_DIGEST

RNG = np.random.default_rng(0)
ROWS = RNG.integers(-7, 8, (9, 16)).astype(np.int8)
SCALES = [int(s) for s in RNG.integers(1, 1 << 30, 9)]


@pytest.fixture
def index(make_index: Callable[..., AttributionIndex]) -> AttributionIndex:
    return make_index(ROWS, scales=SCALES)


def test_the_root_is_the_merkle_root_of_the_protocols_leaves(index: AttributionIndex) -> None:
    leaves = [
        IndexRow(
            i,
            r.owner,
            r.datanet_id,
            r.cluster,
            int(index.divisors[i]),
            SCALES[i],
            keccak(pack_rows(ROWS[i]).tobytes()),
        )
        for i, r in enumerate(index.head.records)
    ]
    assert index.root == merkle_root([leaf.digest() for leaf in leaves])
    proof = MerkleTree([leaf.digest() for leaf in index.leaves]).proof(4)
    assert verify_merkle(index.root, leaves[4].digest(), 4, proof)


def test_what_is_saved_is_loaded(index: AttributionIndex, tmp_path: Path) -> None:
    index.save(tmp_path)
    again = AttributionIndex.load(tmp_path, index.root)
    assert again.head == index.head and again.root == index.root
    assert (again.rows(0, 9) == ROWS).all() and again.scales.tolist() == SCALES
    assert isinstance(again.packed, np.memmap)


def test_the_covariance_is_that_of_the_committed_integers(index: AttributionIndex) -> None:
    scaled = ROWS.astype(np.float64) * np.array(SCALES)[:, None]
    assert np.allclose(index.covariance(), scaled.T @ scaled / 9, rtol=1e-12)


@pytest.mark.parametrize("file", ["manifest.json", "index.safetensors"])
def test_any_changed_byte_is_found(index: AttributionIndex, tmp_path: Path, file: str) -> None:
    index.save(tmp_path)
    whole = (tmp_path / file).read_bytes()
    for offset in range(0, len(whole), max(1, len(whole) // 60)):
        damaged = bytearray(whole)
        damaged[offset] ^= 0x04
        (tmp_path / file).write_bytes(damaged)
        with pytest.raises(HeadwaterError):
            AttributionIndex.load(tmp_path, index.root, index.head)


@pytest.mark.parametrize("cut", [1, 40, 200])
def test_a_truncated_index_is_refused(index: AttributionIndex, tmp_path: Path, cut: int) -> None:
    index.save(tmp_path)
    path = tmp_path / "index.safetensors"
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(InvalidInput):
        AttributionIndex.load(tmp_path)


def test_another_root_than_the_one_on_chain_is_refused(index: AttributionIndex, tmp_path: Path) -> None:
    index.save(tmp_path)
    with pytest.raises(VerificationFailed, match="root"):
        AttributionIndex.load(tmp_path, ZERO_DIGEST)


def test_an_index_for_another_seed_is_refused(index: AttributionIndex, tmp_path: Path) -> None:
    index.save(tmp_path)
    with pytest.raises(VerificationFailed, match="another model, seed or snapshot"):
        AttributionIndex.load(tmp_path, index.root, replace(index.head, sketch_seed=ZERO_DIGEST))


def test_a_folder_without_an_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingContent, match=r"manifest\.json"):
        AttributionIndex.load(tmp_path)


def test_owner_cluster_scale_and_row_are_all_under_the_root(make_index: Callable[..., AttributionIndex]) -> None:
    changed = ROWS.copy()
    changed[3, 5] = 7 if changed[3, 5] != 7 else 6
    names = [f"record {i}" for i in range(9)]
    variants = [
        make_index(ROWS, scales=SCALES),
        make_index(changed, scales=SCALES),
        make_index(ROWS, scales=[*SCALES[:-1], SCALES[-1] + 1]),
        make_index(ROWS, scales=SCALES, owners=[*names[:-1], "thief"]),
        make_index(ROWS, scales=SCALES, clusters=[*names[:-1], "record 0"]),
        make_index(ROWS, scales=SCALES, datanets=["net"] * 8 + ["other"]),
        make_index(ROWS[::-1], scales=SCALES[::-1]),
    ]
    assert len({v.root for v in variants}) == len(variants)


def test_an_index_of_the_wrong_shape_is_refused(index: AttributionIndex) -> None:
    with pytest.raises(InvalidInput, match="9 records"):
        AttributionIndex(index.head, index.packed[:-1], index.scales)
    with pytest.raises(InvalidInput, match="scale"):
        AttributionIndex(index.head, index.packed, -index.scales)
    foreign = index.packed.copy()
    foreign[8, 3] = 0x81
    with pytest.raises(InvalidInput, match="-8"):
        AttributionIndex(index.head, foreign, index.scales)
    with pytest.raises(InvalidInput, match="no records"):
        replace(index.head, records=())
    with pytest.raises(InvalidInput, match="twice"):
        replace(index.head, records=index.head.records * 2)
    with pytest.raises(InvalidInput, match="format"):
        replace(index.head, format="tar")


def test_a_cluster_is_divided_by_its_different_rows_and_copies_are_out(
    make_index: Callable[..., AttributionIndex],
) -> None:
    rows = np.eye(6, 16, dtype=np.int8)
    rows[2] = rows[0]
    rows[5] = rows[4]
    clusters = ["record 0", "record 0", "record 0", "record 3", "record 5", "record 5"]
    assert make_index(rows, clusters=clusters).divisors.tolist() == [2, 2, 0, 1, 0, 1]


def test_equal_rows_of_different_clusters_are_no_copies(make_index: Callable[..., AttributionIndex]) -> None:
    assert make_index(np.ones((2, 16))).divisors.tolist() == [1, 1]


def test_a_copy_changes_neither_covariance_nor_divisors_of_others(
    make_index: Callable[..., AttributionIndex],
) -> None:
    names = [f"record {i}" for i in range(9)]
    copied = make_index(np.concatenate([ROWS, ROWS[:1]]), scales=[*SCALES, SCALES[0]], clusters=[*names, "record 0"])
    assert copied.divisors.tolist() == [1] * 9 + [0]
    assert (copied.covariance() == make_index(ROWS, scales=SCALES).covariance()).all()
