"""Prompts, answers and nonces at rest: sealed under a key of this home, opened only by the name they carry.

In: bytes and a name (a request id). Out: a sealed blob, and the same bytes again. The key stands in a file of the
home that only its owner may read.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from headwater.errors import CorruptContent
from headwater.storage.files import create_durably
from headwater.types import Digest, hex0x

KEY_FILE: Final = "private-answers.key"


class PrivateBox:
    def __init__(self, home: Path) -> None:
        self._key_path = home / KEY_FILE

    def seal(self, data: bytes, name: Digest) -> bytes:
        # AES-GCM-SIV stays safe under a repeated nonce, so the name as associated data is enough.
        return self._cipher().encrypt(bytes(12), data, bytes(name))

    def open(self, blob: bytes, name: Digest) -> bytes:
        """Raises CorruptContent if the blob was changed, or sealed for another name or by another home."""
        try:
            return self._cipher().decrypt(bytes(12), blob, bytes(name))
        except InvalidTag:
            raise CorruptContent(
                f"what was kept privately of {hex0x(name)} cannot be opened", f"restore {KEY_FILE} and the database"
            ) from None

    def _cipher(self) -> AESGCMSIV:
        if not self._key_path.exists():
            with contextlib.suppress(FileExistsError):  # another thread's first answer was quicker: its key counts
                create_durably(self._key_path, AESGCMSIV.generate_key(256))
        return AESGCMSIV(self._key_path.read_bytes())
