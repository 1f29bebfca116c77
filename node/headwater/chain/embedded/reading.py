"""Reads of the embedded chain: blocks, accounts, receipts, logs, calls, gas estimates.

In: block numbers, hashes, addresses, calldata. Out: py-evm's objects, bytes and integers; None for what is not there.
Writes nothing. Thread-safe by the lock that it is given.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from eth.exceptions import HeaderNotFound, TransactionNotFound
from eth.exceptions import Revert as EvmRevert
from eth.exceptions import VMError as EvmError
from eth.vm.spoof import SpoofTransaction
from eth_utils.exceptions import ValidationError

from headwater.chain.embedded.database import ChainFile, LogRow
from headwater.chain.embedded.vm import floor_gas, reason
from headwater.errors import InvalidInput, Refused

MAX_LOGS: Final = 10_000
MAX_TOPICS: Final = 4
_CALL_STIPEND: Final = 2_300


class ExecutionFailed(Refused):
    """A call that did not run through. `data`: the revert data, None if it ended otherwise (out of gas, …)."""

    code = "execution_failed"

    def __init__(self, cause: str, next_step: str, data: bytes | None = None) -> None:
        super().__init__(cause, next_step)
        self.data = data


@dataclass(frozen=True, slots=True)
class Call:
    """A transaction that nobody signed. `to` empty = creation; `gas` None = the block's limit."""

    to: bytes
    data: bytes = b""
    sender: bytes = bytes(20)
    value_wei: int = 0
    gas: int | None = None


@dataclass(frozen=True, slots=True)
class Located:
    """A mined transaction and where it is."""

    transaction: Any
    header: Any
    index: int


