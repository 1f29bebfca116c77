"""Solidity and Python hash and prove the same: golden vectors, then random values (P2, P12-P19, P27)."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from bare_evm import Actor, Deployed, Evm
from eth_utils import keccak
from hypothesis import example, given, settings
from hypothesis import strategies as st
from settlement_world import Settlement

from headwater.errors import InvalidInput
from headwater.protocol.attribution import Attribution, IndexRow, OwnerShare, RowScore
from headwater.protocol.epoch import (
    AttributionLeaf,
    Epoch,
    LaneRow,
    PartLeaf,
    Proposal,
    ReceiptLeaf,
    StrikeLeaf,
)
from headwater.protocol.merkle import MerkleTree, leaf_hash
from headwater.protocol.receipt import Receipt
from headwater.protocol.signed_types import SIGNED_TYPES
from headwater.protocol.staking import KeyRegistration
from headwater.protocol.sumtree import PayoutLeaf, PayoutTree, SumNode
from headwater.protocol.typed_data import TypedStruct
from headwater.protocol.voucher import Voucher
from headwater.testing import vectors
from headwater.types import Address, Wei, digest

VECTORS = Path(__file__).parents[1] / "conformance/vectors"
HASHED = (
    Voucher,
    Receipt,
    Attribution,
    Proposal,
    Epoch,
    ReceiptLeaf,
    AttributionLeaf,
    LaneRow,
    StrikeLeaf,
    PartLeaf,
    IndexRow,
    RowScore,
    OwnerShare,
)
LEDGER = Actor("ledger").address
ACCOUNTS = sorted((Actor(f"payee {i}").address for i in range(40)), key=lambda a: bytes.fromhex(a[2:]))


@pytest.fixture(scope="module")
def libraries() -> Deployed:
    evm = Evm()
    return evm.deploy("SettlementHarness")


def rows(name: str) -> list[dict[str, Any]]:
    return list(json.loads((VECTORS / f"{name}.json").read_text("utf-8")))


# -- structs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", HASHED, ids=lambda c: c.__name__)
def test_struct_hash_equals_the_golden_vector(libraries: Deployed, cls: type[TypedStruct]) -> None:
    (row,) = [r for r in rows("structs") if r["type"] == cls.__name__]
    assert libraries.call(f"hash{cls.__name__}", cls.from_json(row["json"])) == digest(row["struct_hash"])


@pytest.mark.parametrize("cls", HASHED, ids=lambda c: c.__name__)
def test_struct_members_have_the_python_names_types_and_order(libraries: Deployed, cls: type[TypedStruct]) -> None:
    (entry,) = [e for e in libraries.abi if e.get("name") == f"hash{cls.__name__}"]
    components = entry["inputs"][0]["components"]
    assert [(c["name"], c["type"]) for c in components] == [(name, kind) for _, name, kind in cls.members()]


@pytest.mark.parametrize("cls", HASHED, ids=lambda c: c.__name__)
def test_extreme_values_hash_alike(libraries: Deployed, cls: type[TypedStruct]) -> None:
    for fill in (0x00, 0xFF):
        value = cls(*(_extreme(kind, fill) for _, _, kind in cls.members()))
        assert libraries.call(f"hash{cls.__name__}", value) == value.digest()


def _extreme(kind: str, fill: int) -> Any:
    if kind == "bytes32":
        return bytes([fill]) * 32
    if kind == "address":
        return Actor("x").address if fill else "0x" + "00" * 20
    if kind == "bool":
        return bool(fill)
    return int.from_bytes(bytes([fill]) * (int(kind.removeprefix("uint")) // 8), "big")


def test_p2_type_hashes_are_pairwise_distinct() -> None:
    kinds = [*SIGNED_TYPES, *vectors.LEAVES]
    assert len({k.type_hash() for k in kinds}) == len(kinds)


def test_signing_digests_equal_those_of_the_contracts(world: Settlement) -> None:
    for contract, function, cls in (
        (world.escrow, "voucherSigningDigest", Voucher),
        (world.escrow, "receiptSigningDigest", Receipt),
        (world.escrow, "attributionSigningDigest", Attribution),
        (world.ledger, "epochSigningDigest", Epoch),
    ):
        value = vectors.sample(cls)
        assert contract.call(function, value) == value.signing_digest(contract.domain)
    key = vectors.sample(KeyRegistration)
    assert isinstance(key, KeyRegistration)
    key = dataclasses.replace(key, role=2)
    anchors = (key.epoch_draw_anchor, key.version_draw_anchor)
    found = world.staking.call("possessionSigningDigest", key.owner, key.key, key.role, anchors)
    assert found == key.signing_digest(world.staking.domain)


def test_domains_are_readable_by_wallets(world: Settlement) -> None:
    """EIP-5267: name, version, chain id and contract are as the Python domain says."""
    for contract in (world.escrow, world.ledger, world.staking):
        _, name, version, chain_id, where, _, _ = contract.call("eip712Domain")
        domain = contract.domain
        assert (name, version, chain_id, where) == (domain.name, "1", domain.chain_id, domain.verifying_contract)


def test_p1_digests_differ_on_another_chain_and_another_contract(world: Settlement) -> None:
    value = vectors.sample(Voucher)
    here = world.escrow.call("voucherSigningDigest", value)
    there = world.evm.fork(1).at("CreditEscrow", world.escrow.address)
    assert there.call("voucherSigningDigest", value) == value.signing_digest(there.domain) != here


# -- Merkle trees --------------------------------------------------------------------------------------------------


def struct_hashes(size: int) -> list[bytes]:
    return [keccak(text=f"leaf {i}") for i in range(size)]


def test_merkle_proofs_of_the_golden_vectors_verify(libraries: Deployed) -> None:
    for row in rows("merkle"):
        for index, proof in enumerate(row["proofs"]):
            siblings = [digest(s) for s in proof]
            leaf = struct_hashes(row["size"])[index]
            assert libraries.call("verifyMerkle", digest(row["root"]), leaf, index, siblings)


def test_p12_no_inner_node_verifies_as_a_leaf(libraries: Deployed) -> None:
    leaves = struct_hashes(4)
    tree = MerkleTree(leaves)
    left = keccak(leaf_hash(leaves[0]) + leaf_hash(leaves[1]))
    shorter = tree.proof(0)[1:]
    assert tree.root == keccak(left + shorter[0])
    assert not libraries.call("verifyMerkle", tree.root, left, 0, shorter)


def test_p13_the_empty_tree_verifies_nothing(libraries: Deployed) -> None:
    assert not libraries.call("verifyMerkle", bytes(32), bytes(32), 0, [])
    (only,) = struct_hashes(1)
    assert libraries.call("verifyMerkle", MerkleTree([only]).root, only, 0, [])


def test_p14_padding_is_no_leaf(libraries: Deployed) -> None:
    tree = MerkleTree(struct_hashes(3))
    path = [leaf_hash(struct_hashes(3)[2]), tree.proof(2)[1]]
    assert not libraries.call("verifyMerkle", tree.root, bytes(32), 3, path)


def test_p15_an_index_beyond_the_depth_is_refused(libraries: Deployed) -> None:
    tree = MerkleTree(struct_hashes(4))
    assert libraries.call("verifyMerkle", tree.root, struct_hashes(4)[1], 1, tree.proof(1))
    for index in (5, 1 + (1 << 40), 1 + (1 << 255)):
        assert not libraries.call("verifyMerkle", tree.root, struct_hashes(4)[1], index, tree.proof(1))


def test_p16_changed_proofs_fail(libraries: Deployed) -> None:
    leaves = struct_hashes(8)
    tree, leaf = MerkleTree(leaves), leaves[5]
    proof = list(tree.proof(5))
    flipped = [bytes([proof[0][0] ^ 1]) + proof[0][1:], *proof[1:]]
    for changed in (proof[:-1], [*proof, bytes(32)], proof[::-1], flipped, [bytes(32)] * 41):
        assert not libraries.call("verifyMerkle", tree.root, leaf, 5, changed)


# -- sum trees -----------------------------------------------------------------------------------------------------


def test_sum_trees_of_the_golden_vectors_verify_and_rebuild() -> None:
    for row in rows("sumtree"):
        libraries = Evm(row["chain_id"]).deploy("SettlementHarness")
        payouts = [(account, int(wei)) for account, wei in row["payouts"]]
        root, total = digest(row["root"]), int(row["total"])
        assert libraries.call("rebuild", row["ledger"], payouts) == (root, total)
        for index, proof in enumerate(row["proofs"]):
            nodes = [SumNode.from_json(node) for node in proof]
            assert libraries.call("verifyPayout", root, total, row["ledger"], payouts[index], index, nodes)


amounts = st.integers(0, 10**27)


@settings(max_examples=25)
@given(st.dictionaries(st.sampled_from(ACCOUNTS), amounts, min_size=1, max_size=33), st.data())
def test_p17_p18_any_sum_tree_is_alike_in_both_languages(
    libraries: Deployed, payouts: dict[Address, int], data: st.DataObject
) -> None:
    ledger = LEDGER
    shuffled = dict(data.draw(st.permutations(list(payouts.items()))))
    tree = PayoutTree(31337, ledger, {a: Wei(w) for a, w in shuffled.items()})
    leaves = [(a, tree.cumulative_of(a)) for a in tree.accounts]
    assert tree.total == sum(payouts.values())
    assert libraries.call("rebuild", ledger, leaves) == (tree.root, tree.total)
    account = data.draw(st.sampled_from(tree.accounts))
    wei, index, proof = tree.cumulative_of(account), tree.index_of(account), tree.proof(account)
    assert libraries.call("verifyPayout", tree.root, tree.total, ledger, (account, wei), index, proof)
    assert not libraries.call("verifyPayout", tree.root, tree.total, ledger, (account, wei + 1), index, proof)
    assert not libraries.call("verifyPayout", tree.root, tree.total + 1, ledger, (account, wei), index, proof)
    assert not libraries.call("verifyPayout", tree.root, tree.total, account, (account, wei), index, proof)
    if proof:
        moved = [SumNode(proof[0].hash, Wei(proof[0].sum + 1)), *proof[1:]]
        assert not libraries.call("verifyPayout", tree.root, tree.total, ledger, (account, wei), index, moved)
        moved = [*proof[:-1], SumNode(proof[-1].hash, Wei(proof[-1].sum + 1))]
        more = tree.total + 1
        assert not libraries.call("verifyPayout", tree.root, more, ledger, (account, wei), index, moved)


def test_p12_a_payout_leaf_is_bound_to_its_chain_and_ledger_and_no_leaf_elsewhere(libraries: Deployed) -> None:
    leaf = PayoutLeaf(31337, LEDGER, ACCOUNTS[1], Wei(5))
    assert libraries.call("payoutLeafHash", LEDGER, ACCOUNTS[1], 5) == keccak(leaf.digest())
    assert libraries.evm.fork(1).at("SettlementHarness", libraries.address).call(
        "payoutLeafHash", LEDGER, ACCOUNTS[1], 5
    ) != keccak(leaf.digest())
    two = PayoutTree(31337, LEDGER, {ACCOUNTS[1]: Wei(5), ACCOUNTS[2]: Wei(7)})
    assert not libraries.call("verifyMerkle", two.root, leaf.digest(), 0, [two.proof(ACCOUNTS[1])[0].hash])


def test_p12_no_inner_node_of_a_sum_tree_verifies_as_a_payout(libraries: Deployed) -> None:
    """An inner node's 128-byte preimage is no leaf's 32-byte one: one level shorter proves nothing."""
    tree = PayoutTree(31337, LEDGER, {a: Wei(1) for a in ACCOUNTS[:4]})
    proof = tree.proof(ACCOUNTS[0])[1:]
    assert not libraries.call("verifyPayout", tree.root, tree.total, LEDGER, (ACCOUNTS[0], 2), 0, proof)


def test_p13_p14_p15_p16_sum_proofs_of_the_wrong_shape_fail(libraries: Deployed) -> None:
    ledger = ACCOUNTS[0]
    tree = PayoutTree(31337, ledger, {a: Wei(i + 1) for i, a in enumerate(ACCOUNTS[:5])})
    account = ACCOUNTS[2]
    leaf, proof = (account, tree.cumulative_of(account)), list(tree.proof(account))
    nothing = SumNode(digest(bytes(32)), Wei(0))

    def holds(root: bytes, total: int, index: int, nodes: list[SumNode]) -> bool:
        return bool(libraries.call("verifyPayout", root, total, ledger, leaf, index, nodes))

    assert holds(tree.root, tree.total, 2, proof)
    assert not holds(bytes(32), 0, 0, [])
    assert not holds(tree.root, tree.total, 2, proof[:-1])
    assert not holds(tree.root, tree.total, 2, [*proof, nothing])
    assert not holds(tree.root, tree.total, 2 + 8, proof)
    assert not holds(tree.root, tree.total, 3, proof)
    assert not holds(tree.root, tree.total, 2, proof[::-1])
    assert not holds(tree.root, tree.total, 2, [nothing] * 41)
    for index in (5, 6, 7):
        beyond = ("0x" + "00" * 20, 0)
        assert not libraries.call("verifyPayout", tree.root, tree.total, ledger, beyond, index, proof)


def test_p18_a_sum_beyond_uint128_is_refused_in_both_languages(libraries: Deployed) -> None:
    half = 1 << 127
    payouts = {a: Wei(half) for a in ACCOUNTS[1:3]}
    with pytest.raises(InvalidInput):
        PayoutTree(31337, ACCOUNTS[0], payouts)
    with libraries.evm.reverts("SumTooLarge", 1 << 128):
        libraries.call("rebuild", ACCOUNTS[0], list(payouts.items()))
    limit = (ACCOUNTS[1], half), (ACCOUNTS[2], half - 1)
    assert libraries.call("rebuild", ACCOUNTS[0], limit)[1] == (1 << 128) - 1


def test_p19_accounts_must_ascend_strictly(libraries: Deployed) -> None:
    first, second = ACCOUNTS[1:3]
    for wrong in ([(second, 1), (first, 1)], [(first, 1), (first, 1)]):
        with libraries.evm.reverts("PayoutsNotAscending", 1):
            libraries.call("rebuild", ACCOUNTS[0], wrong)


def test_the_empty_payout_list_has_the_zero_root(libraries: Deployed) -> None:
    tree = PayoutTree(31337, ACCOUNTS[0], {})
    assert libraries.call("rebuild", ACCOUNTS[0], []) == (tree.root, tree.total) == (bytes(32), 0)


# -- parts per million, votes --------------------------------------------------------------------------------------


@given(st.integers(0, (1 << 128) - 1), st.integers(0, 1_000_000))
@example((1 << 128) - 1, 1_000_000)
def test_p27_ppm_rounds_down_or_up_and_never_elsewhere(libraries: Deployed, wei: int, ppm: int) -> None:
    assert libraries.call("floorOf", wei, ppm) == wei * ppm // 1_000_000
    assert libraries.call("ceilOf", wei, ppm) == -(-wei * ppm // 1_000_000)
    assert libraries.call("floorOf", wei, ppm) + libraries.call("ceilOf", wei, 1_000_000 - ppm) == wei


@given(st.sampled_from(ACCOUNTS), st.integers(0, (1 << 96) - 1))
def test_a_vote_is_its_key_and_weight_in_one_word(libraries: Deployed, key: Address, weight: int) -> None:
    vote, found_key, found_weight = libraries.call("packVote", key, weight)
    assert (vote, found_key, found_weight) == (int(key, 16) << 96 | weight, key, weight)


def test_every_struct_of_the_libraries_is_held_against_python(libraries: Deployed) -> None:
    hashed = {e["name"] for e in libraries.abi if e.get("name", "").startswith("hash")}
    assert hashed == {f"hash{cls.__name__}" for cls in HASHED}
