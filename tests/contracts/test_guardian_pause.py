"""What the guardian stops, for how long, and what nobody can stop (P66)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bare_evm import Actor
from settlement_world import CREDIT, PROVIDER, VALIDATOR, Settlement

DAY = 86_400
ANNA = Actor("anna").address


@pytest.fixture(params=["escrow", "ledger"])
def paused(request: pytest.FixtureRequest, funded: Settlement) -> Any:
    return getattr(funded, request.param)


def test_only_the_guardian_pauses_and_unpauses(funded: Settlement, paused: Any) -> None:
    for other in ("thief", "timelock", "deployer", funded.user, funded.validators[0]):
        sender = Actor(other) if isinstance(other, str) else other
        with funded.evm.reverts("AccessManagedUnauthorized", sender):
            paused.send(sender, "pause", 1)
        with funded.evm.reverts("AccessManagedUnauthorized", sender):
            paused.send(sender, "unpause")


@pytest.mark.parametrize("length", [0, 7 * DAY + 1])
def test_a_pause_has_a_length(funded: Settlement, paused: Any, length: int) -> None:
    with funded.evm.reverts("WrongPauseLength", length, 7 * DAY):
        paused.send("guardian", "pause", length)


def test_a_pause_ends_by_itself_and_the_next_one_waits(funded: Settlement, paused: Any) -> None:
    sent = paused.send("guardian", "pause", 7 * DAY)
    until = funded.evm.now + 7 * DAY
    assert sent.event("Paused").until == until == paused.call("pausedUntil")
    for second in (funded.evm.now + 1, until, until + 7 * DAY - 1):
        funded.evm.advance(second - funded.evm.now)
        with funded.evm.reverts("PauseTooSoon", until + 7 * DAY):
            paused.send("guardian", "pause", 1)
    paused.send("guardian", "pause", 1)
    assert funded.evm.now == until + 7 * DAY


def test_a_pause_can_end_early_and_only_once(funded: Settlement, paused: Any) -> None:
    with funded.evm.reverts("NotPaused"):
        paused.send("guardian", "unpause")
    paused.send("guardian", "pause", DAY)
    assert paused.send("guardian", "unpause").names() == ["Unpaused"]
    assert paused.call("pausedUntil") == funded.evm.now
    with funded.evm.reverts("NotPaused"):
        paused.send("guardian", "unpause")


# -- what stops ----------------------------------------------------------------------------------------------------


def test_inflows_stop_until_the_end(funded: Settlement) -> None:
    lane = funded.open_lane(CREDIT)
    funded.give(funded.user, CREDIT, funded.escrow)
    funded.escrow.send("guardian", "pause", DAY)
    until = funded.escrow.call("pausedUntil")
    stopped: tuple[Callable[[], Any], ...] = (
        lambda: funded.escrow.send(funded.user, "deposit", funded.user, 1),
        lambda: funded.open_lane(CREDIT, 7),
        lambda: funded.escrow.send(funded.user, "topUp", lane, 1),
    )
    for verb in stopped:
        with funded.evm.reverts("PausedUntil", until):
            verb()
    funded.evm.advance(until - funded.evm.now)
    for verb in stopped:
        verb()


def test_p66_nothing_that_leaves_stops(funded: Settlement) -> None:
    """Redeem, close, withdraw, claim, settle, withdraw credit, exit: all while both contracts are paused."""
    lane = funded.open_lane(CREDIT)
    done = funded.commit({ANNA: 5, Actor("bert").address: 6})
    funded.finalise()
    funded.escrow.send("guardian", "pause", 7 * DAY)
    funded.ledger.send("guardian", "pause", 7 * DAY)
    funded.redeem(lane, 3)
    funded.escrow.send(funded.user, "requestClose", lane)
    funded.staking.send(funded.provider, "requestExit", PROVIDER)
    funded.staking.send(funded.validators[0], "requestExit", VALIDATOR)
    assert funded.claim(done, ANNA).value == 5
    assert funded.ledger.send("x", "settle", done.entry, done.payouts).value == 6
    assert funded.ledger.send("x", "withdrawCredit", Actor("bert")).value == 6
    funded.ledger.send("anna", "setPayee", Actor("carl"))
    funded.evm.advance(funded.terms.exit_delay_seconds)
    funded.escrow.send("anybody", "close", lane)
    funded.escrow.send(funded.user, "withdraw", funded.user, CREDIT)
    funded.staking.send(funded.provider, "exit", PROVIDER)
    funded.staking.send(funded.validators[0], "exit", VALIDATOR)
    assert funded.evm.now < funded.ledger.call("pausedUntil")


def test_commits_stop_until_the_end_and_then_go_on(funded: Settlement) -> None:
    done = funded.commit({ANNA: 5})
    funded.ledger.send("guardian", "pause", DAY)
    until = funded.ledger.call("pausedUntil")
    funded.evm.advance(until - 1 - funded.evm.now)
    with funded.evm.reverts("PausedUntil", until):
        funded.send_proposal(funded.in_turn(), funded.proposal())
    assert funded.commit({ANNA: 6}).epoch.previous_epoch == done.epoch.digest()


def stake_of(world: Settlement, owner: Actor) -> int:
    return int(world.staking.call("positionOf", owner, VALIDATOR).stake)


@pytest.mark.parametrize("is_sealed", [False, True])
def test_a_pause_ends_an_attempt_at_nobodys_cost(funded: Settlement, is_sealed: bool) -> None:
    proposal, _ = funded.propose()
    if is_sealed:
        funded.seal()
    epoch = funded.epoch_of(proposal, funded.tree({ANNA: 5}))
    proposer = next(v for v in funded.validators if v.address == funded.attempt().proposer)
    sent = funded.ledger.send("guardian", "pause", DAY)
    assert sent.names() == ["Paused", "AttemptPaused"]
    now = funded.attempt()
    assert (now.epochId, now.attempt, now.phase) == (1, 1, 0)
    assert now.openedAt == funded.ledger.call("pausedUntil")
    with funded.evm.reverts("WrongPhase", 0):
        funded.send_commit(epoch, proposal, funded.signatures(epoch))
    with funded.evm.reverts("WrongPhase", 0):
        funded.ledger.send("anybody", "seal")
    with funded.evm.reverts("WrongPhase", 0):
        funded.ledger.send("anybody", "expireAttempt")
    assert stake_of(funded, proposer) == funded.terms.minimum_stake
    funded.evm.advance(DAY)
    again = funded.commit({ANNA: 5})
    assert (again.epoch.epoch_id, again.epoch.attempt) == (1, 1)


def test_a_pause_saves_nobody_whose_attempt_has_expired(funded: Settlement) -> None:
    funded.propose()
    proposer = next(v for v in funded.validators if v.address == funded.attempt().proposer)
    funded.evm.advance(funded.parameters.attempt_timeout_seconds)
    assert (
        funded.ledger.send("guardian", "pause", DAY).names()
        == [
            "Paused",
            "AttemptExpired",
            "ValidatorSetChanged",
            "Slashed",
        ]
        or stake_of(funded, proposer) < funded.terms.minimum_stake
    )
    assert stake_of(funded, proposer) < funded.terms.minimum_stake


def test_an_early_end_opens_the_ledger_but_not_before_the_shortest_epoch(funded: Settlement) -> None:
    done = funded.commit({ANNA: 5})
    funded.ledger.send("guardian", "pause", DAY)
    funded.ledger.send("guardian", "unpause")
    assert funded.attempt().openedAt == done.committed_at + funded.parameters.minimum_epoch_seconds


def test_an_invalidation_ends_no_pause(funded: Settlement) -> None:
    done = funded.commit({ANNA: 5})
    funded.ledger.send("guardian", "pause", DAY)
    funded.ledger.send(funded.disputes, "invalidate", done.entry)
    until = funded.ledger.call("pausedUntil")
    assert funded.attempt().openedAt == until
    with funded.evm.reverts("PausedUntil", until):
        funded.send_proposal(funded.in_turn(), funded.proposal())


def test_no_sequence_of_pauses_makes_a_ledger_terminal(funded: Settlement) -> None:
    """Between two longest pauses there is as long a time in which epochs are committed."""
    for turn in range(4):
        funded.ledger.send("guardian", "pause", 7 * DAY)
        funded.evm.advance(7 * DAY)
        funded.commit({ANNA: turn + 1})
        funded.evm.advance(7 * DAY)
    assert funded.ledger.call("terminalAt") > funded.evm.now