class Reader:
    def __init__(self, chain: Any, file: ChainFile, lock: threading.RLock, next_header: Callable[[], Any]) -> None:
        self._chain = chain
        self._file = file
        self._lock = lock
        self._next_header = next_header

    def head(self) -> Any:
        with self._lock:
            return self._chain.get_canonical_head()

    def height(self) -> int:
        return int(self.head().block_number)

    def next_header(self) -> Any:
        """The header that a block mined now would start from: its time, height and base fee."""
        with self._lock:
            return self._next_header()

    def header_by_number(self, number: int) -> Any | None:
        with self._lock:
            if number > self.height():
                return None
            return self._chain.get_canonical_block_header_by_number(number)

    def header_by_hash(self, block_hash: bytes) -> Any | None:
        with self._lock:
            try:
                return self._chain.get_block_header_by_hash(block_hash)
            except (HeaderNotFound, ValidationError):
                return None

    def block(self, header: Any) -> Any:
        with self._lock:
            return self._chain.get_block_by_header(header)

    def balance(self, header: Any, account: bytes) -> int:
        with self._lock:
            return int(self._state(header).get_balance(account))

    def nonce(self, header: Any, account: bytes) -> int:
        with self._lock:
            return int(self._state(header).get_nonce(account))

    def code(self, header: Any, account: bytes) -> bytes:
        with self._lock:
            return bytes(self._state(header).get_code(account))

    def storage(self, header: Any, account: bytes, slot: int) -> int:
        with self._lock:
            return int(self._state(header).get_storage(account, slot))

    def _state(self, header: Any) -> Any:
        return self._chain.get_vm(header).state

    def has_transaction(self, transaction_hash: bytes) -> bool:
        return self.transaction(transaction_hash) is not None

    def transaction(self, transaction_hash: bytes) -> Located | None:
        with self._lock:
            try:
                number, index = self._chain.get_canonical_transaction_index(transaction_hash)
            except TransactionNotFound:
                return None
            transaction = self._chain.get_canonical_transaction_by_index(number, index)
            return Located(transaction, self.header_by_number(number), index)

    def receipts(self, header: Any) -> Sequence[Any]:
        """All receipts of a block; py-evm's `gas_used` is cumulative, `state_root` the status."""
        with self._lock:
            block = self._chain.get_block_by_header(header)
            return tuple(block.get_receipts(self._chain.chaindb))

    def logs_before(self, block: int, transaction_index: int) -> int:
        """How many logs of the block come before this transaction's."""
        query = "SELECT COUNT(*) FROM log WHERE block = ? AND transaction_index < ?"
        with self._lock:
            return int(self._file.select(query, (block, transaction_index))[0][0])

    def logs(
        self,
        first: int,
        last: int,
        addresses: Sequence[bytes] = (),
        topics: Sequence[Sequence[bytes]] = (),
    ) -> list[LogRow]:
        """Log rows of blocks `first` … `last` by index; an empty list matches anything, several match any of them.

        Raises InvalidInput beyond 10,000 rows or four topics: a silent cut would look like the whole answer.
        """
        if len(topics) > MAX_TOPICS:
            raise InvalidInput(
                f"a log has at most {MAX_TOPICS} topics, the filter has {len(topics)}", "leave out the rest"
            )
        query, parameters = "SELECT * FROM log WHERE block BETWEEN ? AND ?", [first, last]
        values: list[object] = [*parameters]
        columns = [("address", addresses), *((f"topic{i}", wanted) for i, wanted in enumerate(topics))]
        for column, wanted in columns:
            if wanted:
                query += f" AND {column} IN ({', '.join('?' * len(wanted))})"
                values.extend(wanted)
        with self._lock:
            rows = self._file.select(query + " ORDER BY block, log_index LIMIT ?", (*values, MAX_LOGS + 1))
        if len(rows) > MAX_LOGS:
            raise InvalidInput(f"the query matches more than {MAX_LOGS} logs", "ask for fewer blocks at a time")
        return rows

    def call(self, call: Call, header: Any | None = None) -> bytes:
        """Run without effect; returns the output. `header` None = as if in the next block, else after that block.

        Raises ExecutionFailed.
        """
        with self._lock:
            state, transaction = self._spoof(call, header)
            return bytes(_run(state, transaction).output)

    def estimate_gas(self, call: Call) -> int:
        """A gas limit with which the call runs through in the next block, at most 2 % above the least.

        Raises ExecutionFailed. Method: the gas used without refunds suffices unless an inner call needs the 1/64
        that EIP-150 keeps back, or refunds (EIP-3529) hid what was needed at the peak; only then search.
        """
        with self._lock:
            state, transaction = self._spoof(call, None)
            computation = _run(state, transaction)
            least = max(int(transaction.intrinsic_gas) + int(computation.get_gas_used()), floor_gas(call.data))
            if _succeeds(state, transaction, least):
                return least
            low, high = least, int(transaction.gas)
            while high - low > low // 50:
                # Needs lie near the bottom: try there first.
                middle = min((low + high) // 2, low + (low - least) * 2 + low // 50 + _CALL_STIPEND)
                if _succeeds(state, transaction, middle):
                    high = middle
                else:
                    low = middle
            return high

    def _spoof(self, call: Call, header: Any | None) -> tuple[Any, Any]:
        header = self._next_header() if header is None else header
        # py-evm would ask for the base fee; BASEFEE therefore reads 0 in calls.
        vm = self._chain.get_vm(header.copy(base_fee_per_gas=0))
        transaction = vm.create_unsigned_transaction(
            nonce=vm.state.get_nonce(call.sender),
            gas_price=0,
            gas=min(call.gas or vm.state.gas_limit, vm.state.gas_limit),
            to=call.to,
            value=call.value_wei,
            data=call.data,
        )
        return vm.state, SpoofTransaction(transaction, from_=call.sender)


def _run(state: Any, transaction: Any) -> Any:
    """Apply, undo, and return the computation. Raises ExecutionFailed."""
    snapshot = state.snapshot()
    try:
        if transaction.gas < transaction.intrinsic_gas:
            raise ExecutionFailed("out of gas: less than the intrinsic gas", "allow more gas")
        computation = state.apply_transaction(transaction)
    except ValidationError as error:
        cause = reason(error, transaction, transaction.nonce)
        raise ExecutionFailed(cause, "mend what it names") from None
    finally:
        state.revert(snapshot)
    if not computation.is_error:
        return computation
    failure: EvmError = computation.error
    if isinstance(failure, EvmRevert):
        data = bytes(failure.args[0]) if failure.args else b""
        raise ExecutionFailed("execution reverted", "look at the contract's reason", data)
    raise ExecutionFailed(
        f"{_words(type(failure).__name__)}: {failure}", "check what is called, and with how much gas"
    )


def _succeeds(state: Any, transaction: Any, gas: int) -> bool:
    try:
        _run(state, SpoofTransaction(transaction, gas=gas))
    except ExecutionFailed:
        return False
    return True


def _words(name: str) -> str:
    """`OutOfGas` -> `out of gas`."""
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()
