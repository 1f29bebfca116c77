"""A node has one encoding, and only that one is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.content.cid import DAG_PB, RAW, make_cid
from headwater.content.dagpb import DIRECTORY, FILE, Link, Node, decode_node, encode_node
from headwater.errors import InvalidInput

sizes = st.integers(min_value=0, max_value=2**60)
cids = st.builds(make_cid, st.sampled_from([RAW, DAG_PB]), st.binary(min_size=32, max_size=32))
files = st.lists(st.tuples(cids, sizes, st.integers(0, 2**40)), max_size=20).map(
    lambda parts: Node(FILE, tuple(Link(c, "", t) for c, t, _ in parts), tuple(s for _, _, s in parts))
)
folders = st.lists(st.builds(Link, cids, st.text(max_size=200), sizes), max_size=20).map(
    lambda links: Node(DIRECTORY, tuple(links))
)


@given(files | folders)
def test_every_node_reads_back(node: Node) -> None:
    assert decode_node(encode_node(node)) == node


@given(files | folders, st.data())
def test_a_changed_byte_never_reads_as_the_same_node(node: Node, data: st.DataObject) -> None:
    block = bytearray(encode_node(node))
    at = data.draw(st.integers(0, len(block) - 1))
    block[at] ^= data.draw(st.integers(1, 255))
    try:
        other = decode_node(bytes(block))
    except InvalidInput:
        return
    assert other != node
    assert encode_node(other) == block


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_or_canonical(block: bytes) -> None:
    try:
        node = decode_node(block)
    except InvalidInput:
        return
    assert encode_node(node) == block


@pytest.mark.parametrize(
    ("block", "cause"),
    [
        (b"", "not a dag-pb node"),
        (b"\x0a\x02\x08\x05", "neither a plain folder nor a file"),  # a sharded folder
        (b"\x0a\x07\x08\x02\x12\x01a\x18\x01", "neither"),  # content inside the node
        (b"\x0a\x04\x08\x02\x18\x01", "states 1 bytes"),
        (b"\x0a\x06\x08\x02\x18\x05\x20\x05", "1 sizes for 0 links"),
        (b"\x0a\x02\x08\x01\x00", "does not end"),
        (b"\x0a\x82\x00\x08\x01", "shortest form"),
        (b"\x12\x7f\x0a", "lacks its CID"),
        (b"\x0a" + b"\xff" * 12, "too long"),
    ],
)
def test_malformed_nodes_say_why(block: bytes, cause: str) -> None:
    with pytest.raises(InvalidInput, match=cause):
        decode_node(block)
