"""Epochs and claims on a chain: what is due is frozen, sealed, signed, committed, and paid out to the last wei.

The tests follow one another, as epochs do: each needs the ledger as the one before left it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from headwater.chain.deployment_plan import DEVNET
from headwater.content.cid import cid_of_digest
from headwater.errors import NotFound, Refused, TransactionReverted, VerificationFailed
from headwater.protocol.attribution import AttributionBody, OwnerShare, RowScore, share_order
from headwater.protocol.chat import Message
from headwater.protocol.epoch import EpochBundle, VerdictFinding
from headwater.protocol.receipt import Receipt
from headwater.protocol.sumtree import PayoutTree
from headwater.service.accounts import Accounts
from headwater.service.claims import Claims
from headwater.service.dividing import divided
from headwater.service.epochs import LEDGER, CommittedEpoch, Epochs
from headwater.service.inference import Inference, Order
from headwater.service.lanes import ESCROW
from headwater.service.paying import Paying
from headwater.service.receipt_rows import ReceiptRows
from headwater.service.registry_facts import paymasters, version_facts
from headwater.service.validating import Validating
from headwater.settlement.epochs import SettledEpoch, settle_epoch
from headwater.settlement.receipts import response_of
from headwater.storage.schema import epochs as epochs_table
from headwater.testing import examples
from headwater.types import WHOLE_PPM, Digest, Ppm, Wei
from headwater.validator.duties import check_bundle
from headwater.validator.verdicts import strikes_of, verdict_of

_numbers = count()
WINDOW, MINIMUM, TIMEOUT = DEVNET.window_seconds, DEVNET.minimum_epoch_seconds, DEVNET.attempt_timeout_seconds
ROLES = {"contributor", "model_owner", "datanet_owner", "provider", "validators", "protocol", "refund"}


@dataclass
class Ledger:
    """The verbs of this page over one devnet."""

    devnet: Any
    inference: Inference
    paying_over: Callable[[Digest], Paying]
    datanet: Digest

    @property
    def bench(self) -> Any:
        return self.devnet.bench

    @property
    def epochs(self) -> Epochs:
        return Epochs(self.bench)

    @property
    def claims(self) -> Claims:
        return Claims(self.bench)

    @property
    def rows(self) -> ReceiptRows:
        return ReceiptRows(self.bench.database, self.bench.home.path)

    def lane(self) -> Digest:
        return self.devnet.open_lane(f"epochs {next(_numbers)}", 10**18)

    def answer(self, lane: Digest, shares: dict[str, int] | None = None) -> Receipt:
        """One paid answer on a lane; with `shares` (ppm by wallet) its attribution too."""
        paying = self.paying_over(lane)
        asked = Order("modeler/drug-codes", (Message("user", "hi"),), 3, 0, WHOLE_PPM, (), None)
        prepared = paying.prepare(asked)
        done = self.inference.finish(self.inference.start(replace(asked, lane=prepared.order)))
        assert done.receipt is not None and done.signature is not None
        paid = paying.settle(prepared, done.receipt, done.signature, response_of(done.completion))
        lanes = self.inference.lanes
        lanes.accept_voucher(lanes.terms(lane), paid.voucher, paid.signature)
        if shares is not None:
            self.attribute(done.receipt, shares)
        return done.receipt

    def attribute(self, receipt: Receipt, shares: dict[str, int]) -> None:
        body = self.body(receipt, shares)
        made = examples.attribution(receipt, body)
        signature = self.bench.signer.sign_typed("provider-hot", made, self.bench.domain(ESCROW))
        self.rows.attributed(receipt, made, signature, body)

    def body(self, receipt: Receipt, shares: dict[str, int]) -> AttributionBody:
        """Rows that the method divides into exactly these shares, as `examples.body` says."""
        owners = [OwnerShare(0, self.bench.address(n), self.datanet, Ppm(p)) for n, p in shares.items()]
        rest = Ppm(WHOLE_PPM - sum(shares.values()))
        rows = [
            RowScore(i, len(owners) * s.ppm + rest, 1_000, 1, s.account, s.datanet_id) for i, s in enumerate(owners)
        ]
        return replace(
            examples.body(receipt.digest()),
            floor=rest,
            scores=tuple(sorted(rows, key=lambda row: row.order)),
            shares=tuple(sorted(owners, key=share_order)),
            base_ppm=rest,
        )

    def redeem(self, lane: Digest) -> None:
        self.inference.lanes.redeem("provider", lane)

    def pass_time(self, seconds: int) -> None:
        self.devnet.chain.advance(seconds)
        self.devnet.chain.mine_empty()

    def settle(self, bundle: EpochBundle, undelivered: tuple[Digest, ...] = ()) -> SettledEpoch:
        """The validator's word after its checks, recomputing nothing: some receipts were not delivered to it."""
        self.check(bundle)
        findings = [VerdictFinding(s.receipt.digest(), 0, s.receipt.digest() in undelivered) for s in bundle.receipts]
        key, now = self.bench.address("validator-hot"), self.epochs.current()
        preimage = examples.word("not checked by the ledger")
        verdict = verdict_of(bundle, key, now.validator_set_id, now.sealed_hash, preimage, findings)
        strikes = strikes_of(bundle, [verdict], {key: 1})
        facts = version_facts(self.bench, bundle.receipts)
        return settle_epoch(bundle, strikes, facts, paymasters(self.bench), now.validator_set_id)

    def check(self, bundle: EpochBundle) -> None:
        """What a validator checks of every bundle, against what this chain says."""
        last = self.epochs.last_committed()
        before = () if last is None else self.epochs.bundle_of(last.epoch).lanes
        facts = Validating(self.bench, Path("/no/base"))._facts(bundle, self.epochs.current())
        check_bundle(bundle, self.bench.domain(ESCROW), before, facts)

    def sign(self, settled: SettledEpoch) -> None:
        signature = self.bench.signer.sign_typed("validator-hot", settled.epoch, self.bench.domain(LEDGER))
        self.epochs.keep_signed(settled.epoch, self.bench.address("validator-hot"), signature, settled.payouts)

    def run(self, undelivered: tuple[Digest, ...] = ()) -> CommittedEpoch:
        """Propose, seal, settle, sign and commit whatever is due."""
        self.pass_time(MINIMUM)
        bundle = self.epochs.propose("validator")
        self.epochs.seal("bob")
        self.sign(self.settle(bundle, undelivered))
        return self.epochs.commit("bob")

    def credit(self, name: str) -> int:
        return int(Accounts(self.bench).balance(self.bench.address(name)).credit_wei)


