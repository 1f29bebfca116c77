"""CARv1: blocks in one file, to send or to keep. Written plainly, read strictly.

In: roots and blocks, or a stream from an untrusted source. Out: the archive's bytes, or its roots and blocks, each
verified against its CID. Does not know whether the blocks form a whole (`reading.complete_dag` does).
Source: https://ipld.io/specs/transport/car/carv1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO, Final, NamedTuple

from headwater.content.cid import CID_BYTES, cid_bytes, cid_from_bytes, digest_of_cid
from headwater.content.dagpb import encode_varint
from headwater.errors import CorruptContent, InvalidInput
from headwater.types import Cid

MAX_BLOCK_BYTES: Final = 2 << 20
"""What other nodes of the network accept in one block."""
MAX_ROOTS: Final = 23
"""As many as one byte of CBOR counts; an archive of ours has one."""

_LOOK: Final = "ask for the archive again: it must be a CARv1 of sha2-256 blocks"


class Block(NamedTuple):
    cid: Cid
    data: bytes


def verify_block(cid: Cid, data: bytes | memoryview, source: str) -> None:
    """Raises CorruptContent if the bytes are not those that the CID names; `source` says where they came from."""
    if hashlib.sha256(data).digest() != digest_of_cid(cid):
        raise CorruptContent(
            f"{len(data)} bytes from {source} are not the block {cid}",
            "nothing of them was used; fetch the block from another source",
            cid=cid,
            tried=[source],
        )


def encode_header(roots: Sequence[Cid]) -> bytes:
    """The archive's head: dag-cbor of {roots, version: 1}, preceded by its length."""
    if not 1 <= len(roots) <= MAX_ROOTS:
        raise InvalidInput(f"an archive has 1 to {MAX_ROOTS} roots, not {len(roots)}", "write several archives")
    links = b"".join(b"\xd8\x2a\x58\x25\x00" + cid_bytes(root) for root in roots)
    body = b"\xa2\x65roots" + bytes((0x80 | len(roots),)) + links + b"\x67version\x01"
    return encode_varint(len(body)) + body


def encode_section_head(cid: Cid, block_bytes: int) -> bytes:
    """What precedes a block: the length of CID and block, and the CID."""
    return encode_varint(CID_BYTES + block_bytes) + cid_bytes(cid)


def write_car(out: BinaryIO, roots: Sequence[Cid], blocks: Iterable[tuple[Cid, bytes]]) -> None:
    out.write(encode_header(roots))
    for cid, data in blocks:
        out.write(encode_section_head(cid, len(data)))
        out.write(data)


def read_car(stream: BinaryIO, source: str = "the archive") -> tuple[tuple[Cid, ...], Iterator[Block]]:
    """(roots, blocks in their order). Reading the blocks raises CorruptContent at the first whose bytes do not match
    its CID, InvalidInput at anything that is not CARv1 as the profile has it, or an end inside a block."""
    return read_header(stream), _blocks(stream, source)


def read_header(stream: BinaryIO) -> tuple[Cid, ...]:
    """Read the head. Raises InvalidInput if `encode_header` would have written it otherwise."""
    try:
        length = _read_varint(stream)
        body = _read_exactly(stream, length) if length and length <= 64 * MAX_ROOTS else b""
        count = body[7] & 0x1F if len(body) > 7 else 0
        roots = tuple(cid_from_bytes(body[13 + 41 * i : 49 + 41 * i]) for i in range(count))
        if roots and encode_header(roots) == encode_varint(len(body)) + body:
            return roots
        why = "it is another version, or has no roots"
    except InvalidInput as error:
        why = error.cause
    raise InvalidInput(f"the stream does not begin with the head of a CARv1: {why}", _LOOK)


def read_section_head(stream: BinaryIO) -> tuple[Cid, int] | None:
    """(CID, length of the block that follows), or None at the archive's end. Raises InvalidInput."""
    length = _read_varint(stream)
    if length is None:
        return None
    if not CID_BYTES <= length <= CID_BYTES + MAX_BLOCK_BYTES:
        raise InvalidInput(f"a section of the archive claims {length} bytes", _LOOK)
    return cid_from_bytes(_read_exactly(stream, CID_BYTES)), length - CID_BYTES


def _blocks(stream: BinaryIO, source: str) -> Iterator[Block]:
    while head := read_section_head(stream):
        cid, length = head
        data = _read_exactly(stream, length)
        verify_block(cid, data, source)
        yield Block(cid, data)


def _read_varint(stream: BinaryIO) -> int | None:
    value = shift = 0
    while True:
        byte = stream.read(1)
        if not byte and shift == 0:
            return None
        if not byte or shift > 56:
            raise InvalidInput("the archive ends inside a length", _LOOK)
        value |= (byte[0] & 0x7F) << shift
        shift += 7
        if byte[0] < 0x80:
            if byte[0] == 0 and shift > 7:
                raise InvalidInput("a length in the archive is not in its shortest form", _LOOK)
            return value


def _read_exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    while len(data) < count:
        more = stream.read(count - len(data))
        if not more:
            raise InvalidInput(f"the archive ends {count - len(data)} bytes early", _LOOK)
        data += more
    return data
