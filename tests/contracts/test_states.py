"""PROTOCOL.md §9, state by state: each is reached, and from each only the steps of the table lead on.

One table a life cycle: state -> step -> the state that follows, or the error's name. Every state is built by the
public functions and every step is tried in every state, so no other state can be reached. Versions have the same
table in test_model_registry.py; what the court adds (a requested chunk, a proof that pays once) is tested with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from bare_evm import Actor, Evm, Reverted
from registry_world import Registries
from settlement_world import CREDIT, VALIDATOR, Settlement

from headwater.protocol.snapshot import SnapshotEntry, entries_tree
from headwater.types import ZERO_ADDRESS, ZERO_DIGEST, Digest

ANNA = Actor("anna").address
Steps = Mapping[str, Callable[[], Any]]


def tried(evm: Evm, steps: Steps, state: Callable[[], str]) -> dict[str, str]:
    """What each step leads to, tried one by one from where the chain is now."""
    out = {}
    snapshot = evm.snapshot()
    for name, step in steps.items():
        try:
            step()
            out[name] = state()
        except Reverted as error:
            out[name] = error.name
        evm.restore(snapshot)
    return out


# -- lanes ---------------------------------------------------------------------------------------------------------

LANES = {
    "None": {"top up": "WrongLaneStatus", "redeem": "WrongLaneStatus", "request": "WrongLaneStatus"},
    "Open": {"top up": "Open", "redeem": "Open", "request": "Closing", "close": "WrongLaneStatus"},
    "Closing": {"redeem": "Closing", "close": "CloseTooEarly"},
    "Closing, over": {"redeem": "LaneEnded", "close": "Closed"},
    "Closed": {"redeem": "WrongLaneStatus", "close": "WrongLaneStatus"},
}


@pytest.mark.parametrize("state", LANES)
def test_a_lane_goes_from_open_over_closing_to_closed_and_nowhere_else(world: Settlement, state: str) -> None:
    lane = Digest(b"\7" * 32) if state == "None" else world.open_lane(CREDIT)
    escrow = world.escrow
    if state.startswith("Clos"):
        escrow.send(world.user, "requestClose", lane)
    if state in ("Closing, over", "Closed"):
        world.evm.advance(world.terms.lane_close_delay_seconds)
    if state == "Closed":
        escrow.send("anybody", "close", lane)
    steps = {
        "open": lambda: world.open_lane(CREDIT) if state != "None" else None,
        "top up": lambda: escrow.send(world.user, "topUp", lane, 1),
        "redeem": lambda: world.redeem(lane, 1),
        "request": lambda: escrow.send(world.user, "requestClose", lane),
        "close": lambda: escrow.send("anybody", "close", lane),
    }
    names = ("None", "Open", "Closing", "Closed")
    expected = dict.fromkeys(steps, "WrongLaneStatus") | LANES[state]
    expected["open"] = "LaneExists" if state != "None" else "None"
    assert tried(world.evm, steps, lambda: names[escrow.call("laneOf", lane).status]) == expected


# -- epochs --------------------------------------------------------------------------------------------------------

EPOCHS: dict[str, dict[str, str]] = {
    "Idle": {"propose": "Proposed"},
    "Proposed": {"propose": "AttemptNotExpired", "seal": "Sealed", "expire": "AttemptNotExpired", "pause": "Idle"},
    "Sealed": {"propose": "AttemptNotExpired", "expire": "AttemptNotExpired", "commit": "Idle", "pause": "Idle"},
    "Expired, proposed": {"propose": "Proposed", "seal": "AttemptTimedOut", "expire": "Idle", "pause": "Idle"},
    "Expired, sealed": {"propose": "Proposed", "commit": "AttemptTimedOut", "expire": "Idle", "pause": "Idle"},
    "Paused": {"propose": "PausedUntil", "pause": "PauseTooSoon"},
    "Terminal": {"propose": "LedgerIsTerminal"},
    "Terminal, sealed": {"propose": "LedgerIsTerminal", "commit": "AttemptTimedOut", "expire": "Idle"},
}


@pytest.mark.parametrize("state", EPOCHS)
def test_an_attempt_is_proposed_sealed_committed_or_expired_and_nothing_else(funded: Settlement, state: str) -> None:
    world, ledger = funded, funded.ledger
    epoch, proposal = None, world.proposal()
    world.await_opening()
    if state in ("Proposed", "Sealed", "Expired, proposed", "Expired, sealed", "Terminal, sealed"):
        proposal, _ = world.propose(proposal)
        world.evm.mine()
    epoch = world.epoch_of(proposal, world.tree({ANNA: 5}))
    if state.endswith("ealed"):
        ledger.send("anybody", "seal")
    if state.startswith("Expired"):
        world.evm.advance(world.parameters.attempt_timeout_seconds)
    if state == "Paused":
        ledger.send("guardian", "pause", 1_000)
    if state.startswith("Terminal"):
        world.evm.advance(ledger.call("terminalAt") - world.evm.now)
    in_progress = world.attempt().phase != 0
    steps = {
        "propose": lambda: world.send_proposal(world.in_turn(world.proposal().attempt), world.proposal()),
        "seal": lambda: ledger.send("anybody", "seal"),
        "commit": lambda: world.send_commit(epoch, proposal, world.signatures(epoch)),
        "expire": lambda: ledger.send("anybody", "expireAttempt"),
        "pause": lambda: ledger.send("guardian", "pause", 1),
    }
    expected = dict.fromkeys(steps, "WrongPhase") | {"pause": "Idle"} | EPOCHS[state]
    found = tried(world.evm, steps, lambda: ("Idle", "Proposed", "Sealed")[world.attempt().phase])
    assert found == expected, in_progress


COMMITTED = {
    "Pending": {"claim": "EpochNotFinal", "invalidate": "Invalid", "commit again": "WrongPhase"},
    "Final": {"claim": "Paid", "invalidate": "EpochFinal", "commit again": "WrongPhase"},
    "Invalid": {"claim": "UnknownEpoch", "invalidate": "UnknownEpoch", "commit again": "WrongPhase"},
}


@pytest.mark.parametrize("state", COMMITTED)
def test_a_committed_epoch_becomes_final_by_time_or_invalid_by_the_court(funded: Settlement, state: str) -> None:
    done = funded.commit({ANNA: 5})
    if state == "Final":
        funded.finalise()
    if state == "Invalid":
        funded.ledger.send(funded.disputes, "invalidate", done.entry)

    def now() -> str:
        known, is_final = funded.status_of(done)
        if not known:
            return "Invalid"
        return "Paid" if funded.balance(ANNA) else "Final" if is_final else "Pending"

    assert now() == state
    count, bundle = 3, ZERO_DIGEST
    steps = {
        "claim": lambda: funded.claim(done, ANNA),
        "invalidate": lambda: funded.ledger.send(funded.disputes, "invalidate", done.entry),
        "commit again": lambda: funded.ledger.send(
            "anybody", "commitEpoch", done.epoch, count, bundle, funded.signatures(done.epoch)
        ),
    }
    assert tried(funded.evm, steps, now) == COMMITTED[state]


# -- bonds ---------------------------------------------------------------------------------------------------------

BONDS: dict[str, dict[str, str]] = {
    "None": {"register": "Active", "slash": "None"},
    "Active": {"add": "Active", "request": "Exiting", "slash": "Removed", "slash a little": "Active"},
    "Exiting": {"slash": "Exiting", "slash a little": "Exiting", "exit": "ExitTooEarly"},
    "Exiting, over": {"slash": "Exiting", "slash a little": "Exiting", "exit": "Withdrawn"},
    "Removed": {"request": "Exiting", "slash": "Removed", "slash a little": "Removed"},
    "Withdrawn": {"register": "Active", "slash": "Withdrawn", "slash a little": "Withdrawn"},
}


@pytest.mark.parametrize("state", BONDS)
def test_a_bond_is_active_until_it_leaves_or_falls_below_the_minimum(world: Settlement, state: str) -> None:
    owner, staking, least = Actor("late validator"), world.staking, world.terms.minimum_stake

    def slash(ppm: int) -> None:
        staking.send(world.disputes, "slash", owner, VALIDATOR, ppm, b"\2" * 32, ZERO_ADDRESS)

    if state != "None":
        world.register(owner, VALIDATOR, 2 * least)
    if state == "Removed":
        staking.send(world.disputes, "slash", owner, VALIDATOR, 600_000, b"\1" * 32, ZERO_ADDRESS)
    if state.startswith("Exit") or state == "Withdrawn":
        staking.send(owner, "requestExit", VALIDATOR)
    if state in ("Exiting, over", "Withdrawn"):
        world.evm.advance(world.terms.exit_delay_seconds)
    if state == "Withdrawn":
        staking.send(owner, "exit", VALIDATOR)
    world.give(owner, 5 * least, staking)
    steps = {
        "register": lambda: world.register(owner, VALIDATOR, 2 * least, key=Actor("another key")),
        "add": lambda: staking.send(owner, "addStake", VALIDATOR, 1),
        "request": lambda: staking.send(owner, "requestExit", VALIDATOR),
        "exit": lambda: staking.send(owner, "exit", VALIDATOR),
        "slash": lambda: slash(600_000),
        "slash a little": lambda: slash(1),
    }
    names = ("None", "Active", "Exiting", "Withdrawn", "Removed")
    expected = dict.fromkeys(steps, "WrongStatus") | BONDS[state]
    if state == "None":
        expected["slash a little"] = "None"
    assert tried(world.evm, steps, lambda: names[staking.call("positionOf", owner, VALIDATOR).status]) == expected


# -- snapshots -----------------------------------------------------------------------------------------------------

SNAPSHOTS: dict[str, dict[str, str]] = {
    "Committed": {"commit": "SnapshotExists", "seal": "Sealed", "prove": "Invalid", "use": "SnapshotNotSealed"},
    "Sealed": {"commit": "SnapshotExists", "seal": "AlreadySealed", "prove": "Invalid", "use": "Sealed, used"},
    "Sealed, used": {"commit": "SnapshotExists", "seal": "AlreadySealed", "prove": "Invalid", "use": "ModelExists"},
    "Dead": {"commit": "SnapshotExists", "seal": "SnapshotIsDead", "prove": "Invalid", "use": "SnapshotNotSealed"},
    "Invalid": {
        "commit": "SnapshotExists",
        "seal": "SnapshotIsInvalid",
        "prove": "SnapshotIsInvalid",
        "use": "SnapshotNotSealed",
    },
}


@pytest.mark.parametrize("state", SNAPSHOTS)
def test_a_snapshot_is_sealed_and_used_or_dead_or_invalid(evm: Evm, state: str) -> None:
    world = Registries(evm)
    gone = world.anchored(1)
    world.withdraw(world.withdrawal(gone))
    rows = [SnapshotEntry(0, gone, world.contributor.address, gone, gone)]
    snapshot = world.snapshot(records_root=entries_tree(rows).root, record_count=1)
    snapshot_id = world.commit(snapshot)
    world.evm.mine()
    steps = {
        "commit": lambda: world.commit(snapshot),
        "seal": lambda: world.log.send("anybody", "seal", snapshot_id),
        "prove": lambda: world.log.send("anybody", "invalidateSnapshot", snapshot_id, rows[0], 0, []),
        "use": lambda: world.register(world.model_version([snapshot_id]), [snapshot_id]),
    }
    if state == "Dead":
        world.evm.mine(256)
    for step in {"Sealed": ("seal",), "Sealed, used": ("seal", "use"), "Invalid": ("prove",)}.get(state, ()):
        steps[step]()

    def now() -> str:
        name = ("None", "Committed", "Sealed", "Dead", "Invalid")[world.log.call("snapshotStatusOf", snapshot_id)]
        is_used = name == "Sealed" and world.models.call("isSnapshotUsed", snapshot_id)
        return f"{name}, used" if is_used else name

    assert now() == state
    assert tried(evm, steps, now) == SNAPSHOTS[state]
