"""Merkle proofs fix the leaf and its place; nothing else verifies."""

from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st

from headwater.protocol.merkle import MerkleTree, verify_merkle
from headwater.types import ZERO_DIGEST


def leaves(count: int) -> list[bytes]:
    return [keccak(text=f"leaf {i}") for i in range(count)]


@given(st.integers(1, 70), st.data())
def test_every_leaf_verifies_at_its_index_and_at_no_other(count: int, data: st.DataObject) -> None:
    tree, all_leaves = MerkleTree(leaves(count)), leaves(count)
    index, other = data.draw(st.integers(0, count - 1)), data.draw(st.integers(0, 200))
    assert verify_merkle(tree.root, all_leaves[index], index, tree.proof(index))
    assert verify_merkle(tree.root, all_leaves[index], other, tree.proof(index)) == (other == index)


@given(st.integers(2, 40), st.data())
def test_a_changed_longer_or_shorter_proof_fails(count: int, data: st.DataObject) -> None:
    tree, index = MerkleTree(leaves(count)), data.draw(st.integers(0, count - 1))
    proof = list(tree.proof(index))
    place = data.draw(st.integers(0, len(proof) - 1))
    flipped = bytes([proof[place][0] ^ 1]) + proof[place][1:]
    for bad in (proof[:-1], [*proof, ZERO_DIGEST], [*proof[:place], flipped, *proof[place + 1 :]]):
        assert not verify_merkle(tree.root, leaves(count)[index], index, bad)


@given(st.integers(2, 40))
def test_an_inner_node_is_no_leaf(count: int) -> None:
    tree = MerkleTree(leaves(count))
    inner = tree._levels[0][0] + tree._levels[0][1]
    assert not verify_merkle(tree.root, keccak(inner), 0, tree.proof(0)[1:])
    assert not verify_merkle(tree.root, tree._levels[1][0], 0, tree.proof(0)[1:])


def test_padding_has_no_proof() -> None:
    tree = MerkleTree(leaves(5))
    assert not verify_merkle(tree.root, ZERO_DIGEST, 5, tree.proof(4))


def test_the_zero_root_verifies_nothing() -> None:
    assert MerkleTree([]).root == ZERO_DIGEST
    assert not verify_merkle(ZERO_DIGEST, ZERO_DIGEST, 0, [])
    assert not verify_merkle(ZERO_DIGEST, leaves(1)[0], 0, [])
