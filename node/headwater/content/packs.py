"""Packs: one CARv1 file for each content put, named by its root, made durable by one flush.

In: blocks, or a pack's path. Out: a pack that is there whole or not at all; where each block lies in a pack. A scan
never raises for damage: what can be found is found, and the damage is told beside it. Does not verify blocks.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from headwater.content.car import encode_header, encode_section_head, read_header, read_section_head
from headwater.content.cid import RAW, cid_bytes, make_cid
from headwater.content.durable import fsync_file, full_disk
from headwater.errors import InvalidInput
from headwater.storage.files import sync_folder
from headwater.types import Cid

SUFFIX: Final = ".car"
_PLACEHOLDER: Final = make_cid(RAW, bytes(32))


@dataclass(frozen=True, slots=True)
class PackIndex:
    """Where blocks lie: digest → (offset, length). `damage` is empty, or says what is wrong with the file."""

    stamp: tuple[int, int, int]
    places: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    damage: str = ""


def stamp_of(path: Path) -> tuple[int, int, int] | None:
    """What changes when a pack is replaced or touched; None if there is no such pack."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def scan_pack(path: Path, stamp: tuple[int, int, int]) -> PackIndex:
    """Read the heads of all sections, skipping the blocks. Raises FileNotFoundError if the pack is gone."""
    places: dict[bytes, tuple[int, int]] = {}
    size = stamp[2]
    with path.open("rb") as file:
        try:
            read_header(file)
            while head := read_section_head(file):
                cid, length = head
                offset = file.tell()
                if offset + length > size:
                    return PackIndex(stamp, places, f"it ends inside the block {cid}")
                places[cid_bytes(cid)[4:]] = (offset, length)
                file.seek(length, os.SEEK_CUR)
        except InvalidInput as error:
            return PackIndex(stamp, places, error.cause)
    return PackIndex(stamp, places)


def read_place(path: Path, place: tuple[int, int]) -> bytes:
    """The bytes at (offset, length); fewer if the pack has been cut short. Raises FileNotFoundError if it is gone."""
    with path.open("rb", buffering=0) as file:
        return os.pread(file.fileno(), place[1], place[0])


class PackWriter:
    """Writes one pack out of sight. Leaving the block without `publish` removes every trace of it."""

    def __init__(self, scratch: Path) -> None:
        self._path = scratch / f"{os.getpid()}-{os.urandom(8).hex()}{SUFFIX}"
        self._seen: set[Cid] = set()
        with full_disk(scratch):
            self._file = self._path.open("x+b", buffering=1 << 16)
            # The root is known last; every root's head has the same length, so its place is kept free.
            self._file.write(encode_header([_PLACEHOLDER]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()  # after a full disk this tries to write again
        except OSError:
            if error is None:
                raise
        finally:
            self._path.unlink(missing_ok=True)

    def add(self, cid: Cid, block: bytes | memoryview) -> None:
        """Append a block, once. Raises DiskFull."""
        if cid in self._seen:
            return
        self._seen.add(cid)
        with full_disk(self._path.parent):
            self._file.write(encode_section_head(cid, len(block)))
            self._file.write(block)

    def finish(self, root: Cid) -> BinaryIO:
        """Write the head; returns the archive at its beginning, to read until the block is left. Raises DiskFull."""
        with full_disk(self._path.parent):
            self._file.seek(0)
            self._file.write(encode_header([root]))
            self._file.flush()
        self._file.seek(0)
        return self._file

    @property
    def size_bytes(self) -> int:
        """Of the whole archive, once it is finished."""
        return os.fstat(self._file.fileno()).st_size

    def publish(self, root: Cid, folder: Path) -> None:
        """Make the pack durable, then visible under its root's name, replacing one of the same. Raises DiskFull."""
        self.finish(root)
        with full_disk(folder):
            fsync_file(self._file)
            self._path.rename(folder / f"{root}{SUFFIX}")
            sync_folder(folder)
