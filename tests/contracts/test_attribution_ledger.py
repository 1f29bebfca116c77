"""Who is paid from final epochs, and which receipts they hold: claim, settle, verify, anchor (P13, P20-P26, P43)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from bare_evm import Actor, Evm
from eth_utils import keccak
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from settlement_world import CREDIT, Committed, Settlement

from headwater.protocol.attribution import Attribution
from headwater.protocol.epoch import ReceiptLeaf
from headwater.protocol.merkle import MerkleTree
from headwater.protocol.receipt import Receipt
from headwater.testing import vectors
from headwater.types import ZERO_ADDRESS, ZERO_DIGEST, Address, Digest, Wei

ANNA, BERT, CARL = (Actor(name).address for name in ("anna", "bert", "carl"))


# -- funding and claims --------------------------------------------------------------------------------------------


def test_only_the_escrow_funds(world: Settlement) -> None:
    with world.evm.reverts("OnlyEscrow", Actor("thief")):
        world.ledger.send("thief", "fund", ZERO_DIGEST, 1)


def test_p26_anyone_claims_for_anyone_and_only_the_account_is_paid(funded: Settlement) -> None:
    done = funded.commit({ANNA: 5, BERT: 6})
    funded.finalise()
    sent = funded.claim(done, ANNA, sender="relayer")
    assert (sent.value, funded.balance(ANNA), funded.balance(Actor("relayer"))) == (5, 5, 0)
    assert sent.event("Claimed").to == ANNA
    assert funded.ledger.call("accountOf", ANNA) == (5, 0)


def test_p26_a_payee_is_paid_in_the_accounts_place_and_only_the_account_sets_it(funded: Settlement) -> None:
    done = funded.commit({ANNA: 5, BERT: 6})
    funded.finalise()
    funded.ledger.send("thief", "setPayee", Actor("thief"))
    funded.ledger.send("anna", "setPayee", CARL)
    funded.claim(done, ANNA, sender="thief")
    funded.claim(done, BERT, sender="thief")
    assert (funded.balance(ANNA), funded.balance(BERT), funded.balance(CARL)) == (0, 6, 5)
    funded.ledger.send("anna", "setPayee", ZERO_ADDRESS)
    later = funded.commit({ANNA: 8, BERT: 6})
    funded.finalise()
    funded.claim(later, ANNA)
    assert funded.balance(ANNA) == 3


def test_p25_a_repeated_claim_changes_nothing(funded: Settlement) -> None:
    done = funded.commit({ANNA: 5})
    funded.finalise()
    funded.claim(done, ANNA)
    sent = funded.claim(done, ANNA)
    assert (sent.value, sent.events, funded.balance(ANNA)) == (0, (), 5)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (2,), (0, 2)])
def test_p25_claiming_late_or_out_of_order_pays_the_same(funded: Settlement, order: tuple[int, ...]) -> None:
    done = [funded.commit({ANNA: 5 * (i + 1), BERT: i}) for i in range(3)]
    funded.finalise()
    for i in order:
        funded.claim(done[i], ANNA)
    assert funded.balance(ANNA) == 15


def test_a_claim_with_a_wrong_amount_account_index_or_proof_is_refused(funded: Settlement) -> None:
    done = funded.commit({ANNA: 5, BERT: 6, CARL: 7})
    funded.finalise()
    cumulative, index, proof = done.claim_of(ANNA)
    for account, wei, place, path in (
        (ANNA, cumulative + 1, index, proof),
        (Actor("thief").address, cumulative, index, proof),
        (ANNA, cumulative, index ^ 1, proof),
        (ANNA, cumulative, index + 4, proof),
        (ANNA, cumulative, index, proof[:-1]),
        (ANNA, cumulative, index, ()),
    ):
        with funded.evm.reverts("InvalidProof"):
            funded.ledger.send("thief", "claim", done.entry, account, wei, place, path)


@pytest.mark.parametrize("root", [ZERO_DIGEST, Digest(keccak(text="some root"))])
def test_p13_a_made_up_root_pays_nobody(funded: Settlement, root: Digest) -> None:
    proposal, _ = funded.propose()
    funded.seal()
    epoch = replace(funded.epoch_of(proposal, funded.tree({})), payout_root=root, payout_total=Wei(5))
    sent = funded.send_commit(epoch, proposal, funded.signatures(epoch))
    event = sent.event("EpochCommitted")
    done = Committed(epoch, event.committedAt, event.proposer, event.votes, funded.tree({ANNA: 5}), {})
    funded.finalise()
    with funded.evm.reverts("InvalidProof"):
        funded.claim(done, ANNA)


@pytest.mark.parametrize("total", [10, 12])
def test_p23_a_misstated_total_pays_nobody(funded: Settlement, total: int) -> None:
    """What the total check at commit admitted is all that the tree can pay, whatever the quorum signed."""
    proposal, _ = funded.propose()
    funded.seal()
    tree = funded.tree({ANNA: 5, BERT: 6})
    epoch = replace(funded.epoch_of(proposal, tree), payout_total=Wei(total))
    event = funded.send_commit(epoch, proposal, funded.signatures(epoch)).event("EpochCommitted")
    done = Committed(epoch, event.committedAt, event.proposer, event.votes, tree, {})
    funded.finalise()
    with funded.evm.reverts("InvalidProof"):
        funded.claim(done, ANNA)
    with funded.evm.reverts("PayoutsMismatch", tree.root, tree.total):
        funded.ledger.send("thief", "settle", done.entry, done.payouts)


def test_many_are_claimed_for_at_once(funded: Settlement) -> None:
    done = funded.commit({ANNA: 5, BERT: 6, CARL: 7})
    with funded.evm.reverts("EpochNotFinal"):
        funded.ledger.send("relayer", "claimMany", done.entry, [])
    funded.finalise()
    funded.claim(done, BERT)
    claims = [(account, *done.claim_of(account)) for account in (ANNA, BERT, ANNA, CARL)]
    sent = funded.ledger.send("relayer", "claimMany", done.entry, claims)
    assert (sent.value, sent.names()) == (12, ["Claimed", "Transfer"] * 2)
    assert [funded.balance(a) for a in (ANNA, BERT, CARL)] == [5, 6, 7]
    wrong = [claims[0], (BERT, 7, *done.claim_of(BERT)[1:])]
    with funded.evm.reverts("InvalidProof"):
        funded.ledger.send("thief", "claimMany", done.entry, wrong)


def test_a_settlement_credits_everybody_and_credit_is_withdrawn_by_anyone_for_anyone(funded: Settlement) -> None:
    done = funded.commit({ANNA: 5, BERT: 6, CARL: 0})
    funded.finalise()
    sent = funded.ledger.send("settler", "settle", done.entry, done.payouts)
    assert sent.value == 11
    assert sorted(sent.names()) == ["Credited", "Credited"]
    assert funded.ledger.call("accountOf", ANNA) == (5, 5)
    assert funded.claim(done, ANNA).value == 0
    funded.ledger.send("bert", "setPayee", CARL)
    for account in (ANNA, BERT):
        funded.ledger.send("anybody", "withdrawCredit", account)
        with funded.evm.reverts("NothingToWithdraw", account):
            funded.ledger.send("anybody", "withdrawCredit", account)
    assert (funded.balance(ANNA), funded.balance(BERT), funded.balance(CARL)) == (5, 0, 6)


def test_p25_a_settlement_after_a_claim_credits_the_rest(funded: Settlement) -> None:
    first = funded.commit({ANNA: 5, BERT: 6})
    second = funded.commit({ANNA: 9, BERT: 6})
    funded.finalise()
    funded.claim(first, ANNA)
    assert funded.ledger.send("settler", "settle", second.entry, second.payouts).value == 4 + 6
    assert funded.ledger.send("settler", "settle", second.entry, second.payouts).value == 0
    assert funded.ledger.call("accountOf", ANNA) == (9, 4)


def test_a_settlement_rebuilds_the_whole_tree_or_nothing(funded: Settlement) -> None:
    done = funded.commit({ANNA: 5, BERT: 6, CARL: 7})
    funded.finalise()
    payouts = done.payouts
    for wrong in (payouts[:2], [*payouts[:2], (payouts[2][0], payouts[2][1] + 1)], []):
        with funded.evm.reverts("PayoutsMismatch"):
            funded.ledger.send("thief", "settle", done.entry, wrong)
    for wrong in (payouts[::-1], [payouts[0], *payouts]):  # P20: no account twice
        with funded.evm.reverts("PayoutsNotAscending"):
            funded.ledger.send("thief", "settle", done.entry, wrong)


def test_nothing_is_settled_before_finality(funded: Settlement) -> None:
    done = funded.commit({ANNA: 5})
    with funded.evm.reverts("EpochNotFinal"):
        funded.ledger.send("anybody", "settle", done.entry, done.payouts)


def test_p43_a_cumulative_below_what_was_claimed_pays_nothing_and_does_not_underflow(funded: Settlement) -> None:
    first = funded.commit({ANNA: 9})
    funded.finalise()
    funded.claim(first, ANNA)
    second = funded.commit({ANNA: 4, BERT: 3})
    funded.finalise()
    assert funded.claim(second, ANNA).value == 0
    assert funded.ledger.send("x", "settle", second.entry, second.payouts).value == 3
    assert funded.ledger.call("accountOf", ANNA) == (9, 0)


def test_p21_p35_five_hundred_payees_settle_in_one_transaction(funded: Settlement) -> None:
    payouts = {Actor(f"payee {i}").address: i + 1 for i in range(500)}
    done = funded.commit(payouts)
    funded.finalise()
    assert funded.ledger.send("settler", "settle", done.entry, done.payouts).value == sum(payouts.values())


# -- receipts ------------------------------------------------------------------------------------------------------


def leaves(count: int) -> list[ReceiptLeaf]:
    sample = vectors.sample(ReceiptLeaf)
    assert isinstance(sample, ReceiptLeaf)
    return [replace(sample, sequence=i + 1) for i in range(count)]


def test_a_receipt_of_a_committed_epoch_is_known_and_then_final(funded: Settlement) -> None:
    rows = leaves(3)
    tree = MerkleTree([r.digest() for r in rows])
    done = funded.commit({ANNA: 5}, receipts_root=tree.root)

    def verify(entry: Any, leaf: ReceiptLeaf, index: int, proof: Any) -> Any:
        return funded.ledger.call("verifyReceipt", entry, leaf, index, proof)

    assert verify(done.entry, rows[1], 1, tree.proof(1)) == (True, False)
    funded.finalise()
    assert verify(done.entry, rows[1], 1, tree.proof(1)) == (True, True)
    assert verify(done.entry, rows[0], 1, tree.proof(1)) == (False, False)
    assert verify(done.entry, rows[1], 5, tree.proof(1)) == (False, False)
    assert verify(done.entry, rows[1], 1, tree.proof(1)[:1]) == (False, False)
    forged = replace(done, committed_at=done.committed_at - 500)
    assert verify(forged.entry, rows[1], 1, tree.proof(1)) == (False, False)


Signed = tuple[Receipt, bytes, Attribution, bytes]


@pytest.fixture
def signed(world: Settlement) -> Callable[..., Signed]:
    """A receipt and attribution of an open lane, signed by the provider's key after any changes."""
    lane = world.open_lane()

    def make(receipt_key: Actor | None = None, attribution_key: Actor | None = None, **changes: Any) -> Signed:
        receipt = vectors.sample(Receipt)
        assert isinstance(receipt, Receipt)
        own = {"lane_id": lane, "user": world.user.address, "provider": world.provider.address, "disclosure": 0}
        receipt = replace(receipt, **(own | {k: v for k, v in changes.items() if k in own}))
        attribution = vectors.sample(Attribution)
        assert isinstance(attribution, Attribution)
        about = {
            "receipt_digest": receipt.digest(),
            "provider": receipt.provider,
            "model_id": receipt.model_id,
            "version": receipt.version,
        }
        overrides = {k.removeprefix("about_"): v for k, v in changes.items() if k.startswith("about_")}
        attribution = replace(attribution, **(about | overrides))
        return (
            receipt,
            (receipt_key or world.provider_key).sign(receipt, world.escrow.domain),
            attribution,
            (attribution_key or world.provider_key).sign(attribution, world.escrow.domain),
        )

    return make


