"""Content out of verified blocks: files, folders, whole DAGs. What every store shares.

In: a function that returns the verified block of a CID. Out: file bytes, names, blocks; a node that contradicts
itself is CorruptContent. Does not know where blocks come from.
"""

from __future__ import annotations

import io
import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeAlias

from headwater.content.car import Block, verify_block
from headwater.content.cid import DAG_PB, RAW, codec_of_cid, parse_cid
from headwater.content.dagpb import DIRECTORY, FILE, Node, decode_node
from headwater.content.durable import fsync_file, full_disk
from headwater.content.unixfs import check_name
from headwater.errors import Conflict, CorruptContent, InvalidInput, MissingContent, NotFound
from headwater.storage.files import sync_folder
from headwater.types import Cid

ReadBlock: TypeAlias = Callable[[Cid], bytes]

DEFAULT_MAX_BYTES: Final = 1 << 30
MAX_FILE_DEPTH: Final = 6
"""1,024 links a node reach 1 EiB at this depth; deeper trees are made to exhaust readers."""


class VerifiedReader:
    """The reading half of a `ContentStore`, over `_reader`. Every method raises MissingContent or CorruptContent,
    naming the CID, what was tried and what to do, and InvalidInput for text that is not a CID."""

    def _reader(self, root: Cid) -> ReadBlock:
        """A function that returns verified blocks, told which DAG they will be asked for."""
        raise NotImplementedError

    def stream(self, cid: Cid) -> Iterator[bytes]:
        """The bytes of a file, chunk by chunk (at most 2 MiB), each verified before it is handed out."""
        cid = parse_cid(cid)
        return stream_file(self._reader(cid), cid)

    def get(self, cid: Cid, max_bytes: int = DEFAULT_MAX_BYTES) -> bytes:
        """All bytes of a file. Raises InvalidInput, before reading them, if they are more than `max_bytes`."""
        cid = parse_cid(cid)
        return read_file(self._reader(cid), cid, max_bytes)

    def get_file(self, cid: Cid, path: str, max_bytes: int = DEFAULT_MAX_BYTES) -> bytes:
        """All bytes of the file `path` (names joined by '/') in the folder `cid`. Raises NotFound, or as `get`."""
        cid = parse_cid(cid)
        read = self._reader(cid)
        return read_file(read, resolve(read, cid, path), max_bytes)

    def entries(self, cid: Cid) -> dict[str, Cid]:
        """What a folder holds, in its order. Raises InvalidInput if `cid` is a file."""
        cid = parse_cid(cid)
        return dict(read_folder(self._reader(cid), cid))

    def save(self, cid: Cid, target: Path, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        """Write a file or folder to `target`, which appears whole or not at all. Raises Conflict if it exists,
        NotFound if its folder does not, InvalidInput above `max_bytes`, DiskFull."""
        cid = parse_cid(cid)
        save_tree(self._reader(cid), cid, target, max_bytes)

    def blocks(self, cid: Cid) -> Iterator[Block]:
        """Every distinct block of the DAG, each once, a node before what it links to, verified."""
        cid = parse_cid(cid)
        read = self._reader(cid)
        return (Block(found, read(found)) for found in reachable(read, cid))


def missing(cid: Cid, tried: list[str], next_step: str) -> MissingContent:
    return MissingContent(f"the block {cid} is not in {', '.join(tried)}", next_step, cid=cid, tried=tried)


def read_node(read: ReadBlock, cid: Cid) -> Node:
    """Raises CorruptContent if the block matches its CID and is no node of the profile."""
    return _node(cid, read(cid))


def stream_file(read: ReadBlock, cid: Cid, depth: int = 0) -> Iterator[bytes]:
    if codec_of_cid(cid) == RAW:
        yield read(cid)
        return
    node = _file_node(read, cid)
    if depth == MAX_FILE_DEPTH:
        raise _malformed(cid, f"the file is nested more than {MAX_FILE_DEPTH} nodes deep")
    for link, size in zip(node.links, node.sizes, strict=True):
        got = 0
        for chunk in stream_file(read, link.cid, depth + 1):
            got += len(chunk)
            if got > size:
                break
            yield chunk
        if got != size:
            raise _malformed(cid, f"the file states {size} bytes for a part that has another length")


def read_file(read: ReadBlock, cid: Cid, max_bytes: int) -> bytes:
    if codec_of_cid(cid) == DAG_PB:
        _check_size(cid, _file_node(read, cid).file_bytes, max_bytes)
    buffer = io.BytesIO()  # unlike a joined list of chunks it holds the content once
    for chunk in stream_file(read, cid):
        buffer.write(chunk)
    _check_size(cid, buffer.tell(), max_bytes)
    return buffer.getvalue()


def read_folder(read: ReadBlock, cid: Cid) -> Mapping[str, Cid]:
    """The names in a folder. Raises InvalidInput for a file, CorruptContent for names that could not be files'."""
    if codec_of_cid(cid) == RAW:
        raise InvalidInput(f"{cid} is a file, not a folder", "read it with `get` or `stream`")
    return _names(cid, read(cid))


def resolve(read: ReadBlock, cid: Cid, path: str) -> Cid:
    """Follow names from a folder. Raises NotFound, saying which name is missing where."""
    for name in path.split("/"):
        entries = read_folder(read, cid)
        if name not in entries:
            raise NotFound(
                f"the folder {cid} has no {name!r}",
                f"it holds: {', '.join(list(entries)[:10]) or 'nothing'}",
                cid=cid,
            )
        cid = entries[name]
    return cid


def reachable(read: ReadBlock, root: Cid) -> Iterator[Cid]:
    """Every distinct CID of the DAG, depth first. Reads the nodes, never the leaves."""
    seen, waiting = {root}, [root]
    while waiting:
        cid = waiting.pop()
        yield cid
        if codec_of_cid(cid) == DAG_PB:
            for link in reversed(read_node(read, cid).links):
                if link.cid not in seen:
                    seen.add(link.cid)
                    waiting.append(link.cid)


def complete_dag(root: Cid, blocks: Iterable[tuple[Cid, bytes]], source: str) -> Iterator[Block]:
    """Pass blocks on, each verified, and raise at the end unless they are the whole DAG of `root` and nothing else.

    Whoever consumes it must keep nothing if it raises: CorruptContent for a wrong block, MissingContent for one that
    lacks, InvalidInput for one that does not belong.
    """
    links: dict[Cid, tuple[Cid, ...]] = {}
    for cid, data in blocks:
        cid = parse_cid(cid)
        verify_block(cid, data, source)
        if codec_of_cid(cid) == DAG_PB:
            links[cid] = tuple(link.cid for link in _node(cid, data).links)
        else:
            links[cid] = ()
        yield Block(cid, data)
    needed, waiting = {root}, [root]
    while waiting:
        cid = waiting.pop()
        if cid not in links:
            raise missing(cid, [source], f"ask again for all blocks of {root}: nothing of it was kept")
        new = set(links[cid]) - needed
        needed |= new
        waiting.extend(new)
    if len(links) > len(needed):
        stray = next(cid for cid in links if cid not in needed)
        raise InvalidInput(
            f"the block {stray} from {source} is no part of {root}", "send only the blocks of that CID"
        )


def save_tree(read: ReadBlock, cid: Cid, target: Path, max_bytes: int) -> None:
    if target.exists() or target.is_symlink():
        raise Conflict(f"{target} is there already", "remove it or choose another path", path=str(target))
    if not target.parent.is_dir():
        raise NotFound(f"there is no folder {target.parent}", "make it first", path=str(target))
    with full_disk(target.parent), tempfile.TemporaryDirectory(dir=target.parent, prefix=".saving-") as scratch:
        whole = Path(scratch, "whole")
        _save(read, cid, whole, max_bytes)
        # A folder made meanwhile and not empty makes this fail; a file made meanwhile is replaced by the same user.
        whole.rename(target)
        sync_folder(target.parent)


def _save(read: ReadBlock, cid: Cid, target: Path, left_bytes: int) -> int:
    """Write below `target`; returns how many of `left_bytes` are left."""
    if codec_of_cid(cid) == DAG_PB and read_node(read, cid).kind == DIRECTORY:
        target.mkdir()
        for name, child in read_folder(read, cid).items():
            left_bytes = _save(read, child, target / name, left_bytes)
        sync_folder(target)
        return left_bytes
    with target.open("xb") as file:
        for chunk in stream_file(read, cid):
            left_bytes -= len(chunk)
            if left_bytes < 0:
                raise InvalidInput(
                    f"{cid} is larger than the limit given", "allow more bytes, or choose other content"
                )
            file.write(chunk)
        fsync_file(file)
    return left_bytes


@lru_cache(maxsize=16)  # reading the files of a folder one by one asks for its names each time
def _names(cid: Cid, block: bytes) -> Mapping[str, Cid]:
    node = _node(cid, block)
    if node.kind != DIRECTORY:
        raise InvalidInput(f"{cid} is a file, not a folder", "read it with `get` or `stream`")
    try:
        names = [check_name(link.name) for link in node.links]
    except InvalidInput as error:
        raise _malformed(cid, error.cause) from None
    if any(a >= b for a, b in itertools.pairwise(names)):
        raise _malformed(cid, "the folder's names are not in order, or one occurs twice")
    return MappingProxyType({link.name: link.cid for link in node.links})


def _node(cid: Cid, block: bytes) -> Node:
    try:
        return decode_node(block)
    except InvalidInput as error:
        raise _malformed(cid, error.cause) from None


def _file_node(read: ReadBlock, cid: Cid) -> Node:
    node = read_node(read, cid)
    if node.kind != FILE:
        raise InvalidInput(f"{cid} is a folder, not a file", "name a file in it, or list it with `entries`")
    return node


def _check_size(cid: Cid, size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise InvalidInput(
            f"{cid} has {size} bytes, more than the limit of {max_bytes}", "read it with `stream` or `save`", cid=cid
        )


def _malformed(cid: Cid, cause: str) -> CorruptContent:
    return CorruptContent(
        f"the block {cid} matches its CID and is malformed: {cause}",
        "whoever made this content made it wrong; ask them to import it with the profile unixfs-v1-2025",
        cid=cid,
    )
