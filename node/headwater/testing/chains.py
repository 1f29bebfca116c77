"""Chains and signers for tests: an embedded chain behind its RPC, anvil behind its own, keys in memory.

In: a folder, or a path to anvil. Out: URLs that answer until the `with` block ends. The keys are public knowledge:
whoever uses them on a real chain loses what they hold.
"""

from __future__ import annotations

import asyncio
import math
import re
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_utils.crypto import keccak

from headwater.chain.embedded import EmbeddedChain
from headwater.chain.rpc import RpcServer
from headwater.clock import ManualClock
from headwater.types import Address, Wei

RICH: Wei = Wei(10**24)
"""What each test account starts with: a million of the native coin."""


class LocalSigner:
    """A TransactionSigner whose key follows from a name."""

    def __init__(self, name: str) -> None:
        self._account: Any = Account.from_key(keccak(text=f"headwater test account {name}"))
        self.address = Address(self._account.address)

    def sign_transaction(self, transaction: Mapping[str, Any]) -> bytes:
        return bytes(self._account.sign_transaction(dict(transaction)).raw_transaction)


class AdvancingWaiter:
    """A Waiter that lets a manual clock pass instead of waiting; `waited` sums it up, in whole seconds."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.waited = 0

    def wait(self, seconds: float) -> None:
        self.waited += math.ceil(seconds)
        self._clock.advance(math.ceil(seconds))


class ShortWaiter:
    """A Waiter that waits a millisecond at most: for polls of a chain that makes its blocks at once."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def wait(self, seconds: float) -> None:
        self._event.wait(min(seconds, 0.001))


def until(happened: Callable[[], bool]) -> None:
    """Return when another thread has made `happened` true. Raises TimeoutError after ten seconds."""
    pause = threading.Event()
    for _ in range(10_000):
        if happened():
            return
        pause.wait(0.001)
    raise TimeoutError("it did not happen")


@contextmanager
def served(chain: EmbeddedChain, **options: Any) -> Iterator[RpcServer]:
    """`chain` behind JSON-RPC on a free port, served by a thread. `options`: those of RpcServer."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="chain-rpc")
    thread.start()

    def run(work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result()

    server = RpcServer(chain, **{"port": 0, **options})
    try:
        run(server.start())
        try:
            yield server
        finally:
            run(server.stop())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def anvil(binary: Path, chain_id: int, *options: str) -> Iterator[str]:
    """Foundry's development chain, Prague, on a free port of loopback; its URL. The first block is at its clock."""
    command = [str(binary), "--port", "0", "--chain-id", str(chain_id), "--hardfork", "prague", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    try:
        seen = []
        for line in process.stdout:
            seen.append(line)
            if found := re.search(r"Listening on (\S+)", line):
                break
        else:
            raise RuntimeError("anvil did not start: " + "".join(seen))
        # Its log must be read, or it stops when the pipe is full.
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield f"http://{found.group(1)}"
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def find_anvil(repository: Path) -> Path | None:
    """anvil as package.json installs it, or None."""
    for place in ("node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil", "node_modules/.bin/anvil"):
        if (path := repository / place).is_file():
            return path
    return None
