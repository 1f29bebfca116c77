"""The content store: the seam, and the embedded one in a folder.

In: bytes, files or folders; CIDs. Out: CIDs equal to Kubo's; content of which every block was verified. Does not know
what content means, or who still needs it (`pins` does).
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from headwater.content.car import Block, verify_block
from headwater.content.cid import digest_of_cid, parse_cid
from headwater.content.durable import full_disk
from headwater.content.packs import SUFFIX, PackIndex, PackWriter, read_place, scan_pack, stamp_of
from headwater.content.reading import (
    DEFAULT_MAX_BYTES,
    ReadBlock,
    VerifiedReader,
    complete_dag,
    missing,
    reachable,
)
from headwater.content.unixfs import Source, build
from headwater.errors import CorruptContent, MissingContent
from headwater.storage.files import sync_folder
from headwater.types import Cid

FETCH: Final = "put the original again, or copy it from another store that has it"


class ContentStore(Protocol):
    """Where content lives. Safe to use from several threads.

    What is put or held is *kept*: it and everything below it stays readable until `delete`. All methods raise
    InvalidInput for text that is not a CID, and Unavailable if the store cannot be reached.
    """

    def put(self, source: Source) -> Cid:
        """Keep bytes, a file, a folder, or a mapping of names to these. Durable when it returns. The same content
        again is the same CID and no second copy. Raises DiskFull, leaving nothing; InvalidInput as `unixfs.build`."""
        ...

    def put_blocks(self, root: Cid, blocks: Iterable[tuple[Cid, bytes]]) -> Cid:
        """Keep a DAG that was built elsewhere, from all its blocks in any order (another store's `blocks(root)`).
        Raises CorruptContent, MissingContent or InvalidInput, keeping nothing, unless they are exactly that DAG."""
        ...

    def hold(self, cid: Cid) -> None:
        """Keep what is already readable here, such as one file of a folder, for itself. Raises MissingContent."""
        ...

    def stream(self, cid: Cid) -> Iterator[bytes]: ...
    def get(self, cid: Cid, max_bytes: int = DEFAULT_MAX_BYTES) -> bytes: ...
    def get_file(self, cid: Cid, path: str, max_bytes: int = DEFAULT_MAX_BYTES) -> bytes: ...
    def entries(self, cid: Cid) -> dict[str, Cid]: ...
    def save(self, cid: Cid, target: Path, max_bytes: int = DEFAULT_MAX_BYTES) -> None: ...
    def blocks(self, cid: Cid) -> Iterator[Block]: ...

    def has(self, cid: Cid) -> bool:
        """Whether every block of it is here, without asking a network. Leaves are not hashed (`blocks`
        does that). Raises CorruptContent for a damaged node."""
        ...

    def delete(self, cid: Cid) -> bool:
        """Keep it no longer; False if it was not kept. What other kept content shares with it stays."""
        ...

    def roots(self) -> Iterator[Cid]:
        """All that is kept."""
        ...


class LocalStore(VerifiedReader):
    """A folder of packs. Several threads and processes may read and write the same folder at once.

    `packs/<root>.car` holds every block of one kept content and appears by one rename after its flush; `scratch/`
    holds what is being written. Content shared by two roots is stored twice: a root's removal never touches another.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root
        self._packs = root / "packs"
        self._scratch = root / "scratch"
        self._lock_path = root / "writers.lock"
        self._indexes: dict[Cid, PackIndex] = {}
        with full_disk(root):
            for folder in (self._packs, self._scratch):
                folder.mkdir(parents=True, exist_ok=True)
            sync_folder(root)
        self._sweep()

    def put(self, source: Source) -> Cid:
        with self._writer() as writer:
            cid = build(source, writer.add).cid
            writer.publish(cid, self._packs)
        return cid

    def put_blocks(self, root: Cid, blocks: Iterable[tuple[Cid, bytes]]) -> Cid:
        root = parse_cid(root)
        with self._writer() as writer:
            for block in complete_dag(root, blocks, "the blocks given"):
                writer.add(*block)
            writer.publish(root, self._packs)
        return root

    def hold(self, cid: Cid) -> None:
        cid = parse_cid(cid)
        if not self._path(cid).exists():
            self.put_blocks(cid, self.blocks(cid))

    def has(self, cid: Cid) -> bool:
        cid = parse_cid(cid)
        try:
            return all(
                any(True for _ in self._find(digest_of_cid(found), [cid]))
                for found in reachable(self._reader(cid), cid)
            )
        except MissingContent:
            return False

    def delete(self, cid: Cid) -> bool:
        try:
            self._path(parse_cid(cid)).unlink()
        except FileNotFoundError:
            return False
        sync_folder(self._packs)
        return True

    def roots(self) -> Iterator[Cid]:
        for path in sorted(self._packs.glob(f"*{SUFFIX}")):
            yield parse_cid(path.stem)

    def _reader(self, root: Cid) -> ReadBlock:
        likely = [root]  # the pack of the content asked for, then the one that had the last block

        def read(cid: Cid) -> bytes:
            damaged: CorruptContent | None = None
            for pack, place in self._find(digest_of_cid(cid), likely):
                try:
                    data = read_place(self._path(pack), place)
                    verify_block(cid, data, str(self._path(pack)))
                except FileNotFoundError:
                    continue
                except CorruptContent as error:
                    damaged = error
                    continue
                likely[1:] = [pack]
                return data
            raise damaged or self._not_found(cid, root)

        return read

    def _find(self, digest: bytes, likely: Iterable[Cid]) -> Iterator[tuple[Cid, tuple[int, int]]]:
        """Every pack that has the block and where in it, the likely ones first."""
        first = list(likely)
        for pack in first:
            if (index := self._index(pack)) and digest in index.places:
                yield pack, index.places[digest]
        for pack in self.roots():
            if pack not in first and (index := self._index(pack)) and digest in index.places:
                yield pack, index.places[digest]

    def _index(self, pack: Cid) -> PackIndex | None:
        """The pack's index, scanned again if the file is another than last time; None if there is no such pack."""
        path = self._path(pack)
        stamp = stamp_of(path)
        known = self._indexes.get(pack)
        if stamp is None:
            self._indexes.pop(pack, None)
            return None
        if known is None or known.stamp != stamp:
            try:
                known = scan_pack(path, stamp)
            except FileNotFoundError:
                return None
            self._indexes[pack] = known
        return known

    def _path(self, pack: Cid) -> Path:
        return self._packs / f"{pack}{SUFFIX}"

    @contextmanager
    def _writer(self) -> Iterator[PackWriter]:
        with self._lock_path.open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            with PackWriter(self._scratch) as writer:
                yield writer

    def _sweep(self) -> None:
        """Remove what writers that were killed left behind. Only when nobody writes: every writer shares the lock."""
        with self._lock_path.open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            for left in self._scratch.iterdir():
                left.unlink()

    def _not_found(self, cid: Cid, root: Cid) -> MissingContent | CorruptContent:
        index = self._index(root)
        if index and index.damage:
            path = self._path(root)
            return CorruptContent(
                f"the block {cid} cannot be read from {path}: {index.damage}", FETCH, cid=cid, tried=[str(path)]
            )
        return missing(cid, [f"the store {self.folder}"], FETCH)
