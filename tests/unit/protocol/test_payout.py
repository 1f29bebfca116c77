"""Payouts only grow, by what was paid; a claim carries the proof that the ledger checks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import NotFound
from headwater.protocol.payout import Claim, accumulate, claim_for
from headwater.protocol.shares import ROLES, Part
from headwater.protocol.sumtree import PayoutLeaf, PayoutTree, verify_payout
from headwater.testing import examples
from headwater.types import Address, Wei

SIGNERS = examples.word("signers")
ACCOUNTS = [examples.account(n) for n in ("alice", "bob", "carol", "provider")]
before = st.dictionaries(st.sampled_from(ACCOUNTS), st.integers(0, 10**30).map(Wei))
paid = st.lists(
    st.builds(Part, st.sampled_from(ACCOUNTS), st.sampled_from(ROLES), st.integers(0, 10**30).map(Wei), st.just(0))
)


@given(before, paid)
def test_the_sum_grows_by_what_is_paid_and_no_account_goes_down(old: dict[Address, Wei], parts: list[Part]) -> None:
    new = accumulate(old, parts)
    assert sum(new.values()) == sum(old.values()) + sum(p.wei for p in parts)
    assert all(new[a] >= w for a, w in old.items())


@given(before, paid)
def test_the_order_of_the_parts_does_not_matter(old: dict[Address, Wei], parts: list[Part]) -> None:
    assert accumulate(old, parts) == accumulate(old, reversed(parts))


def test_what_was_paid_before_is_left_as_it_was() -> None:
    old = {ACCOUNTS[0]: Wei(5)}
    accumulate(old, [Part(ACCOUNTS[0], "refund", Wei(1), 0)])
    assert old == {ACCOUNTS[0]: Wei(5)}


def test_a_claim_verifies_under_its_epochs_root() -> None:
    due = examples.receipts_of(examples.lane(), 2)
    done = examples.settled(examples.bundle(due, [examples.fresh_row(examples.lane())]))
    for account in done.payouts.accounts:
        claim = claim_for(done.payouts, done.epoch, 1_000, SIGNERS, account)
        leaf = PayoutLeaf(examples.CHAIN_ID, examples.LEDGER.verifying_contract, account, claim.cumulative)
        epoch = claim.epoch
        assert verify_payout(epoch.payout_root, epoch.payout_total, leaf, claim.index, claim.proof)
        assert Claim.from_bytes(claim.canonical_bytes()) == claim


def test_who_has_no_payout_has_no_claim() -> None:
    done = examples.settled(examples.bundle((), ()))
    tree = PayoutTree(examples.CHAIN_ID, examples.LEDGER.verifying_contract, {ACCOUNTS[0]: Wei(1)})
    with pytest.raises(NotFound):
        claim_for(tree, done.epoch, 1, SIGNERS, ACCOUNTS[1])
