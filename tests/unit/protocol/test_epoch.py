"""Leaves and roots of an epoch: each is bound to the receipt, the signature and the place that it is about."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st

from headwater.protocol.epoch import (
    CHUNK_BYTES,
    EpochBundle,
    attribution_leaf,
    chunks_root,
    leaves_tree,
    receipt_leaf,
)
from headwater.protocol.merkle import merkle_root
from headwater.testing import examples
from headwater.types import ZERO_DIGEST, Signature

TERMS = examples.lane()
DUE = examples.receipts_of(TERMS, 3)
BUNDLE = examples.bundle(DUE, [examples.fresh_row(TERMS)])
OTHER_SIGNATURE = Signature(bytes(64) + b"\x1b")


def test_a_bundle_survives_its_bytes() -> None:
    assert EpochBundle.from_bytes(BUNDLE.canonical_bytes()) == BUNDLE


def test_a_receipts_leaf_names_lane_sequence_receipt_and_signature() -> None:
    leaf = receipt_leaf(DUE[1])
    assert (leaf.lane_id, leaf.sequence, leaf.receipt_digest) == (TERMS.lane_id, 2, DUE[1].receipt.digest())
    assert leaf.signature_digest == keccak(DUE[1].receipt_signature)


def test_another_signature_is_another_leaf() -> None:
    """So that a bad one in the bundle can be shown to be the one that was frozen."""
    assert receipt_leaf(replace(DUE[0], receipt_signature=OTHER_SIGNATURE)) != receipt_leaf(DUE[0])
    assert attribution_leaf(replace(DUE[0], attribution_signature=OTHER_SIGNATURE)) != attribution_leaf(DUE[0])
    assert receipt_leaf(replace(DUE[0], attribution_signature=OTHER_SIGNATURE)) == receipt_leaf(DUE[0])


def test_the_order_of_leaves_is_in_the_root() -> None:
    leaves = [receipt_leaf(s) for s in DUE]
    assert leaves_tree(leaves).root != leaves_tree(list(reversed(leaves))).root
    assert leaves_tree([]).root == ZERO_DIGEST


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
def test_chunks_are_four_kibibytes_and_the_last_may_be_shorter(size: int) -> None:
    data = bytes(i % 251 for i in range(size))
    parts = [data[i : i + CHUNK_BYTES] for i in range(0, size, CHUNK_BYTES)]
    assert b"".join(parts) == data
    assert chunks_root(data) == merkle_root([keccak(p) for p in parts])


@given(st.binary(min_size=1, max_size=3 * CHUNK_BYTES), st.data())
def test_any_changed_byte_changes_the_chunks_root(raw: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(raw) - 1))
    changed = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
    assert chunks_root(changed) != chunks_root(raw)
    assert chunks_root(raw + b"\0") != chunks_root(raw)
