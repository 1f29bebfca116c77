"""The court itself: who is slashed and how often, when it is too late, what a withheld chunk costs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bare_evm import Actor, Evm
from dispute_world import CHALLENGER, DisputeWorld, ProviderKey
from eth_utils import keccak

from headwater.protocol import fraud
from headwater.protocol.merkle import MerkleTree
from headwater.protocol.shares import MODEL_OWNER_SLOT
from headwater.testing.epoch_generator import consecutive, inject
from headwater.types import ZERO_ADDRESS, Digest
from headwater.validator.cases import Case
from headwater.validator.evidence import AttributionDesk
from headwater.validator.prosecutor import prosecute

Snapshot = tuple[bytes, int, int]
CHUNKS = [b"chunk %d " % i * 300 for i in range(3)]


@pytest.fixture(scope="module")
def begun() -> tuple[DisputeWorld, Snapshot]:
    world = DisputeWorld(Evm())
    return world, world.evm.snapshot()


@pytest.fixture
def world(begun: tuple[DisputeWorld, Snapshot]) -> DisputeWorld:
    made, snapshot = begun
    made.evm.restore(snapshot)
    return made


def falsified(world: DisputeWorld) -> tuple[Case, fraud.Evidence]:
    case = inject("payout_decreased", consecutive(world.setting, 0, world.previous), 0)
    assert case is not None
    committed = world.commit(case)
    evidence = prosecute(committed, world.previous, world.setting.facts())
    assert evidence is not None
    return committed, evidence


# -- when, and by whom -----------------------------------------------------------------------------------------------


def test_p36_a_proof_works_in_the_windows_last_second_and_not_after(world: DisputeWorld) -> None:
    case, evidence = falsified(world)
    final_at = case.committed_at + world.settlement.parameters.window_seconds
    before = world.evm.snapshot()
    world.evm.advance(final_at - 1 - world.evm.now)
    assert world.prove(evidence, case).names() == ["EpochInvalidated", "EpochDisproved"]
    world.evm.restore(before)
    world.evm.advance(final_at - world.evm.now)
    with world.evm.reverts("EpochFinal", final_at):
        world.prove(evidence, case)


def test_only_the_contracts_of_proofs_may_condemn(world: DisputeWorld) -> None:
    case = world.commit(consecutive(world.setting, 0, world.previous).case)
    entry = (case.epoch, case.committed_at, case.signers_digest)
    with world.evm.reverts("OnlyProofs", Actor("thief")):
        world.court.send("thief", "condemn", entry, b"\1" * 32, Actor("thief"))


def test_a_void_epochs_id_is_committed_again(world: DisputeWorld) -> None:
    case, evidence = falsified(world)
    world.prove(evidence, case)
    pair = consecutive(world.setting, 3, world.previous)
    again = world.commit(pair.case)
    assert world.latest() == (2, again.epoch.digest()) and again.epoch.attempt > case.epoch.attempt


# -- who pays --------------------------------------------------------------------------------------------------------


def test_every_bond_behind_a_void_epoch_is_cut_once_and_half_goes_to_the_prover(world: DisputeWorld) -> None:
    case, evidence = falsified(world)
    with world.evm.reverts("NotDisproved"):
        world.slash(case, [0])
    world.prove(evidence, case)
    stake = world.settlement.terms.minimum_stake
    world.slash(case, [1, 2, 3])
    assert all(world.staking.call("positionOf", v, 1).stake == stake // 2 for v in world.settlement.validators)
    assert world.staking.call("creditOf", CHALLENGER) == 3 * stake // 4
    assert world.staking.call("burned") == 3 * stake // 4
    for place in (0, 1):  # the proposer signed, too
        with world.evm.reverts("EvidenceUsed"):
            world.slash(case, [place])
    with world.evm.reverts("NoSuchSigner", 4):
        world.slash(case, [4])
    world.staking.send("anybody", "withdrawCredit", CHALLENGER)
    assert world.settlement.balance(CHALLENGER) == 3 * stake // 4


# -- equivocation ----------------------------------------------------------------------------------------------------


def two_receipts(world: DisputeWorld) -> fraud.TwoReceipts:
    one = world.previous.lists.receipts[0].receipt
    other = replace(one, seed=Digest(keccak(b"another")))
    key, domain = ProviderKey(), world.escrow.domain
    return fraud.TwoReceipts(one, key.sign(one, domain), other, key.sign(other, domain))


def test_two_receipts_of_one_sequence_take_the_providers_whole_bond(world: DisputeWorld) -> None:
    evidence = two_receipts(world)
    bond = world.settlement.terms.provider_bond
    assert world.prove(evidence).names() == ["EquivocationProved", "Slashed"]
    assert world.staking.call("creditOf", CHALLENGER) == bond // 2
    assert world.staking.call("positionOf", world.settlement.provider, 2).stake == 0
    with world.evm.reverts("EvidenceUsed"):
        world.prove(evidence)


def test_two_attributions_of_one_receipt_take_the_providers_whole_bond(world: DisputeWorld) -> None:
    one = world.previous.lists.receipts[0].attribution
    other = replace(one, floor=one.floor + 1)
    key, domain = ProviderKey(), world.escrow.domain
    world.prove(fraud.TwoAttributions(one, key.sign(one, domain), other, key.sign(other, domain)))
    assert world.staking.call("positionOf", world.settlement.provider, 2).stake == 0


def test_two_epochs_of_one_attempt_take_the_validators_whole_bond(world: DisputeWorld) -> None:
    one = world.previous.epoch
    other = replace(one, payout_root=Digest(keccak(b"another")))
    validator = world.settlement.validators[0]
    key, domain = world.settlement.key_of(validator), world.ledger.domain
    world.prove(fraud.TwoEpochs(one, key.sign(one, domain), other, key.sign(other, domain)))
    assert world.staking.call("positionOf", validator, 1).stake == 0
    with world.evm.reverts("DoesNotHold"):
        stranger = Actor("thief")
        world.prove(fraud.TwoEpochs(one, stranger.sign(one, domain), other, stranger.sign(other, domain)))


def test_what_excludes_nothing_is_no_equivocation(world: DisputeWorld) -> None:
    evidence = two_receipts(world)
    with world.evm.reverts("NoFault"):
        world.prove(replace(evidence, other=evidence.one, other_signature=evidence.one_signature))
    later = replace(evidence.other, sequence=evidence.one.sequence + 1)
    with world.evm.reverts("NoFault"):
        world.prove(replace(evidence, other=later))
    forged = Actor("thief").sign(evidence.other, world.escrow.domain)
    with world.evm.reverts("DoesNotHold"):
        world.prove(replace(evidence, other_signature=forged))


# -- payees that change ----------------------------------------------------------------------------------------------


def test_a_payee_that_changed_after_the_proposal_disproves_nothing(world: DisputeWorld) -> None:
    """The new owner of a model cannot void the epoch that paid the old one."""
    pair = consecutive(world.setting, 0, world.previous)
    case = world.commit(pair.case)
    models, maker = world.models, world.registries.maker
    for version in world.setting.versions:
        models.send(maker, "transferOwnership", version.model_id, Actor("thief"))
        models.send("thief", "acceptOwnership", version.model_id)
    desk = AttributionDesk(case, world.previous, {})
    owned = next(i for i, p in enumerate(case.lists.parts) if p.slot == MODEL_OWNER_SLOT)
    with world.evm.reverts("FactChanged"):
        world.prove(desk.part(owned, False), case)


# -- chunks ----------------------------------------------------------------------------------------------------------


def with_chunks(world: DisputeWorld) -> tuple[Case, MerkleTree]:
    pair = consecutive(world.setting, 0, world.previous)
    tree = MerkleTree([keccak(c) for c in CHUNKS])
    pair.case.epoch = replace(pair.case.epoch, chunks_root=tree.root)
    return world.commit(pair.case), tree


def test_a_chunk_that_nobody_shows_in_time_voids_the_epoch(world: DisputeWorld) -> None:
    case, _ = with_chunks(world)
    entry = (case.epoch, case.committed_at, case.signers_digest)
    world.court.send(CHALLENGER, "requestChunk", entry, 1)
    with world.evm.reverts("AnswerStillDue"):
        world.court.send("anybody", "proveUnanswered", entry, 1)
    world.evm.advance(world.settlement.parameters.window_seconds // 4)
    sent = world.court.send("anybody", "proveUnanswered", entry, 1)
    assert sent.event("EpochDisproved").challenger == CHALLENGER.address
    assert world.latest()[0] == 1


def test_a_chunk_that_is_shown_keeps_the_epoch(world: DisputeWorld) -> None:
    case, tree = with_chunks(world)
    entry = (case.epoch, case.committed_at, case.signers_digest)
    world.court.send(CHALLENGER, "requestChunk", entry, 1)
    with world.evm.reverts("DoesNotHold"):
        world.court.send("anybody", "answerChunk", entry, 1, CHUNKS[0], tree.proof(1))
    world.court.send("anybody", "answerChunk", entry, 1, CHUNKS[1], tree.proof(1))
    world.evm.advance(world.settlement.parameters.window_seconds // 4 + 1)
    with world.evm.reverts("NoRequest"):
        world.court.send("anybody", "proveUnanswered", entry, 1)


def test_a_chunk_beyond_the_end_is_answered_by_the_end(world: DisputeWorld) -> None:
    case, tree = with_chunks(world)
    entry = (case.epoch, case.committed_at, case.signers_digest)
    world.court.send(CHALLENGER, "requestChunk", entry, 7)
    with world.evm.reverts("DoesNotHold"):  # chunk 1 is not the last
        world.court.send("anybody", "answerBeyondEnd", entry, 7, 1, keccak(CHUNKS[1]), tree.proof(1))
    sent = world.court.send("anybody", "answerBeyondEnd", entry, 7, 2, keccak(CHUNKS[2]), tree.proof(2))
    assert sent.event("ChunkAnswered").exists is False


def test_a_chunk_is_asked_for_in_the_windows_first_half_and_once(world: DisputeWorld) -> None:
    case, tree = with_chunks(world)
    entry = (case.epoch, case.committed_at, case.signers_digest)
    world.court.send(CHALLENGER, "requestChunk", entry, 1)
    with world.evm.reverts("RequestExists"):
        world.court.send("anybody", "requestChunk", entry, 1)
    world.evm.advance(world.settlement.parameters.window_seconds // 4)
    with world.evm.reverts("AnswerTooLate"):
        world.court.send("anybody", "answerChunk", entry, 1, CHUNKS[1], tree.proof(1))
    world.evm.advance(world.settlement.parameters.window_seconds // 4)
    with world.evm.reverts("RequestTooLate"):
        world.court.send("anybody", "requestChunk", entry, 2)
    with world.evm.reverts("NothingToWithdraw"):
        world.court.send(CHALLENGER, "withdraw")


# -- deployment ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slashes", [(0, 1), (1, 0), (1_000_001, 1), (1, 1_000_001)])
def test_slashes_out_of_bounds_are_refused(world: DisputeWorld, slashes: tuple[int, int]) -> None:
    parts = [p.address for p in world.proofs.values()]
    with world.evm.reverts("ParameterOutOfBounds"):
        world.evm.deploy("EpochDisputes", world.ledger, world.escrow, world.staking, parts, slashes)
    with world.evm.reverts("ZeroAddress"):
        world.evm.deploy("EpochDisputes", ZERO_ADDRESS, world.escrow, world.staking, parts, (1, 1))
