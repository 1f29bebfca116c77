"""Signers for tests and authors of plug-ins: one in this process, and a fake remote one on loopback.

In: wallet names. Out: the `Signer` seam. The keys are drawn from a seed: whoever reads this file has them. Nothing
here guards slots, unless it is wrapped into `signing.holders.GuardedSigner`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_keys.datatypes import PrivateKey

from headwater.errors import NotFound
from headwater.protocol.typed_data import Domain, TypedStruct
from headwater.signing.entropy import Entropy, SeededEntropy
from headwater.signing.holders import require_domain, sign_digest
from headwater.signing.keystore import Wallet, draw_key
from headwater.signing.transactions import from_rpc, to_rpc
from headwater.types import Address, Signature, address


class LocalSigner:
    """Keys in this process; wallets are drawn from the entropy."""

    def __init__(self, names: Iterable[str] = (), entropy: Entropy | None = None) -> None:
        self._entropy = entropy or SeededEntropy("headwater tests")
        self.keys: dict[str, PrivateKey] = {}
        for name in names:
            self.create(name)

    def address(self, name: str) -> Address:
        return address(self._key(name).public_key.to_canonical_address())

    def wallets(self) -> list[Wallet]:
        return [Wallet(name, self.address(name)) for name in sorted(self.keys)]

    def create(self, name: str) -> Wallet:
        self.keys[name] = PrivateKey(draw_key(name, self._entropy))
        return Wallet(name, self.address(name))

    def unlock(self, name: str) -> None:
        self._key(name)

    def sign_typed(self, name: str, struct: TypedStruct, domain: Domain) -> Signature:
        require_domain(struct, domain)
        return sign_digest(self._key(name), struct.signing_digest(domain))

    def sign_transaction(self, name: str, transaction: Mapping[str, Any]) -> bytes:
        fields = from_rpc(to_rpc(transaction), self.address(name))
        return bytes(Account.sign_transaction(fields, self._key(name).to_bytes()).raw_transaction)

    def _key(self, name: str) -> PrivateKey:
        try:
            return self.keys[name]
        except KeyError:
            raise NotFound(f"there is no wallet {name!r} here", "create it first", name=name) from None


class FakeRemoteSigner:
    """Clef's and Web3Signer's signing methods over loopback HTTP, by eth-account's own encoder of typed data.

    `lies`: changes an answer before it is sent, as a broken or hostile signer would.
    """

    def __init__(self, keys: Mapping[Address, PrivateKey]) -> None:
        self._keys = dict(keys)
        self.asked: list[str] = []
        self.lies: dict[str, Any] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, method: str, parameters: list[Any]) -> Any:
        self.asked.append(method)
        if method in self.lies:
            return self.lies[method]
        if method in ("account_signTypedData", "eth_signTypedData"):
            account, payload = parameters
            message = encode_typed_data(full_message=payload)
            signed = Account.sign_message(message, self._keys[address(account)].to_bytes())
            return "0x" + bytes(signed.signature).hex()
        if method in ("account_signTransaction", "eth_signTransaction"):
            (transaction,) = parameters
            sender = address(transaction["from"])
            fields = from_rpc(transaction, sender)
            raw = "0x" + bytes(Account.sign_transaction(fields, self._keys[sender].to_bytes()).raw_transaction).hex()
            return {"raw": raw, "tx": {}} if method.startswith("account") else raw
        raise KeyError(method)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                reply: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"]}
                try:
                    reply["result"] = fake.answer(request["method"], request["params"])
                except KeyError:
                    reply["error"] = {"code": -32000, "message": "request denied"}
                body = json.dumps(reply).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
