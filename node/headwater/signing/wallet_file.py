"""One wallet on disk: Web3 Secret Storage version 3, readable by its owner only.

In: a key and a password, or a file of ours or of any other wallet. Out: the file, or the key. Format: Ethereum wiki,
"Web3 Secret Storage Definition"; the crypto is eth-keyfile's, which is loaded when it is first needed (it is slow).
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, Final

from eth_keys.datatypes import PrivateKey
from eth_keys.exceptions import ValidationError

from headwater.errors import InvalidInput, NotFound, VerificationFailed
from headwater.protocol.canonical import parse_json
from headwater.types import Address, address

_MAX_FILE_BYTES: Final = 64 * 1024
# A foreign file names its own cost; these bounds keep it below 1 GiB of memory (128 * n * r bytes).
_MAX_SCRYPT_NR: Final = 8_388_608
_MAX_SCRYPT_P: Final = 16
_MAX_PBKDF2_COUNT: Final = 10_000_000


def read_wallet(path: Path) -> dict[str, Any]:
    """The checked V3 document. Raises NotFound, InvalidInput if it costs too much to open, VerificationFailed."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}", "check the path") from None
    if len(data) > _MAX_FILE_BYTES:
        raise VerificationFailed(f"{path} is too large for a wallet", "name a V3 keystore file")
    try:
        document = parse_json(data, str(path))
    except InvalidInput as error:
        raise _damaged(path, error.cause) from None
    crypto = document.get("crypto", document.get("Crypto")) if isinstance(document, dict) else None
    if not isinstance(crypto, dict) or document.get("version") != 3:
        raise _damaged(path, "it is no V3 keystore")
    _check_cost(crypto, path)
    return dict(document)


def _check_cost(crypto: dict[str, Any], path: Path) -> None:
    parameters = crypto.get("kdfparams")
    if not isinstance(parameters, dict):
        raise _damaged(path, "kdfparams is missing")
    cost = {k: v for k, v in parameters.items() if k in ("n", "r", "p", "c", "dklen")}
    if any(isinstance(v, bool) or not isinstance(v, int) or v < 1 for v in cost.values()):
        raise _damaged(path, "kdfparams holds a value that is no positive number")
    too_dear = (
        cost.get("n", 1) * cost.get("r", 1) > _MAX_SCRYPT_NR
        or cost.get("p", 1) > _MAX_SCRYPT_P
        or cost.get("c", 1) > _MAX_PBKDF2_COUNT
        or cost.get("dklen", 32) != 32
    )
    if too_dear:
        raise InvalidInput(f"{path} asks for more than a key derivation may cost", "encrypt it with usual parameters")


def encrypt(key: bytes, password: str, scrypt_n: int) -> dict[str, Any]:
    from eth_keyfile.keyfile import create_keyfile_json

    return dict(create_keyfile_json(key, password.encode(), kdf="scrypt", iterations=scrypt_n))


def decrypt(document: dict[str, Any], password: str, where: str) -> bytes:
    """The 32 bytes of the key. Raises InvalidInput for a wrong password, VerificationFailed."""
    from eth_keyfile.exceptions import EthKeyfileException
    from eth_keyfile.keyfile import decode_keyfile_json

    try:
        key = bytes(decode_keyfile_json(document, password.encode()))
        PrivateKey(key)
    except EthKeyfileException as error:
        if "MAC mismatch" in str(error):
            raise InvalidInput(
                f"the password does not open {where}", "type it again, or name the right file"
            ) from None
        raise _damaged(Path(where), str(error)) from None
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise _damaged(Path(where), f"{type(error).__name__} while decrypting") from None
    return key


def stated_address(document: dict[str, Any], where: str) -> Address:
    """The address that the file names, unproven until the key is decrypted. Raises VerificationFailed."""
    stated = document.get("address")
    if not isinstance(stated, str):
        raise _damaged(Path(where), "it names no address")
    try:
        return address(stated if stated.startswith("0x") else "0x" + stated)
    except InvalidInput as error:
        raise _damaged(Path(where), error.cause) from None


def _damaged(path: Path, why: str) -> VerificationFailed:
    return VerificationFailed(
        f"the wallet file {path} is damaged: {why}", "restore it from a backup, or import it again"
    )


def create_file(path: Path, data: bytes) -> None:
    """Whole or absent, synced, 0600; never over an existing file."""
    handle, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)  # mkstemp gives 0600
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        temporary.unlink(missing_ok=True)
