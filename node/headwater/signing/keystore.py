"""The wallets of one home: encrypted files by name.

In: names, passwords, entropy. Out: addresses, and keys inside this room only. A name's address is read without the
password and checked against the key when it is decrypted. The files are those of `wallet_file`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from eth_keys.datatypes import PrivateKey

from headwater.errors import Conflict, InvalidInput, NotFound, VerificationFailed
from headwater.protocol.signatures import CURVE_ORDER
from headwater.signing.entropy import Entropy
from headwater.signing.wallet_file import create_file, decrypt, encrypt, read_wallet, stated_address
from headwater.types import Address, address

SCRYPT_N: Final = {"scrypt": 262_144, "light": 4_096}
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


@dataclass(frozen=True, slots=True)
class Wallet:
    name: str
    address: Address


class Keystore:
    """The folder of one home's wallets. `kdf`: 'scrypt' (n = 262,144, about a second) or 'light' (n = 4,096)."""

    def __init__(self, folder: Path, kdf: str = "scrypt") -> None:
        if kdf not in SCRYPT_N:
            raise InvalidInput(f"there is no key derivation {kdf!r}", "use 'scrypt' or 'light'")
        self.folder = folder
        self._scrypt_n = SCRYPT_N[kdf]

    def create(self, name: str, password: str, entropy: Entropy) -> Wallet:
        """A new wallet with the key that `entropy` draws for 'wallet NAME'.

        A wallet that holds this very key already is returned, so that a seeded command may run again. Raises
        Conflict if the name belongs to another key.
        """
        self._path(name)  # a bad name draws nothing
        return self._store(name, draw_key(name, entropy), password)

    def import_key(self, name: str, private_key: str, password: str) -> Wallet:
        """A wallet from 64 hexadecimal digits. Raises InvalidInput, and never repeats the digits; Conflict."""
        try:
            key = bytes.fromhex(private_key.strip().removeprefix("0x"))
        except ValueError:
            key = b""
        if len(key) != 32 or not 0 < int.from_bytes(key, "big") < CURVE_ORDER:
            raise InvalidInput(
                "this is no secp256k1 private key", "pass 64 hexadecimal digits, between 1 and the order"
            )
        return self._store(name, key, password)

    def import_file(self, name: str, file: Path, file_password: str, password: str) -> Wallet:
        """A wallet from a V3 file, encrypted anew. Raises InvalidInput, VerificationFailed, Conflict."""
        return self._store(name, decrypt(read_wallet(file), file_password, str(file)), password)

    def export(self, name: str) -> bytes:
        """The wallet's V3 file, as it lies on disk: encrypted. Raises NotFound, VerificationFailed."""
        document = self._load(name)
        return json.dumps(document, indent=2, sort_keys=True).encode() + b"\n"

    def list(self) -> list[Wallet]:
        """All wallets by name; no password needed. Raises VerificationFailed if a file is no wallet."""
        if not self.folder.is_dir():
            return []
        names = sorted(p.stem for p in self.folder.glob("*.json") if _NAME.fullmatch(p.stem))
        return [Wallet(name, self.address(name)) for name in names]

    def address(self, name: str) -> Address:
        """Raises NotFound, VerificationFailed."""
        return stated_address(self._load(name), str(self._path(name)))

    def unlock(self, name: str, password: str) -> PrivateKey:
        """For the signer only. Raises NotFound, InvalidInput for a wrong password, VerificationFailed."""
        document, path = self._load(name), str(self._path(name))
        key = PrivateKey(decrypt(document, password, path))
        if address(key.public_key.to_canonical_address()) != stated_address(document, path):
            raise VerificationFailed(f"{path} names another address than its key has", "restore it from a backup")
        return key

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise InvalidInput(
                f"{name!r} is no wallet name", "use up to 40 lower-case letters, digits, '-' and '_', no path"
            )
        return self.folder / f"{name}.json"

    def _load(self, name: str) -> dict[str, Any]:
        path = self._path(name)
        if not path.is_file():
            raise NotFound(f"there is no wallet {name!r} here", "see `headwater wallet list`, or make it", name=name)
        return read_wallet(path)

    def _store(self, name: str, key: bytes, password: str) -> Wallet:
        path = self._path(name)
        account = address(PrivateKey(key).public_key.to_canonical_address())
        if path.is_file():
            return self._same(name, account)
        if not password:
            raise InvalidInput("the password is empty", "choose one: it encrypts the key on disk")
        document = encrypt(key, password, self._scrypt_n)
        document["address"] = account
        try:
            create_file(path, json.dumps(document, sort_keys=True).encode())
        except FileExistsError:
            return self._same(name, account)
        return Wallet(name, account)

    def _same(self, name: str, account: Address) -> Wallet:
        if self.address(name) != account:
            raise Conflict(f"the wallet {name!r} exists already, with another key", "choose another name", name=name)
        return Wallet(name, account)


def draw_key(name: str, entropy: Entropy) -> bytes:
    """48 bytes reduced modulo the order: no draw is refused, and the bias is below 2**-128 (FIPS 186-5, A.2.1)."""
    drawn = int.from_bytes(entropy.draw(f"wallet {name}", 48), "big")
    return (drawn % (CURVE_ORDER - 1) + 1).to_bytes(32, "big")
