"""A factory of our own for contracts that name each other.

In: its owner, a salt. Out: its creation code and address, and the addresses of all contracts that it will ever make,
before any of them exists. Pure.

Under CREATE2 an address depends on the constructor's arguments, so two contracts that take each other's address
cannot be made. This factory uses CREATE: the n-th contract's address follows from the factory's address and n alone.
The factory itself comes from the public CREATE2 factory, so equal owner and salt mean equal addresses on every chain.
Only the owner may call it, so nobody can take a place first. Calldata = creation code; the answer is the address; if
the constructor reverts, its error comes through and the place stays free.
"""

from __future__ import annotations

from typing import Final

import rlp
from eth_utils.crypto import keccak

from headwater.chain.factory import factory_address
from headwater.types import Address, address, address_bytes

# Offsets of the two landing places in the runtime below.
_FAILED, _STRANGER = 0x2D, 0x35
_RUNTIME: Final = (
    "33 73{owner} 18"  # caller ^ owner
    f"60{_STRANGER:02x} 57"  # not the owner: to STRANGER
    "36 5f 5f 37"  # calldatacopy(0, 0, calldatasize)
    "36 5f 34 f0"  # create(callvalue, 0, calldatasize)
    f"80 15 60{_FAILED:02x} 57"  # no address: to FAILED
    "5f 52 6020 5f f3"  # return the address as one word
    "5b 3d 5f 5f 3e 3d 5f fd"  # FAILED: revert with what the constructor said
    "5b 5f 5f fd"  # STRANGER: revert
)
_COPY_AND_RETURN: Final = "60{size:02x} 80 6009 5f 39 5f f3"


def suite_factory_code(owner: Address) -> bytes:
    """Creation code of the factory that only `owner` may use."""
    runtime = bytes.fromhex(_RUNTIME.format(owner=address_bytes(owner).hex()))
    return bytes.fromhex(_COPY_AND_RETURN.format(size=len(runtime))) + runtime


def suite_factory_address(owner: Address, salt: bytes) -> Address:
    return factory_address(salt, suite_factory_code(owner))


def place_address(suite_factory: Address, number: int) -> Address:
    """The address of the factory's contract `number`, counted from 1 (a contract's nonce starts there, EIP-161)."""
    return address(keccak(rlp.encode([address_bytes(suite_factory), number]))[12:])
