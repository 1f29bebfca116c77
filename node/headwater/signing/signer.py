"""The seam that everybody signs through.

In: a wallet's name and what to sign, as a struct of `protocol` or as a transaction. Out: signatures and signed
bytes; never a key, and never a signature over a bare digest, because the signer must see what slot it fills.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from headwater.protocol.typed_data import Domain, TypedStruct
from headwater.types import Address, Signature


class Signer(Protocol):
    """Implemented by `client.SignerClient` (a keystore or a remote signer in its own process), and by tests.

    All methods raise NotFound for a name without a wallet, InvalidInput for a wrong password, Unavailable if the
    signer does not answer.
    """

    def address(self, name: str) -> Address: ...

    def sign_typed(self, name: str, struct: TypedStruct, domain: Domain) -> Signature:
        """65 bytes r ‖ s ‖ v, low s, v 27 or 28, over `struct.signing_digest(domain)`.

        Raises DoubleSigning if the struct's slot already holds another digest, Refused if the slot lies at or below
        a restored watermark, InvalidInput if the struct is not signed under that contract.
        """
        ...

    def sign_transaction(self, name: str, transaction: Mapping[str, Any]) -> bytes:
        """The raw signed transaction. `transaction`: web3's names, with `nonce`, `gas` and `chainId`.

        Raises InvalidInput for missing or unknown fields, or a `from` that is not the wallet.
        """
        ...
