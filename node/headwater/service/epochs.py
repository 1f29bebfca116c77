"""Epochs as a node runs them: gather what is due, freeze it, seal it, commit what the quorum signed.

In: attributed receipts whose vouchers are redeemed. Out: a public bundle under a CID, its proposal on chain, the
committed epoch, everyone's payouts. What is due and who is paid is decided by `settlement`; this module only fetches
and sends, and each step may be repeated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from eth_abi import encode
from eth_utils import keccak
from sqlalchemy import Connection, insert, select, update

from headwater.errors import NotFound, Refused, TransactionReverted, VerificationFailed
from headwater.protocol.canonical import canonical_json, parse_json
from headwater.protocol.epoch import Epoch, EpochBundle, LaneRow, SignedReceipt
from headwater.protocol.sumtree import PayoutTree
from headwater.service.receipt_rows import ReceiptRows
from headwater.service.workbench import Workbench
from headwater.settlement.epochs import advance_lane, assemble_bundle, proposal_of
from headwater.storage.schema import epochs, payouts
from headwater.types import ZERO_DIGEST, Address, Cid, Digest, Signature, Wei, address, digest, hex0x

LEDGER = "AttributionLedger"
PHASES = ("idle", "proposed", "sealed")


@dataclass(frozen=True, slots=True)
class CurrentAttempt:
    """The ledger's attempt in progress, or the next one."""

    epoch_id: int
    attempt: int
    phase: str
    validator_set_id: int
    sealed_hash: Digest
    proposal_digest: Digest
    has_expired: bool
    """Proposed, and not committed in time: the next proposal passes it on, and its proposer is slashed."""


@dataclass(frozen=True, slots=True)
class CommittedEpoch:
    """A committed epoch as `AttributionLedger` takes it back."""

    epoch: Epoch
    committed_at: int
    signers_digest: Digest
    proposer: Address
    votes: tuple[int, ...]

    def values(self) -> tuple[Any, ...]:
        return (self.epoch.values(), self.committed_at, self.signers_digest)


