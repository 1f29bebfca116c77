"""The signing log: one digest a slot, on disk before any signature leaves.

In: a struct that is about to be signed. Out: nothing, or a refusal. A lost log can cost the whole stake, so it is a
file of its own that one process holds at a time. Signatures are not kept: by RFC 6979 the same digest gives the same
one again. Threads that record at the same time share one fsync. After a restore the rules of PROTOCOL.md §8 hold.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from headwater.errors import Conflict, DoubleSigning, HeadwaterError, Refused
from headwater.protocol.attribution import Attribution
from headwater.protocol.canonical import Json
from headwater.protocol.receipt import Receipt
from headwater.protocol.typed_data import Domain, TypedStruct
from headwater.signing.log_backup import FORMAT, LogBackup, LogEntry, Watermark, highest, read_backup, watermark_of
from headwater.signing.log_file import LogFile
from headwater.signing.slots import Slot, sequence_height, slot_of
from headwater.types import Address, hex0x

_LOCK_TIMEOUT_SECONDS: Final = 30.0
_COLUMNS: Final = "kind, separator, signer, scope, height, signing_digest, struct_digest"
_KEY: Final = "kind = ? AND separator = ? AND signer = ? AND scope = ?"
_INSERT: Final = f"INSERT INTO slots ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"


@dataclass(slots=True)
class _Pending:
    slot: Slot
    struct: TypedStruct
    digest: str
    is_done: bool = False
    error: HeadwaterError | None = None


class SigningLog:
    """An open log, exclusively ours until `close` or the end of the process; safe to use from many threads."""

    def __init__(self, path: Path, lock_timeout_seconds: float = _LOCK_TIMEOUT_SECONDS) -> None:
        """Create or open. Raises Unavailable if another process holds it, VerificationFailed if it is damaged."""
        self._file = LogFile(path, lock_timeout_seconds)
        self._gate, self._writing = threading.Lock(), threading.Lock()
        self._waiting: list[_Pending] = []

    def record(self, struct: TypedStruct, domain: Domain, signer: Address) -> None:
        """Take the struct's slot for its digest; returns when that is on disk, also if it was taken for it before.

        Raises DoubleSigning if the slot holds another digest or a voucher would fall, Refused at or below a
        watermark, DiskFull or Unavailable; then nothing may be signed.
        """
        slot = slot_of(struct, domain, signer)
        if slot is None:
            return
        mine = _Pending(slot, struct, hex0x(struct.signing_digest(domain)))
        with self._gate:
            self._waiting.append(mine)
        with self._writing:  # the first to come in writes for all that wait
            if not mine.is_done:
                with self._gate:
                    group, self._waiting = self._waiting, []
                self._write(group)
        if mine.error is not None:
            raise mine.error

    def export(self) -> dict[str, Json]:
        """The whole log as a JSON value, with the watermark that a restore of it will set."""
        with self._writing:
            entries = [LogEntry(*row) for row in self._file.rows(f"SELECT {_COLUMNS} FROM slots")]
            marks = highest([*self._watermarks(), *watermark_of(entries)])
        return LogBackup(FORMAT, tuple(entries), tuple(marks)).to_export()

    def restore(self, backup: Json, chain: Iterable[Watermark] = ()) -> None:
        """Take in a backup: afterwards every lane and attempt at or below its watermark is refused.

        `chain`: what the chain shows to be in use now (`log_backup.chain_watermark`). Entries that are here already
        stay. Raises Conflict if both hold different digests for one slot, and then nothing is changed; InvalidInput
        or VerificationFailed for a backup that is none or was changed.
        """
        document = read_backup(backup)
        marks = [*document.watermarks, *watermark_of(document.entries), *chain]
        with self._writing, self._file.transaction():
            for entry in document.entries:
                self._merge(entry)
            for mark in highest([*self._watermarks(), *marks]):
                values = (mark.separator, mark.scope, mark.height)
                self._file.row("INSERT OR REPLACE INTO watermarks VALUES (?, ?, ?)", *values)

    def close(self) -> None:
        with self._writing:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, group: list[_Pending]) -> None:
        try:
            with self._file.transaction():
                for pending in group:
                    pending.error = self._take(pending)
        except HeadwaterError as error:
            for pending in group:  # an exception object belongs to one thread
                pending.error = type(error)(error.cause, error.next_step)
        finally:
            for pending in group:
                pending.is_done = True

    def _take(self, pending: _Pending) -> HeadwaterError | None:
        slot = pending.slot
        if (refusal := self._refusal_after_restore(slot, pending.struct)) is not None:
            return refusal
        key = (slot.kind, slot.separator, slot.signer, slot.scope)
        found = self._file.row(f"SELECT signing_digest FROM slots WHERE {_KEY} AND height = ?", *key, slot.height)
        if found is not None:
            if found[0] == pending.digest:
                return None
            return _double(slot, "has signed another one for this slot", signed_digest=found[0])
        if slot.only_rises:
            above = self._file.row(f"SELECT max(height) FROM slots WHERE {_KEY} AND height > ?", *key, slot.height)
            if above is not None and above[0] is not None:
                return _double(slot, f"has signed a higher one ({int(above[0])} wei)", signed_height=above[0])
        self._file.row(_INSERT, *key, slot.height, pending.digest, hex0x(pending.struct.digest()))
        return None

    def _refusal_after_restore(self, slot: Slot, struct: TypedStruct) -> Refused | None:
        if self._file.row("SELECT 1 FROM watermarks LIMIT 1") is None:
            return None
        scope: str | None = slot.scope
        if isinstance(struct, Attribution):
            scope = self._lane_of(struct, slot)
            if scope is None:
                return _restored(slot, "its receipt was not signed since")
        mark = self._file.row(
            "SELECT height FROM watermarks WHERE separator = ? AND scope = ?", slot.separator, str(scope)
        )
        if mark is not None and slot.height <= mark[0]:
            return _restored(slot, "it lies at or below the watermark")
        if isinstance(struct, Receipt) and struct.sequence > 1:
            key = (slot.kind, slot.separator, slot.signer, slot.scope, sequence_height(struct.sequence - 1))
            if self._file.row(f"SELECT 1 FROM slots WHERE {_KEY} AND height = ?", *key) is None:
                return _restored(slot, "its lane was in use before")
        return None

    def _lane_of(self, attribution: Attribution, slot: Slot) -> str | None:
        query = (
            "SELECT scope FROM slots WHERE kind = 'Receipt' AND struct_digest = ? AND separator = ? AND signer = ?"
        )
        found = self._file.row(query, hex0x(attribution.receipt_digest), slot.separator, slot.signer)
        return None if found is None else str(found[0])

    def _watermarks(self) -> list[Watermark]:
        return [Watermark(*row) for row in self._file.rows("SELECT separator, scope, height FROM watermarks")]

    def _merge(self, entry: LogEntry) -> None:
        values = (
            entry.kind,
            entry.separator,
            entry.signer,
            entry.scope,
            entry.height,
            entry.signing_digest,
            entry.struct_digest,
        )
        self._file.row(_INSERT, *values)
        kept = self._file.row(f"SELECT signing_digest FROM slots WHERE {_KEY} AND height = ?", *values[:5])
        if kept != (entry.signing_digest,):
            raise Conflict(
                f"the backup holds another {entry.kind} for {entry.scope} {entry.height} than this log",
                "these keys have signed twice: retire them, and register new ones",
            )


def _double(slot: Slot, why: str, **details: object) -> DoubleSigning:
    return DoubleSigning(
        f"refused to sign a {slot.kind} for {slot.scope} {slot.height.lstrip('0')}: {slot.signer} {why}",
        "two different signatures here are slashed: send the one that was signed, or open a new lane or attempt",
        **details,
    )


def _restored(slot: Slot, why: str) -> Refused:
    return Refused(
        f"refused to sign a {slot.kind} for {slot.scope}: the signing log was restored from a backup, and {why}",
        "open a new lane, or wait for a later attempt",
    )
