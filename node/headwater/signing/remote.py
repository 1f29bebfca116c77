"""Keys that another machine holds: Clef or Web3Signer over JSON-RPC.

In: names with their accounts, and what to sign. Out: signatures, each checked against the account and against what
was asked, before anybody sees it. The remote knows no slots: it is used behind `holders.GuardedSigner`, as every
holder of keys. Sources: Clef's external API (`account_*`), Web3Signer's `eth_*` methods.
"""

from __future__ import annotations

import http.client
import ipaddress
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from headwater.errors import BadSignature, InvalidInput, NotFound, Refused, Unavailable, VerificationFailed
from headwater.protocol.canonical import parse_json
from headwater.protocol.signatures import require_signer
from headwater.protocol.typed_data import Domain, TypedStruct
from headwater.signing.holders import require_domain
from headwater.signing.keystore import Wallet
from headwater.signing.raw_transactions import require_same_transaction
from headwater.signing.transactions import from_rpc, to_rpc
from headwater.types import Address, Signature, address

_MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
_METHODS: Final = {
    "clef": ("account_signTypedData", "account_signTransaction"),
    "web3signer": ("eth_signTypedData", "eth_signTransaction"),
}
_LOOK: Final = "look at the remote signer's log"


@dataclass(frozen=True, slots=True)
class RemoteAccounts:
    """`dialect`: 'clef' or 'web3signer'. `accounts`: wallet name to address."""

    url: str
    dialect: str
    accounts: Mapping[str, Address]
    timeout_seconds: int = 100

    def __post_init__(self) -> None:
        if self.dialect not in _METHODS:
            raise InvalidInput(f"there is no remote signer {self.dialect!r}", "use 'clef' or 'web3signer'")
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidInput("the remote signer's URL is not http or https", "write https://host:port")
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise Refused("a remote signer on another machine is reached by plain http", "use https, or a tunnel")


def read_remote(path: Path) -> RemoteAccounts:
    """From JSON {url, dialect, accounts: {name: address}}. Raises NotFound, InvalidInput, Refused."""
    try:
        raw = parse_json(path.read_bytes(), str(path))
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}", "write the remote signer's url, dialect and accounts") from None
    if (
        not isinstance(raw, dict)
        or raw.keys() != {"url", "dialect", "accounts"}
        or not isinstance(raw["accounts"], dict)
    ):
        raise InvalidInput(f"{path} must hold url, dialect and accounts", "write all three and no more")
    accounts = {name: address(str(value)) for name, value in raw["accounts"].items()}
    return RemoteAccounts(str(raw["url"]), str(raw["dialect"]), accounts)


class RemoteSigner:
    """A `holders.KeyHolder` whose keys are elsewhere."""

    def __init__(self, remote: RemoteAccounts) -> None:
        self._remote = remote
        self._sign_typed, self._sign_transaction = _METHODS[remote.dialect]
        self._ids = itertools.count(1)

    def address(self, name: str) -> Address:
        try:
            return self._remote.accounts[name]
        except KeyError:
            raise NotFound(f"the remote signer has no account called {name!r}", "name it in its file") from None

    def wallets(self) -> list[Wallet]:
        return [Wallet(name, account) for name, account in sorted(self._remote.accounts.items())]

    def create(self, name: str) -> Wallet:
        raise Refused("keys of a remote signer are made there", "make the account there, then name it in its file")

    def unlock(self, name: str) -> None:
        self.address(name)

    def sign_typed(self, name: str, struct: TypedStruct, domain: Domain) -> Signature:
        """See `signer.Signer`; raises VerificationFailed if the answer is another account's or malleable."""
        require_domain(struct, domain)
        account = self.address(name)
        signature = _with_usual_v(self._bytes(self._call(self._sign_typed, account, struct.wallet_payload(domain))))
        try:
            require_signer(struct.signing_digest(domain), signature, account, "the remote signer's answer")
        except BadSignature as error:
            raise VerificationFailed(f"the remote signer gave a wrong signature: {error.cause}", _LOOK) from None
        return Signature(signature)

    def sign_transaction(self, name: str, transaction: Mapping[str, Any]) -> bytes:
        """See `signer.Signer`; raises VerificationFailed if the remote signed anything else than was asked."""
        account = self.address(name)
        asked = to_rpc(transaction)
        fields = from_rpc(asked, account)
        answer = self._call(self._sign_transaction, {**asked, "from": account})
        raw = self._bytes(answer.get("raw") if isinstance(answer, dict) else answer)
        require_same_transaction(raw, fields, account)
        return raw

    def _call(self, method: str, *parameters: Any) -> Any:
        request = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(parameters)}
        answer = parse_json(self._post(json.dumps(request).encode()), "the remote signer's answer", floats=True)
        if not isinstance(answer, dict) or answer.get("id") != request["id"]:
            raise Unavailable("the remote signer answered something else than JSON-RPC", "check its URL")
        if (error := answer.get("error")) is not None:
            message = error.get("message") if isinstance(error, dict) else error
            raise Refused(f"the remote signer refused: {str(message)[:200]}", _LOOK)
        return answer.get("result")

    def _post(self, body: bytes) -> bytes:
        parts = urlsplit(self._remote.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(str(parts.hostname), parts.port, timeout=self._remote.timeout_seconds)
        try:
            connection.request("POST", parts.path or "/", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            data = response.read(_MAX_ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(f"the remote signer does not answer ({error})", "start it, or check its URL") from None
        finally:
            connection.close()
        if response.status != 200:
            raise Unavailable(f"the remote signer answered with status {response.status}", _LOOK)
        return data

    def _bytes(self, answer: Any) -> bytes:
        try:
            return bytes.fromhex(str(answer).removeprefix("0x"))
        except ValueError:
            raise VerificationFailed("the remote signer's answer is not hexadecimal", _LOOK) from None


def _with_usual_v(signature: bytes) -> bytes:
    """Some signers count the parity from 0."""
    if len(signature) == 65 and signature[64] in (0, 1):
        return signature[:64] + bytes([27 + signature[64]])
    return signature


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
