"""Where the indexer keeps what it has read: blocks, events, and logs that it could not read.

In: a block with its logs. Out: the cursor, events by contract and name. Tables `chain_blocks`, `chain_events` and
`quarantined_logs`. A block, its events and the move of the cursor are one transaction: the cursor *is* the highest
block kept.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from headwater.chain.abi import plain_json
from headwater.chain.values import Block, Event, RawLog
from headwater.storage.database import Database
from headwater.storage.schema import chain_blocks, chain_events, quarantined_logs
from headwater.types import hex0x


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A log of one of our contracts that does not decode, and why."""

    contract: str
    log: RawLog
    reason: str


@dataclass(frozen=True, slots=True)
class IndexedBlock:
    block: Block
    events: Sequence[Event] = ()
    quarantined: Sequence[Quarantined] = ()


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """`args` as JSON: bytes in 0x-hex, integers beyond 2**53 as decimal text."""

    block_number: int
    log_index: int
    tx_hash: str
    contract: str
    name: str
    args: dict[str, Any]


class SqlEventStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    def cursor(self) -> int | None:
        """The highest block kept; None before the first."""
        highest: int | None = self._database.read(lambda c: c.scalar(select(func.max(chain_blocks.c.number))))
        return highest

    def block_hash(self, number: int) -> str | None:
        query = select(chain_blocks.c.hash).where(chain_blocks.c.number == number)
        return self._database.read(lambda c: c.scalar(query))

    def append(self, blocks: Sequence[IndexedBlock], drop_from: int | None = None) -> None:
        """Drop everything from block `drop_from` on, then add these blocks, in one transaction."""

        def work(connection: Connection) -> None:
            if drop_from is not None:
                _drop(connection, drop_from)
            for item in blocks:
                _add(connection, item)

        self._database.write(work)

    def events(self, contract: str, name: str, from_block: int = 0) -> list[StoredEvent]:
        """In chain order."""
        t = chain_events
        query = (
            select(t)
            .where(t.c.contract == contract, t.c.name == name, t.c.block_number >= from_block)
            .order_by(t.c.block_number, t.c.log_index)
        )

        def work(connection: Connection) -> list[StoredEvent]:
            return [
                StoredEvent(r.block_number, r.log_index, r.tx_hash, r.contract, r.name, json.loads(r.args))
                for r in connection.execute(query)
            ]

        return self._database.read(work)

    def quarantined(self) -> int:
        """How many logs could not be read."""
        return self._database.read(lambda c: c.scalar(select(func.count()).select_from(quarantined_logs)) or 0)


def _drop(connection: Connection, first: int) -> None:
    # Events go first by hand: PostgreSQL and SQLite would cascade, but only where foreign keys are on.
    for table in (chain_events, quarantined_logs):
        connection.execute(delete(table).where(table.c.block_number >= first))
    connection.execute(delete(chain_blocks).where(chain_blocks.c.number >= first))


def _add(connection: Connection, item: IndexedBlock) -> None:
    block = item.block
    connection.execute(
        insert(chain_blocks).values(number=block.number, hash=hex0x(block.hash), parent=hex0x(block.parent_hash))
    )
    for event in item.events:
        connection.execute(
            insert(chain_events).values(
                **_place(event.log),
                contract=event.contract,
                name=event.name,
                args=json.dumps(plain_json(event.args)),
            )
        )
    for bad in item.quarantined:
        topics = json.dumps([hex0x(topic) for topic in bad.log.topics])
        connection.execute(
            insert(quarantined_logs).values(
                **_place(bad.log), contract=bad.contract, topics=topics, data=bad.log.data, reason=bad.reason
            )
        )


def _place(log: RawLog) -> dict[str, Any]:
    return {
        "block_number": log.block_number,
        "log_index": log.log_index,
        "tx_hash": hex0x(log.transaction_hash),
    }
