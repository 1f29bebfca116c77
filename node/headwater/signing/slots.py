"""What may be signed once: the slot that each signed struct fills.

In: a struct, its domain, the signer. Out: a `Slot`, or None for what may be signed as often as its owner likes (a
Contribution, a Withdrawal, a key's consent to be registered). Two different digests for one slot are the
equivocation that PROTOCOL.md §7 slashes. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from headwater.protocol.attribution import Attribution
from headwater.protocol.contribution import Contribution, Withdrawal
from headwater.protocol.epoch import Epoch, Verdict
from headwater.protocol.model import VersionVerdict
from headwater.protocol.receipt import Receipt
from headwater.protocol.staking import KeyRegistration
from headwater.protocol.typed_data import Domain, TypedStruct
from headwater.protocol.voucher import Voucher
from headwater.types import Address, Digest, hex0x

EPOCHS: Final = "epochs"
_WITHOUT_SLOT: Final = (Contribution, KeyRegistration, Withdrawal)


@dataclass(frozen=True, slots=True)
class Slot:
    """(kind, separator, signer, scope, height) is the key under which one digest may stand."""

    kind: str
    """The struct's name."""
    separator: str
    """The domain separator, 0x-hex: slots of two chains or contracts never meet."""
    signer: Address
    scope: str
    """What a watermark covers: a lane, all epochs, one version's draw, one receipt."""
    height: str
    """Position in the scope, padded so that the order of the text is the order of the positions."""
    only_rises: bool = False
    """True if nothing below the highest signed position may be signed any more."""


def takes_slot(struct: TypedStruct) -> bool:
    return not isinstance(struct, _WITHOUT_SLOT)


def slot_of(struct: TypedStruct, domain: Domain, signer: Address) -> Slot | None:
    """The slot that `struct` fills. Raises TypeError for a signed type that has no rule here."""
    separator = hex0x(domain.separator())
    kind = type(struct).__name__

    def slot(scope: str, height: str, only_rises: bool = False) -> Slot:
        return Slot(kind, separator, signer, scope, height, only_rises)

    match struct:
        case Receipt():
            return slot(lane_scope(struct.lane_id), sequence_height(struct.sequence))
        case Voucher():
            return slot(lane_scope(struct.lane_id), f"{struct.cumulative:039d}", only_rises=True)
        case Attribution():
            return slot(receipt_scope(struct.receipt_digest), "")
        case Verdict() | Epoch():
            return slot(EPOCHS, epoch_height(struct.epoch_id, struct.attempt))
        case VersionVerdict():
            draw = f"version {hex0x(struct.model_id)} {struct.version} {hex0x(struct.sealed_hash)}"
            return slot(draw, "")
    if isinstance(struct, _WITHOUT_SLOT):
        return None
    raise TypeError(f"no slot is defined for {kind}")


def lane_scope(lane_id: Digest) -> str:
    return f"lane {hex0x(lane_id)}"


def receipt_scope(receipt_digest: Digest) -> str:
    return f"receipt {hex0x(receipt_digest)}"


def sequence_height(sequence: int) -> str:
    return f"{sequence:020d}"


def epoch_height(epoch_id: int, attempt: int) -> str:
    return f"{epoch_id:020d}.{attempt:010d}"
