"""The two protobuf messages of a UnixFS node, PBNode and Data, written and read by hand.

In: links and sizes, or a block's bytes from an untrusted source. Out: the canonical bytes, or a checked `Node`. Knows
nothing of how nodes form files. Only the canonical encoding is read (each block must equal the encoding of what was
read from it), so no content has two identifiers. Sources: https://ipld.io/specs/codecs/dag-pb/spec,
https://specs.ipfs.tech/unixfs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from headwater.content.cid import CID_BYTES, cid_bytes, cid_from_bytes
from headwater.errors import InvalidInput
from headwater.types import Cid

DIRECTORY: Final = 1
FILE: Final = 2

_BYTES: Final = 2
_NEXT_STEP: Final = "import the content again with the profile unixfs-v1-2025"


@dataclass(frozen=True, slots=True)
class Link:
    """One edge: `name` is empty inside files; `tree_bytes` is the size of all blocks below (dag-pb's Tsize)."""

    cid: Cid
    name: str
    tree_bytes: int


@dataclass(frozen=True, slots=True)
class Node:
    """A file node with links (`sizes`: content bytes below each link) or a folder (`sizes` is empty)."""

    kind: int
    links: tuple[Link, ...]
    sizes: tuple[int, ...] = ()

    @property
    def file_bytes(self) -> int:
        return sum(self.sizes)


def encode_node(node: Node) -> bytes:
    """The block of a node. Links come before data, as dag-pb's canonical form has it."""
    parts = [_field(2, _link(link)) for link in node.links]
    data = b"\x08" + encode_varint(node.kind)
    if node.kind == FILE:
        data += b"\x18" + encode_varint(node.file_bytes)
        data += b"".join(b"\x20" + encode_varint(size) for size in node.sizes)
    parts.append(_field(1, data))
    return b"".join(parts)


def decode_node(block: bytes) -> Node:
    """Read a node's block. Raises InvalidInput for anything that `encode_node` would not have written."""
    links, at = [], 0
    while block[at : at + 1] == b"\x12":
        length, start = decode_varint(block, at + 1)
        at = start + length
        links.append(_read_link(block[start:at]))
    if block[at : at + 1] != b"\x0a":
        raise InvalidInput("the block is not a dag-pb node with UnixFS data", _NEXT_STEP)
    length, start = decode_varint(block, at + 1)
    if start + length != len(block):
        raise InvalidInput("the node's UnixFS data does not end where the node ends", _NEXT_STEP)
    kind, sizes = _read_data(block[start:])
    if kind == FILE and len(sizes) != len(links):
        raise InvalidInput(f"the file node states {len(sizes)} sizes for {len(links)} links", _NEXT_STEP)
    return Node(kind, tuple(links), sizes)


def encode_varint(value: int) -> bytes:
    """Unsigned LEB128, as in protobuf and CAR."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def decode_varint(data: bytes, at: int) -> tuple[int, int]:
    """(value, position after it). Raises InvalidInput if it is cut short, over 63 bits, or not the shortest form."""
    value = shift = 0
    while True:
        if at >= len(data) or shift > 56:
            raise InvalidInput("a number in the block is cut short or too long", _NEXT_STEP)
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            if byte == 0 and shift > 7:
                raise InvalidInput("a number in the block is not in its shortest form", _NEXT_STEP)
            return value, at


def _field(number: int, value: bytes) -> bytes:
    return bytes((number << 3 | _BYTES,)) + encode_varint(len(value)) + value


def _link(link: Link) -> bytes:
    name = link.name.encode("utf-8")
    return _field(1, cid_bytes(link.cid)) + _field(2, name) + b"\x18" + encode_varint(link.tree_bytes)


def _read_link(data: bytes) -> Link:
    cid_end = 2 + CID_BYTES
    if data[:2] != bytes((0x0A, CID_BYTES)) or data[cid_end : cid_end + 1] != b"\x12":
        raise InvalidInput("a link of the node lacks its CID or name", _NEXT_STEP)
    length, start = decode_varint(data, cid_end + 1)
    name_end = start + length
    if data[name_end : name_end + 1] != b"\x18":
        raise InvalidInput("a link of the node lacks its size", _NEXT_STEP)
    size, end = decode_varint(data, name_end + 1)
    if end != len(data):
        raise InvalidInput("a link of the node is longer than its fields", _NEXT_STEP)
    try:
        return Link(cid_from_bytes(data[2:cid_end]), data[start:name_end].decode("utf-8"), size)
    except UnicodeDecodeError:
        raise InvalidInput(
            "a name in the folder is not UTF-8", "rename the file and import the folder again"
        ) from None


def _read_data(data: bytes) -> tuple[int, tuple[int, ...]]:
    """(kind, sizes) of the UnixFS message: a folder's is its type alone, a file's has its size and its parts'."""
    if data == bytes((0x08, DIRECTORY)):
        return DIRECTORY, ()
    if data[:3] != bytes((0x08, FILE, 0x18)):
        raise InvalidInput("the node is neither a plain folder nor a file of raw leaves", _NEXT_STEP)
    total, at = decode_varint(data, 3)
    sizes = []
    while at < len(data):
        if data[at] != 0x20:
            raise InvalidInput("the file node has a field that the profile does not use", _NEXT_STEP)
        size, at = decode_varint(data, at + 1)
        sizes.append(size)
    if total != sum(sizes):
        raise InvalidInput(f"the file node states {total} bytes, its parts {sum(sizes)}", _NEXT_STEP)
    return FILE, tuple(sizes)
