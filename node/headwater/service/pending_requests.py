"""What the user has asked on a lane and has no receipt for yet: written before it is sent.

In: a request with its nonce and the price that was quoted. Out: the same after a crash or a broken connection, so
that the lane's next request can first fetch the receipt that was missed. One a lane: its answers follow one another.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, delete, insert, select

from headwater.protocol.codec import Bytes32, Document, Uint32, WeiAmount
from headwater.protocol.completion import InferenceRequest
from headwater.protocol.voucher import request_id
from headwater.service.private_box import PrivateBox
from headwater.settlement.receipts import Tariff
from headwater.storage.database import Database
from headwater.storage.schema import pending_requests, settings
from headwater.types import Digest, digest, hex0x


@dataclass(frozen=True, slots=True)
class PendingRequest(Document):
    """Everything that the missing receipt has to agree with."""

    lane_id: Bytes32
    request: InferenceRequest
    user_nonce: Bytes32
    adapter_digest: Bytes32
    price_version: Uint32
    price_per_thousand_tokens_wei: WeiAmount

    @property
    def request_id(self) -> Digest:
        return request_id(self.lane_id, self.user_nonce)

    @property
    def tariff(self) -> Tariff:
        asked = self.request
        return Tariff(asked.model_id, asked.version, self.price_version, self.price_per_thousand_tokens_wei)


class PendingRequests:
    def __init__(self, database: Database, home: Path) -> None:
        self._database = database
        self._box = PrivateBox(home)

    def keep(self, pending: PendingRequest) -> None:
        """On disk before the request is sent; replaces the lane's former one."""
        values = {
            "lane_id": hex0x(pending.lane_id),
            "request_id": hex0x(pending.request_id),
            "private": self._box.seal(pending.canonical_bytes(), pending.request_id),
        }
        self._database.write(lambda c: c.execute(insert(pending_requests).prefix_with("OR REPLACE").values(values)))

    def get(self, lane_id: Digest) -> PendingRequest | None:
        query = select(pending_requests).where(pending_requests.c.lane_id == hex0x(lane_id))
        row = self._database.read(lambda c: c.execute(query).one_or_none())
        if row is None:
            return None
        return PendingRequest.from_bytes(self._box.open(row.private, digest(row.request_id)))

    def drop(self, pending: PendingRequest) -> None:
        """It has its receipt."""
        self._database.write(lambda c: self._delete(c, pending))

    def give_up(self, pending: PendingRequest) -> None:
        """It will never have one; its nonce must not come again."""
        name, count = _counter(pending.lane_id), self.given_up(pending.lane_id) + 1

        def work(connection: Connection) -> None:
            self._delete(connection, pending)
            connection.execute(insert(settings).prefix_with("OR REPLACE").values(name=name, value=str(count)))

        self._database.write(work)

    def given_up(self, lane_id: Digest) -> int:
        """How many requests of this lane were given up so far."""
        query = select(settings.c.value).where(settings.c.name == _counter(lane_id))
        return int(self._database.read(lambda c: c.scalar(query)) or 0)

    @staticmethod
    def _delete(connection: Connection, pending: PendingRequest) -> None:
        where = pending_requests.c.request_id == hex0x(pending.request_id)
        connection.execute(delete(pending_requests).where(where))


def _counter(lane_id: Digest) -> str:
    return f"requests given up on lane {hex0x(lane_id)}"
