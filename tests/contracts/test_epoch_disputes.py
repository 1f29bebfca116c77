"""P42: one transaction proves every injected fault of an epoch; no honest epoch is ever proved wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from bare_evm import Evm
from dispute_world import CHALLENGER, DisputeWorld

from headwater.protocol.fraud import Evidence
from headwater.testing.epoch_faults import FAULTS
from headwater.testing.epoch_generator import consecutive, inject
from headwater.validator.cases import Case
from headwater.validator.evidence import AttributionDesk
from headwater.validator.prosecutor import prosecute

Snapshot = tuple[bytes, int, int]
HONEST_ON_CHAIN = 6


@pytest.fixture(scope="module")
def begun() -> tuple[DisputeWorld, Snapshot]:
    world = DisputeWorld(Evm())
    return world, world.evm.snapshot()


@pytest.fixture
def world(begun: tuple[DisputeWorld, Snapshot]) -> DisputeWorld:
    made, snapshot = begun
    made.evm.restore(snapshot)
    return made


def falsified(world: DisputeWorld, fault: str, seed: int = 0) -> Case:
    """The first epoch, from this seed on, that has room for the fault, committed by a dishonest majority."""
    for s in range(seed, seed + 60):
        case = inject(fault, consecutive(world.setting, s, world.previous), s)
        if case is not None:
            return world.commit(case)
    raise AssertionError(f"no epoch has room for {fault}")


@pytest.mark.parametrize("fault", FAULTS)
def test_p42_every_fault_is_proved_and_voids_the_epoch(world: DisputeWorld, fault: str) -> None:
    case = falsified(world, fault)
    evidence = prosecute(case, world.previous, world.setting.facts())
    assert evidence is not None
    sent = world.prove(evidence, case)
    assert sent.names() == ["EpochInvalidated", "EpochDisproved"]
    assert world.latest() == (1, world.previous.epoch.digest())
    assert world.court.call("challengerOf", sent.event("EpochDisproved").entry) == CHALLENGER.address
    with world.evm.reverts("UnknownEpoch"):
        world.prove(evidence, case)  # a second proof earns nothing


@pytest.mark.parametrize("seed", range(HONEST_ON_CHAIN))
def test_p42_no_honest_epoch_is_proved_wrong_by_any_function(world: DisputeWorld, seed: int) -> None:
    pair = consecutive(world.setting, seed, world.previous)
    case = world.commit(pair.case)
    assert prosecute(case, world.previous, world.setting.facts()) is None
    tried = set()
    for evidence in honest_evidence(world, case):
        with world.evm.reverts("NoFault"):
            world.prove(evidence, case)
        tried.add(evidence.function)
    assert world.latest() == (2, case.epoch.digest())
    assert tried >= ALWAYS_TRIED


ALWAYS_TRIED = {
    "proveReceiptSignature",
    "proveAttributionSignature",
    "proveTerms",
    "proveForeignAttribution",
    "proveLaneRow",
    "provePayoutBack",
    "provePayoutTotal",
    "provePartsTotal",
    "provePayoutSum",
    "provePart",
    "proveShares",
    "proveFloor",
}


def honest_evidence(world: DisputeWorld, case: Case) -> Iterator[Evidence]:
    """Evidence about every place of an honest epoch, for every function of the court that takes it."""
    desk = AttributionDesk(case, world.previous, world.setting.facts().indexes)
    yield from _of_receipts(desk)
    yield from _of_lanes(desk)
    yield from _of_payouts(desk)
    yield from _of_attributions(world, desk)


def _of_receipts(desk: AttributionDesk) -> Iterator[Evidence]:
    for i in range(len(desk.case.lists.receipts)):
        yield desk.receipt_signature(i)
        yield desk.attribution_signature(i)
        yield desk.receipt_leaf(i)
        yield desk.terms(i)
        yield desk.foreign_attribution(i)
        yield desk.attribution_leaf(i)


def _of_lanes(desk: AttributionDesk) -> Iterator[Evidence]:
    lists = desk.case.lists
    lanes = [s.receipt.lane_id for s in lists.receipts]
    for i in range(len(lanes)):
        if i + 1 < len(lanes):
            yield desk.order(i)
            yield desk.chain(i)
        if i == 0 or lanes[i - 1] != lanes[i]:
            yield from filter(None, [desk.lane_start(i)])
        if i + 1 == len(lanes) or lanes[i + 1] != lanes[i]:
            yield from filter(None, [desk.lane_end(i)])
    for i, row in enumerate(lists.lanes):
        yield desk.lane_row(i)
        if i + 1 < len(lists.lanes):
            yield desk.lane_order(i)
        if row.lane_id not in lanes:
            yield from filter(None, [desk.lane_idle(row.lane_id)])
        yield from filter(None, [desk.lane_back(row.lane_id)])


def _of_payouts(desk: AttributionDesk) -> Iterator[Evidence]:
    lists = desk.case.lists
    for i, entry in enumerate(lists.payouts):
        yield from filter(None, [desk.payout_back(entry.account), desk.payout_sum(entry.account)])
        yield desk.payout_total(i)
        if i + 1 < len(lists.payouts):
            yield desk.payout_order(i)
    yield desk.parts_total()
    struck = {s.position for s in lists.strikes}
    for i, part in enumerate(lists.parts):
        if i + 1 < len(lists.parts):
            yield desk.part_order(i)
        yield desk.part(i, part.position in struck)
        yield desk.part_beyond(i)
        missing = desk.part_missing(part.account, part.position, part.slot, part.position in struck)
        yield from filter(None, [missing])


def _of_attributions(world: DisputeWorld, desk: AttributionDesk) -> Iterator[Evidence]:
    cap = world.setting.versions[0].method.record_cap_ppm
    for i, signed in enumerate(desk.case.lists.receipts):
        yield desk.shares(i, cap)
        yield desk.floor(i)
        scores = signed.body.scores
        for k in range(len(scores)):
            yield desk.listed(i, k)
            yield desk.row(i, k)
            yield desk.product(i, k)
            if k + 1 < len(scores):
                yield desk.list_order(i, k)
