"""The embedded chain itself: opens its file, mines on demand, lets time pass.

In: a folder, a genesis, signed transactions. Out: their hashes, once the block that holds them is fsync'd. Reads go
through `EmbeddedChain.reader`. Knows no HTTP and no keys. Thread-safe.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from eth.exceptions import CanonicalHeadNotFound

from headwater.chain.embedded.database import ChainFile, LogRow
from headwater.chain.embedded.genesis import GAS_LIMIT, Genesis
from headwater.chain.embedded.pool import Pool, Ticket
from headwater.chain.embedded.reading import Reader
from headwater.chain.embedded.times import BlockTimes, ClockTimes, SeededTimes
from headwater.chain.embedded.vm import LocalChain, NothingAccepted, decode_transaction
from headwater.chain.waiting import SystemWaiter, Waiter
from headwater.clock import Clock, SystemClock
from headwater.errors import Conflict, InvalidInput, Refused, Unavailable

FORMAT: Final = 1
MAX_ADVANCE_SECONDS: Final = 10 * 366 * 86_400
MAX_EMPTY_BLOCKS: Final = 256
"""What a seal may ask for at most: `blockhash` reaches back this far."""
_ZERO: Final = bytes(20)


class EmbeddedChain:
    """One chain in `folder`/chain.sqlite.

    Raises HomeInUse if another node holds it, Conflict if the file was started from another genesis, chain id or by a
    newer Headwater, Unavailable if the disk will not have it.
    """

    def __init__(
        self,
        folder: Path,
        genesis: Genesis,
        clock: Clock | None = None,
        waiter: Waiter | None = None,
    ) -> None:
        clock = clock or SystemClock()
        self.chain_id = genesis.chain_id
        self.is_seeded = genesis.fixed_start is not None
        self._waiter = waiter or SystemWaiter()
        self._times: BlockTimes = (
            ClockTimes(clock) if genesis.fixed_start is None else SeededTimes(genesis.fixed_start)
        )
        self._lock = threading.RLock()
        """Around everything that touches py-evm or the file."""
        self._mining = threading.Lock()
        """Held by the one thread that mines; it may wait for the clock while others read."""
        self._pool = Pool()
        self._file = ChainFile(folder)
        try:
            self._chain: Any = _open(self._file, genesis, clock)
        except BaseException:
            self._file.close()
            raise
        self._advanced_seconds = int(self._file.setting("advanced_seconds") or 0)
        self.reader = Reader(self._chain, self._file, self._lock, self._next_header)

    def close(self) -> None:
        """Wait for the block in progress and let the file go. Nothing is lost without it."""
        with self._mining, self._lock:
            self._file.close()

    @property
    def advanced_seconds(self) -> int:
        """The sum of all advances so far."""
        return self._advanced_seconds

    def submit(self, raw: bytes) -> bytes:
        """Mine a signed transaction; returns its hash (32 bytes) when its block is on disk.

        Transactions that wait at the same time share a block. One that is already in a block is answered with its
        hash and no second effect. Raises InvalidInput (not a transaction, another chain's, too little gas), Refused
        (nonce, funds, fee), DiskFull or Unavailable; in each case it is in no block.
        """
        transaction = decode_transaction(raw, self.chain_id, GAS_LIMIT)
        ticket = Ticket(transaction)
        self._pool.add(ticket)
        with self._mining:
            # Whoever gets here first mines for all that wait; the others find themselves done.
            while not ticket.done:
                self._wait_for_clock(ticket)
                self._mine_waiting()
        ticket.raise_if_refused()
        return bytes(transaction.hash)

    def mine_empty(self, count: int = 1) -> int:
        """Mine `count` blocks without transactions; returns the new height. Raises InvalidInput outside 1 … 256."""
        if not 1 <= count <= MAX_EMPTY_BLOCKS:
            raise InvalidInput(f"cannot mine {count} empty blocks", f"ask for 1 to {MAX_EMPTY_BLOCKS}")
        with self._mining:
            for _ in range(count):
                self._wait_for_clock()
                with self._lock:
                    self._mine([])
        return self.reader.height()

    def advance(self, seconds: int) -> int:
        """Let `seconds` pass for the next block; returns the sum of all advances, which is on disk by then."""
        if not 1 <= seconds <= MAX_ADVANCE_SECONDS:
            raise InvalidInput(
                f"cannot advance by {seconds} seconds", f"pass 1 to {MAX_ADVANCE_SECONDS}: time only goes forward"
            )
        with self._mining, self._lock:
            total = self._advanced_seconds + seconds
            self._file.commit(settings={"advanced_seconds": str(total).encode()})
            self._advanced_seconds = total
            return total

    def _wait_for_clock(self, ticket: Ticket | None = None) -> None:
        try:
            while seconds := self._times.seconds_to_wait(self.reader.head().timestamp, self._advanced_seconds):
                self._waiter.wait(seconds)
        except Unavailable as error:
            if ticket is None:
                raise
            # The others' threads will find the same; this one's transaction must not stay in the pool.
            for waiting in self._pool.take(GAS_LIMIT):
                waiting.settle(error)

    def _mine_waiting(self) -> None:
        tickets = self._pool.take(GAS_LIMIT)
        fresh = {
            t.transaction.hash: t.transaction for t in tickets if not self.reader.has_transaction(t.transaction.hash)
        }
        refused: dict[bytes, str] = {}
        failure: Unavailable | None = Unavailable("the block could not be built", "look into the node's log")
        try:
            if fresh:
                with self._lock:
                    refused = self._mine(list(fresh.values()))
            failure = None
        except Unavailable as error:
            failure = error
        finally:
            for ticket in tickets:
                ticket.settle(failure or _refusal(refused.get(ticket.transaction.hash)))

    def _mine(self, transactions: list[Any]) -> dict[bytes, str]:
        """Build one block and put it on disk; returns the refused ones' reasons. Leaves no trace if it fails."""
        try:
            self._chain.header = self._next_header()
            result, receipts, _ = self._chain.mine_all(transactions)
            self._file.commit(_log_rows(result.imported_block, receipts))
        except NothingAccepted:
            pass
        finally:
            self._file.rollback()
        return dict(self._chain.chaindb.refused)

    def _next_header(self) -> Any:
        head = self._chain.get_canonical_head()
        height = head.block_number + 1
        return self._chain.create_header_from_parent(
            head,
            coinbase=_ZERO,
            gas_limit=head.gas_limit,  # else it drifts
            timestamp=self._times.time_of(height, head.timestamp, self._advanced_seconds),
        )


def _open(file: ChainFile, genesis: Genesis, clock: Clock) -> Any:
    """The chain in `file`, started now if the file is new."""
    chain_class = LocalChain.with_id(genesis.chain_id)
    try:
        chain = chain_class(file)
    except CanonicalHeadNotFound:
        start = clock.now() if genesis.fixed_start is None else genesis.fixed_start
        chain = chain_class.from_genesis(file, genesis.header(start), genesis.state())
        chosen = {"chain_id": str(genesis.chain_id).encode(), "genesis": genesis.digest(), "format": b"%d" % FORMAT}
        file.commit(settings=chosen)
        return chain
    _check_origin(file, genesis)
    return chain


def _check_origin(file: ChainFile, genesis: Genesis) -> None:
    written_by, chain_id = int(file.setting("format") or 0), int(file.setting("chain_id") or 0)
    if written_by != FORMAT:
        raise Conflict(
            f"the chain file has format {written_by}, this Headwater knows format {FORMAT}",
            "use the Headwater version that wrote it",
        )
    if chain_id != genesis.chain_id:
        raise Conflict(
            f"the chain file belongs to chain {chain_id}, not to chain {genesis.chain_id}",
            f"set chain_id to {chain_id}, or choose another folder with --home",
            chain_id=chain_id,
        )
    if file.setting("genesis") != genesis.digest():
        raise Conflict(
            "the chain file was started with other balances, code or start time",
            "use the settings that it was started with, or choose another folder with --home",
        )


def _refusal(reason: str | None) -> Refused | None:
    return Refused(reason, "mend what it names, sign again and send") if reason else None


def _log_rows(block: Any, receipts: Sequence[Any]) -> list[LogRow]:
    rows: list[LogRow] = []
    for index, (transaction, receipt) in enumerate(zip(block.transactions, receipts, strict=True)):
        for log in receipt.logs:
            topics = [topic.to_bytes(32, "big") for topic in log.topics]
            t0, t1, t2, t3 = [*topics, None, None, None, None][:4]
            row = (block.number, len(rows), index, transaction.hash, log.address, t0, t1, t2, t3, log.data)
            rows.append(row)
    return rows
