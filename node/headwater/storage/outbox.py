"""Every chain transaction, signed and stored before it is sent.

In: an intent (a unique key that says what for), a sender, a function that signs for a given nonce. Out: a stored
row with the signed bytes. Nonces are assigned inside the writing transaction that stores the bytes, so a crash
leaves either nothing or a transaction that can be sent again: the same bytes have one effect on any chain. `pending`
nonces of an RPC are never asked. Knows no chain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Row, Select, func, insert, select, update

from headwater.clock import Clock
from headwater.errors import Conflict, NotFound
from headwater.storage.database import Database
from headwater.storage.schema import outbox, outbox_attempts
from headwater.types import Address

SIGNED: Final = "signed"
BROADCAST: Final = "broadcast"
MINED: Final = "mined"
FINAL: Final = "final"
REVERTED: Final = "reverted"
STATES: Final = (SIGNED, BROADCAST, MINED, FINAL, REVERTED)
UNSETTLED: Final = (SIGNED, BROADCAST, MINED)

Sign = Callable[[int], tuple[bytes, str]]
"""nonce -> (signed raw transaction, its 0x-hash); must give the same bytes for the same nonce."""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    intent_key: str
    sender: Address
    nonce: int
    raw: bytes
    tx_hash: str
    state: str
    block_number: int | None


class Outbox:
    """Table `outbox`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def reserve(self, intent_key: str, sender: Address, sign: Sign, first_nonce: int) -> OutboxRow:
        """Sign with the sender's next nonce and store it; an intent that is stored already is returned as it is.

        `first_nonce`: the chain's count of the sender's transactions; used if it is ahead of what is stored. `sign`
        runs once, inside the writing transaction; what it raises comes through, and no nonce is used up. Raises
        Conflict if another sender holds the intent, DiskFull, Unavailable.
        """
        now = self._clock.now()

        def work(connection: Connection) -> OutboxRow:
            if (found := _find(connection, intent_key)) is not None:
                if found.sender != sender:
                    raise Conflict(
                        f"the intent {intent_key!r} is in the outbox for {found.sender}", "use another intent key"
                    )
                return found
            last = connection.scalar(select(func.max(outbox.c.nonce)).where(outbox.c.sender == sender))
            nonce = first_nonce if last is None else max(first_nonce, last + 1)
            raw, tx_hash = sign(nonce)
            row = OutboxRow(intent_key, sender, nonce, raw, tx_hash, SIGNED, None)
            values = {name: getattr(row, name) for name in OutboxRow.__slots__}
            connection.execute(insert(outbox).values(created_at=now, **values))
            return row

        return self._database.write(work)

    def mark(self, intent_key: str, state: str, block_number: int | None = None) -> None:
        """Record what became of it. Raises NotFound for an unknown intent, ValueError for an unknown state."""
        if state not in STATES:
            raise ValueError(f"{state!r} is no state of the outbox")

        def work(connection: Connection) -> None:
            change = update(outbox).where(outbox.c.intent_key == intent_key)
            if connection.execute(change.values(state=state, block_number=block_number)).rowcount == 0:
                raise NotFound(f"the outbox has no intent {intent_key!r}", "reserve it first")

        self._database.write(work)

    def get(self, intent_key: str) -> OutboxRow | None:
        return self._database.read(lambda connection: _find(connection, intent_key))

    def pending(self, sender: Address) -> list[OutboxRow]:
        """All that is signed, broadcast or mined but not final, in order of nonce: a reorganisation may drop it."""
        mine = select(outbox).where(outbox.c.sender == sender, outbox.c.state.in_(UNSETTLED))
        return self._database.read(lambda c: [_row(found) for found in c.execute(mine.order_by(outbox.c.nonce))])

    def add_attempt(self, intent_key: str, raw: bytes, tx_hash: str) -> None:
        """Keep a further signed form of the intent, with the same nonce and a higher fee; before it is sent.

        One that is kept already is not kept twice. Raises NotFound for an unknown intent.
        """
        now = self._clock.now()

        def work(connection: Connection) -> None:
            if _find(connection, intent_key) is None:
                raise NotFound(f"the outbox has no intent {intent_key!r}", "reserve it first")
            kept = connection.execute(_attempts_of(intent_key)).all()
            if tx_hash in (row.tx_hash for row in kept):
                return
            values = {"intent_key": intent_key, "position": len(kept), "raw": raw, "tx_hash": tx_hash}
            connection.execute(insert(outbox_attempts).values(created_at=now, **values))

        self._database.write(work)

    def attempts(self, intent_key: str) -> list[tuple[bytes, str]]:
        """Those further forms as (raw, hash), oldest first; without the row's own."""
        query = _attempts_of(intent_key)
        return self._database.read(lambda c: [(row.raw, row.tx_hash) for row in c.execute(query)])


def _find(connection: Connection, intent_key: str) -> OutboxRow | None:
    found = connection.execute(select(outbox).where(outbox.c.intent_key == intent_key)).one_or_none()
    return None if found is None else _row(found)


def _attempts_of(intent_key: str) -> Select[tuple[bytes, str]]:
    columns = outbox_attempts.c.raw, outbox_attempts.c.tx_hash
    return select(*columns).where(outbox_attempts.c.intent_key == intent_key).order_by(outbox_attempts.c.position)


def _row(found: Row[tuple[object, ...]]) -> OutboxRow:
    return OutboxRow(**{name: getattr(found, name) for name in OutboxRow.__slots__})
