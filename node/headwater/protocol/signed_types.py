"""All types that are ever signed, in one import: whoever rebuilds a digest from a name imports this module."""

from __future__ import annotations

from typing import Final

from headwater.protocol.attribution import Attribution
from headwater.protocol.contribution import Contribution, Withdrawal
from headwater.protocol.epoch import Epoch, Verdict
from headwater.protocol.model import VersionVerdict
from headwater.protocol.receipt import Receipt
from headwater.protocol.staking import KeyRegistration
from headwater.protocol.typed_data import TypedStruct
from headwater.protocol.voucher import Voucher

SIGNED_TYPES: Final[tuple[type[TypedStruct], ...]] = (
    Attribution,
    Contribution,
    Epoch,
    KeyRegistration,
    Receipt,
    Verdict,
    VersionVerdict,
    Voucher,
    Withdrawal,
)
