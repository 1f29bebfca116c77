"""What a signer answers: one connection, request by request.

In: a connected socket and a guarded signer. Out: answers or errors as frames; never a key. The asker names a struct
by type, domain and members, and the digest is rebuilt here, so that the slot it fills is known. Knows no socket path
and no process.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import headwater.protocol.signed_types
from headwater.errors import HeadwaterError, InvalidInput
from headwater.protocol.typed_data import Domain, signable
from headwater.signing.frames import receive_frame, send_frame
from headwater.signing.holders import GuardedSigner
from headwater.types import address, hex0x

assert headwater.protocol.signed_types.SIGNED_TYPES  # imported so that every signed type is known by name


class SignerService:
    """Serves one guarded signer to any number of connections, one thread each."""

    def __init__(self, signer: GuardedSigner) -> None:
        self._signer = signer
        self._operations: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "wallets": self._wallets,
            "address": self._address,
            "create": self._create,
            "unlock": self._unlock,
            "sign_typed": self._sign_typed,
            "sign_transaction": self._sign_transaction,
            "export_log": self._export_log,
        }

    def serve(self, connection: socket.socket) -> None:
        """Answer until the other side closes."""
        with connection:
            while True:
                try:
                    request = receive_frame(connection)
                except InvalidInput as error:
                    send_frame(connection, error_frame(error))
                    return  # the stream cannot be trusted after a bad frame
                except OSError:
                    return
                if request is None:
                    return
                try:
                    send_frame(connection, self.answer(request))
                except OSError:
                    return

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """One request's answer; expected errors are answers too."""
        try:
            operation = self._operations.get(str(request.get("operation")))
            if operation is None:
                raise InvalidInput("the signer knows no such operation", "use one of " + ", ".join(self._operations))
            return {"ok": operation(request)}
        except HeadwaterError as error:
            return error_frame(error)

    def _wallets(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"wallets": {wallet.name: wallet.address for wallet in self._signer.wallets()}}

    def _address(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"address": self._signer.address(_text(request, "name"))}

    def _create(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"address": self._signer.create(_text(request, "name")).address}

    def _unlock(self, request: dict[str, Any]) -> dict[str, Any]:
        self._signer.unlock(_text(request, "name"))
        return {}

    def _sign_typed(self, request: dict[str, Any]) -> dict[str, Any]:
        kind, contract = signable(_text(request, "type"))
        chain_id = request.get("chain_id")
        if isinstance(chain_id, bool) or not isinstance(chain_id, int) or chain_id < 1:
            raise InvalidInput("the request's chain_id is no positive number", "name the chain")
        domain = Domain(contract, chain_id, address(_text(request, "verifying_contract")))
        if _text(request, "contract") != contract:
            raise InvalidInput(f"a {kind.__name__} is signed under {contract}", f"pass {contract}'s domain")
        struct = kind.from_json(request.get("struct"))
        return {"signature": hex0x(self._signer.sign_typed(_text(request, "name"), struct, domain))}

    def _sign_transaction(self, request: dict[str, Any]) -> dict[str, Any]:
        transaction = request.get("transaction")
        if not isinstance(transaction, dict):
            raise InvalidInput("the request's transaction is no object", "pass JSON-RPC's form")
        return {"raw": hex0x(self._signer.sign_transaction(_text(request, "name"), transaction))}

    def _export_log(self, request: dict[str, Any]) -> dict[str, Any]:
        """Into a file that must not exist: a log outgrows any frame."""
        path = Path(_text(request, "path"))
        document = self._signer.log().export()
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise InvalidInput(
                f"the backup cannot be written to {path}: {error.strerror}", "name a new file"
            ) from None
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(document, file, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        return {"entries": len(document["entries"])}


def error_frame(error: HeadwaterError) -> dict[str, Any]:
    details = {name: value for name, value in error.details.items() if isinstance(value, str | int | None)}
    return {
        "error": {"code": error.code, "cause": error.cause, "next_step": error.next_step, "details": details},
    }


def error_from_frame(frame: dict[str, Any]) -> HeadwaterError:
    """The error of that code, as it was raised in the signer."""
    kinds: list[type[HeadwaterError]] = [HeadwaterError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    by_code = {kind.code: kind for kind in kinds}
    kind = by_code.get(frame["code"], HeadwaterError)
    return kind(frame["cause"], frame["next_step"], **frame["details"])


def _text(request: dict[str, Any], name: str) -> str:
    value = request.get(name)
    if not isinstance(value, str):
        raise InvalidInput(f"the request's {name} is not text", "name it")
    return value
