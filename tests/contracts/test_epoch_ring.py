"""How an epoch becomes final: propose, seal, commit, expire, ring, invalidate (P1, P23, P29, P30, P36, P48, P49)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from bare_evm import Actor, Evm
from eth_utils import keccak
from settlement_world import CREDIT, PRODUCTION, VALIDATOR, Committed, Parameters, Settlement, Terms

from headwater.types import ZERO_ADDRESS, ZERO_DIGEST, Digest, Wei

IDLE, PROPOSED, SEALED = 0, 1, 2
ANNA, BERT, CARL = (Actor(name).address for name in ("anna", "bert", "carl"))


# -- construction --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("minimumEpochSeconds", {"minimum_epoch_seconds": 0}),
        ("minimumEpochSeconds", {"minimum_epoch_seconds": 8 * 86_400}),
        ("windowSeconds", {"window_seconds": 0}),
        ("windowSeconds", {"window_seconds": 15 * 86_400}),
        ("attemptTimeoutSeconds", {"attempt_timeout_seconds": 0}),
        ("attemptTimeoutSeconds", {"attempt_timeout_seconds": 60}),
        ("ringSize", {"ring_size": 3}),
        ("ringSize", {"window_seconds": 361, "ring_size": 8}),
        ("expirySlashPpm", {"expiry_slash_ppm": 1_000_001}),
        ("refundAfterEpochs", {"refund_after_epochs": 0}),
        ("laneCloseDelaySeconds", {"minimum_epoch_seconds": 90}),
        ("exitDelaySeconds", {"window_seconds": 540, "ring_size": 11}),
    ],
)
def test_parameters_out_of_bounds_are_refused(evm: Evm, name: str, changes: dict[str, int]) -> None:
    with evm.reverts("ParameterOutOfBounds") as caught:
        Settlement.deploy_bare(evm, replace(Parameters(), **changes), Terms())
    assert caught.value.arguments[0].rstrip(b"\0").decode() == name


@pytest.mark.parametrize(
    "changes", [{"ring_size": 4}, {"window_seconds": 360, "ring_size": 8}, {"attempt_timeout_seconds": 59}]
)
def test_parameters_on_their_bounds_are_taken(evm: Evm, changes: dict[str, int]) -> None:
    given_parameters = replace(Parameters(), **changes)
    world = Settlement.deploy_bare(evm, given_parameters, Terms())
    assert tuple(vars(world.ledger.call("parameters")).values()) == tuple(vars_of(given_parameters))


def vars_of(parameters: Parameters) -> list[int]:
    return [getattr(parameters, name) for name in parameters.__dataclass_fields__]


def test_a_ledger_refuses_parts_that_are_wired_to_another(world: Settlement) -> None:
    access = world.token.call("authority")
    parts = (access, world.token, world.escrow, world.staking, world.quorum, Actor("disputes"), Parameters())
    with world.evm.reverts("WrongWiring", world.escrow):
        world.evm.deploy("AttributionLedger", *parts)


# -- propose -------------------------------------------------------------------------------------------------------


def test_a_proposal_freezes_its_digest_proposer_and_set(world: Settlement) -> None:
    proposal, sent = world.propose()
    now, event = world.attempt(), sent.event("EpochProposed")
    assert (now.epochId, now.attempt, now.phase) == (1, 0, PROPOSED)
    assert now.proposalDigest == event.proposalDigest == proposal.digest()
    assert now.proposer == event.proposer == world.validators[1].address  # (1 + 0) mod 3
    assert now.validatorSetId == world.staking.call("currentSetId")
    assert (now.openedAt, now.proposedInBlock) == (world.evm.now, world.evm.block_number)
    assert now.sealedHash == ZERO_DIGEST


def test_owner_and_voting_key_of_the_validator_in_turn_propose_and_nobody_else(world: Settlement) -> None:
    proposal = world.proposal()
    expected = world.in_turn()
    for other in (*(v for v in world.validators if v is not expected), Actor("thief"), world.provider):
        with world.evm.reverts("NotInTurn", expected, other):
            world.send_proposal(other, proposal)
    assert world.send_proposal(world.key_of(expected), proposal).names() == ["EpochProposed"]


def test_the_turn_goes_round_by_id_plus_attempt(funded: Settlement) -> None:
    proposers = []
    for _ in range(4):
        proposers.append(funded.commit({ANNA: 5}).proposer)
    assert proposers == [funded.validators[i].address for i in (1, 2, 0, 1)]


@pytest.mark.parametrize(
    ("error", "changes"),
    [
        ("WrongEpoch", {"epoch_id": 0}),
        ("WrongEpoch", {"epoch_id": 2}),
        ("TooEarly", {"attempt": 40}),
        ("WrongParent", {"previous_epoch": Digest(b"\1" * 32)}),
    ],
)
def test_p29_p30_a_proposal_of_another_place_is_refused(
    world: Settlement, error: str, changes: dict[str, Any]
) -> None:
    proposal = world.proposal(**changes)
    with world.evm.reverts(error):
        world.send_proposal(world.in_turn(proposal.attempt), proposal)


def test_p30_a_parent_is_named_with_its_time_and_signers(funded: Settlement) -> None:
    first = funded.commit({ANNA: 5})
    second = funded.commit({ANNA: 6})
    funded.await_opening()
    proposal = funded.proposal()
    sender = funded.in_turn(proposal.attempt)
    for digest, committed_at, signers in (
        (proposal.previous_epoch, second.committed_at + 1, second.signers_digest),
        (proposal.previous_epoch, second.committed_at, first.signers_digest),
        (first.epoch.digest(), first.committed_at, first.signers_digest),
        (ZERO_DIGEST, 0, ZERO_DIGEST),
    ):
        wrong = replace(proposal, previous_epoch=digest)
        with funded.evm.reverts("WrongParent", 2, digest):
            funded.ledger.send(sender, "proposeEpoch", wrong, committed_at, signers)
    named = (second.committed_at, second.signers_digest)
    assert funded.ledger.send(sender, "proposeEpoch", proposal, *named).names() == ["EpochProposed"]


def test_a_second_proposal_waits_for_the_first_to_expire(world: Settlement) -> None:
    world.propose()
    expires = world.attempt().openedAt + 30
    second = world.proposal()
    with world.evm.reverts("AttemptNotExpired", expires):
        world.send_proposal(world.in_turn(1), second)


def test_p30_an_epoch_opens_the_shortest_epoch_after_the_last_commit(funded: Settlement) -> None:
    done = funded.commit({ANNA: 5})
    opens = done.committed_at + 60
    funded.evm.advance(opens - 1 - funded.evm.now)
    with funded.evm.reverts("TooEarly", opens):
        funded.send_proposal(funded.in_turn(), funded.proposal())
    assert funded.evm.now == opens - 1
    assert funded.send_proposal(funded.in_turn(), funded.proposal()).names() == ["EpochProposed"]


# -- seal ----------------------------------------------------------------------------------------------------------


def test_a_seal_fixes_the_hash_of_the_block_after_the_proposal(world: Settlement) -> None:
    world.propose()
    block = world.attempt().proposedInBlock
    with world.evm.reverts("SealTooEarly", block + 2):
        world.ledger.send("anybody", "seal")
    sent = world.ledger.send("anybody", "seal")
    assert world.evm.block_number == block + 2
    expected = world.evm.block_hash(block + 1)
    assert sent.value == sent.event("EpochSealed").sealedHash == world.attempt().sealedHash == expected
    assert world.attempt().phase == SEALED
    with world.evm.reverts("WrongPhase", SEALED):
        world.ledger.send("anybody", "seal")


def test_without_a_proposal_there_is_nothing_to_seal(world: Settlement) -> None:
    with world.evm.reverts("WrongPhase", IDLE):
        world.ledger.send("anybody", "seal")


def test_a_seal_comes_at_most_256_blocks_later() -> None:
    world = Settlement.deploy(
        Evm(),
        replace(Parameters(600, 1_200, 500, 4)),
        Terms(lane_close_delay_seconds=1_201, exit_delay_seconds=3_600),
    )
    world.propose()
    block = world.attempt().proposedInBlock
    snapshot = world.evm.snapshot()
    world.evm.mine(255)
    sent = world.ledger.send("anybody", "seal")
    assert world.evm.block_number == block + 256
    assert sent.value == world.evm.block_hash(block + 1)
    world.evm.restore(snapshot)
    world.evm.mine(256)
    with world.evm.reverts("SealTooLate", block + 256):
        world.ledger.send("anybody", "seal")


def test_an_expired_attempt_is_not_sealed(world: Settlement) -> None:
    world.propose()
    expires = world.attempt().openedAt + 30
    world.evm.advance(30)
    with world.evm.reverts("AttemptTimedOut", expires):
        world.ledger.send("anybody", "seal")


# -- commit --------------------------------------------------------------------------------------------------------


def test_a_commit_appends_one_entry_and_names_its_signers(funded: Settlement) -> None:
    done = funded.commit({ANNA: 5, BERT: 6})
    entry = keccak(done.epoch.digest() + done.committed_at.to_bytes(32, "big") + done.signers_digest)
    assert funded.ledger.call("latestEpoch") == (1, entry)
    assert funded.ledger.call("entryOf", 1) == entry
    assert funded.status_of(done) == (True, False)
    assert [v >> 96 for v in done.votes] == sorted(int(funded.key_of(v).address, 16) for v in funded.validators)
    assert done.proposer == funded.validators[1].address
    second = funded.commit({ANNA: 5, BERT: 7})
    assert second.epoch.previous_epoch == done.epoch.digest()


def test_the_event_carries_the_whole_epoch(funded: Settlement) -> None:
    epoch, proposal = funded.due({ANNA: 5})
    event = funded.send_commit(epoch, proposal, funded.signatures(epoch)).event("EpochCommitted")
    assert tuple(vars(event.epoch).values()) == epoch.values()
    assert (event.epochId, event.attempt, event.epochDigest) == (1, 0, epoch.digest())
    assert event.committedAt == funded.evm.now


@pytest.mark.parametrize(
    "member", ["previous_epoch", "lanes_root", "receipts_root", "attributions_root", "chunks_root"]
)
def test_a_commit_keeps_every_frozen_input(funded: Settlement, member: str) -> None:
    epoch, proposal = funded.due({ANNA: 5})
    changed = replace(epoch, **{member: Digest(keccak(text="another"))})
    with funded.evm.reverts("ProposalMismatch"):
        funded.send_commit(changed, proposal, funded.signatures(changed))


@pytest.mark.parametrize("changes", [{"receipt_count": 4}, {"bundle_digest": ZERO_DIGEST}])
def test_a_commit_names_the_frozen_count_and_bundle(funded: Settlement, changes: dict[str, Any]) -> None:
    epoch, proposal = funded.due({ANNA: 5})
    with funded.evm.reverts("ProposalMismatch"):
        funded.send_commit(epoch, replace(proposal, **changes), funded.signatures(epoch))


@pytest.mark.parametrize(
    ("error", "changes"),
    [
        ("WrongEpoch", {"epoch_id": 2}),
        ("WrongAttempt", {"attempt": 1}),
        ("WrongValidatorSet", {"validator_set_id": 1}),
    ],
)
def test_p48_a_commit_names_its_place_and_set(funded: Settlement, error: str, changes: dict[str, int]) -> None:
    epoch, proposal = funded.due({ANNA: 5})
    changed = replace(epoch, **changes)
    with funded.evm.reverts(error):
        funded.send_commit(changed, proposal, funded.signatures(changed))


def test_p23_a_total_beyond_what_was_redeemed_is_refused(funded: Settlement) -> None:
    epoch, proposal = funded.due({ANNA: 100 * CREDIT + 1})
    with funded.evm.reverts("Overcommitted", 100 * CREDIT + 1, 100 * CREDIT):
        funded.send_commit(epoch, proposal, funded.signatures(epoch))
    exact = funded.epoch_of(proposal, funded.tree({ANNA: 100 * CREDIT}))
    assert funded.send_commit(exact, proposal, funded.signatures(exact)).names() == ["EpochCommitted"]


def test_a_commit_needs_the_quorums_signatures_over_this_very_epoch(funded: Settlement) -> None:
    epoch, proposal = funded.due({ANNA: 5})
    one = [funded.key_of(funded.validators[0])]
    with funded.evm.reverts("QuorumNotReached"):
        funded.send_commit(epoch, proposal, funded.signatures(epoch, one))
    other = replace(epoch, payout_root=Digest(keccak(text="more for me")))
    for key in (funded.key_of(v) for v in funded.validators):  # they recover strangers
        with funded.evm.reverts("NotInValidatorSet"):
            funded.send_commit(other, proposal, funded.signatures(epoch, [key]))


def test_p1_signatures_of_another_chain_or_ledger_do_not_commit(funded: Settlement) -> None:
    epoch, proposal = funded.due({ANNA: 5})
    keys = [funded.key_of(v) for v in funded.validators]
    for domain in (
        replace(funded.ledger.domain, chain_id=1),
        replace(funded.ledger.domain, verifying_contract=funded.escrow.address),
    ):
        for key in keys:  # they recover strangers
            with funded.evm.reverts("NotInValidatorSet"):
                funded.send_commit(epoch, proposal, key.sign(epoch, domain))


def test_p49_stake_that_left_between_proposal_and_commit_still_counts_by_its_set(funded: Settlement) -> None:
    epoch, proposal = funded.due({ANNA: 5})
    for owner in funded.validators[:2]:
        funded.staking.send(owner, "requestExit", VALIDATOR)
    assert funded.send_commit(epoch, proposal, funded.signatures(epoch)).names() == ["EpochCommitted"]
    leaver = funded.validators[0]
    funded.staking.send(funded.disputes, "slash", leaver, VALIDATOR, 1_000_000, b"\1" * 32, ZERO_ADDRESS)


def test_p48_votes_of_a_later_set_do_not_count_for_an_earlier_proposal(funded: Settlement) -> None:
    epoch, proposal = funded.due({ANNA: 5})
    late = Actor("late validator")
    funded.register(late, VALIDATOR, 1_000 * CREDIT)
    with funded.evm.reverts("NotInValidatorSet", funded.key_of(late), epoch.validator_set_id):
        funded.send_commit(epoch, proposal, funded.signatures(epoch, [funded.key_of(late)]))


def test_nothing_is_committed_without_proposal_or_seal(funded: Settlement) -> None:
    proposal = funded.proposal()
    epoch = funded.epoch_of(proposal, funded.tree({ANNA: 5}))
    with funded.evm.reverts("WrongPhase", IDLE):
        funded.send_commit(epoch, proposal, funded.signatures(epoch))
    proposal, _ = funded.propose()
    epoch = funded.epoch_of(proposal, funded.tree({ANNA: 5}))
    with funded.evm.reverts("WrongPhase", PROPOSED):
        funded.send_commit(epoch, proposal, funded.signatures(epoch))


def test_p29_an_epoch_is_committed_once(funded: Settlement) -> None:
    epoch, proposal = funded.due({ANNA: 5})
    funded.send_commit(epoch, proposal, funded.signatures(epoch))
    with funded.evm.reverts("WrongPhase", IDLE):
        funded.send_commit(epoch, proposal, funded.signatures(epoch))


def test_p35_an_epoch_without_payouts_commits(world: Settlement) -> None:
    done = world.commit({})
    world.finalise()
    assert world.status_of(done) == (True, True)
    assert world.ledger.send("anybody", "settle", done.entry, []).value == 0
    with world.evm.reverts("InvalidProof"):
        world.ledger.send("thief", "claim", done.entry, ANNA, 0, 0, [])


# -- attempts ------------------------------------------------------------------------------------------------------


def test_an_attempt_commits_until_its_timeout_and_not_at_it(funded: Settlement) -> None:
    epoch, proposal = funded.due({ANNA: 5})
    expires = funded.attempt().openedAt + 30
    snapshot = funded.evm.snapshot()
    funded.evm.advance(expires - 1 - funded.evm.now)
    funded.send_commit(epoch, proposal, funded.signatures(epoch))
    assert funded.evm.now == expires - 1
    funded.evm.restore(snapshot)
    funded.evm.advance(expires - funded.evm.now)
    with funded.evm.reverts("AttemptTimedOut", expires):
        funded.send_commit(epoch, proposal, funded.signatures(epoch))


def test_an_expired_attempt_costs_its_proposer_and_passes_on(funded: Settlement) -> None:
    owner = funded.validators[1]
    funded.give(owner, 100 * CREDIT, funded.staking)
    funded.staking.send(owner, "addStake", VALIDATOR, 100 * CREDIT)
    funded.due({ANNA: 5})
    opened = funded.attempt().openedAt
    with funded.evm.reverts("AttemptNotExpired", opened + 30):
        funded.ledger.send("anybody", "expireAttempt")
    funded.evm.advance(30)
    sent = funded.ledger.send("anybody", "expireAttempt")
    assert sent.names() == ["AttemptExpired", "Slashed", "ValidatorSetChanged"]
    assert funded.staking.call("positionOf", owner, VALIDATOR).stake == 198 * CREDIT
    now = funded.attempt()
    assert (now.epochId, now.attempt, now.phase, now.openedAt) == (1, 1, IDLE, opened + 30)
    with funded.evm.reverts("WrongPhase", IDLE):
        funded.ledger.send("anybody", "expireAttempt")
    with funded.evm.reverts("WrongAttempt", 1, 0):
        funded.send_proposal(funded.in_turn(0), funded.proposal(attempt=0))
    done = funded.commit({ANNA: 5})
    assert (done.epoch.attempt, done.proposer) == (1, funded.validators[2].address)


def test_the_next_proposal_ends_an_expired_attempt_by_itself(funded: Settlement) -> None:
    funded.due({ANNA: 5})
    funded.evm.advance(30)
    _, sent = funded.propose()
    assert sent.names() == ["AttemptExpired", "EpochProposed", "Slashed", "ValidatorSetChanged"]
    assert (funded.attempt().attempt, funded.attempt().phase) == (1, PROPOSED)


def test_whose_turn_it_is_does_not_depend_on_the_slash_for_the_attempt_before(funded: Settlement) -> None:
    """The late proposer falls below the least stake and leaves the turns; the one who was next still proposes."""
    funded.due({ANNA: 5})
    funded.evm.advance(30)
    expected = funded.in_turn(1)
    set_id = funded.staking.call("currentSetId")
    funded.propose()
    assert funded.staking.call("validatorCount") == 2
    assert (funded.attempt().proposer, funded.attempt().validatorSetId) == (expected.address, set_id)


def test_a_silent_proposer_is_passed_over_after_a_timeout_each(world: Settlement) -> None:
    opened = world.attempt().openedAt
    world.evm.advance(opened + 59 - world.evm.now)
    with world.evm.reverts("TooEarly", opened + 60):
        world.send_proposal(world.in_turn(2), world.proposal(attempt=2))
    world.send_proposal(world.in_turn(2), world.proposal(attempt=2))
    assert (world.attempt().attempt, world.attempt().proposer) == (2, world.validators[0].address)


# -- finality, the ring --------------------------------------------------------------------------------------------


def test_p36_an_epoch_is_final_at_the_end_of_its_window_and_not_before(funded: Settlement) -> None:
    done = funded.commit({ANNA: 5})
    final_at = done.committed_at + 120
    funded.evm.advance(final_at - 1 - funded.evm.now)
    with funded.evm.reverts("EpochNotFinal", final_at):
        funded.claim(done, ANNA)
    assert funded.evm.now == final_at - 1
    assert funded.claim(done, ANNA).value == 5


def test_p36_an_epoch_is_invalidated_in_its_window_and_not_after(funded: Settlement) -> None:
    done = funded.commit({ANNA: 5})
    final_at = done.committed_at + 120
    snapshot = funded.evm.snapshot()
    funded.evm.advance(final_at - 1 - funded.evm.now)
    funded.ledger.send(funded.disputes, "invalidate", done.entry)
    assert funded.evm.now == final_at - 1
    funded.evm.restore(snapshot)
    funded.evm.advance(final_at - funded.evm.now)
    with funded.evm.reverts("EpochFinal", final_at):
        funded.ledger.send(funded.disputes, "invalidate", done.entry)


@pytest.mark.parametrize("changes", ["epoch", "committed_at", "proposer", "votes"])
def test_an_entry_with_any_changed_part_is_unknown(funded: Settlement, changes: str) -> None:
    done = funded.commit({ANNA: 5})
    funded.finalise()
    forged = {
        "epoch": replace(done.epoch, payout_total=Wei(6)),
        "committed_at": done.committed_at - 1,
        "proposer": Actor("thief").address,
        "votes": done.votes[:1],
    }
    changed = replace(done, **{changes: forged[changes]})
    assert funded.status_of(changed) == (False, False)
    with funded.evm.reverts("UnknownEpoch", 1):
        funded.claim(changed, ANNA)
    with funded.evm.reverts("UnknownEpoch", 1):
        funded.ledger.send("thief", "settle", changed.entry, changed.payouts)


@pytest.mark.parametrize(("parameters", "terms"), [(Parameters(), Terms()), PRODUCTION], ids=["devnet", "production"])
def test_each_committed_epoch_becomes_claimable_before_the_ring_forgets_it(
    parameters: Parameters, terms: Terms
) -> None:
    """Commits as fast as allowed, twice round the ring: no pending and no last final entry is overwritten."""
    world = Settlement.deploy(Evm(), parameters, terms)
    world.fund(100 * CREDIT)
    done: list[Committed] = []
    seen_final: set[int] = set()
    for i in range(2 * parameters.ring_size + 2):
        done.append(world.commit({ANNA: i + 1}, keys=[world.key_of(v) for v in world.validators[:2]]))
        elapsed = [d for d in done if d.committed_at + parameters.window_seconds <= world.evm.now]
        pending = done[len(elapsed) :]
        assert world.status_of(pending[0]) == (True, False)  # the oldest would be overwritten first
        assert all(world.status_of(d) == (True, True) for d in elapsed[-1:])
        seen_final |= {d.epoch.epoch_id for d in elapsed[-1:]}
    assert seen_final == {d.epoch.epoch_id for d in elapsed} and len(elapsed) > parameters.ring_size
    assert world.ledger.call("entryOf", 1) == ZERO_DIGEST
    assert world.ledger.call("entryOf", len(done) + 1) == world.ledger.call("entryOf", 0) == ZERO_DIGEST


# -- invalidation --------------------------------------------------------------------------------------------------


def test_only_disputes_invalidate(funded: Settlement) -> None:
    done = funded.commit({ANNA: 5})
    for thief in (Actor("thief"), Actor("deployer"), funded.validators[0]):
        with funded.evm.reverts("OnlyDisputes", thief):
            funded.ledger.send(thief, "invalidate", done.entry)


def test_invalidation_takes_descendants_along_and_the_id_is_committed_again_without_loss(funded: Settlement) -> None:
    first = funded.commit({ANNA: 5})
    second = funded.commit({ANNA: 50})
    third = funded.commit({ANNA: 60})
    sent = funded.ledger.send(funded.disputes, "invalidate", second.entry)
    assert sent.event("EpochInvalidated").latestEpochId == 3
    assert [funded.status_of(d)[0] for d in (first, second, third)] == [True, False, False]
    assert funded.ledger.call("latestEpoch") == (1, funded.ledger.call("entryOf", 1))
    assert funded.parent()[0] == first.epoch.digest()
    again = funded.commit({ANNA: 7})
    assert (again.epoch.epoch_id, again.epoch.attempt) == (2, 1)
    assert funded.status_of(third)[0] is False  # though its slot still holds it
    after = funded.commit({ANNA: 8})
    assert (after.epoch.epoch_id, after.epoch.attempt) == (3, 1)
    funded.finalise()
    for void in (second, third):
        with funded.evm.reverts("UnknownEpoch"):
            funded.claim(void, ANNA)
    assert funded.claim(first, ANNA).value == 5
    assert funded.claim(after, ANNA).value == 3


def test_no_honest_validator_ever_signs_one_id_and_attempt_twice(funded: Settlement) -> None:
    seen: set[tuple[int, int]] = set()
    for _ in range(3):
        first, second = funded.commit({ANNA: 5}), funded.commit({ANNA: 6})
        places = [(d.epoch.epoch_id, d.epoch.attempt) for d in (first, second)]
        assert not seen & set(places)
        seen |= set(places)
        funded.ledger.send(funded.disputes, "invalidate", first.entry)


def test_an_invalidation_cancels_the_proposal_in_progress_without_cost(funded: Settlement) -> None:
    done = funded.commit({ANNA: 5})
    epoch, proposal = funded.due({ANNA: 6})
    funded.ledger.send(funded.disputes, "invalidate", done.entry)
    with funded.evm.reverts("WrongPhase", IDLE):
        funded.send_commit(epoch, proposal, funded.signatures(epoch))
    now = funded.attempt()
    assert (now.epochId, now.attempt, now.phase) == (1, 1, IDLE)
    assert funded.staking.call("burned") == 0


def test_an_unknown_epoch_is_not_invalidated(funded: Settlement) -> None:
    done = funded.commit({ANNA: 5})
    funded.ledger.send(funded.disputes, "invalidate", done.entry)
    with funded.evm.reverts("UnknownEpoch", 1):
        funded.ledger.send(funded.disputes, "invalidate", done.entry)