class Epochs:
    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._receipts = ReceiptRows(bench.database, bench.home.path)

    def current(self) -> CurrentAttempt:
        now = self._bench.call(LEDGER, "currentAttempt")
        return CurrentAttempt(
            now["epochId"],
            now["attempt"],
            PHASES[now["phase"]],
            now["validatorSetId"],
            digest(now["sealedHash"]),
            digest(now["proposalDigest"]),
            now["phase"] != 0 and self._may_expire(),
        )

    def _may_expire(self) -> bool:
        """Asked of the ledger, by a call without effect: only the chain knows the time of its next block."""
        try:
            self._bench.call(LEDGER, "expireAttempt")
        except TransactionReverted:
            return False
        return True

    # -- propose -----------------------------------------------------------------------------------------------

    def propose(self, wallet: str) -> EpochBundle:
        """Freeze everything that is due; the bundle of an attempt in progress comes back as it is.

        An attempt that has expired is followed by the next one. Raises Refused if nothing is due.
        """
        now = self.current()
        if now.has_expired:
            now = replace(now, attempt=now.attempt + 1)
        elif now.phase != "idle":
            return self.bundle(now.epoch_id, now.attempt)
        before = self.last_committed()
        lanes = self._lanes_before(before)
        due = self._due(lanes)
        if not due:
            raise Refused("no receipt is due", "serve an answer, let its attribution finish, redeem its voucher")
        bundle = assemble_bundle(
            now.epoch_id,
            now.attempt,
            self._bench.chain_id,
            self._bench.contract_address(LEDGER),
            ZERO_DIGEST if before is None else before.epoch.digest(),
            tuple(lanes.values()),
            due,
            {} if before is None else self.payouts(before.epoch),
        )
        self._keep(bundle, self._bench.store.put(bundle.canonical_bytes()))
        intent = f"propose epoch {bundle.epoch_id} {bundle.attempt} {hex0x(bundle.digest())}"
        parent = (0, ZERO_DIGEST) if before is None else (before.committed_at, before.signers_digest)
        self._bench.send(wallet, LEDGER, "proposeEpoch", proposal_of(bundle).values(), *parent, intent=intent)
        return bundle

    def _due(self, lanes: Mapping[Digest, LaneRow]) -> list[SignedReceipt]:
        """Attributed receipts that continue their lane and are covered by redeemed vouchers."""
        redeemed: dict[Digest, int] = {}
        rows = dict(lanes)
        due = []
        for row in self._receipts.in_state("attributed"):
            lane_id = row.receipt.lane_id
            if lane_id not in redeemed:
                redeemed[lane_id] = self._bench.call("CreditEscrow", "laneOf", lane_id)["redeemed"]
            follows = row.receipt.sequence == rows[lane_id].covered_sequence + 1
            if follows and row.receipt.cumulative <= redeemed[lane_id]:
                rows[lane_id] = advance_lane(rows[lane_id], row.signed())
                due.append(row.signed())
        return due

    def _lanes_before(self, before: CommittedEpoch | None) -> dict[Digest, LaneRow]:
        """Every lane ever opened: as the last epoch left it, or fresh."""
        rows = {} if before is None else {r.lane_id: r for r in self.bundle_of(before.epoch).lanes}
        for event in self._bench.events("CreditEscrow", "LaneOpened"):
            lane_id = digest(event.args["laneId"])
            fresh = LaneRow(
                lane_id, address(event.args["user"]), address(event.args["provider"]), 0, ZERO_DIGEST, Wei(0), Wei(0)
            )
            rows.setdefault(lane_id, fresh)
        return rows

    def _keep(self, bundle: EpochBundle, cid: Cid) -> None:
        values = {
            "epoch_id": bundle.epoch_id,
            "attempt": bundle.attempt,
            "bundle_cid": cid,
            "document": "{}",
            "signatures": "{}",
            "state": "proposed",
        }
        self._bench.database.write(lambda c: c.execute(insert(epochs).prefix_with("OR REPLACE").values(values)))

    # -- seal, sign, commit ------------------------------------------------------------------------------------

    def seal(self, wallet: str) -> Digest:
        now = self.current()
        if now.phase == "idle":
            raise Refused("no epoch is proposed", "run `headwater epoch propose` first")
        _require_in_time(now)
        if now.phase == "proposed":
            self._bench.mine_for_seal()
            self._bench.send(wallet, LEDGER, "seal", intent=f"seal epoch {now.epoch_id} {now.attempt}")
            now = self.current()
        return now.sealed_hash

    def keep_signed(self, epoch: Epoch, key: Address, signature: Signature, tree: PayoutTree) -> None:
        """A validator's signature under the settled epoch, with the payouts behind its root."""
        where = (epochs.c.epoch_id == epoch.epoch_id) & (epochs.c.attempt == epoch.attempt)

        def work(connection: Connection) -> None:
            row = connection.execute(select(epochs).where(where)).one()
            if row.document != "{}" and Epoch.from_bytes(row.document) != epoch:
                raise VerificationFailed("two validators of this home settle this epoch differently", "compare them")
            signatures = {**parse_json(row.signatures), key: hex0x(signature)}
            text = canonical_json(signatures).decode()
            connection.execute(update(epochs).where(where).values(document=epoch.json_text(), signatures=text))
            for account in tree.accounts:
                values = {
                    "epoch_id": epoch.epoch_id,
                    "attempt": epoch.attempt,
                    "account": account,
                    "cumulative_wei": tree.cumulative_of(account),
                    "proof": "[]",
                }
                connection.execute(insert(payouts).prefix_with("OR REPLACE").values(values))

        self._bench.database.write(work)

    def commit(self, wallet: str) -> CommittedEpoch:
        """Send the signed epoch; covered receipts are marked once the chain has it. Idempotent."""
        now = self.current()
        if now.phase != "sealed":
            last = self.last_committed()
            if last is None:
                raise Refused("no sealed epoch waits for a commit", "propose, seal and verify one first")
            self._mark_covered(last.epoch)
            return last
        _require_in_time(now)
        row = self._row(now.epoch_id, now.attempt)
        if row.document == "{}":
            raise Refused("no validator has signed this epoch yet", "run `headwater validator run --once` first")
        epoch, bundle = Epoch.from_bytes(row.document), self.bundle(now.epoch_id, now.attempt)
        by_key = sorted(parse_json(row.signatures).items(), key=lambda kv: int(kv[0], 16))
        signatures = b"".join(bytes.fromhex(s[2:]) for _, s in by_key)
        arguments = (epoch.values(), len(bundle.receipts), bundle.digest(), signatures)
        intent = f"commit epoch {epoch.epoch_id} {epoch.attempt} {hex0x(epoch.digest())}"
        self._bench.send(wallet, LEDGER, "commitEpoch", *arguments, intent=intent)
        self._mark_covered(epoch)
        last = self.last_committed()
        assert last is not None
        return last

    def _mark_covered(self, epoch: Epoch) -> None:
        for signed in self.bundle_of(epoch).receipts:
            self._receipts.set_state(signed.receipt.request_id, "covered")
        where = (epochs.c.epoch_id == epoch.epoch_id) & (epochs.c.attempt == epoch.attempt)
        self._bench.database.write(lambda c: c.execute(update(epochs).where(where).values(state="pending")))

    # -- reading -----------------------------------------------------------------------------------------------

    def committed(self) -> tuple[CommittedEpoch, ...]:
        """Every epoch that was committed, in order, as the chain's events tell; invalidated ones are left out."""
        out: dict[int, CommittedEpoch] = {}
        for event in self._bench.events(LEDGER, "EpochCommitted"):
            found = _committed(event.args)
            out = {k: v for k, v in out.items() if k < found.epoch.epoch_id}
            out[found.epoch.epoch_id] = found
        return tuple(out.values())

    def last_committed(self) -> CommittedEpoch | None:
        latest, _ = self._bench.call(LEDGER, "latestEpoch")
        return next((e for e in self.committed() if e.epoch.epoch_id == latest), None)

    def bundle(self, epoch_id: int, attempt: int) -> EpochBundle:
        """The public bundle, verified by its CID. Raises NotFound."""
        return EpochBundle.from_bytes(self._bench.store.get(Cid(self._row(epoch_id, attempt).bundle_cid)))

    def bundle_of(self, epoch: Epoch) -> EpochBundle:
        return self.bundle(epoch.epoch_id, epoch.attempt)

    def payouts(self, epoch: Epoch) -> dict[Address, Wei]:
        """Cumulative payouts under a committed root, checked against it."""
        where = (payouts.c.epoch_id == epoch.epoch_id) & (payouts.c.attempt == epoch.attempt)
        rows = self._bench.database.read(lambda c: c.execute(select(payouts).where(where)).all())
        found = {address(r.account): Wei(r.cumulative_wei) for r in rows}
        tree = PayoutTree(self._bench.chain_id, self._bench.contract_address(LEDGER), found)
        if tree.root != epoch.payout_root:
            raise VerificationFailed(
                f"the stored payouts of epoch {epoch.epoch_id} do not give its root", "recompute them from its bundle"
            )
        return found

    def _row(self, epoch_id: int, attempt: int) -> Any:
        where = (epochs.c.epoch_id == epoch_id) & (epochs.c.attempt == attempt)
        row = self._bench.database.read(lambda c: c.execute(select(epochs).where(where)).one_or_none())
        if row is None:
            raise NotFound(f"epoch {epoch_id} attempt {attempt} is not in this home", "fetch its bundle by CID")
        return row


def _require_in_time(now: CurrentAttempt) -> None:
    if now.has_expired:
        raise Refused(
            f"attempt {now.attempt} of epoch {now.epoch_id} has run out of time",
            "run `headwater epoch propose` again",
        )


def epoch_of(raw: Mapping[str, Any]) -> Epoch:
    """An Epoch as an event carries it."""
    values: list[Any] = [digest(raw[name]) if kind == "bytes32" else raw[name] for _, name, kind in Epoch.members()]
    return Epoch(*values)


def _committed(args: Mapping[str, Any]) -> CommittedEpoch:
    epoch = epoch_of(args["epoch"])
    votes = tuple(args["votes"])
    signers = digest(keccak(encode(["address", "uint256[]"], [args["proposer"], list(votes)])))
    return CommittedEpoch(epoch, args["committedAt"], signers, address(args["proposer"]), votes)