@pytest.fixture
def ledger(
    devnet: Any, inference: Inference, paying_over: Callable[[Digest], Paying], datanet: Digest
) -> Iterator[Ledger]:
    yield Ledger(devnet, inference, paying_over, datanet)


SHARES = {"alice": 500_000, "bob": 200_000}


# -- before anything is due --------------------------------------------------------------------------------------


def test_nothing_due_is_nothing_to_propose(ledger: Ledger) -> None:
    with pytest.raises(Refused, match="no receipt is due"):
        ledger.epochs.propose("validator")
    assert ledger.epochs.current().phase == "idle"


def test_steps_out_of_turn_say_what_comes_first(ledger: Ledger) -> None:
    with pytest.raises(Refused, match="epoch propose"):
        ledger.epochs.seal("validator")
    with pytest.raises(Refused, match="no sealed epoch"):
        ledger.epochs.commit("validator")
    with pytest.raises(Refused, match="no epoch is final yet"):
        ledger.claims.final()
    with pytest.raises(NotFound, match="not in this home"):
        ledger.epochs.bundle(99, 0)
    assert (ledger.epochs.committed(), ledger.epochs.last_committed()) == ((), None)


def test_only_attributed_receipts_of_redeemed_vouchers_are_due_and_none_after_a_gap(ledger: Ledger) -> None:
    paid, unpaid, gap = ledger.lane(), ledger.lane(), ledger.lane()
    first = ledger.answer(paid, SHARES)
    ledger.redeem(paid)
    later = ledger.answer(paid, SHARES)
    ledger.answer(unpaid, SHARES)
    waiting = ledger.answer(gap)
    ledger.answer(gap, SHARES)
    ledger.redeem(gap)
    due = ledger.epochs._due(ledger.epochs._lanes_before(None))
    assert [s.receipt for s in due] == [first]
    ledger.redeem(paid)
    ledger.attribute(waiting, SHARES)
    ledger.redeem(unpaid)
    due = ledger.epochs._due(ledger.epochs._lanes_before(None))
    assert len(due) == 5 and {first, later, waiting} <= {s.receipt for s in due}


# -- the first epoch ---------------------------------------------------------------------------------------------