def test_an_anchored_receipt_is_shown_and_pays_nobody(world: Settlement, signed: Callable[..., Signed]) -> None:
    receipt, *rest = signed()
    sent = world.escrow.send("anybody", "anchorReceipt", receipt, *rest)
    (event,) = sent.events
    assert event.name == "ReceiptAnchored"
    assert event.fields.receiptDigest == receipt.digest()
    assert event.fields.attributionDigest == rest[1].digest()
    assert (event.fields.provider, event.fields.sequence) == (world.provider.address, receipt.sequence)


@pytest.mark.parametrize(
    ("error", "changes"),
    [
        ("WrongReceiptSigner", {"receipt_key": Actor("thief")}),
        ("WrongReceiptSigner", {"receipt_key": Actor("validator 0 key")}),
        ("WrongAttributionSigner", {"attribution_key": Actor("provider")}),
        ("AttributionMismatch", {"about_receipt_digest": ZERO_DIGEST}),
        ("AttributionMismatch", {"about_model_id": ZERO_DIGEST}),
        ("AttributionMismatch", {"about_version": 1}),
        ("AttributionMismatch", {"about_provider": ANNA}),
        ("ReceiptNotOfLane", {"lane_id": ZERO_DIGEST}),
        ("ReceiptNotOfLane", {"user": ANNA}),
        ("ReceiptNotOfLane", {"provider": ANNA}),
        ("ReceiptNotOfLane", {"disclosure": 1}),
    ],
)
def test_a_receipt_that_does_not_hold_together_is_not_anchored(
    world: Settlement, signed: Callable[..., Signed], error: str, changes: dict[str, Any]
) -> None:
    with world.evm.reverts(error):
        world.escrow.send("anybody", "anchorReceipt", *signed(**changes))


