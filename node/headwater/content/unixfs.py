"""Files and folders as blocks: the UnixFS profile `unixfs-v1-2025`, so that CIDs equal those of Kubo.

In: bytes, a path, or a mapping of names to either. Out: every block, handed to `emit` once it is known (leaves before
their nodes, the root last), and the root. Memory: one chunk and one node a level. Knows no store. Source: IPIP-499
(1 MiB chunks, at most 1,024 links a node, balanced tree, raw leaves, CIDv1, sha2-256).
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from headwater.content.cid import DAG_PB, RAW, block_cid
from headwater.content.dagpb import DIRECTORY, FILE, Link, Node, encode_node
from headwater.errors import InvalidInput, NotFound
from headwater.types import Cid

CHUNK_BYTES: Final = 1 << 20
MAX_LINKS: Final = 1024
MAX_FOLDER_BYTES: Final = (256 << 10) - 16
"""A folder's node above 256 KiB would have to be sharded (about 5,000 names); 16 bytes less keeps clear of how its
size is estimated."""
MAX_NAME_BYTES: Final = 255
MAX_DEPTH: Final = 32

Source: TypeAlias = "bytes | Path | Mapping[str, Source]"
"""Bytes or a regular file become a file; a folder or a mapping of names becomes a folder, nested as it is."""

Emit: TypeAlias = Callable[[Cid, bytes | memoryview], None]


@dataclass(frozen=True, slots=True)
class Tree:
    """What was built: its root, the content bytes in it, and the bytes of all its blocks."""

    cid: Cid
    content_bytes: int
    tree_bytes: int


def build(source: Source, emit: Emit, depth: int = 0) -> Tree:
    """Cut `source` into blocks, call `emit(cid, block)` for each, and return the root.

    A block that occurs twice is emitted twice. Raises NotFound for a path that is not there, InvalidInput for a
    symbolic link or special file, a name that could not be a file's everywhere, or a folder of too many names.
    """
    if isinstance(source, bytes):
        view = memoryview(source)
        return build_file((view[at : at + CHUNK_BYTES] for at in range(0, len(view), CHUNK_BYTES)), emit)
    if isinstance(source, Mapping):
        return _build_folder(source, emit, depth)
    if source.is_dir():
        return _build_folder({child.name: child for child in source.iterdir()}, emit, depth)
    return build_file(_read_chunks(source), emit)


def build_file(chunks: Iterator[bytes] | Iterator[memoryview], emit: Emit, max_links: int = MAX_LINKS) -> Tree:
    """Build one file from its chunks: each of CHUNK_BYTES, the last of 1 byte or more; none for an empty file."""
    levels: list[list[Tree]] = [[]]
    for chunk in chunks:
        _append(levels, 0, _leaf(chunk, emit), emit, max_links)
    if levels == [[]]:
        return _leaf(b"", emit)
    level = 0
    while level < len(levels) - 1 or len(levels[level]) > 1:
        pending, levels[level] = levels[level], []
        if pending:
            _append(levels, level + 1, _file_node(pending, emit), emit, max_links)
        level += 1
    return levels[level][0]


def cid_of(source: Source) -> Cid:
    """The CID that `source` will have, without storing it. Raises as `build`."""
    return build(source, lambda cid, block: None).cid


def check_name(name: str) -> bytes:
    """A folder entry's name as UTF-8. Raises InvalidInput for one that could escape or confuse a file system."""
    try:
        encoded = name.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidInput(f"the name {name!r} is not UTF-8", "rename the file") from None
    if name in ("", ".", "..") or "/" in name or "\0" in name or len(encoded) > MAX_NAME_BYTES:
        raise InvalidInput(f"{name[:80]!r} cannot be the name of a file", "rename it: 1 to 255 bytes, no slash")
    return encoded


def _read_chunks(path: Path) -> Iterator[bytes]:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InvalidInput(f"{path} is neither a file nor a folder", "pass a regular file or a folder")
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}", "check the path") from None


def _append(levels: list[list[Tree]], level: int, tree: Tree, emit: Emit, max_links: int) -> None:
    if level == len(levels):
        levels.append([])
    levels[level].append(tree)
    if len(levels[level]) == max_links:
        full, levels[level] = levels[level], []
        _append(levels, level + 1, _file_node(full, emit), emit, max_links)


def _leaf(chunk: bytes | memoryview, emit: Emit) -> Tree:
    cid = block_cid(RAW, chunk)
    emit(cid, chunk)
    return Tree(cid, len(chunk), len(chunk))


def _file_node(children: list[Tree], emit: Emit) -> Tree:
    links = tuple(Link(child.cid, "", child.tree_bytes) for child in children)
    return _node(Node(FILE, links, tuple(child.content_bytes for child in children)), children, emit)


def _build_folder(entries: Mapping[str, Source], emit: Emit, depth: int) -> Tree:
    if depth == MAX_DEPTH:
        raise InvalidInput(f"folders are nested more than {MAX_DEPTH} deep", "flatten them")
    links, children = [], []
    for name in sorted(entries, key=check_name):
        source = entries[name]
        # Below the top a link could lead out of the folder that was meant to be shared.
        if isinstance(source, Path) and source.is_symlink():
            raise InvalidInput(f"{source} is a symbolic link", "replace it by the file that it points to")
        child = build(source, emit, depth + 1)
        links.append(Link(child.cid, name, child.tree_bytes))
        children.append(child)
    return _node(Node(DIRECTORY, tuple(links)), children, emit)


def _node(node: Node, children: list[Tree], emit: Emit) -> Tree:
    block = encode_node(node)
    if node.kind == DIRECTORY and len(block) > MAX_FOLDER_BYTES:
        raise InvalidInput(
            f"a folder of {len(children)} names is too long for one block ({len(block)} bytes)",
            "put the files into several folders of at most 3,000 names, or into one file",
        )
    cid = block_cid(DAG_PB, block)
    emit(cid, block)
    return Tree(
        cid,
        sum(child.content_bytes for child in children),
        len(block) + sum(child.tree_bytes for child in children),
    )
