"""Content identifiers: CIDv1, base32, sha2-256, of a raw block or a dag-pb node.

In: text, bytes or a digest from anywhere. Out: the same identifier in its one canonical form, or InvalidInput.
Knows no blocks and no stores. Source: https://github.com/multiformats/cid; base32 is RFC 4648, lower case, unpadded.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Final

from headwater.errors import InvalidInput
from headwater.types import Cid, Digest

RAW: Final = 0x55
"""The block is the content itself."""
DAG_PB: Final = 0x70
"""The block is a node that links to others: a long file or a folder."""
CID_BYTES: Final = 36
"""Version, codec, hash function, digest length: one byte each; then 32 bytes of digest."""

_CODECS: Final = {RAW: "raw", DAG_PB: "dag-pb"}
_SHA2_256_32: Final = b"\x12\x20"
_TEXT_LENGTH: Final = 59
_LOOK: Final = "a CID here has 59 characters and begins with bafk (bytes) or bafy (a long file or a folder)"


def make_cid(codec: int, digest: bytes) -> Cid:
    """The CID of the block with this sha2-256 digest, to be read as `codec` (RAW or DAG_PB)."""
    return cid_from_bytes(bytes((1, codec)) + _SHA2_256_32 + digest)


def block_cid(codec: int, block: bytes | memoryview) -> Cid:
    """Hash one block."""
    return make_cid(codec, hashlib.sha256(block).digest())


def cid_of_digest(sha256: bytes) -> Cid:
    """The raw CID of a sha2-256 digest: of content up to one chunk (1 MiB), such as a document named on chain."""
    return make_cid(RAW, sha256)


def digest_of_cid(cid: str) -> Digest:
    """The 32 bytes of sha2-256 in a CID: of the content if its codec is RAW, of its root node if it is DAG_PB."""
    return Digest(cid_bytes(cid)[4:])


def codec_of_cid(cid: str) -> int:
    return cid_bytes(cid)[1]


def parse_cid(text: str) -> Cid:
    """Check a CID from outside. Raises InvalidInput for anything but the canonical text of a supported CID."""
    return cid_from_bytes(cid_bytes(text))


def cid_bytes(text: str) -> bytes:
    """The 36 binary bytes of a CID's text. Raises InvalidInput as `parse_cid` does."""
    if text.startswith("Qm") and len(text) == 46:
        raise InvalidInput(f"{text} is a CID of version 0", f"pass its version 1: `ipfs cid base32 {text}`")
    if len(text) != _TEXT_LENGTH or not text.startswith("b"):
        raise InvalidInput(f"{text[:80]!r} is not a CID that Headwater uses", _LOOK)
    try:
        value = base64.b32decode(text[1:].upper() + "======")
    except (binascii.Error, ValueError):
        raise InvalidInput(f"{text!r} has a character outside base32", "copy the CID again") from None
    # Upper case and stray trailing bits would give one content two names, so only the canonical text passes.
    if _text(value) != text:
        raise InvalidInput(f"{text!r} is not the canonical text of its CID", "copy the CID again, in lower case")
    _check(value)
    return value


def cid_from_bytes(value: bytes) -> Cid:
    """Check the 36 binary bytes of a CID. Raises InvalidInput for another version, codec or hash function."""
    _check(value)
    return Cid(_text(value))


def _text(value: bytes) -> str:
    return "b" + base64.b32encode(value).decode("ascii").lower().rstrip("=")


def _check(value: bytes) -> None:
    if len(value) != CID_BYTES:
        raise InvalidInput(f"a binary CID here has {CID_BYTES} bytes, this has {len(value)}", _LOOK)
    if value[0] != 1 or value[2:4] != _SHA2_256_32:
        raise InvalidInput(
            "the CID is not of version 1 with sha2-256", "import the content again with CIDv1 and sha2-256"
        )
    if value[1] not in _CODECS:
        raise InvalidInput(f"the CID names codec 0x{value[1]:x}, not raw or dag-pb", _LOOK)
