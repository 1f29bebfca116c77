"""The payout tree: totals follow from the leaves, and no altered amount verifies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import InvalidInput, NotFound
from headwater.protocol.sumtree import PayoutLeaf, PayoutTree, SumNode, verify_payout
from headwater.types import Address, Wei, address

LEDGER = address("0x" + "aa" * 20)
accounts = st.binary(min_size=20, max_size=20).map(address)
payouts = st.dictionaries(accounts, st.integers(0, 2**100).map(Wei), min_size=1, max_size=40)


def leaf(tree: PayoutTree, account: Address) -> PayoutLeaf:
    return PayoutLeaf(1, LEDGER, account, tree.cumulative_of(account))


@given(payouts)
def test_total_is_the_sum_of_the_leaves_and_every_leaf_verifies(cumulative: dict[Address, Wei]) -> None:
    tree = PayoutTree(1, LEDGER, cumulative)
    assert tree.total == sum(cumulative.values())
    for account in cumulative:
        assert verify_payout(tree.root, tree.total, leaf(tree, account), tree.index_of(account), tree.proof(account))


@given(payouts, st.integers(1, 2**90))
def test_an_altered_amount_or_sum_does_not_verify(cumulative: dict[Address, Wei], more: int) -> None:
    tree, account = PayoutTree(1, LEDGER, cumulative), min(cumulative)
    index, proof = tree.index_of(account), tree.proof(account)
    richer = PayoutLeaf(1, LEDGER, account, Wei(cumulative[account] + more))
    assert not verify_payout(tree.root, tree.total, richer, index, proof)
    assert not verify_payout(tree.root, Wei(tree.total + more), leaf(tree, account), index, proof)
    if proof:
        lighter = (SumNode(proof[0].hash, Wei(proof[0].sum + more)), *proof[1:])
        assert not verify_payout(tree.root, Wei(tree.total + more), leaf(tree, account), index, lighter)


@given(payouts)
def test_order_of_the_source_does_not_enter(cumulative: dict[Address, Wei]) -> None:
    assert PayoutTree(1, LEDGER, dict(reversed(cumulative.items()))).root == PayoutTree(1, LEDGER, cumulative).root


def test_a_leaf_of_another_chain_or_ledger_does_not_verify() -> None:
    account = address("0x" + "01" * 20)
    tree = PayoutTree(1, LEDGER, {account: Wei(5)})
    assert not verify_payout(tree.root, tree.total, PayoutLeaf(2, LEDGER, account, Wei(5)), 0, ())
    assert not verify_payout(tree.root, tree.total, PayoutLeaf(1, account, account, Wei(5)), 0, ())


def test_sums_beyond_uint128_are_refused() -> None:
    rich = {address(bytes([i]) * 20): Wei(2**128 - 1) for i in (1, 2)}
    with pytest.raises(InvalidInput, match="uint128"):
        PayoutTree(1, LEDGER, rich)


def test_an_absent_account_has_no_proof() -> None:
    with pytest.raises(NotFound):
        PayoutTree(1, LEDGER, {address("0x" + "01" * 20): Wei(5)}).proof(LEDGER)
