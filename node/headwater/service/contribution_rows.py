"""The rows of contributions and their records: each change of state is one acknowledged write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import Connection, delete, insert, select, update

from headwater.errors import NotFound
from headwater.protocol.contribution import Contribution, Withdrawal
from headwater.storage.content_keys import add_key
from headwater.storage.database import Database
from headwater.storage.schema import contribution_records, contributions, withdrawals
from headwater.types import Cid, Digest, Signature, digest, hex0x


class ContributionRow(Protocol):
    """A row of the table `contributions`, as SQLAlchemy gives it."""

    contribution_id: str
    datanet_id: str
    contributor: str
    document: str
    signature: str
    state: str
    anchored_block: int
    anchored_position: int
    bundle_cid: str


class ContributionRows:
    """received -> anchored -> delivered -> withdrawn."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, contribution_id: Digest) -> ContributionRow | None:
        where = contributions.c.contribution_id == hex0x(contribution_id)
        row: Any = self._database.read(lambda c: c.execute(select(contributions).where(where)).one_or_none())
        return row  # type: ignore[no-any-return]

    def required(self, contribution_id: Digest) -> ContributionRow:
        """Raises NotFound."""
        row = self.get(contribution_id)
        if row is None:
            raise NotFound(f"no contribution {hex0x(contribution_id)} is known here", "send its signature first")
        return row

    def receive(self, contribution_id: Digest, contribution: Contribution, signature: Signature, now: int) -> None:
        values = {
            "contribution_id": hex0x(contribution_id),
            "datanet_id": hex0x(contribution.datanet_id),
            "contributor": contribution.contributor,
            "document": contribution.json_text(),
            "signature": hex0x(signature),
            "state": "received",
            "received_at": now,
        }
        self._database.write(lambda c: c.execute(insert(contributions).prefix_with("OR IGNORE").values(values)))

    def anchored(self, contribution_id: Digest, block: int, position: int) -> None:
        self._update(contribution_id, state="anchored", anchored_block=block, anchored_position=position)

    def delivered(
        self, contribution_id: Digest, names: Sequence[Digest], keys: Mapping[Digest, bytes], bundle: Cid
    ) -> None:
        """Keys, names and the bundle's CID in one transaction: all of it or none."""
        identity = hex0x(contribution_id)

        def work(connection: Connection) -> None:
            for position, name in enumerate(names):
                row = {"contribution_id": identity, "position": position, "commitment": hex0x(name)}
                connection.execute(insert(contribution_records).prefix_with("OR IGNORE").values(row))
            for name, key in keys.items():
                add_key(connection, name, key)
            where = contributions.c.contribution_id == identity
            connection.execute(update(contributions).where(where).values(state="delivered", bundle_cid=bundle))

        self._database.write(work)

    def ask_withdrawal(self, withdrawal: Withdrawal, signature: Signature) -> None:
        """Keep a request until the chain has it. One that the chain never took gives way to the next."""
        values = {
            "contribution_id": hex0x(withdrawal.contribution_id),
            "document": withdrawal.json_text(),
            "signature": hex0x(signature),
            "state": "received",
        }
        mine = withdrawals.c.contribution_id == values["contribution_id"]

        def work(connection: Connection) -> None:
            connection.execute(delete(withdrawals).where(mine, withdrawals.c.state == "received"))
            connection.execute(insert(withdrawals).prefix_with("OR IGNORE").values(values))

        self._database.write(work)

    def withdrawn(self, contribution_id: Digest) -> None:
        def work(connection: Connection) -> None:
            identity = hex0x(contribution_id)
            where = contributions.c.contribution_id == identity
            connection.execute(update(contributions).where(where).values(state="withdrawn"))
            mine = withdrawals.c.contribution_id == identity
            connection.execute(update(withdrawals).where(mine).values(state="anchored"))

        self._database.write(work)

    def in_datanet(self, datanet_id: Digest, states: Sequence[str]) -> Sequence[ContributionRow]:
        query = select(contributions).where(
            contributions.c.datanet_id == hex0x(datanet_id),
            contributions.c.state.in_(states),
            contributions.c.bundle_cid.is_not(None),
        )
        rows: Any = self._database.read(lambda c: c.execute(query).all())
        return rows  # type: ignore[no-any-return]

    def record_names(self, contribution_id: Digest) -> tuple[Digest, ...]:
        query = (
            select(contribution_records.c.commitment)
            .where(contribution_records.c.contribution_id == hex0x(contribution_id))
            .order_by(contribution_records.c.position)
        )
        return tuple(digest(name) for name in self._database.read(lambda c: c.scalars(query).all()))

    def record(self, name: Digest) -> Any:
        """(datanet_id, bundle_cid) of one record. Raises NotFound if it never came."""
        query = (
            select(contributions.c.datanet_id, contributions.c.bundle_cid)
            .select_from(contribution_records)
            .join(contributions, contributions.c.contribution_id == contribution_records.c.contribution_id)
            .where(contribution_records.c.commitment == hex0x(name))
        )
        row = self._database.read(lambda c: c.execute(query).one_or_none())
        if row is None:
            raise NotFound(f"record {hex0x(name)} cannot be opened here", "its content never arrived")
        return row

    def _update(self, contribution_id: Digest, **values: Any) -> None:
        where = contributions.c.contribution_id == hex0x(contribution_id)
        self._database.write(lambda c: c.execute(update(contributions).where(where).values(**values)))
