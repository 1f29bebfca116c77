"""What a chain tells us, as frozen values: blocks, receipts, logs, events.

In: the JSON of any node's JSON-RPC. Out: integers, bytes and checksummed addresses. Raises Unavailable for an answer
that is not what the method promises: such a node is not to be trusted with the rest. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headwater.errors import InvalidInput, Unavailable
from headwater.types import Address, Digest, Wei, address, digest

BlockRef = int | str
"""A height, or `latest`, `earliest`, `pending`, `safe`, `finalized`."""


@dataclass(frozen=True, slots=True)
class Block:
    number: int
    hash: Digest
    parent_hash: Digest
    timestamp: int
    base_fee_wei: Wei


@dataclass(frozen=True, slots=True)
class RawLog:
    """One log as the chain keeps it."""

    address: Address
    topics: tuple[bytes, ...]
    data: bytes
    block_number: int
    block_hash: Digest
    transaction_hash: Digest
    log_index: int
    """Its place in the block."""


@dataclass(frozen=True, slots=True)
class Event:
    """A log, understood. `args` by parameter name, in declaration order."""

    contract: str
    name: str
    args: Mapping[str, Any]
    log: RawLog

    @property
    def block_number(self) -> int:
        return self.log.block_number


@dataclass(frozen=True, slots=True)
class TransactionReceipt:
    """What became of a mined transaction. (A *Receipt* in `protocol` is something else: an inference's.)"""

    transaction_hash: Digest
    block_number: int
    block_hash: Digest
    succeeded: bool
    gas_used: int
    effective_gas_price_wei: Wei
    contract_address: Address | None
    logs: tuple[RawLog, ...]

    @property
    def fee_wei(self) -> Wei:
        return Wei(self.gas_used * self.effective_gas_price_wei)


def integer_of(value: Any) -> int:
    if not isinstance(value, str) or not value.startswith("0x"):
        raise _strange(value)
    try:
        return int(value, 16)
    except ValueError:
        raise _strange(value) from None


def bytes_of(value: Any) -> bytes:
    if not isinstance(value, str) or not value.startswith("0x"):
        raise _strange(value)
    try:
        return bytes.fromhex(value[2:])
    except ValueError:
        raise _strange(value) from None


def block_of(value: Any) -> Block:
    with_fields = _fields(value)
    return Block(
        number=integer_of(with_fields["number"]),
        hash=_digest_of(with_fields["hash"]),
        parent_hash=_digest_of(with_fields["parentHash"]),
        timestamp=integer_of(with_fields["timestamp"]),
        base_fee_wei=Wei(integer_of(with_fields.get("baseFeePerGas", "0x0"))),
    )


def raw_log_of(value: Any) -> RawLog:
    fields = _fields(value)
    return RawLog(
        address=_address_of(fields["address"]),
        topics=tuple(bytes(_digest_of(topic)) for topic in fields["topics"]),
        data=bytes_of(fields["data"]),
        block_number=integer_of(fields["blockNumber"]),
        block_hash=_digest_of(fields["blockHash"]),
        transaction_hash=_digest_of(fields["transactionHash"]),
        log_index=integer_of(fields["logIndex"]),
    )


def receipt_of(value: Any) -> TransactionReceipt:
    fields = _fields(value)
    created = fields.get("contractAddress")
    return TransactionReceipt(
        transaction_hash=_digest_of(fields["transactionHash"]),
        block_number=integer_of(fields["blockNumber"]),
        block_hash=_digest_of(fields["blockHash"]),
        succeeded=integer_of(fields["status"]) == 1,
        gas_used=integer_of(fields["gasUsed"]),
        effective_gas_price_wei=Wei(integer_of(fields["effectiveGasPrice"])),
        contract_address=None if created is None else _address_of(created),
        logs=tuple(raw_log_of(log) for log in fields["logs"]),
    )


class _Fields(dict[str, Any]):
    def __missing__(self, name: str) -> Any:
        raise Unavailable(f"the node's answer lacks {name}", "use another RPC endpoint")


def _fields(value: Any) -> _Fields:
    if not isinstance(value, dict):
        raise _strange(value)
    return _Fields(value)


def _digest_of(value: Any) -> Digest:
    try:
        return digest(bytes_of(value))
    except InvalidInput:
        raise _strange(value) from None


def _address_of(value: Any) -> Address:
    try:
        return address(bytes_of(value))
    except InvalidInput:
        raise _strange(value) from None


def _strange(value: Any) -> Unavailable:
    return Unavailable(f"the node answered {str(value)[:80]!r} where it must not", "use another RPC endpoint")
