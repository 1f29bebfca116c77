"""The provider's signed word on one answer (PROTOCOL.md §3.3)."""

from __future__ import annotations

from dataclasses import dataclass

from headwater.protocol.codec import Account, Bytes32, Uint8, Uint32, Uint64, WeiAmount
from headwater.protocol.typed_data import TypedStruct, signed_by_contract


@signed_by_contract("CreditEscrow")
@dataclass(frozen=True, slots=True)
class Receipt(TypedStruct):
    """Signed when the answer is complete; receipts of a lane form a chain by `previous_receipt`."""

    request_id: Bytes32
    lane_id: Bytes32
    sequence: Uint64
    """1 for a lane's first receipt, then without gaps."""
    previous_receipt: Bytes32
    """Digest of the lane's receipt before this one; zero for the first."""
    user: Account
    provider: Account
    disclosure: Uint8
    model_id: Bytes32
    version: Uint32
    price_version: Uint32
    prompt_tokens: Uint32
    output_tokens: Uint32
    price: WeiAmount
    cumulative: WeiAmount
    """Sum of the lane's prices up to and including this one."""
    request_digest: Bytes32
    response_digest: Bytes32
    weights_digest: Bytes32
    seed: Bytes32
    issued_at: Uint64
