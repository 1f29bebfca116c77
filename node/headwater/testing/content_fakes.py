"""The content room's tables in memory (content keys and pins), and large content made by a formula."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from headwater.content.pins import Pin, PinState
from headwater.content.unixfs import CHUNK_BYTES
from headwater.errors import Conflict, ErasedContent, NotFound
from headwater.types import Cid, Digest


class MemoryKeys:
    """A `KeyStore`."""

    def __init__(self) -> None:
        self._keys: dict[Digest, bytes | None] = {}

    def add(self, commitment: Digest, key: bytes) -> bytes:
        self._keys.setdefault(commitment, key)
        return self.get(commitment)

    def get(self, commitment: Digest) -> bytes:
        if commitment not in self._keys:
            raise NotFound(f"there is no key for 0x{commitment.hex()}", "check the commitment")
        key = self._keys[commitment]
        if key is None:
            raise ErasedContent(f"the key of 0x{commitment.hex()} was destroyed", "nothing can bring the record back")
        return key

    def destroy(self, commitment: Digest) -> None:
        self._keys[commitment] = None


class MemoryPinRows:
    """A `PinRows`."""

    def __init__(self) -> None:
        self._rows: dict[tuple[Cid, str], PinState] = {}

    def want(self, cid: Cid, reason: str) -> None:
        if PinState.COLLECTING in self._states(cid):
            raise Conflict(f"{cid} is being removed at this moment", "try again")
        if self._rows.get((cid, reason)) in (None, PinState.RELEASED):
            self._rows[cid, reason] = PinState.WANTED

    def set_pinned(self, cid: Cid, reason: str) -> None:
        if self._rows.get((cid, reason)) not in (PinState.WANTED, PinState.PINNED):
            raise Conflict(f"{cid} was released for {reason} while it was being stored", "store it again")
        self._rows[cid, reason] = PinState.PINNED

    def release(self, cid: Cid, reason: str) -> None:
        if (cid, reason) not in self._rows:
            raise NotFound(f"{cid} is not pinned for {reason}", "list the pins")
        self._rows[cid, reason] = PinState.RELEASED

    def begin_collecting(self) -> Sequence[Cid]:
        ends = {PinState.RELEASED, PinState.COLLECTING}
        chosen = sorted({cid for cid, _ in self._rows if self._states(cid) <= ends})
        for pair in self._rows:
            if pair[0] in chosen:
                self._rows[pair] = PinState.COLLECTING
        return chosen

    def forget(self, cid: Cid) -> None:
        self._rows = {pair: state for pair, state in self._rows.items() if pair[0] != cid}

    def pins(self, cid: Cid | None = None) -> Sequence[Pin]:
        return [Pin(*pair, state) for pair, state in self._rows.items() if cid in (None, pair[0])]

    def _states(self, cid: Cid) -> set[PinState]:
        return {state for (known, _), state in self._rows.items() if known == cid}


def formula_chunks(size: int) -> Iterator[bytes]:
    """`size` bytes in chunks of 1 MiB: chunk i is sha256("headwater content " ‖ i as 8 bytes big-endian) repeated."""
    for i in range(-(-size // CHUNK_BYTES)):
        chunk = hashlib.sha256(b"headwater content " + i.to_bytes(8, "big")).digest() * (CHUNK_BYTES // 32)
        yield chunk[: size - i * CHUNK_BYTES]
