"""An archive reads back, and one that lies in any byte does not."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.content.car import MAX_BLOCK_BYTES, Block, encode_header, encode_section_head, read_car, write_car
from headwater.content.cid import DAG_PB, RAW, block_cid
from headwater.content.dagpb import encode_varint
from headwater.errors import CorruptContent, HeadwaterError, InvalidInput

blocks_strategy = st.lists(
    st.tuples(st.sampled_from([RAW, DAG_PB]), st.binary(max_size=300)).map(lambda b: Block(block_cid(*b), b[1])),
    min_size=1,
    max_size=10,
)


def archive(blocks: list[Block]) -> bytes:
    out = io.BytesIO()
    write_car(out, [block.cid for block in blocks][:23], blocks)
    return out.getvalue()


@given(blocks_strategy)
def test_every_archive_reads_back(blocks: list[Block]) -> None:
    roots, found = read_car(io.BytesIO(archive(blocks)))
    assert roots == tuple(block.cid for block in blocks)
    assert list(found) == blocks


@given(blocks_strategy, st.data())
def test_no_changed_byte_passes(blocks: list[Block], data: st.DataObject) -> None:
    """Property: after one changed byte the archive is refused, or its roots differ: no block's bytes ever do."""
    changed = bytearray(archive(blocks))
    at = data.draw(st.integers(0, len(changed) - 1))
    changed[at] ^= data.draw(st.integers(1, 255))
    try:
        roots, found = read_car(io.BytesIO(bytes(changed)))
        assert [block.data for block in found] == [block.data for block in blocks]
    except HeadwaterError:
        return
    # All that can change unseen by a hash: a root in the head, or a CID's codec.
    assert list(roots) != [block.cid for block in blocks] or changed[at] in (RAW, DAG_PB)


@given(blocks_strategy, st.data())
def test_an_archive_cut_short_is_refused_or_ends_between_blocks(blocks: list[Block], data: st.DataObject) -> None:
    whole = archive(blocks)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    try:
        _, found = read_car(io.BytesIO(cut))
        read = list(found)
    except InvalidInput:
        return
    assert read == blocks[: len(read)]
    assert len(read) < len(blocks)


def test_a_wrong_block_is_named() -> None:
    good = Block(block_cid(RAW, b"good"), b"good")
    stream = io.BytesIO(encode_header([good.cid]) + encode_section_head(good.cid, 3) + b"bad")
    with pytest.raises(CorruptContent, match=good.cid) as caught:
        list(read_car(stream, "peer 7")[1])
    assert caught.value.details == {"cid": good.cid, "tried": ["peer 7"]}


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"", "does not begin with the head"),
        (b"<html>", "does not begin with the head"),
        (b"\x0a\xa1\x67version\x02", "does not begin with the head"),  # CARv2's pragma
        (b"\xff" * 20, "does not begin with the head"),
    ],
)
def test_what_is_no_archive_is_refused(data: bytes, cause: str) -> None:
    with pytest.raises(InvalidInput, match=cause):
        read_car(io.BytesIO(data))


def test_a_giant_section_is_refused_before_it_is_read() -> None:
    cid = block_cid(RAW, b"")
    stream = io.BytesIO(encode_header([cid]) + encode_varint(MAX_BLOCK_BYTES + 37))
    with pytest.raises(InvalidInput, match="claims"):
        list(read_car(stream)[1])


def test_an_archive_without_roots_is_not_written() -> None:
    with pytest.raises(InvalidInput, match="1 to 23 roots"):
        encode_header([])