def test_the_first_epoch_from_proposal_to_commit(ledger: Ledger) -> None:
    """The five receipts of the test before, whose prices end up whole in the payouts."""
    epochs = ledger.epochs
    bundle = epochs.propose("validator")
    assert (bundle.epoch_id, bundle.attempt, len(bundle.receipts)) == (1, 0, 5)
    assert epochs.current().phase == "proposed"
    assert epochs.propose("validator") == epochs.bundle(1, 0) == bundle
    assert ledger.bench.store.get(cid_of_digest(bundle.digest())) == bundle.canonical_bytes()
    sealed = epochs.seal("bob")
    assert epochs.seal("bob") == sealed == epochs.current().sealed_hash
    with pytest.raises(Refused, match="no validator has signed"):
        epochs.commit("bob")
    settled = ledger.settle(bundle)
    ledger.sign(settled)
    ledger.sign(settled)
    committed = epochs.commit("bob")
    assert (committed.epoch, committed.epoch.payout_total) == (
        settled.epoch,
        sum(s.receipt.price for s in bundle.receipts),
    )
    assert epochs.commit("bob") == committed == epochs.last_committed()
    assert {ledger.rows.required(s.receipt.request_id).state for s in bundle.receipts} == {"covered"}


def test_every_wei_of_the_prices_has_one_of_the_protocols_roles(ledger: Ledger) -> None:
    committed = ledger.epochs.committed()[0]
    parts = divided(ledger.bench, ledger.epochs, committed)
    assert sum(p.wei for p in parts) == committed.epoch.payout_total
    assert {p.role for p in parts} == ROLES
    by_name = {(p.account, p.role): p.wei for p in parts}
    price = sum(s.receipt.price for s in ledger.epochs.bundle_of(committed.epoch).receipts)
    assert by_name[ledger.bench.address("alice"), "contributor"] == price * 500_000 * 500_000 // 10**12
    assert ledger.epochs.payouts(committed.epoch).keys() == {p.account for p in parts}


def test_a_signature_under_other_payouts_is_not_kept(ledger: Ledger) -> None:
    other = replace(ledger.epochs.committed()[0].epoch, payout_total=Wei(1))
    tree = PayoutTree(ledger.bench.chain_id, ledger.bench.contract_address(LEDGER), {})
    with pytest.raises(VerificationFailed, match="differently"):
        ledger.epochs.keep_signed(other, examples.account("x"), examples.sign("x", other, examples.LEDGER), tree)


def test_stored_payouts_that_do_not_give_the_root_are_told(ledger: Ledger) -> None:
    committed = ledger.epochs.committed()[0]
    with pytest.raises(VerificationFailed, match="do not give its root"):
        ledger.epochs.payouts(replace(committed.epoch, payout_root=examples.word("x")))


def test_another_epoch_cannot_be_opened_before_its_time(ledger: Ledger) -> None:
    lane = ledger.lane()
    ledger.answer(lane, SHARES)
    ledger.redeem(lane)
    with pytest.raises(TransactionReverted, match="TooEarly"):
        ledger.epochs.propose("validator")


# -- claims ------------------------------------------------------------------------------------------------------


def test_nothing_is_claimed_before_the_window_has_passed(ledger: Ledger) -> None:
    with pytest.raises(Refused, match="no epoch is final yet"):
        ledger.claims.claim("alice", ledger.bench.address("alice"))


def test_everybody_takes_home_what_the_root_says_and_nothing_twice(ledger: Ledger) -> None:
    """By anyone for anyone; the validators' part goes through Staking by stake."""
    ledger.pass_time(WINDOW)
    bench, claims = ledger.bench, ledger.claims
    committed = claims.final()
    before = {name: ledger.credit(name) for name in ("alice", "bob", "modeler", "provider", "validator")}
    owed = {row.account: row.cumulative_wei for row in claims.rows(committed)}
    held = int(Accounts(bench).balance(bench.contract_address(LEDGER)).credit_wei)
    moved = {account: claims.claim("user", account) for account in owed}
    assert moved == owed
    assert sum(moved.values()) == committed.epoch.payout_total
    assert held - Accounts(bench).balance(bench.contract_address(LEDGER)).credit_wei == committed.epoch.payout_total
    assert {row.claimed_wei for row in claims.rows(committed)} == set(owed.values())
    assert [claims.claim("user", account) for account in owed] == [0] * len(owed)
    for name in ("alice", "bob", "modeler", "provider"):
        assert ledger.credit(name) - before[name] == owed[bench.address(name)]
    got = claims.withdraw_validator_credit("user", bench.address("validator"))
    assert got == owed[bench.contract_address("Staking")] == ledger.credit("validator") - before["validator"]
    assert claims.withdraw_validator_credit("user", bench.address("validator")) == 0


