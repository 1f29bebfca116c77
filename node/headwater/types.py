"""The field's units as types.

In: plain bytes, strings and integers from the outside. Out: the same values, checked once, under a name that
carries their meaning, so that a price cannot be passed where a share is asked. Knows nothing of chains or files.
"""

from __future__ import annotations

from typing import Final, NewType

from eth_utils import is_checksum_address, to_checksum_address

from headwater.errors import InvalidInput

Digest = NewType("Digest", bytes)
"""32 bytes: a keccak-256 of something signed, or a sha2-256 of a document (its field says which)."""

Address = NewType("Address", str)
"""An EIP-55 checksummed account address."""

Wei = NewType("Wei", int)
"""The smallest unit of the credit token (or of native coin where the name says so); 10**18 to one credit."""

Ppm = NewType("Ppm", int)
"""Parts per million; 1,000,000 is the whole."""

Signature = NewType("Signature", bytes)
"""65 bytes r ‖ s ‖ v, or the 64 of EIP-2098."""

EpochId = NewType("EpochId", int)
Cid = NewType("Cid", str)
"""A CIDv1 in base32."""

WHOLE_PPM: Final = Ppm(1_000_000)
ZERO_DIGEST: Final = Digest(bytes(32))
ZERO_ADDRESS: Final = Address("0x" + "00" * 20)
WEI_PER_CREDIT: Final = 10**18


def digest(value: bytes | str) -> Digest:
    """Check 32 bytes or their 0x-hex. Raises InvalidInput otherwise."""
    if isinstance(value, str):
        text = value[2:] if value.startswith("0x") else value
        try:
            value = bytes.fromhex(text)
        except ValueError:
            raise InvalidInput(f"{text[:80]!r} is not hexadecimal", "pass 64 hexadecimal digits after 0x") from None
    if len(value) != 32:
        raise InvalidInput(f"a digest has 32 bytes, this has {len(value)}", "pass the whole digest")
    return Digest(bytes(value))


def address(value: str | bytes) -> Address:
    """Check an account address; mixed case must carry a right EIP-55 checksum. Raises InvalidInput otherwise."""
    if isinstance(value, bytes):
        if len(value) != 20:
            raise InvalidInput(f"an address has 20 bytes, this has {len(value)}", "pass the whole address")
        return Address(to_checksum_address(value))
    text = value.strip()
    try:
        checksummed = to_checksum_address(text)
    except (ValueError, TypeError):
        raise InvalidInput(
            f"{text[:80]!r} is not an account address", "pass 40 hexadecimal digits after 0x"
        ) from None
    letters = text[2:]
    if letters not in (letters.lower(), letters.upper()) and not is_checksum_address(text):
        raise InvalidInput(f"the address {text} fails its EIP-55 checksum", "copy it again: a letter differs")
    return Address(checksummed)


def address_bytes(value: Address) -> bytes:
    """The 20 bytes, whose order is also the order of addresses in every sorted list."""
    return bytes.fromhex(value[2:])


def hex0x(value: bytes) -> str:
    return "0x" + value.hex()
