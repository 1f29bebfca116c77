"""The CREATE2 factory that gives a contract the same address on every chain.

In: a salt and a contract's creation code. Out: its address, and the calldata that puts it there. Pure. The factory
is the widely deployed "deterministic deployment proxy" (https://github.com/Arachnid/deterministic-deployment-proxy):
calldata = salt (32 bytes) ++ creation code; it answers with the address, or fails if the creation fails. Address
rule: EIP-1014.
"""

from __future__ import annotations

from typing import Final

from eth_utils.crypto import keccak

from headwater.types import Address, Wei, address, address_bytes

FACTORY_ADDRESS: Final = Address("0x4e59b44847b379578588920cA78FbF26c0B4956C")
FACTORY_CODE: Final = bytes.fromhex(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe0"
    "3601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
)

FACTORY_SENDER: Final = address("0x3fab184622dc19b6109349b94811493bf2a45362")
"""Nobody holds its key: the signature below was chosen, and the account followed from it."""
FACTORY_COST: Final = Wei(10**16)
"""What that account must hold: 100,000 gas at the 100 gwei which its transaction fixes."""
FACTORY_TRANSACTION: Final = bytes.fromhex(
    "f8a58085174876e800830186a08080b853604580600e600039806000f350fe"
    + FACTORY_CODE.hex()
    + "1ba0"
    + "22" * 32
    + "a0"
    + "22" * 32
)


def factory_address(salt: bytes, creation_code: bytes) -> Address:
    """Where the factory puts `creation_code` under `salt` (EIP-1014). `salt`: 32 bytes."""
    inner = b"\xff" + address_bytes(FACTORY_ADDRESS) + salt + keccak(creation_code)
    return address(keccak(inner)[12:])


def factory_calldata(salt: bytes, creation_code: bytes) -> bytes:
    return salt + creation_code