def test_who_has_no_payout_claims_nothing(ledger: Ledger) -> None:
    with pytest.raises(NotFound, match="no payout"):
        ledger.claims.claim("user", examples.account("stranger"))


def test_a_claim_for_more_than_the_root_says_is_refused_by_the_ledger(ledger: Ledger) -> None:
    bench, committed = ledger.bench, ledger.claims.final()
    claim = ledger.claims.claim_of(committed, bench.address("alice"))
    proof = [(n.hash, n.sum) for n in claim.proof]
    arguments = (committed.values(), claim.account, claim.cumulative + 1, claim.index, proof)
    with pytest.raises(TransactionReverted, match="InvalidProof"):
        bench.send("alice", LEDGER, "claim", *arguments, intent="claim too much")


# -- later epochs ------------------------------------------------------------------------------------------------


def test_payouts_grow_from_epoch_to_epoch_and_a_struck_receipt_is_refunded(ledger: Ledger) -> None:
    """The receipt that was too early above, and another that was not delivered to the validator."""
    lane = ledger.lane()
    lost = ledger.answer(lane, SHARES)
    ledger.redeem(lane)
    first = ledger.epochs.payouts(ledger.epochs.committed()[0].epoch)
    committed = ledger.run(undelivered=(lost.digest(),))
    second = ledger.epochs.payouts(committed.epoch)
    bundle = ledger.epochs.bundle_of(committed.epoch)
    assert (committed.epoch.epoch_id, len(bundle.receipts)) == (2, 2)
    assert bundle.previous_epoch == ledger.epochs.committed()[0].epoch.digest()
    assert {e.account: e.cumulative for e in bundle.previous_payouts} == first
    assert all(second[a] >= w for a, w in first.items())
    assert sum(second.values()) - sum(first.values()) == sum(s.receipt.price for s in bundle.receipts)
    user = ledger.bench.address("user")
    refund = second[user] - first.get(user, Wei(0))
    base_part = next(s.receipt.price for s in bundle.receipts if s.receipt != lost)
    assert lost.price <= refund <= lost.price + base_part


def test_a_late_attempt_passes_on_and_the_next_one_covers_the_same_receipts(ledger: Ledger) -> None:
    """A validator that was too slow must not stop the ledger for ever."""
    lane = ledger.lane()
    receipt = ledger.answer(lane, SHARES)
    ledger.redeem(lane)
    ledger.pass_time(MINIMUM)
    late = ledger.epochs.propose("validator")
    ledger.epochs.seal("bob")
    ledger.devnet.chain.advance(TIMEOUT)  # and no block that shows it
    ledger.sign(ledger.settle(late))
    for too_late in (ledger.epochs.seal, ledger.epochs.commit):
        with pytest.raises(Refused, match="run out of time"):
            too_late("bob")
    again = ledger.epochs.propose("validator")
    assert (again.epoch_id, again.attempt) == (late.epoch_id, late.attempt + 1)
    assert [s.receipt for s in again.receipts] == [s.receipt for s in late.receipts] == [receipt]
    ledger.epochs.seal("bob")
    ledger.sign(ledger.settle(again))
    assert ledger.epochs.commit("bob").epoch.attempt == again.attempt


def test_the_books_say_how_far_each_attempt_came(ledger: Ledger) -> None:
    rows = ledger.bench.database.read(lambda c: c.execute(select(epochs_table)).all())
    states = {(r.epoch_id, r.attempt): r.state for r in rows}
    assert states == {(1, 0): "pending", (2, 0): "pending", (3, 0): "proposed", (3, 1): "pending"}


def test_the_newest_final_epoch_pays_for_all_before_it(ledger: Ledger) -> None:
    ledger.pass_time(WINDOW)
    committed = ledger.claims.final()
    assert committed.epoch.epoch_id == 3
    moved = sum(ledger.claims.claim("user", row.account) for row in ledger.claims.rows(committed))
    before = ledger.epochs.committed()[0].epoch.payout_total
    assert moved == committed.epoch.payout_total - before
