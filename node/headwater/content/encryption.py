"""Private records, sealed before they are stored: AES-256-GCM, a key a record, so that destroying the key erases.

In: a record's bytes, its Datanet and commitment, an `Entropy`, a `KeyStore`. Out: a sealed blob that may lie in any
store for ever, and the bytes again while the key exists. Does not know where keys are kept, or who may read.

Blob: `HWSR` ‖ version 1 ‖ Datanet id (32 bytes) ‖ commitment (32 bytes) ‖ nonce (12) ‖ ciphertext ‖ tag (16).
All before the nonce is authenticated with the rest: a blob moved to another record or Datanet does not open.

From the record's key (32 random bytes), HKDF-SHA256 with the header as info derives an encryption key and a nonce
key; nonce = HMAC-SHA256(nonce key, record)[:12]. One key is meant to seal one record, and then any fixed nonce is
safe; the derived one stays safe even if a restored backup or a repeated demo seals other bytes under the same key, as
other bytes get another nonce (the idea of RFC 5297). The same record, key and header give the same blob and CID.
Not hidden: the record's length. Sources: NIST SP 800-38D, RFC 5869.
"""

from __future__ import annotations

import hmac
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from headwater.errors import InvalidInput, VerificationFailed
from headwater.signing.entropy import Entropy
from headwater.types import Digest

KEY_BYTES: Final = 32
OVERHEAD_BYTES: Final = 4 + 1 + 32 + 32 + 12 + 16
"""How much longer a sealed blob is than its record."""

_MAGIC: Final = b"HWSR\x01"
_NONCE_BYTES: Final = 12
_HEADER_BYTES: Final = len(_MAGIC) + 32 + 32


class KeyStore(Protocol):
    """Where the keys of sealed records are kept, one a commitment. `storage` keeps them in a table."""

    def add(self, commitment: Digest, key: bytes) -> bytes:
        """Keep `key`, durably, unless the record has one; returns the key that the record has now. Raises
        ErasedContent if the record's key was destroyed: an erased record does not come back under its commitment."""
        ...

    def get(self, commitment: Digest) -> bytes:
        """Raises ErasedContent if the key was destroyed, NotFound if there never was one."""
        ...

    def destroy(self, commitment: Digest) -> None:
        """Overwrite the key and remember that it was destroyed. Nothing happens the second time."""
        ...


def seal_record(record: bytes, datanet_id: Digest, commitment: Digest, keys: KeyStore, entropy: Entropy) -> bytes:
    """Encrypt a record under a key of its own, which is durable before this returns. Raises ErasedContent."""
    key = keys.add(commitment, entropy.draw(f"content-key/{datanet_id.hex()}/{commitment.hex()}", KEY_BYTES))
    header = _header(datanet_id, commitment)
    encryption_key, nonce_key = _derive(key, header)
    nonce = hmac.digest(nonce_key, record, "sha256")[:_NONCE_BYTES]
    return header + nonce + AESGCM(encryption_key).encrypt(nonce, record, header)


def open_record(blob: bytes, datanet_id: Digest, commitment: Digest, keys: KeyStore) -> bytes:
    """Decrypt what `seal_record` returned. Raises ErasedContent or NotFound (no key), InvalidInput (not a sealed
    record, or another's), VerificationFailed (a byte was changed, or the key is another)."""
    header = _header(datanet_id, commitment)
    if len(blob) < OVERHEAD_BYTES or not blob.startswith(_MAGIC):
        raise InvalidInput("the blob is not a sealed record", "check which CID the record is stored under")
    if blob[:_HEADER_BYTES] != header:
        raise InvalidInput("the blob is the sealed record of another commitment", "check its Datanet and commitment")
    encryption_key, _ = _derive(keys.get(commitment), header)
    nonce, sealed = blob[_HEADER_BYTES : _HEADER_BYTES + _NONCE_BYTES], blob[_HEADER_BYTES + _NONCE_BYTES :]
    try:
        return AESGCM(encryption_key).decrypt(nonce, sealed, header)
    except InvalidTag:
        raise VerificationFailed(
            f"the sealed record of commitment 0x{commitment.hex()} does not open: its bytes or its key were changed",
            "fetch the blob again; if it fails again, restore the key table from the backup",
        ) from None


def _header(datanet_id: Digest, commitment: Digest) -> bytes:
    return _MAGIC + datanet_id + commitment


def _derive(key: bytes, header: bytes) -> tuple[bytes, bytes]:
    both = HKDF(SHA256(), length=64, salt=None, info=header).derive(key)
    return both[:32], both[32:]
