"""secp256k1 signatures over a 32-byte digest: strict reading and recovery.

In: 65 bytes r ‖ s ‖ v with v in {27, 28}, or the 64 bytes of EIP-2098. Out: the signer's address. Refused: high s
(EIP-2), other v, zero r or s, any other length. ERC-1271 wallets cannot be checked without a chain and are not
known here.
"""

from __future__ import annotations

from typing import Final

from eth_keys import keys
from eth_keys.exceptions import BadSignature as UnrecoverableSignature
from eth_keys.exceptions import ValidationError

from headwater.errors import BadSignature
from headwater.types import Address, Digest, address

CURVE_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_HALF_ORDER: Final = CURVE_ORDER // 2
_RESIGN: Final = "sign again with a wallet that follows EIP-2 and EIP-712"


def split_signature(signature: bytes) -> tuple[int, int, int]:
    """(parity 0 or 1, r, s). Raises BadSignature."""
    if len(signature) == 64:  # EIP-2098: the parity rides on the highest bit of s
        r, packed = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        parity, s = packed >> 255, packed & ((1 << 255) - 1)
    elif len(signature) == 65:
        r, s, v = (
            int.from_bytes(signature[:32], "big"),
            int.from_bytes(signature[32:64], "big"),
            signature[64],
        )
        if v not in (27, 28):
            raise BadSignature(f"the signature's v is {v}, not 27 or 28", _RESIGN)
        parity = v - 27
    else:
        raise BadSignature(f"a signature has 65 or 64 bytes, this has {len(signature)}", _RESIGN)
    if not 0 < r < CURVE_ORDER or s == 0:
        raise BadSignature("the signature's r or s is out of range", _RESIGN)
    if s > _HALF_ORDER:
        raise BadSignature("the signature is malleable (high s)", _RESIGN)
    return parity, r, s


def recover(digest: Digest, signature: bytes) -> Address:
    """The address whose key signed `digest`. Raises BadSignature."""
    try:
        public = keys.Signature(vrs=split_signature(signature)).recover_public_key_from_msg_hash(digest)
    except (UnrecoverableSignature, ValidationError):
        raise BadSignature("no public key belongs to this signature", _RESIGN) from None
    return address(public.to_canonical_address())


def require_signer(digest: Digest, signature: bytes, expected: Address, what: str) -> None:
    """Raise BadSignature unless `expected` signed `digest`."""
    actual = recover(digest, signature)
    if actual != expected:
        raise BadSignature(
            f"{what} is signed by {actual}, not by {expected}",
            "sign with the right account, chain id and contract: any differing field recovers another signer",
            signer=actual,
            expected=expected,
        )
