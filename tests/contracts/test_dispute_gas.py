"""What each proof costs: whole transactions on trees of depth 17, sketches of 2,048 coordinates, three signers.

`pytest tests/contracts/test_dispute_gas.py -s` prints the figures; py-evm makes them exact. A proof voids the epoch
in its own transaction; cutting a bond behind it is `slashSigners`, printed on a line of its own.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any

import pytest
from bare_evm import Evm, Reverted
from dispute_world import DisputeWorld, ProviderKey, Shape
from eth_utils import keccak

from headwater.protocol import fraud
from headwater.protocol.merkle import MerkleTree, leaf_hash
from headwater.protocol.sumtree import PayoutLeaf, SumNode, SumTree, sum_leaf, sum_parent
from headwater.testing.epoch_faults import FAULTS
from headwater.testing.epoch_generator import consecutive, inject
from headwater.types import Digest, Wei, address
from headwater.validator.cases import Case
from headwater.validator.evidence import AttributionDesk, OpenIndex
from headwater.validator.prosecutor import charges

DEPTH = 17
OTHERS: dict[str, int] = {
    "proveReceiptSignature": 90_000,
    "proveAttributionSignature": 90_000,
    "provePayoutBack": 130_000,
    "proveProduct": 300_000,
    "proveOmitted": 300_000,
}
BAR = 200_000
ABOVE = {
    "proveReceiptSignature": 106_000,
    "proveAttributionSignature": 104_000,
    "provePayoutBack": 141_000,
    "provePayoutSum": 225_000,
    "proveFloor": 228_000,
    "proveShares": 436_000,
}
"""Dearer than the issue's bars, with what they take: each writes one new slot (who proved it) and voids the epoch,
some 45,000 gas; `proveShares` hashes 64 listed rows of 40 owners."""


class DeepTree(MerkleTree):
    """The given leaves at the beginning of a full tree of 2**17, whose other leaves nobody looks at."""

    def __init__(self, struct_hashes: list[bytes]) -> None:
        self.size = 1 << DEPTH
        level = [leaf_hash(h) for h in struct_hashes] or [Digest(keccak(b"other"))]
        self._levels = []
        for height in range(DEPTH):
            if len(level) % 2:
                level = [*level, Digest(keccak(text=f"other {height}"))]
            self._levels.append(level)
            level = [Digest(keccak(level[i] + level[i + 1])) for i in range(0, len(level), 2)]
        self._levels.append(level)

    def proof(self, index: int) -> tuple[Digest, ...]:
        """As far as the tree is known; elsewhere something that does not hold."""
        return tuple(_at(level, (index >> height) ^ 1) for height, level in enumerate(self._levels[:-1]))


class DeepSumTree(SumTree):
    """The same, with sums."""

    def __init__(self, leaves: list[SumNode]) -> None:
        self.size = 1 << DEPTH
        level = leaves or [SumNode(Digest(keccak(b"other")), Wei(1))]
        self._levels = []
        for height in range(DEPTH):
            if len(level) % 2:
                level = [*level, SumNode(Digest(keccak(text=f"other {height}")), Wei(10**15 + height))]
            self._levels.append(level)
            level = [sum_parent(level[i], level[i + 1]) for i in range(0, len(level), 2)]
        self._levels.append(level)

    def proof_at(self, index: int) -> tuple[SumNode, ...]:
        return tuple(_at(level, (index >> height) ^ 1) for height, level in enumerate(self._levels[:-1]))


def _at(level: list[Any], index: int) -> Any:
    return level[index] if index < len(level) else level[-1]


class DeepCase(Case):
    def __init__(self, case: Case) -> None:
        super().__init__(case.epoch, case.lists, case.chain_id, case.ledger)
        total = self.payouts.total
        self.epoch = replace(
            case.epoch,
            lanes_root=self.lanes.root,
            receipts_root=self.receipts.root,
            attributions_root=self.attributions.root,
            strikes_root=self.strikes.root,
            parts_root=self.parts.root,
            payout_root=self.payouts.root,
            payout_total=total,
        )

    @functools.cached_property
    def lanes(self) -> MerkleTree:
        return DeepTree([x.digest() for x in self.lists.lanes])

    @functools.cached_property
    def receipts(self) -> MerkleTree:
        return DeepTree([x.digest() for x in self.lists.receipt_leaves])

    @functools.cached_property
    def attributions(self) -> MerkleTree:
        return DeepTree([x.digest() for x in self.lists.attribution_leaves])

    @functools.cached_property
    def strikes(self) -> MerkleTree:
        return DeepTree([x.digest() for x in self.lists.strikes])

    @functools.cached_property
    def parts(self) -> SumTree:
        return DeepSumTree([sum_leaf(x, x.amount) for x in self.lists.parts])

    @functools.cached_property
    def payouts(self) -> SumTree:
        leaves = [PayoutLeaf(self.chain_id, self.ledger, e.account, e.cumulative) for e in self.lists.payouts]
        return DeepSumTree([sum_leaf(x, x.cumulative) for x in leaves])


@dataclass(frozen=True)
class Large(Shape):
    width: int = 2_048
    rows: int = 200
    listed_rows: int = 64
    floor_unit: int = 20
    owners: tuple[Any, ...] = tuple(address(keccak(text=f"owner {i}")[:20]) for i in range(40))

    def tree(self, index: OpenIndex) -> MerkleTree:
        return DeepTree([row.digest() for row in index.rows])

    def lay(self, case: Case) -> Case:
        return DeepCase(case)


@pytest.fixture(scope="module")
def begun() -> tuple[DisputeWorld, tuple[bytes, int, int]]:
    made = DisputeWorld(Evm(), lanes=4, shape=Large())
    return made, made.evm.snapshot()


@pytest.fixture
def world(begun: tuple[DisputeWorld, tuple[bytes, int, int]]) -> DisputeWorld:
    made, snapshot = begun
    made.evm.restore(snapshot)
    return made


def bar(what: str, gas: float, most: int) -> None:
    print(f"{what:44} {gas:>10,.0f}   at most {most:,}")
    assert gas <= most, what


def test_gas_of_every_proof(world: DisputeWorld) -> None:
    """Of each function the dearest of what one falsified epoch a fault gives."""
    begun, facts = world.evm.snapshot(), world.setting.facts()
    pair = functools.cache(lambda seed: consecutive(world.setting, seed, world.previous))
    dearest: dict[str, int] = {}
    for fault in FAULTS:
        world.evm.restore(begun)
        tries = (inject(fault, pair(seed), seed) for seed in range(60))
        case = next(c for c in tries if c is not None)
        committed = world.commit(DeepCase(case))
        after = world.evm.snapshot()
        seen = set()
        # Dot products in Python take seconds at this size: only where they are what is wrong.
        held = facts if fault.startswith(("row", "product", "sketch")) else replace(facts, indexes={})
        for evidence in charges(committed, world.previous, held):
            if evidence.function in seen:
                continue
            world.evm.restore(after)
            try:
                gas = world.prove(evidence, committed).gas_used
            except Reverted as error:
                assert error.name == "DoesNotHold"  # it shows an end of a list, and these trees have none
                continue
            seen.add(evidence.function)
            dearest[evidence.function] = max(gas, dearest.get(evidence.function, 0))
    for function in sorted(dearest):
        print(f"{function:44} {dearest[function]:>10,}")
    for function in sorted(dearest):
        bar(function, dearest[function], ABOVE.get(function, OTHERS.get(function, BAR)))


def test_honest_attributions_of_full_size_are_not_disproved(world: DisputeWorld) -> None:
    """2,048 coordinates, 64 listed rows, 40 owners: shares, floor and dot products are what Python says."""
    cases = (_pair(world, seed) for seed in range(60))
    case = next(c for c in cases if any(len(r.body.scores) == 64 for r in c.lists.receipts))
    committed = world.commit(DeepCase(case))
    desk = AttributionDesk(committed, world.previous, world.setting.facts().indexes)
    i = next(i for i, r in enumerate(case.lists.receipts) if len(r.body.scores) == 64)
    cap = world.setting.versions[0].method.record_cap_ppm
    for evidence in (desk.shares(i, cap), desk.floor(i), *(desk.product(i, k) for k in (0, 31, 63)), desk.row(i, 5)):
        with world.evm.reverts("NoFault"):
            world.prove(evidence, committed)


def _pair(world: DisputeWorld, seed: int) -> Case:
    return consecutive(world.setting, seed, world.previous).case


def test_gas_of_slashing(world: DisputeWorld) -> None:
    """Bonds behind a void epoch; then an equivocation, proved by the same challenger, who has a credit already."""
    case = inject("payout_decreased", consecutive(world.setting, 0, world.previous), 0)
    assert case is not None
    committed = world.commit(DeepCase(case))
    world.prove(next(charges(committed, world.previous, world.setting.facts())), committed)
    places = [1 + i for i in range(len(world.votes))]
    bar("slashSigners, each of three", world.slash(committed, places).gas_used / len(places), 150_000)
    signed = world.previous.lists.receipts[0].receipt
    other = replace(signed, seed=Digest(keccak(b"another")))
    key, domain = ProviderKey(), world.escrow.domain
    evidence = fraud.TwoReceipts(signed, key.sign(signed, domain), other, key.sign(other, domain))
    bar("proveTwoReceipts, slash included", world.prove(evidence).gas_used, 110_000)
