"""Lanes: what the chain fixed for each, where its receipts stand, which voucher pays them.

In: a lane id. Out: its terms from the chain, its position from this node's rows. Used by the provider (to serve) and
by the user's proxy (to pay): the rows of both sides have one shape, and each side computes every number itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, desc, insert, select, update

from headwater.errors import NotFound, Refused
from headwater.protocol.license import Disclosure
from headwater.protocol.receipt import Receipt
from headwater.protocol.voucher import Voucher
from headwater.service.workbench import Workbench
from headwater.settlement.receipts import LanePosition, LaneTerms
from headwater.settlement.vouchers import check_voucher
from headwater.storage.schema import lanes, receipts, vouchers
from headwater.types import Digest, Signature, Wei, address, digest, hex0x

ESCROW = "CreditEscrow"
STATUS = ("none", "open", "closing", "closed")


@dataclass(frozen=True, slots=True)
class LaneStatus:
    """A lane as the chain and this node know it."""

    terms: LaneTerms
    status: str
    redeemed_wei: Wei
    position: LanePosition
    vouchered_wei: Wei


class Lanes:
    """The lanes of one home, on one side."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    def terms(self, lane_id: Digest) -> LaneTerms:
        """What the opening fixed, and the allocation now. Raises NotFound."""
        return self._terms(lane_id, self._on_chain(lane_id))

    def open_terms(self, lane_id: Digest) -> LaneTerms:
        """The same, for a lane on which answers may be served now. Raises NotFound, Refused."""
        facts = self._on_chain(lane_id)
        status = STATUS[facts["status"]]
        if status != "open":
            raise Refused(f"lane {hex0x(lane_id)} is {status}", "open another lane")
        if facts["expiresAt"] and facts["expiresAt"] <= self._bench.chain_time():
            raise Refused(f"lane {hex0x(lane_id)} has expired", "open another lane")
        return self._terms(lane_id, facts)

    def status(self, lane_id: Digest) -> LaneStatus:
        facts = self._on_chain(lane_id)
        return LaneStatus(
            self._terms(lane_id, facts),
            STATUS[facts["status"]],
            Wei(facts["redeemed"]),
            self.position(lane_id),
            self.vouchered(lane_id),
        )

    def position(self, lane_id: Digest) -> LanePosition:
        """After the last receipt that this side has stored."""
        query = (
            select(receipts.c.document)
            .where(receipts.c.lane_id == hex0x(lane_id))
            .order_by(desc(receipts.c.sequence))
            .limit(1)
        )
        text = self._bench.database.read(lambda c: c.scalar(query))
        return LanePosition() if text is None else LanePosition().after(Receipt.from_bytes(text))

    def remember(self, lane_id: Digest, role: str, session_key_name: str = "") -> None:
        """Keep the lane's row; receipts and vouchers hang on it."""
        values = {
            "lane_id": hex0x(lane_id),
            "role": role,
            "document": "{}",
            "state": "open",
            "session_key_name": session_key_name or None,
        }
        self._bench.database.write(lambda c: c.execute(insert(lanes).prefix_with("OR IGNORE").values(values)))

    def session_key_name(self, lane_id: Digest) -> str:
        """The wallet that holds a lane's session key. Raises NotFound."""
        query = select(lanes.c.session_key_name).where(lanes.c.lane_id == hex0x(lane_id))
        name = self._bench.database.read(lambda c: c.scalar(query))
        if not name:
            raise NotFound(f"this home holds no session key for lane {hex0x(lane_id)}", "open the lane from here")
        return str(name)

    def all(self) -> tuple[Digest, ...]:
        rows = self._bench.database.read(lambda c: c.scalars(select(lanes.c.lane_id)).all())
        return tuple(sorted(digest(r) for r in rows))

    # -- vouchers ----------------------------------------------------------------------------------------------

    def accept_voucher(self, terms: LaneTerms, voucher: Voucher, signature: Signature) -> None:
        """Check a voucher against this side's books and keep it. The same one again has no second effect."""
        known = self.position(terms.lane_id)
        check_voucher(voucher, signature, self._bench.domain(ESCROW), terms, known)
        self.remember(terms.lane_id, "provider")
        self.keep_voucher(voucher, signature)

    def keep_voucher(self, voucher: Voucher, signature: Signature) -> None:
        """Keep a voucher beside those before it. One of the same sum is there already; an older one is superseded."""
        lane = vouchers.c.lane_id == hex0x(voucher.lane_id)
        values: dict[str, Any] = {
            "lane_id": hex0x(voucher.lane_id),
            "cumulative_wei": voucher.cumulative,
            "document": voucher.json_text(),
            "signature": hex0x(signature),
        }

        def work(connection: Connection) -> None:
            held = connection.scalars(select(vouchers.c.cumulative_wei).where(lane)).all()
            if voucher.cumulative in held:
                return
            is_newest = voucher.cumulative > max(held, default=-1)
            if is_newest:
                connection.execute(
                    update(vouchers).where(lane, vouchers.c.state == "signed").values(state="superseded")
                )
            state = "signed" if is_newest else "superseded"
            connection.execute(insert(vouchers).values({**values, "state": state}))

        self._bench.database.write(work)

    def last_voucher(self, lane_id: Digest) -> tuple[Voucher, Signature] | None:
        """The voucher with the highest cumulative that this side holds."""
        query = select(vouchers.c.document, vouchers.c.signature).where(vouchers.c.lane_id == hex0x(lane_id))
        rows = self._bench.database.read(lambda c: c.execute(query).all())
        held = [(Voucher.from_bytes(r.document), Signature(bytes.fromhex(r.signature[2:]))) for r in rows]
        return max(held, key=lambda pair: pair[0].cumulative, default=None)

    def vouchered(self, lane_id: Digest) -> Wei:
        last = self.last_voucher(lane_id)
        return Wei(0) if last is None else last[0].cumulative

    def redeem(self, wallet: str, lane_id: Digest) -> Wei:
        """Turn the last voucher into money on the ledger; the amount that moved. Raises NotFound without one."""
        last = self.last_voucher(lane_id)
        if last is None or last[0].cumulative == 0:
            raise NotFound(f"lane {hex0x(lane_id)} has no voucher to redeem", "serve an answer on it first")
        before = self._on_chain(lane_id)["redeemed"]
        voucher, signature = last
        intent = f"redeem {hex0x(lane_id)} {voucher.cumulative}"
        self._bench.send(wallet, ESCROW, "redeem", voucher.values(), signature, intent=intent)
        where = (vouchers.c.lane_id == hex0x(lane_id)) & (vouchers.c.cumulative_wei == voucher.cumulative)
        self._bench.database.write(lambda c: c.execute(update(vouchers).where(where).values(state="redeemed")))
        return Wei(self._on_chain(lane_id)["redeemed"] - before)

    def _on_chain(self, lane_id: Digest) -> Any:
        facts = self._bench.call(ESCROW, "laneOf", lane_id)
        if facts["status"] == 0:
            raise NotFound(f"no lane {hex0x(lane_id)} is on this chain", "open one with `headwater lane open`")
        return facts

    @staticmethod
    def _terms(lane_id: Digest, facts: Any) -> LaneTerms:
        return LaneTerms(
            lane_id,
            address(facts["user"]),
            address(facts["provider"]),
            address(facts["sessionKey"]),
            Disclosure(facts["disclosure"]),
            Wei(facts["allocated"]),
        )
