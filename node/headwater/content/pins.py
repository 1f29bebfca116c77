"""Who needs what: pins are rows with a reason and a state, and only what no reason holds is ever removed.

In: a `ContentStore`, the rows (`storage` keeps the table), reasons such as `snapshot:0x…`. Out: content that is
kept as long as one reason holds it. Does not know what a reason means.

States of a row: wanted → pinned → released → collecting → (gone). A row is written before the content is put: a crash
leaves a `wanted` row, never content that nobody knows. While a row of a CID is `collecting` no reason can be added
for it, so content that is wanted again at that moment cannot be lost in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from headwater.content.cid import parse_cid
from headwater.content.store import ContentStore
from headwater.content.unixfs import Source, cid_of
from headwater.errors import VerificationFailed
from headwater.types import Cid


class PinState(StrEnum):
    WANTED = "wanted"
    PINNED = "pinned"
    RELEASED = "released"
    COLLECTING = "collecting"


@dataclass(frozen=True, slots=True)
class Pin:
    """One reason to keep one content. At most one row for a pair of CID and reason."""

    cid: Cid
    reason: str
    state: PinState


class PinRows(Protocol):
    """The table. Each method is one durable transaction."""

    def want(self, cid: Cid, reason: str) -> None:
        """Insert the pair as wanted, or make a released row wanted again; another row stays as it is. Raises Conflict
        if a row of this CID is collecting."""
        ...

    def set_pinned(self, cid: Cid, reason: str) -> None:
        """Make the wanted row pinned. Raises Conflict if it was released or removed in the meantime."""
        ...

    def release(self, cid: Cid, reason: str) -> None:
        """Make the row released. Raises NotFound if there is none."""
        ...

    def begin_collecting(self) -> Sequence[Cid]:
        """Turn all rows of each CID that has released rows only into collecting ones; returns all CIDs in that state,
        also those that an earlier, interrupted run left."""
        ...

    def forget(self, cid: Cid) -> None:
        """Delete the collecting rows of this CID."""
        ...

    def pins(self, cid: Cid | None = None) -> Sequence[Pin]: ...


class PinBook:
    """Puts, holds, releases and collects content by reasons."""

    def __init__(self, rows: PinRows, store: ContentStore) -> None:
        self._rows = rows
        self._store = store

    def put(self, source: Source, reason: str) -> Cid:
        """Store content for a reason. Durable, and known by its row, when it returns. Raises Conflict while the same
        content is being collected, VerificationFailed if a file changed while it was read (what was stored is then a
        stray); as the store's `put`."""
        cid = cid_of(source)
        self._rows.want(cid, reason)
        stored = self._store.put(source)
        if stored != cid:
            self._rows.release(cid, reason)
            raise VerificationFailed(
                f"the content changed while it was stored: it was {cid}, then {stored}",
                "store it again when nothing writes to it",
            )
        self._rows.set_pinned(cid, reason)
        return cid

    def hold(self, cid: Cid, reason: str) -> None:
        """Keep content that is readable in the store. Raises MissingContent, and the row stays wanted; Conflict."""
        cid = parse_cid(cid)
        self._rows.want(cid, reason)
        self._store.hold(cid)
        self._rows.set_pinned(cid, reason)

    def release(self, cid: Cid, reason: str) -> None:
        """The reason needs it no longer; `collect` removes what no reason needs. Raises NotFound."""
        self._rows.release(parse_cid(cid), reason)

    def collect(self) -> list[Cid]:
        """Remove everything whose reasons are all released; returns what was. Safe to repeat after a crash."""
        removed = []
        for cid in self._rows.begin_collecting():
            self._store.delete(cid)
            self._rows.forget(cid)
            removed.append(cid)
        return removed

    def resume(self) -> list[Pin]:
        """After a restart: turn wanted rows whose content did arrive into pinned ones; returns the others."""
        absent = []
        for pin in self._rows.pins():
            if pin.state is PinState.WANTED:
                if self._store.has(pin.cid):
                    self._store.hold(pin.cid)
                    self._rows.set_pinned(pin.cid, pin.reason)
                else:
                    absent.append(pin)
        return absent

    def strays(self) -> list[Cid]:
        """What the store keeps and no row names: another program's pins, or a restored older table. Never removed
        here, because nobody here knows who needs it."""
        known = {pin.cid for pin in self._rows.pins()}
        return [cid for cid in self._store.roots() if cid not in known]
