"""Who holds keys, and the guard before them.

In: names and what to sign. Out: signatures. `KeystoreSigner` decrypts wallets of this home and keeps their keys in
memory; it runs in the signer's own process. `GuardedSigner` puts the signing log before any holder of keys: the slot
is on disk before the holder is even asked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from eth_keys.datatypes import PrivateKey

from headwater.errors import InvalidInput
from headwater.protocol.typed_data import Domain, TypedStruct, signable
from headwater.signing.keystore import Keystore, Wallet
from headwater.signing.log import SigningLog
from headwater.signing.signer import Signer
from headwater.signing.slots import takes_slot
from headwater.signing.transactions import from_rpc, to_rpc
from headwater.types import Address, Digest, Signature, address


class KeyHolder(Signer, Protocol):
    """A Signer without a guard."""

    def unlock(self, name: str) -> None:
        """Make sure that the next signature will come; raises what it would raise."""
        ...

    def wallets(self) -> list[Wallet]: ...

    def create(self, name: str) -> Wallet:
        """A new wallet. Raises Refused where keys are made elsewhere."""
        ...


class KeystoreSigner:
    """Keys of one keystore, decrypted on first use."""

    def __init__(self, keystore: Keystore, password: str, create: Callable[[str], Wallet]) -> None:
        self._keystore, self._password, self._create = keystore, password, create
        self._keys: dict[str, PrivateKey] = {}
        self._unlocking = threading.Lock()

    def address(self, name: str) -> Address:
        key = self._keys.get(name)
        return self._keystore.address(name) if key is None else address(key.public_key.to_canonical_address())

    def wallets(self) -> list[Wallet]:
        return self._keystore.list()

    def create(self, name: str) -> Wallet:
        return self._create(name)

    def unlock(self, name: str) -> None:
        self._key(name)

    def sign_typed(self, name: str, struct: TypedStruct, domain: Domain) -> Signature:
        require_domain(struct, domain)
        return sign_digest(self._key(name), struct.signing_digest(domain))

    def sign_transaction(self, name: str, transaction: Mapping[str, Any]) -> bytes:
        from eth_account import Account

        fields = from_rpc(to_rpc(transaction), self.address(name))
        try:
            signed = Account.sign_transaction(fields, self._key(name).to_bytes())
        except (TypeError, ValueError) as error:
            raise InvalidInput(
                f"the transaction cannot be signed: {error}", "pass what web3's build_transaction returns"
            ) from None
        return bytes(signed.raw_transaction)

    def _key(self, name: str) -> PrivateKey:
        with self._unlocking:  # one second of scrypt, once
            if name not in self._keys:
                self._keys[name] = self._keystore.unlock(name, self._password)
            return self._keys[name]


class GuardedSigner:
    """A holder of keys behind the signing log; `open_log` is called when the first slot is to be taken."""

    def __init__(self, holder: KeyHolder, open_log: Callable[[], SigningLog]) -> None:
        self._holder, self._open_log = holder, open_log
        self._log: SigningLog | None = None
        self._opening = threading.Lock()

    def address(self, name: str) -> Address:
        return self._holder.address(name)

    def wallets(self) -> list[Wallet]:
        return self._holder.wallets()

    def create(self, name: str) -> Wallet:
        return self._holder.create(name)

    def unlock(self, name: str) -> None:
        self._holder.unlock(name)

    def sign_typed(self, name: str, struct: TypedStruct, domain: Domain) -> Signature:
        require_domain(struct, domain)
        self._holder.unlock(name)  # a wrong password must not take a slot
        if takes_slot(struct):
            self.log().record(struct, domain, self._holder.address(name))
        return self._holder.sign_typed(name, struct, domain)

    def sign_transaction(self, name: str, transaction: Mapping[str, Any]) -> bytes:
        return self._holder.sign_transaction(name, transaction)

    def log(self) -> SigningLog:
        with self._opening:
            if self._log is None:
                self._log = self._open_log()
            return self._log

    def close(self) -> None:
        with self._opening:
            if self._log is not None:
                self._log.close()
                self._log = None


def require_domain(struct: TypedStruct, domain: Domain) -> None:
    """Raise InvalidInput unless `struct` is signed under the contract of `domain`."""
    _, contract = signable(type(struct).__name__)
    if domain.contract != contract:
        raise InvalidInput(
            f"a {type(struct).__name__} is signed under {contract}, not under {domain.contract}",
            f"pass {contract}'s domain",
        )


def sign_digest(key: PrivateKey, digest: Digest) -> Signature:
    """65 bytes r ‖ s ‖ v with low s (EIP-2) and v 27 or 28; deterministic (RFC 6979)."""
    signature = key.sign_msg_hash(digest)
    return Signature(signature.to_bytes()[:64] + bytes([27 + signature.v]))
