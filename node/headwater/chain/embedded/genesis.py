"""What an embedded chain starts from, and how to tell that a file was started from something else.

In: chain id, balances, code, and for a seeded chain its first second. Out: py-evm's genesis parameters and a digest
of everything chosen. Knows no file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from headwater.chain.factory import FACTORY_ADDRESS, FACTORY_CODE
from headwater.errors import InvalidInput
from headwater.protocol.canonical import canonical_json
from headwater.types import Address, Wei, address_bytes

GAS_LIMIT: Final = 30_000_000
FIRST_BASE_FEE_WEI: Final = 10**9
MAX_CHAIN_ID: Final = 2**53 - 1
"""Beyond this, JavaScript wallets read another number than we wrote."""


@dataclass(frozen=True, slots=True)
class Genesis:
    """The chain's first block.

    `fixed_start`: seconds since the Unix epoch. Given, the chain is *seeded*: a block's time is
    start + height + all advances so far, whatever the wall clock says, so that two runs that send the same
    transactions in the same order get equal block hashes. None: times follow the clock.
    """

    chain_id: int
    balances_wei: Mapping[Address, Wei]
    fixed_start: int | None = None
    code: Mapping[Address, bytes] = field(default_factory=lambda: {FACTORY_ADDRESS: FACTORY_CODE})
    """Contracts that are there from the start; by default the CREATE2 factory that most public chains have too."""

    def __post_init__(self) -> None:
        if not 0 < self.chain_id <= MAX_CHAIN_ID:
            raise InvalidInput(f"chain id {self.chain_id} is outside 1 … 2**53 - 1", "choose another, such as 31337")
        if self.fixed_start is not None and self.fixed_start <= 0:
            raise InvalidInput("a seeded chain's start must lie after 1970", "pass seconds since the Unix epoch")
        for account, balance in self.balances_wei.items():
            if not 0 <= balance < 2**256:
                raise InvalidInput(f"the balance of {account} does not fit into 256 bits", "choose a smaller one")

    def digest(self) -> bytes:
        """sha2-256 of everything chosen: two genesis blocks with one digest make one and the same chain."""
        chosen = {
            "chain_id": self.chain_id,
            "balances_wei": {account: str(balance) for account, balance in self.balances_wei.items()},
            "fixed_start": self.fixed_start,
            "code": {account: code.hex() for account, code in self.code.items()},
            "gas_limit": GAS_LIMIT,
            "first_base_fee_wei": FIRST_BASE_FEE_WEI,
        }
        return hashlib.sha256(canonical_json(chosen)).digest()

    def state(self) -> dict[bytes, dict[str, Any]]:
        """Accounts in py-evm's form. A contract starts with nonce 1 (EIP-161)."""
        out: dict[bytes, dict[str, Any]] = {}
        for account in {**self.balances_wei, **self.code}:
            code = self.code.get(account, b"")
            balance = int(self.balances_wei.get(account, 0))
            out[address_bytes(account)] = {"balance": balance, "nonce": int(bool(code)), "code": code, "storage": {}}
        return out

    def header(self, timestamp: int) -> dict[str, Any]:
        return {"timestamp": timestamp, "gas_limit": GAS_LIMIT, "base_fee_per_gas": FIRST_BASE_FEE_WEI}
