"""The JSON-RPC methods of the embedded chain: what web3.py and MetaMask ask, and two of our own.

In: a method's name and its parameters. Out: JSON values. Raises the errors of the chain; `rpc` gives them their
codes. Knows no HTTP.

Reads at `latest` or `pending` that execute code (eth_call, eth_estimateGas) see the block that would be mined now:
its number and, after `headwater_advance`, its time. What they answer is what a transaction sent next would meet.
`safe` and `finalized` equal `latest`: nothing here is ever undone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from eth_utils.crypto import keccak

from headwater import __version__
from headwater.chain.embedded.formats import (
    block_json,
    log_json,
    priority_fee,
    quantity,
    receipt_json,
    transaction_json,
)
from headwater.chain.embedded.node import EmbeddedChain
from headwater.chain.embedded.parameters import (
    BlockId,
    block_id_of,
    bytes_of,
    call_of,
    log_filter_of,
    slot_of,
    whole_number_of,
)
from headwater.errors import InvalidInput, NotFound
from headwater.types import hex0x

PRIORITY_FEE_WEI: Final = 10**8
"""What we suggest as a tip; on this chain nobody earns it, so it only has to look usual."""
MAX_FEE_HISTORY: Final = 1_024
WRITES: Final = frozenset({"eth_sendRawTransaction", "headwater_mine", "headwater_advance"})
"""Methods that may wait for the clock or the disk."""


class Methods:
    """`methods.table[name](*params)`; a call with the wrong number of parameters raises TypeError."""

    def __init__(self, chain: EmbeddedChain) -> None:
        self._chain = chain
        self._reader = chain.reader
        self.table: dict[str, Callable[..., Any]] = {
            "web3_clientVersion": lambda: f"Headwater/{__version__}/py-evm-prague",
            "web3_sha3": lambda data: hex0x(keccak(bytes_of(data, "data"))),
            "net_version": lambda: str(chain.chain_id),
            "net_listening": lambda: True,
            "eth_chainId": lambda: quantity(chain.chain_id),
            "eth_syncing": lambda: False,
            "eth_accounts": _no_accounts,
            "eth_blockNumber": lambda: quantity(self._reader.height()),
            "eth_gasPrice": lambda: quantity(self._reader.next_header().base_fee_per_gas + PRIORITY_FEE_WEI),
            "eth_maxPriorityFeePerGas": lambda: quantity(PRIORITY_FEE_WEI),
            "eth_feeHistory": self.fee_history,
            "eth_getBlockByNumber": self.block_by_number,
            "eth_getBlockByHash": self.block_by_hash,
            "eth_getBalance": self.balance,
            "eth_getCode": self.code,
            "eth_getStorageAt": self.storage,
            "eth_getTransactionCount": self.transaction_count,
            "eth_call": self.call,
            "eth_estimateGas": self.estimate_gas,
            "eth_sendRawTransaction": self.send_raw_transaction,
            "eth_getTransactionByHash": self.transaction_by_hash,
            "eth_getTransactionReceipt": self.transaction_receipt,
            "eth_getLogs": self.logs,
            "headwater_mine": self.mine,
            "headwater_advance": self.advance,
        }

    def _find(self, block: BlockId) -> Any | None:
        if isinstance(block, bytes):
            return self._reader.header_by_hash(block)
        if isinstance(block, int):
            return self._reader.header_by_number(block)
        return self._reader.header_by_number(0) if block == "earliest" else self._reader.head()

    def _header(self, block: object) -> Any:
        header = self._find(block_id_of(block))
        if header is None:
            raise NotFound("header not found: this chain has no such block", "ask eth_blockNumber for the last one")
        return header

    def _header_at(self, number: int) -> Any:
        """The header of a block that is known to be there."""
        return self._header(quantity(number))

    def block_by_number(self, block: object, full: bool = False) -> Any:
        header = self._find(block_id_of(block))
        return None if header is None else block_json(self._reader.block(header), _flag(full))

    def block_by_hash(self, block_hash: object, full: bool = False) -> Any:
        header = self._find(bytes_of(block_hash, "the block hash", 32))
        return None if header is None else block_json(self._reader.block(header), _flag(full))

    def balance(self, account: object, block: object = "latest") -> str:
        return quantity(self._reader.balance(self._header(block), bytes_of(account, "the address", 20)))

    def code(self, account: object, block: object = "latest") -> str:
        return hex0x(self._reader.code(self._header(block), bytes_of(account, "the address", 20)))

    def storage(self, account: object, slot: object, block: object = "latest") -> str:
        value = self._reader.storage(self._header(block), bytes_of(account, "the address", 20), slot_of(slot))
        return hex0x(value.to_bytes(32, "big"))

    def transaction_count(self, account: object, block: object = "latest") -> str:
        return quantity(self._reader.nonce(self._header(block), bytes_of(account, "the address", 20)))

    def call(self, call: object, block: object = "latest") -> str:
        now = block in ("latest", "pending", "safe", "finalized")
        return hex0x(self._reader.call(call_of(call), None if now else self._header(block)))

    def estimate_gas(self, call: object, block: object = "latest") -> str:
        self._header(block)
        return quantity(self._reader.estimate_gas(call_of(call)))

    def send_raw_transaction(self, raw: object) -> str:
        return hex0x(self._chain.submit(bytes_of(raw, "the transaction")))

    def transaction_by_hash(self, transaction_hash: object) -> Any:
        found = self._reader.transaction(bytes_of(transaction_hash, "the transaction hash", 32))
        return None if found is None else transaction_json(found.transaction, found.header, found.index)

    def transaction_receipt(self, transaction_hash: object) -> Any:
        found = self._reader.transaction(bytes_of(transaction_hash, "the transaction hash", 32))
        if found is None:
            return None
        receipts = self._reader.receipts(found.header)
        first_log = self._reader.logs_before(found.header.block_number, found.index)
        return receipt_json(found.transaction, found.header, found.index, receipts, first_log)

    def logs(self, log_filter: object) -> list[Any]:
        wanted = log_filter_of(log_filter)
        first, last = self._number(wanted.first), self._number(wanted.last)
        if first > last:
            raise InvalidInput(f"fromBlock {first} lies after toBlock {last}", "swap them")
        rows = self._reader.logs(first, last, wanted.addresses, wanted.topics)
        hashes = {number: self._header_at(number).hash for number in {row[0] for row in rows}}
        return [log_json(row, hashes[row[0]]) for row in rows]

    def _number(self, block: BlockId) -> int:
        if isinstance(block, int):
            return block  # beyond the head: no logs yet
        header = self._find(block)
        if header is None:
            raise NotFound("unknown block: this chain has none with that hash", "check the hash")
        return int(header.block_number)

    def fee_history(self, count: object, newest: object, percentiles: object = None) -> Any:
        """EIP-1559 fee history; rewards are the priority fees at the given percentiles of gas used."""
        wanted = _percentiles(percentiles)
        last = int(self._header(newest).block_number)
        blocks = min(whole_number_of(count, "the block count"), MAX_FEE_HISTORY, last + 1)
        headers = [self._header_at(number) for number in range(last - blocks + 1, last + 1)]
        following = self._reader.header_by_number(last + 1) or self._reader.next_header()
        out = {
            "oldestBlock": quantity(last - blocks + 1),
            "baseFeePerGas": [quantity(header.base_fee_per_gas) for header in (*headers, following)],
            "gasUsedRatio": [header.gas_used / header.gas_limit for header in headers],
        }
        if wanted:
            out["reward"] = [self._rewards(header, wanted) for header in headers]
        return out

    def _rewards(self, header: Any, percentiles: list[float]) -> list[str]:
        receipts, used = self._reader.receipts(header), 0
        fees: list[tuple[int, int]] = []
        for tx, receipt in zip(self._reader.block(header).transactions, receipts, strict=True):
            fees.append((priority_fee(tx, header), receipt.gas_used - used))
            used = receipt.gas_used
        return [quantity(_at_percentile(sorted(fees), used, percentile)) for percentile in percentiles]

    def mine(self, count: object = 1) -> str:
        """Mine empty blocks: what a seal asks for. Returns the new height."""
        return quantity(self._chain.mine_empty(whole_number_of(count, "the number of blocks")))

    def advance(self, seconds: object) -> str:
        """Let time pass for the next block. Returns the sum of all advances."""
        return quantity(self._chain.advance(whole_number_of(seconds, "seconds")))


def _no_accounts() -> list[str]:
    """Keys live in `signing`, never in a chain."""
    return []


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput("the second parameter is not true or false", "pass a boolean")
    return value


def _percentiles(value: object) -> list[float]:
    values = [] if value is None else value
    if not isinstance(values, list) or len(values) > 100:
        raise InvalidInput(
            "the percentiles are not a list of at most 100 numbers", "pass a list such as [10, 50, 90]"
        )
    good = all(isinstance(v, int | float) and not isinstance(v, bool) and 0 <= v <= 100 for v in values)
    if not good or sorted(values) != values:
        raise InvalidInput("a percentile is outside 0 … 100 or out of order", "pass rising numbers from 0 to 100")
    return [float(v) for v in values]


def _at_percentile(fees: list[tuple[int, int]], total_gas: int, percentile: float) -> int:
    passed = 0
    for fee, gas in fees:
        passed += gas
        if passed * 100 >= total_gas * percentile:
            return fee
    return 0
