"""JSON-RPC parameters, read strictly.

In: what a client sent. Out: integers, bytes, filters. Raises InvalidInput that names the parameter. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from headwater.chain.embedded.reading import MAX_TOPICS, Call
from headwater.errors import InvalidInput

TAGS: Final = frozenset({"latest", "earliest", "pending", "safe", "finalized"})
_QUANTITY: Final = re.compile(r"0x(0|[1-9a-fA-F][0-9a-fA-F]{0,63})\Z")
_DATA: Final = re.compile(r"0x([0-9a-fA-F]{2})*\Z")
_CALL_FIELDS: Final = frozenset(
    {
        *("from", "to", "gas", "gasPrice", "maxFeePerGas", "maxPriorityFeePerGas", "value"),
        *("data", "input", "nonce", "type", "chainId", "accessList"),
    }
)
_FILTER_FIELDS: Final = frozenset({"address", "topics", "fromBlock", "toBlock", "blockHash"})

BlockId = int | str | bytes
"""A number, a tag, or a 32-byte hash."""


@dataclass(frozen=True, slots=True)
class LogFilter:
    first: BlockId
    last: BlockId
    addresses: tuple[bytes, ...]
    topics: tuple[tuple[bytes, ...], ...]


def quantity_of(value: object, name: str) -> int:
    if not isinstance(value, str) or not _QUANTITY.match(value):
        raise InvalidInput(f"{name} is not a hex quantity", "pass 0x and digits without leading zeros")
    return int(value, 16)


def whole_number_of(value: object, name: str) -> int:
    """A count for our own methods: a JSON integer or a hex quantity."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return quantity_of(value, name)


def bytes_of(value: object, name: str, size: int | None = None) -> bytes:
    if not isinstance(value, str) or not _DATA.match(value):
        raise InvalidInput(f"{name} is not hex data", "pass 0x and an even number of hexadecimal digits")
    data = bytes.fromhex(value[2:])
    if size is not None and len(data) != size:
        raise InvalidInput(f"{name} has {len(data)} bytes instead of {size}", "pass it whole")
    return data


def slot_of(value: object) -> int:
    """A storage slot: clients send it as a quantity or as 32 bytes."""
    if isinstance(value, str) and len(value) == 66:
        return int.from_bytes(bytes_of(value, "the slot", 32), "big")
    return quantity_of(value, "the slot")


def block_id_of(value: object) -> BlockId:
    """A number, tag, or EIP-1898 object."""
    if isinstance(value, dict):
        if set(value) <= {"blockHash", "requireCanonical"} and "blockHash" in value:
            return bytes_of(value["blockHash"], "blockHash", 32)
        if set(value) == {"blockNumber"}:
            return quantity_of(value["blockNumber"], "blockNumber")
        raise InvalidInput("the block is named in an unknown way", "pass blockNumber or blockHash (EIP-1898)")
    if isinstance(value, str) and value in TAGS:
        return value
    return quantity_of(value, "the block number")


def call_of(value: object) -> Call:
    fields = _object(value, "the call", _CALL_FIELDS)
    data, same = fields.get("data"), fields.get("input")
    if data is not None and same is not None and data != same:
        raise InvalidInput("the call has two different contents in data and input", "pass only one of them")
    to, sender, gas = fields.get("to"), fields.get("from"), fields.get("gas")
    return Call(
        to=b"" if to is None else bytes_of(to, "to", 20),
        data=bytes_of(data or same or "0x", "data"),
        sender=bytes(20) if sender is None else bytes_of(sender, "from", 20),
        value_wei=quantity_of(fields.get("value") or "0x0", "value"),
        gas=None if gas is None else quantity_of(gas, "gas"),
    )


def log_filter_of(value: object) -> LogFilter:
    fields = _object(value, "the filter", _FILTER_FIELDS)
    if "blockHash" in fields:
        if "fromBlock" in fields or "toBlock" in fields:
            raise InvalidInput("the filter names blocks in two ways", "pass blockHash, or fromBlock and toBlock")
        first: BlockId = bytes_of(fields["blockHash"], "blockHash", 32)
        last = first
    else:
        first = block_id_of(fields.get("fromBlock") or "latest")
        last = block_id_of(fields.get("toBlock") or "latest")
    topics = fields.get("topics") or []
    if not isinstance(topics, list) or len(topics) > MAX_TOPICS:
        raise InvalidInput("topics is not a list of at most four", "leave out what you do not filter by")
    return LogFilter(
        first,
        last,
        _any_of(fields.get("address"), "address", 20),
        tuple(_any_of(topic, "a topic", 32) for topic in topics),
    )


def _any_of(value: object, name: str, size: int) -> tuple[bytes, ...]:
    """null = anything, one value, or a list of which any may match."""
    if value is None:
        return ()
    if isinstance(value, list):
        return tuple(bytes_of(item, name, size) for item in value)
    return (bytes_of(value, name, size),)


def _object(value: object, name: str, known: frozenset[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput(f"{name} is not an object", "pass a JSON object")
    if unknown := value.keys() - known:
        raise InvalidInput(f"{name} has the unknown field {min(unknown)!r}", "leave it out: it would have no effect")
    return value
