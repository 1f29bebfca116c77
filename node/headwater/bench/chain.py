"""How many transactions a second the embedded chain acknowledges: single transfers, each block flushed to disk."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eth_account import Account

from headwater.chain.embedded.genesis import Genesis
from headwater.chain.embedded.node import EmbeddedChain
from headwater.clock import ManualClock
from headwater.types import Wei, address

START = 1_700_000_000


def run(quick: bool) -> Mapping[str, Any]:
    key = Account.from_key(b"\x05" * 32)
    count = 20 if quick else 400
    raws = [_transfer(key, nonce) for nonce in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        chain = EmbeddedChain(
            Path(folder), Genesis(31337, {address(key.address): Wei(10**24)}, START), ManualClock(START)
        )
        started = time.perf_counter()
        for raw in raws:
            chain.submit(raw)
        seconds = time.perf_counter() - started
        height = chain.reader.height()
        chain.close()
    return {"transactions": count, "blocks": height, "transactions_per_second": round(count / seconds, 1)}


def _transfer(key: Any, nonce: int) -> bytes:
    transaction = {
        "type": 2,
        "chainId": 31337,
        "nonce": nonce,
        "to": "0x" + "11" * 20,
        "value": 1,
        "gas": 21_000,
        "maxFeePerGas": 10**10,
        "maxPriorityFeePerGas": 10**8,
    }
    return bytes(key.sign_transaction(transaction).raw_transaction)
