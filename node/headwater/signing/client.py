"""The Signer that the rest of the node uses: asks the signer's process over a socket.

In: names, structs, transactions. Out: signatures. Holds no key and no password. Safe to use from many threads: over
a socket path each call has a connection of its own, so that the signer can share one fsync among them.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import Empty, LifoQueue
from types import TracebackType
from typing import Any, Final, Self

from headwater.errors import HeadwaterError, Unavailable
from headwater.protocol.typed_data import Domain, TypedStruct
from headwater.signing.frames import encode_frame, receive_frame
from headwater.signing.holders import require_domain
from headwater.signing.paths import require_same_user
from headwater.signing.service import error_from_frame
from headwater.signing.transactions import to_rpc
from headwater.types import Address, Signature, address

TIMEOUT_SECONDS: Final = 120.0
"""Long enough for a person who confirms at a remote signer."""

_START: Final = "start the node again; a command beside it starts a signer of its own"


class SignerClient:
    """Implements `signer.Signer`. Make it with `over_socket`, or by `launch.open_signer`."""

    def __init__(self, first: socket.socket | None, connect: Callable[[], socket.socket] | None) -> None:
        """`first`: a connection that exists; `connect`: makes more (None: the first one is all there is)."""
        self._idle: LifoQueue[socket.socket] = LifoQueue()
        self._connect = connect
        if first is not None:
            self._idle.put(first)

    @classmethod
    def over_socket(cls, path: Path) -> Self:
        """A client of the signer that listens at `path`. Raises Unavailable if none does, Refused if a stranger."""

        def connect() -> socket.socket:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.settimeout(TIMEOUT_SECONDS)
            try:
                connection.connect(str(path))
                require_same_user(connection)
            except OSError as error:
                connection.close()
                raise Unavailable(f"no signer answers at {path} ({error.strerror})", _START) from None
            except HeadwaterError:
                connection.close()
                raise
            return connection

        return cls(connect(), connect)

    def wallets(self) -> dict[str, Address]:
        """Name to address of every wallet."""
        found = self._ask({"operation": "wallets"})["wallets"]
        return {name: address(value) for name, value in found.items()}

    def address(self, name: str) -> Address:
        return address(self._ask({"operation": "address", "name": name})["address"])

    def create(self, name: str) -> Address:
        """A new wallet, whose key is born in the signer. Raises Conflict if the name is taken by another key."""
        return address(self._ask({"operation": "create", "name": name})["address"])

    def unlock(self, name: str) -> None:
        """Decrypt now, so that a wrong password shows at start and the first signature is fast."""
        self._ask({"operation": "unlock", "name": name})

    def sign_typed(self, name: str, struct: TypedStruct, domain: Domain) -> Signature:
        """See `signer.Signer`."""
        require_domain(struct, domain)
        request = {
            "operation": "sign_typed",
            "name": name,
            "type": type(struct).__name__,
            "contract": domain.contract,
            "chain_id": domain.chain_id,
            "verifying_contract": domain.verifying_contract,
            "struct": struct.to_json(),
        }
        return Signature(bytes.fromhex(self._ask(request)["signature"][2:]))

    def sign_transaction(self, name: str, transaction: Mapping[str, Any]) -> bytes:
        """See `signer.Signer`."""
        request = {"operation": "sign_transaction", "name": name, "transaction": to_rpc(transaction)}
        return bytes.fromhex(self._ask(request)["raw"][2:])

    def export_log(self, path: Path) -> int:
        """Write a backup of the signing log to a new file; how many slots it holds."""
        return int(self._ask({"operation": "export_log", "path": str(path.absolute())})["entries"])

    def close(self) -> None:
        """Close idle connections. May be called twice."""
        kept = []
        with contextlib.suppress(Empty):
            while True:
                connection = self._idle.get_nowait()
                connection.close()
                kept.append(connection)
        if self._connect is None:
            for connection in kept:
                self._idle.put(connection)  # closed: a later call then fails instead of waiting for it

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        answer = self._exchange(request)
        if "error" in answer:
            raise error_from_frame(answer["error"])
        result: dict[str, Any] = answer["ok"]
        return result

    def _exchange(self, request: dict[str, Any]) -> dict[str, Any]:
        """Every operation may be asked twice: the same digest gives the same signature."""
        data = encode_frame(request)
        for attempt in (1, 2):
            connection = self._take(fresh=attempt == 2)
            answer = None
            try:
                connection.sendall(data)
                answer = receive_frame(connection)
            except OSError:
                pass
            finally:
                if answer is None:
                    connection.close()
                if answer is not None or self._connect is None:
                    self._idle.put(connection)  # closed or not: whoever waits for the only one must learn of it
            if answer is not None:
                return answer
            if self._connect is None:
                break
        raise Unavailable("the signer ended in the middle of a request", _START)

    def _take(self, fresh: bool) -> socket.socket:
        if self._connect is None:
            return self._idle.get()
        if not fresh:
            try:
                return self._idle.get_nowait()
            except Empty:
                pass
        return self._connect()
