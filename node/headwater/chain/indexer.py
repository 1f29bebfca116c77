"""Follow a chain: every event of our contracts, in order, once, and none that a reorganisation took back.

In: a `Chain`, the contracts, a store. Out: the store, up to date after `catch_up`. It keeps number, hash and parent
of each block it has read. Where the chain's hash differs from the one kept, it walks back to the common ancestor and
drops what lies above in the same transaction that adds the new blocks, so that a reader sees the old branch or the
new one. A log that does not decode is kept aside, with the reason, and counted; it never stops the rest.

Blocks without logs of ours are kept too while they are young enough to be reorganised; further back only every
batch's last one, which suffices to find an ancestor.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Protocol

from headwater.chain.client import Chain, event_of
from headwater.chain.contracts import Contract
from headwater.chain.event_store import IndexedBlock, Quarantined
from headwater.chain.values import Block, Event, RawLog
from headwater.errors import InvalidInput, Unavailable
from headwater.types import Address, hex0x

BATCH_BLOCKS: Final = 500
TAIL_BLOCKS: Final = 128
"""How deep a reorganisation may go and be found block by block."""


class EventStore(Protocol):
    """`event_store.SqlEventStore` in a node."""

    def cursor(self) -> int | None:
        """The highest block kept; None before the first."""
        ...

    def block_hash(self, number: int) -> str | None:
        """0x-hex; None for a block that is not kept."""
        ...

    def append(self, blocks: Sequence[IndexedBlock], drop_from: int | None = None) -> None:
        """Drop everything from `drop_from` on and add `blocks`, in one transaction."""
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """What one `catch_up` did."""

    height: int
    events: int
    quarantined: int
    rolled_back: int
    """Blocks dropped, because the chain no longer has them."""


class Indexer:
    """One chain's follower. `first_block`: where the contracts were deployed; nothing before it is read.

    Not thread-safe: one a store.
    """

    def __init__(self, chain: Chain, store: EventStore, contracts: Iterable[Contract], first_block: int = 0) -> None:
        self._chain = chain
        self._store = store
        self._contracts: dict[Address, Contract] = {contract.address: contract for contract in contracts}
        self._first_block = first_block

    def catch_up(self) -> Progress:
        """Read up to the chain's present height. Raises Unavailable; what is stored by then is whole: call again."""
        height = self._chain.block("latest").number
        next_block, drop_from, dropped = self._rejoin(height)
        events = quarantined = 0
        while next_block <= height:
            last = min(next_block + BATCH_BLOCKS - 1, height)
            blocks = self._read(next_block, last, height)
            self._store.append(blocks, drop_from)
            events += sum(len(item.events) for item in blocks)
            quarantined += sum(len(item.quarantined) for item in blocks)
            next_block, drop_from = last + 1, None
        if drop_from is not None:
            self._store.append((), drop_from)
        return Progress(height, events, quarantined, dropped)

    def _rejoin(self, height: int) -> tuple[int, int | None, int]:
        """The next block to read, from where to drop (None: nothing), and how many blocks that drops."""
        cursor = self._store.cursor()
        if cursor is None:
            return self._first_block, None, 0
        ancestor = self._ancestor(cursor, height)
        if ancestor == cursor:
            return cursor + 1, None, 0
        return ancestor + 1, ancestor + 1, cursor - ancestor

    def _ancestor(self, cursor: int, height: int) -> int:
        """The highest kept block that the chain still has; `first_block` - 1 if none."""
        for number in range(cursor, self._first_block - 1, -1):
            kept = self._store.block_hash(number)
            if kept is not None and number <= height and kept == hex0x(self._chain.block_hash(number)):
                return number
        return self._first_block - 1

    def _read(self, first: int, last: int, height: int) -> list[IndexedBlock]:
        """Blocks and their logs, consistent with each other, or Unavailable."""
        logs = self._chain.raw_logs(list(self._contracts), first, last)
        by_block: dict[int, list[RawLog]] = {}
        for log in logs:
            by_block.setdefault(log.block_number, []).append(log)
        wanted = sorted({*by_block, *range(max(first, height - TAIL_BLOCKS), last + 1), last})
        blocks = [self._chain.block(number) for number in wanted]
        self._check(blocks, by_block, first)
        return [self._understand(block, by_block.get(block.number, ())) for block in blocks]

    def _check(self, blocks: Sequence[Block], by_block: dict[int, list[RawLog]], first: int) -> None:
        """Blocks and logs come from several requests; a reorganisation between them must not be stored."""
        moved = any(log.block_hash != block.hash for block in blocks for log in by_block.get(block.number, ()))
        for parent, child in pairwise(blocks):
            moved |= child.number == parent.number + 1 and child.parent_hash != parent.hash
        if blocks[0].number == first and (kept := self._store.block_hash(first - 1)) is not None:
            # Only true if nothing below is about to be dropped; then `_rejoin` has just compared that hash.
            moved |= kept != hex0x(blocks[0].parent_hash)
        if moved:
            raise Unavailable("the chain reorganised while it was read", "nothing is lost: read again")

    def _understand(self, block: Block, logs: Iterable[RawLog]) -> IndexedBlock:
        events: list[Event] = []
        quarantined: list[Quarantined] = []
        for log in logs:
            contract = self._contracts.get(log.address)
            if contract is None:
                raise Unavailable("the node answers with logs that nobody asked for", "use another RPC endpoint")
            try:
                events.append(event_of(contract, log))
            except InvalidInput as error:
                quarantined.append(Quarantined(contract.name, log, error.cause))
        return IndexedBlock(block, events, quarantined)
