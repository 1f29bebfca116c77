"""The signing log as a document: what a backup carries, and the watermark that a restore sets.

In: slots and watermarks. Out: a JSON value that names its own digest, and back. The idea is EIP-3076's: after a
restore nobody knows what was signed since the backup, so everything that could have been is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from headwater.errors import InvalidInput, VerificationFailed
from headwater.protocol.canonical import Json
from headwater.protocol.codec import Document
from headwater.protocol.typed_data import Domain
from headwater.signing.slots import EPOCHS, epoch_height, lane_scope
from headwater.types import Digest, digest, hex0x

FORMAT: Final = "headwater-signing-log-1"
WHOLE_SCOPE: Final = "~"
"""Sorts above every height: the whole scope is closed."""


@dataclass(frozen=True, slots=True)
class LogEntry(Document):
    """One slot that is taken. `struct_digest`: the struct hash, by which an attribution finds its receipt."""

    kind: str
    separator: str
    signer: str
    scope: str
    height: str
    signing_digest: str
    struct_digest: str


@dataclass(frozen=True, slots=True)
class Watermark(Document):
    """In `scope`, nothing at or below `height` may be signed any more."""

    separator: str
    scope: str
    height: str


@dataclass(frozen=True, slots=True)
class LogBackup(Document):
    format: str
    entries: tuple[LogEntry, ...]
    watermarks: tuple[Watermark, ...]

    def to_export(self) -> dict[str, Json]:
        return {**self.to_json(), "sha256": hex0x(self.digest())}


def read_backup(raw: Json) -> LogBackup:
    """Raises InvalidInput for another format, VerificationFailed if the backup is not what was exported."""
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise InvalidInput("this is no backup of a signing log", f"pass a document whose format is {FORMAT}")
    stated = raw.get("sha256")
    backup = LogBackup.from_json({k: v for k, v in raw.items() if k != "sha256"})
    if not isinstance(stated, str) or digest(stated) != backup.digest():
        raise VerificationFailed(
            "the backup of the signing log was changed after its export", "take an untouched one"
        )
    return backup


def watermark_of(entries: Iterable[LogEntry]) -> list[Watermark]:
    """What the entries themselves prove to be in use: each lane as a whole, epochs up to the highest attempt."""
    return highest(
        Watermark(entry.separator, entry.scope, entry.height if entry.scope == EPOCHS else WHOLE_SCOPE)
        for entry in entries
        if not entry.scope.startswith("receipt ")  # bound through its receipt's lane
    )


def highest(marks: Iterable[Watermark]) -> list[Watermark]:
    """One watermark a scope, the highest; ordered."""
    by_scope: dict[tuple[str, str], Watermark] = {}
    for mark in sorted(marks, key=lambda m: m.height):
        by_scope[mark.separator, mark.scope] = mark
    return [by_scope[key] for key in sorted(by_scope)]


def chain_watermark(
    escrow: Domain, lanes: Iterable[Digest], ledger: Domain, epoch_id: int, attempt: int
) -> list[Watermark]:
    """What the chain says is in use at the time of a restore: all lanes opened so far, epochs up to an attempt.

    Without it, a lane opened after the backup would look new to the restored log.
    """
    separator = hex0x(escrow.separator())
    marks = [Watermark(separator, lane_scope(lane), WHOLE_SCOPE) for lane in lanes]
    return [*marks, Watermark(hex0x(ledger.separator()), EPOCHS, epoch_height(epoch_id, attempt))]
