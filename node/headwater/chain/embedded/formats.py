"""JSON-RPC shapes of blocks, transactions, receipts and logs.

In: py-evm's objects. Out: dicts with hex strings, as the Ethereum execution API specifies them
(https://ethereum.github.io/execution-apis/): quantities without leading zeros, data with all of them. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import rlp
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from headwater.chain.embedded.database import LogRow
from headwater.types import hex0x

Json = dict[str, Any]


def quantity(value: int) -> str:
    return hex(value)


def word(value: int) -> str:
    return hex0x(value.to_bytes(32, "big"))


def block_json(block: Any, full_transactions: bool) -> Json:
    header = block.header
    transactions: list[Any] = [
        transaction_json(tx, header, index) if full_transactions else hex0x(tx.hash)
        for index, tx in enumerate(block.transactions)
    ]
    return {
        **_header_json(header),
        "size": quantity(len(rlp.encode(block))),
        "transactions": transactions,
        "uncles": [],
        "withdrawals": [],
    }


def _header_json(header: Any) -> Json:
    return {
        "number": quantity(header.block_number),
        "hash": hex0x(header.hash),
        "parentHash": hex0x(header.parent_hash),
        "sha3Uncles": hex0x(header.uncles_hash),
        "miner": to_checksum_address(header.coinbase),
        "stateRoot": hex0x(header.state_root),
        "transactionsRoot": hex0x(header.transaction_root),
        "receiptsRoot": hex0x(header.receipt_root),
        "logsBloom": hex0x(header.bloom.to_bytes(256, "big")),
        "difficulty": "0x0",
        "gasLimit": quantity(header.gas_limit),
        "gasUsed": quantity(header.gas_used),
        "timestamp": quantity(header.timestamp),
        "extraData": hex0x(header.extra_data),
        "mixHash": hex0x(header.mix_hash),
        "nonce": hex0x(header.nonce),
        "baseFeePerGas": quantity(header.base_fee_per_gas),
        "withdrawalsRoot": hex0x(header.withdrawals_root),
        "blobGasUsed": quantity(header.blob_gas_used),
        "excessBlobGas": quantity(header.excess_blob_gas),
        "parentBeaconBlockRoot": hex0x(header.parent_beacon_block_root),
        "requestsHash": hex0x(header.requests_hash),
    }


def transaction_json(tx: Any, header: Any, index: int) -> Json:
    """A mined transaction; `gasPrice` is what it paid a unit (EIP-1559)."""
    kind = tx.type_id or 0
    out: Json = {
        "type": quantity(kind),
        "hash": hex0x(tx.hash),
        "nonce": quantity(tx.nonce),
        "from": to_checksum_address(tx.sender),
        "to": to_checksum_address(tx.to) if tx.to else None,
        "value": quantity(tx.value),
        "gas": quantity(tx.gas),
        "gasPrice": quantity(effective_gas_price(tx, header)),
        "input": hex0x(tx.data),
        "chainId": quantity(tx.chain_id),
        "r": quantity(tx.r),
        "s": quantity(tx.s),
        "v": quantity(tx.y_parity if kind else tx.v),
        "blockHash": hex0x(header.hash),
        "blockNumber": quantity(header.block_number),
        "transactionIndex": quantity(index),
    }
    if kind:
        out["yParity"] = quantity(tx.y_parity)
        out["accessList"] = [
            {"address": to_checksum_address(account), "storageKeys": [word(slot) for slot in slots]}
            for account, slots in tx.access_list
        ]
    if kind >= 2:
        out["maxFeePerGas"] = quantity(tx.max_fee_per_gas)
        out["maxPriorityFeePerGas"] = quantity(tx.max_priority_fee_per_gas)
    if kind == 4:
        out["authorizationList"] = [_authorization_json(item) for item in tx.authorization_list]
    return out


def _authorization_json(item: Any) -> Json:
    return {
        "chainId": quantity(item.chain_id),
        "address": to_checksum_address(item.address),
        "nonce": quantity(item.nonce),
        "yParity": quantity(item.y_parity),
        "r": quantity(item.r),
        "s": quantity(item.s),
    }


def priority_fee(tx: Any, header: Any) -> int:
    """What the transaction pays a unit of gas above the base fee."""
    return int(min(tx.max_priority_fee_per_gas, tx.max_fee_per_gas - header.base_fee_per_gas))


def effective_gas_price(tx: Any, header: Any) -> int:
    return int(header.base_fee_per_gas) + priority_fee(tx, header)


def receipt_json(tx: Any, header: Any, index: int, receipts: Sequence[Any], first_log: int) -> Json:
    """One receipt out of its block's; `first_log`: logs of the block before this transaction."""
    receipt = receipts[index]
    before = receipts[index - 1].gas_used if index else 0
    where: Json = {
        "transactionHash": hex0x(tx.hash),
        "transactionIndex": quantity(index),
        "blockHash": hex0x(header.hash),
        "blockNumber": quantity(header.block_number),
    }
    logs = [
        {
            **where,
            "address": to_checksum_address(log.address),
            "topics": [word(topic) for topic in log.topics],
            "data": hex0x(log.data),
            "logIndex": quantity(first_log + position),
            "removed": False,
        }
        for position, log in enumerate(receipt.logs)
    ]
    return {
        **where,
        "type": quantity(tx.type_id or 0),
        "from": to_checksum_address(tx.sender),
        "to": to_checksum_address(tx.to) if tx.to else None,
        "contractAddress": None if tx.to else to_checksum_address(_created_address(tx)),
        "status": quantity(int.from_bytes(receipt.state_root, "big")),
        "gasUsed": quantity(receipt.gas_used - before),
        "cumulativeGasUsed": quantity(receipt.gas_used),
        "effectiveGasPrice": quantity(effective_gas_price(tx, header)),
        "logs": logs,
        "logsBloom": hex0x(receipt.bloom.to_bytes(256, "big")),
    }


def _created_address(tx: Any) -> bytes:
    """Where a creation puts its contract: keccak of RLP(sender, nonce), last 20 bytes."""
    return bytes(keccak(rlp.encode([tx.sender, tx.nonce]))[12:])


def log_json(row: LogRow, block_hash: bytes) -> Json:
    block, log_index, transaction_index, transaction_hash, account, *topics, data = row
    return {
        "address": to_checksum_address(account),
        "topics": [hex0x(topic) for topic in topics if isinstance(topic, bytes)],
        "data": hex0x(data if isinstance(data, bytes) else b""),
        "blockNumber": quantity(block),
        "blockHash": hex0x(block_hash),
        "transactionHash": hex0x(transaction_hash),
        "transactionIndex": quantity(transaction_index),
        "logIndex": quantity(log_index),
        "removed": False,
    }
