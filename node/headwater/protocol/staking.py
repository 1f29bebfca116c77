"""How a hot key comes to act for a bonded owner: the key itself signs whose it is (proof of possession)."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from headwater.protocol.codec import Account, Bytes32, Uint8
from headwater.protocol.typed_data import TypedStruct, signed_by_contract


class StakingRole(enum.Enum):
    """The number is the one on chain."""

    VALIDATOR = 1
    PROVIDER = 2


@signed_by_contract("Staking")
@dataclass(frozen=True, slots=True)
class KeyRegistration(TypedStruct):
    """Signed by the hot key; a provider's anchors are zero, a validator's end its two draw chains."""

    owner: Account
    key: Account
    role: Uint8
    epoch_draw_anchor: Bytes32
    version_draw_anchor: Bytes32
