"""A ledger without a commit for 30 days: nothing more is committed, claims go on, what no epoch covered returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from bare_evm import Actor, Sent
from settlement_world import CREDIT, Committed, Settlement

from headwater.protocol.epoch import LaneRow
from headwater.protocol.merkle import MerkleTree
from headwater.types import ZERO_ADDRESS, ZERO_DIGEST, Digest, Wei

DAYS_30 = 30 * 86_400
ANNA = Actor("anna").address
BETWEEN, FIRST, LAST, EMPTY = range(4)
NO_ROW = LaneRow(ZERO_DIGEST, ZERO_ADDRESS, ZERO_ADDRESS, 0, ZERO_DIGEST, Wei(0), Wei(0))


def row_of(world: Settlement, lane: Digest, covered: int, refunded: int = 0) -> LaneRow:
    accounts = world.user.address, world.provider.address
    return LaneRow(lane, *accounts, 1, Digest(b"\1" * 32), Wei(covered), Wei(refunded))


def lane(world: Settlement, nonce: int, redeemed: int) -> Digest:
    made = world.open_lane(10 * CREDIT, nonce)
    world.redeem(made, redeemed)
    return made


def end(world: Settlement) -> None:
    """Let time pass to the last second before the end; the next transaction is in an ended ledger."""
    world.evm.advance(world.ledger.call("terminalAt") - world.evm.now)


def table(rows: Sequence[LaneRow]) -> MerkleTree:
    return MerkleTree([r.digest() for r in rows])


def give_back(world: Settlement, last: Any, rows: Sequence[LaneRow], which: int) -> Sent:
    proof = table(rows).proof(which)
    return world.ledger.send("anybody", "returnUncovered", last, rows[which], which, proof)


def last_of(done: Committed | None) -> Any:
    if done is not None:
        return done.entry
    nothing = (0, 0, 0, *[ZERO_DIGEST] * 8, 0)
    return (nothing, 0, ZERO_DIGEST)


def test_the_clock_starts_with_the_ledger_and_with_every_commit(funded: Settlement) -> None:
    first = funded.ledger.call("terminalAt")
    done = funded.commit({ANNA: 5})
    assert funded.ledger.call("terminalAt") == done.committed_at + DAYS_30 > first
    assert funded.ledger.call("TERMINAL_SECONDS") == DAYS_30


def test_an_ended_ledger_proposes_and_commits_nothing_more(funded: Settlement) -> None:
    ends = funded.ledger.call("terminalAt")
    funded.evm.advance(ends - 20 - funded.evm.now)
    epoch, proposal = funded.due({ANNA: 5})
    assert funded.evm.now < ends
    snapshot = funded.evm.snapshot()
    funded.evm.advance(ends - 1 - funded.evm.now)
    funded.send_commit(epoch, proposal, funded.signatures(epoch))
    assert funded.evm.now == ends - 1
    funded.evm.restore(snapshot)
    end(funded)
    with funded.evm.reverts("LedgerIsTerminal", ends):
        funded.send_commit(epoch, proposal, funded.signatures(epoch))
    with funded.evm.reverts("LedgerIsTerminal", ends):
        funded.send_proposal(funded.in_turn(), funded.proposal())
    funded.evm.advance(10 * DAYS_30)
    with funded.evm.reverts("LedgerIsTerminal", ends):
        funded.send_proposal(funded.in_turn(), funded.proposal())


def test_claims_and_settlements_go_on_for_ever(funded: Settlement) -> None:
    done = funded.commit({ANNA: 5, Actor("bert").address: 6})
    end(funded)
    funded.evm.advance(100 * DAYS_30)
    assert funded.claim(done, ANNA).value == 5
    assert funded.ledger.send("x", "settle", done.entry, done.payouts).value == 6
    assert funded.ledger.send("x", "withdrawCredit", Actor("bert")).value == 6


def test_nothing_returns_while_the_ledger_goes_on(world: Settlement) -> None:
    made = lane(world, 1, CREDIT)
    rows = [row_of(world, made, 0)]
    done = world.commit({}, lanes_root=table(rows).root)
    with world.evm.reverts("LedgerNotTerminal", world.ledger.call("terminalAt")):
        give_back(world, done.entry, rows, 0)
    with world.evm.reverts("LedgerNotTerminal"):
        world.ledger.send("anybody", "returnUnlisted", done.entry, made, NO_ROW, NO_ROW, (EMPTY, 0, [], []))


def test_a_lane_gets_back_what_is_neither_covered_nor_refunded_once(world: Settlement) -> None:
    lanes = sorted(lane(world, n, 5 * CREDIT) for n in range(3))
    rows = [row_of(world, made, covered) for made, covered in zip(lanes, (3 * CREDIT, 0, CREDIT), strict=True)]
    rows[2] = row_of(world, lanes[2], CREDIT, 4 * CREDIT)
    done = world.commit({ANNA: 8 * CREDIT}, lanes_root=table(rows).root)
    end(world)
    before = world.balance(world.user)
    sent = give_back(world, done.entry, rows, 0)
    event = sent.event("UncoveredReturned")
    assert (sent.value, event.laneId, event.user, event.to) == (2 * CREDIT, lanes[0], *[world.user.address] * 2)
    assert world.balance(world.user) - before == 2 * CREDIT == world.ledger.call("returnedOf", lanes[0])
    assert give_back(world, done.entry, rows, 1).value == 5 * CREDIT
    for which in range(3):
        with world.evm.reverts("NothingUncovered", lanes[which]):
            give_back(world, done.entry, rows, which)
    assert world.claim(done, ANNA).value == 8 * CREDIT
    assert world.balance(world.ledger) == 0


def test_what_is_redeemed_after_the_end_returns_as_well(world: Settlement) -> None:
    made = lane(world, 1, CREDIT)
    rows = [row_of(world, made, CREDIT)]
    done = world.commit({ANNA: CREDIT}, lanes_root=table(rows).root)
    end(world)
    world.redeem(made, 3 * CREDIT)
    assert give_back(world, done.entry, rows, 0).value == 2 * CREDIT


def test_a_returned_credit_goes_to_the_users_payee(world: Settlement) -> None:
    made = lane(world, 1, CREDIT)
    rows = [row_of(world, made, 0)]
    done = world.commit({}, lanes_root=table(rows).root)
    world.ledger.send(world.user, "setPayee", Actor("carl"))
    end(world)
    assert give_back(world, done.entry, rows, 0).event("UncoveredReturned").to == Actor("carl").address
    assert world.balance(Actor("carl")) == CREDIT


def test_p23_no_table_however_wrong_returns_more_than_was_never_committed(world: Settlement) -> None:
    lanes = sorted(lane(world, n, 5 * CREDIT) for n in range(2))
    rows = [row_of(world, made, 0) for made in lanes]  # a lie: eight credits are Anna's
    done = world.commit({ANNA: 8 * CREDIT}, lanes_root=table(rows).root)
    end(world)
    assert give_back(world, done.entry, rows, 0).value == 2 * CREDIT
    with world.evm.reverts("NothingUncovered", lanes[1]):
        give_back(world, done.entry, rows, 1)
    assert world.claim(done, ANNA).value == 8 * CREDIT


def test_only_the_last_epoch_and_its_table_count(world: Settlement) -> None:
    made = lane(world, 1, CREDIT)
    rows = [row_of(world, made, 0)]
    first = world.commit({}, lanes_root=table(rows).root)
    later = [row_of(world, made, CREDIT)]
    second = world.commit({ANNA: CREDIT}, lanes_root=table(later).root)
    end(world)
    with world.evm.reverts("NotLastEpoch", 2, 1):
        give_back(world, first.entry, rows, 0)
    with world.evm.reverts("WrongLaneProof", made):
        give_back(world, second.entry, rows, 0)
    forged = (first.epoch.__class__(*[2, *first.epoch.values()[1:]]), *first.entry[1:])
    with world.evm.reverts("UnknownEpoch", 2):
        give_back(world, forged, rows, 0)
    with world.evm.reverts("NothingUncovered", made):
        give_back(world, second.entry, later, 0)


def test_before_the_first_epoch_everything_returns_without_a_table(world: Settlement) -> None:
    made = lane(world, 1, CREDIT)
    end(world)
    arguments = (last_of(None), made, NO_ROW, NO_ROW, (EMPTY, 0, [], []))
    with world.evm.reverts("WrongLaneProof"):
        world.ledger.send("anybody", "returnUncovered", last_of(None), row_of(world, made, 0), 0, [])
    assert world.ledger.send("anybody", "returnUnlisted", *arguments).value == CREDIT
    with world.evm.reverts("NothingUncovered", made):
        world.ledger.send("anybody", "returnUnlisted", *arguments)


# -- lanes that the last table does not list -----------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("place", range(5))
def test_an_unlisted_lane_is_shown_by_its_neighbours(world: Settlement, count: int, place: int) -> None:
    """One lane is left out of the table, at each place in turn."""
    lanes = sorted(lane(world, n, CREDIT) for n in range(count + 1))
    out = lanes.pop(min(place, count))
    rows = [row_of(world, made, 0) for made in lanes]
    done = world.commit({}, lanes_root=table(rows).root)
    end(world)
    right = sum(made < out for made in lanes)
    tree = table(rows)
    if right == 0:
        gap, left, after = (FIRST, 0, tree.proof(0), []), NO_ROW, rows[0]
    elif right == count:
        gap, left, after = (LAST, count - 1, tree.proof(count - 1), []), rows[-1], NO_ROW
    else:
        meet = (right ^ (right - 1)).bit_length() - 1
        gap, left, after = (
            (BETWEEN, right - 1, tree.proof(right - 1), tree.proof(right)[:meet]),
            *rows[right - 1 :][:2],
        )
    sent = world.ledger.send("anybody", "returnUnlisted", done.entry, out, left, after, gap)
    assert sent.value == CREDIT
    for listed in lanes:  # the same gap shows no listed lane
        with world.evm.reverts("WrongLaneProof", listed):
            world.ledger.send("thief", "returnUnlisted", done.entry, listed, left, after, gap)


def test_an_empty_table_lists_no_lane_and_another_is_not_empty(world: Settlement) -> None:
    made = lane(world, 1, CREDIT)
    done = world.commit({}, lanes_root=ZERO_DIGEST)
    end(world)
    empty = (EMPTY, 0, [], [])
    assert world.ledger.send("x", "returnUnlisted", done.entry, made, NO_ROW, NO_ROW, empty).value == CREDIT


def test_a_table_is_not_empty_because_somebody_says_so(world: Settlement) -> None:
    made = lane(world, 1, CREDIT)
    done = world.commit({}, lanes_root=table([row_of(world, made, CREDIT)]).root)
    end(world)
    with world.evm.reverts("WrongLaneProof", made):
        world.ledger.send("thief", "returnUnlisted", done.entry, made, NO_ROW, NO_ROW, (EMPTY, 0, [], []))
