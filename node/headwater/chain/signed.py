"""Type 2 transactions (EIP-1559) before and after their signature.

In: what to do, fees, a nonce. Out: the dictionary that a signer signs; and from signed bytes, what they do. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import rlp
from eth_utils.crypto import keccak

from headwater.chain.fees import Fees
from headwater.errors import InvalidInput
from headwater.types import Address, Wei, address, hex0x

_TYPE: Final = 2
_FIELDS: Final = 12


@dataclass(frozen=True, slots=True)
class Unsigned:
    """One call to make (`to` None: a creation), with all but its nonce."""

    chain_id: int
    to: Address | None
    data: bytes
    value_wei: Wei
    gas: int
    fees: Fees

    def cost_wei(self) -> int:
        """The most that it can take from its sender."""
        return self.value_wei + self.gas * self.fees.max_fee_wei

    def dictionary(self, nonce: int) -> dict[str, Any]:
        """What a signer takes, in web3's names."""
        out: dict[str, Any] = {
            "type": _TYPE,
            "chainId": self.chain_id,
            "nonce": nonce,
            "value": self.value_wei,
            "data": self.data,
            "gas": self.gas,
            "maxFeePerGas": self.fees.max_fee_wei,
            "maxPriorityFeePerGas": self.fees.tip_wei,
        }
        return out | ({"to": self.to} if self.to else {})

    def with_fees(self, fees: Fees) -> Unsigned:
        return replace(self, fees=fees)


def parse_signed(raw: bytes) -> tuple[Unsigned, int]:
    """What signed bytes do, and their nonce. Raises InvalidInput for anything but a signed type 2 transaction."""
    try:
        fields: Any = rlp.decode(raw[1:]) if raw[:1] == bytes([_TYPE]) else ()
    except rlp.exceptions.DecodingError:
        fields = ()
    if not isinstance(fields, list | tuple) or len(fields) != _FIELDS or not isinstance(fields[5], bytes):
        raise InvalidInput("these bytes are not a signed type 2 transaction", "sign it again")
    chain_id, nonce, tip, max_fee, gas, value = (_integer(fields[i]) for i in (0, 1, 2, 3, 4, 6))
    to = address(fields[5]) if fields[5] else None
    return Unsigned(chain_id, to, bytes(fields[7]), Wei(value), gas, Fees(Wei(max_fee), Wei(tip))), nonce


def hash_of(raw: bytes) -> str:
    return hex0x(keccak(raw))


def _integer(field: bytes) -> int:
    return int.from_bytes(field, "big")
