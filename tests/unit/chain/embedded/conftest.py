"""Signed bytes for the embedded chain's own tests."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from headwater.chain.fees import Fees
from headwater.chain.signed import Unsigned
from headwater.testing.chains import LocalSigner
from headwater.types import Wei

Pay = Callable[..., bytes]


@pytest.fixture
def pay(alice: LocalSigner, bob: LocalSigner) -> Pay:
    """`pay(nonce)`: alice gives bob 1 wei; any field of it may be changed."""

    def signed(nonce: int, sender: LocalSigner = alice, chain_id: int = 31337, **changes: object) -> bytes:
        fields = {"to": bob.address, "data": b"", "value_wei": Wei(1), "gas": 21_000, **changes}
        fees = Fees(Wei(3 * 10**9), Wei(10**8))
        return sender.sign_transaction(
            Unsigned(chain_id, fees=fields.pop("fees", fees), **fields).dictionary(nonce)  # type: ignore[arg-type]
        )

    return signed
