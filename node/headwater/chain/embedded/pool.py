"""Transactions that wait for the next block.

In: decoded transactions from many threads. Out: batches in an order that can be mined, within the block's gas; each
thread learns the fate of its own. Knows no chain.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from headwater.errors import HeadwaterError


@dataclass(slots=True)
class Ticket:
    """One sender's wait. `done` once the transaction is on disk or refused."""

    transaction: Any
    done: bool = False
    error: HeadwaterError | None = None

    def settle(self, error: HeadwaterError | None = None) -> None:
        self.error = error
        self.done = True

    def raise_if_refused(self) -> None:
        if self.error is not None:
            # A fresh object: several threads may have got the same one.
            raise type(self.error)(self.error.cause, self.error.next_step, **dict(self.error.details))


class Pool:
    """Waiting tickets, in order of arrival. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Ticket] = []

    def add(self, ticket: Ticket) -> None:
        with self._lock:
            self._waiting.append(ticket)

    def take(self, gas_limit: int) -> list[Ticket]:
        """Remove and return the next block's tickets: lowest nonces first, gas limits within `gas_limit`."""
        with self._lock:
            ordered = sorted(self._waiting, key=lambda ticket: int(ticket.transaction.nonce))
            gas, count = 0, 0
            for ticket in ordered:
                gas += int(ticket.transaction.gas)
                if gas > gas_limit:
                    break
                count += 1
            batch = ordered[:count]
            taken = {id(ticket) for ticket in batch}
            self._waiting = [ticket for ticket in self._waiting if id(ticket) not in taken]
            return batch
