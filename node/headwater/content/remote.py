"""A content store in a daemon of the content network, which is never trusted.

In: the same as any `ContentStore`; a `Daemon` that carries blocks and pins. Out: the same promises: the DAG is built
and its root known on this side, sent as one archive, pinned, compared; every block read is verified. Does not know
the daemon's protocol (`kubo` and `ipfshttpclient_store` do).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, ClassVar, Final, Protocol

from headwater.content.car import verify_block
from headwater.content.cid import DAG_PB, codec_of_cid, parse_cid
from headwater.content.packs import PackWriter
from headwater.content.reading import ReadBlock, VerifiedReader, complete_dag, missing, reachable
from headwater.content.unixfs import Source, build
from headwater.errors import HeadwaterError, MissingContent, Unavailable, VerificationFailed
from headwater.types import Cid

DEFAULT_DEADLINE_SECONDS: Final = 30.0

_PROVIDER: Final = "start a peer that has it, or put the original again"
_ABSENT: Final = ("not found", "could not find", "deadline exceeded", "context canceled")


class DaemonRefused(Unavailable):
    """The daemon answered with an error; `details['message']` has its words."""

    code: ClassVar[str] = "daemon_refused"


class DeadlinePassed(Unavailable):
    """The daemon did not answer in time."""

    code: ClassVar[str] = "deadline_passed"


class Daemon(Protocol):
    """What a daemon must do. Every call has a deadline and raises DaemonRefused, DeadlinePassed or Unavailable."""

    @property
    def address(self) -> str: ...

    def import_car(self, car: BinaryIO, car_bytes: int) -> list[tuple[str, str]]:
        """Store all blocks of an archive and pin its roots. Returns (root, why it is not pinned or '') for each."""
        ...

    def block(self, cid: Cid, offline: bool) -> bytes: ...
    def has_block(self, cid: Cid) -> bool: ...
    def pin(self, cid: Cid) -> None: ...

    def unpin(self, cid: Cid) -> bool:
        """False if it was not pinned."""
        ...

    def pins(self, cid: Cid | None = None) -> list[str]:
        """All CIDs pinned with what is below them, or that one alone, or an empty list."""
        ...


class RemoteStore(VerifiedReader):
    """A `ContentStore` over a daemon. `spool` is a folder for archives on their way, emptied after each.

    `delete` unpins; the bytes stay with the daemon until its own garbage collection.
    """

    def __init__(self, daemon: Daemon, spool: Path) -> None:
        self._daemon = daemon
        self._spool = spool
        spool.mkdir(parents=True, exist_ok=True)

    def put(self, source: Source) -> Cid:
        with PackWriter(self._spool) as writer:
            cid = build(source, writer.add).cid
            self._send(cid, writer)
        return cid

    def put_blocks(self, root: Cid, blocks: Iterable[tuple[Cid, bytes]]) -> Cid:
        root = parse_cid(root)
        with PackWriter(self._spool) as writer:
            for block in complete_dag(root, blocks, "the blocks given"):
                writer.add(*block)
            self._send(root, writer)
        return root

    def hold(self, cid: Cid) -> None:
        cid = parse_cid(cid)
        try:
            self._daemon.pin(cid)
        except HeadwaterError as error:
            raise self._read_error(cid, error) from None
        self._check_pinned(cid)

    def has(self, cid: Cid) -> bool:
        cid = parse_cid(cid)
        read = self._block_reader(offline=True)
        try:
            return all(
                codec_of_cid(found) == DAG_PB or self._daemon.has_block(found) for found in reachable(read, cid)
            )
        except MissingContent:
            return False

    def delete(self, cid: Cid) -> bool:
        return self._daemon.unpin(parse_cid(cid))

    def roots(self) -> Iterator[Cid]:
        """All that the daemon pins in our form; other people's CIDs of other forms are none of ours."""
        for text in sorted(self._daemon.pins()):
            if text.startswith(("bafk", "bafy")):
                yield parse_cid(text)

    def _reader(self, root: Cid) -> ReadBlock:
        return self._block_reader(offline=False)

    def _block_reader(self, offline: bool) -> ReadBlock:
        def read(cid: Cid) -> bytes:
            try:
                data = self._daemon.block(cid, offline)
            except HeadwaterError as error:
                raise self._read_error(cid, error) from None
            verify_block(cid, data, f"the daemon at {self._daemon.address}")
            return data

        return read

    def _send(self, root: Cid, writer: PackWriter) -> None:
        car = writer.finish(root)
        answers = self._daemon.import_car(car, writer.size_bytes)
        failed = [why for cid, why in answers if cid == root and why]
        if [cid for cid, _ in answers] != [root] or failed:
            raise VerificationFailed(
                f"the daemon at {self._daemon.address} did not import and pin {root}: it answered {answers}",
                "look into its log, then run the same command again",
                cid=root,
            )
        self._check_pinned(root)

    def _check_pinned(self, cid: Cid) -> None:
        if cid not in self._daemon.pins(cid):
            raise VerificationFailed(
                f"the daemon at {self._daemon.address} acknowledged {cid} and does not list it as pinned",
                "look into its log, then run the same command again",
                cid=cid,
            )

    def _read_error(self, cid: Cid, error: HeadwaterError) -> HeadwaterError:
        where = f"the daemon at {self._daemon.address}"
        if isinstance(error, DeadlinePassed):
            return missing(cid, [f"{where}, whose peers did not send it in time"], _PROVIDER)
        if isinstance(error, DaemonRefused) and any(word in str(error.details["message"]) for word in _ABSENT):
            return missing(cid, [where], _PROVIDER)
        return error