# -- any sequence --------------------------------------------------------------------------------------------------


class Epochs(RuleBasedStateMachine):
    """P22-P25: whatever is committed, voided, claimed, settled in whatever order, nobody is paid twice or short."""

    people = (ANNA, BERT, CARL)

    @initialize()
    def begin(self) -> None:
        self.world = Settlement.deploy(Evm())
        self.world.fund(20 * CREDIT)
        self.done: list[Committed] = []

    @rule(more=st.tuples(*[st.integers(0, CREDIT)] * 3))
    def commit(self, more: tuple[int, int, int]) -> None:
        before = self.done[-1].tree if self.done else self.world.tree({})
        grown = {a: before.cumulative_of(a) + m for a, m in zip(self.people, more, strict=True)}
        if sum(grown.values()) <= self.world.ledger.call("funded"):
            self.done.append(self.world.commit(grown, keys=[self.world.key_of(v) for v in self.world.validators[:2]]))

    @rule(seconds=st.integers(1, 200))
    def wait(self, seconds: int) -> None:
        self.world.evm.advance(seconds)

    @rule(data=st.data())
    def invalidate(self, data: st.DataObject) -> None:
        pending = [d for d in self.done if self.world.status_of(d) == (True, False)]
        pending = [d for d in pending if d.committed_at + 120 > self.world.evm.now + 1]
        if pending:
            victim = data.draw(st.sampled_from(pending))
            self.world.ledger.send(self.world.disputes, "invalidate", victim.entry)
            self.done = self.done[: self.done.index(victim)]

    @rule(data=st.data(), account=st.sampled_from(people))
    def claim(self, data: st.DataObject, account: Address) -> None:
        for done in self._final(data):
            self.world.claim(done, account)

    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        for done in self._final(data):
            self.world.ledger.send("settler", "settle", done.entry, done.payouts)

    @rule(account=st.sampled_from(people))
    def withdraw(self, account: Address) -> None:
        if self.world.ledger.call("accountOf", account)[1]:
            self.world.ledger.send("anybody", "withdrawCredit", account)

    @invariant()
    def accounts_add_up(self) -> None:
        if not hasattr(self, "world"):
            return
        accounts = {a: self.world.ledger.call("accountOf", a) for a in self.people}
        final = [d for d in self.done if d.committed_at + 120 <= self.world.evm.now]
        for account, (claimed, credit) in accounts.items():
            assert self.world.balance(account) + credit == claimed
            assert claimed <= max((d.tree.cumulative_of(account) for d in final), default=0)
        paid = sum(claimed - credit for claimed, credit in accounts.values())
        assert self.world.balance(self.world.ledger) == self.world.ledger.call("funded") - paid
        assert all(self.world.status_of(d)[0] for d in self.done[-2:])

    def _final(self, data: st.DataObject) -> list[Committed]:
        ready = [d for d in self.done if self.world.status_of(d) == (True, True)]
        return [data.draw(st.sampled_from(ready))] if ready else []


TestEpochs = Epochs.TestCase
TestEpochs.settings = settings(max_examples=10, stateful_step_count=15, deadline=None)


@given(payouts=st.dictionaries(st.sampled_from([Actor(f"p{i}").address for i in range(9)]), st.integers(0, 10**18)))
@settings(max_examples=10)
def test_p23_p25_everybody_claims_exactly_the_committed_total(payouts: dict[Address, int]) -> None:
    world = Settlement.deploy(Evm())
    world.fund(100 * CREDIT)
    done = world.commit(payouts)
    world.finalise()
    paid = [world.claim(done, account).value for account in payouts]
    assert sum(paid) == done.epoch.payout_total == sum(payouts.values()) <= world.ledger.call("funded")
