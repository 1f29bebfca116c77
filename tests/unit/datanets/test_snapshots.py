"""One snapshot follows from the chain's order; its split from the seal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.datanets.batches import prepare_batch
from headwater.datanets.snapshots import AnchoredBatch, build_manifest, sealed_split
from headwater.errors import InvalidInput
from headwater.protocol.contribution import ContributionBatch, Record, commitment
from headwater.protocol.snapshot import DataSplit, SnapshotManifest, snapshot_of
from headwater.signing.entropy import SeededEntropy
from headwater.testing import examples
from headwater.types import Digest

HEAD = examples.word("head")


def anchored(contributor: str, texts: Sequence[str], block: int, log_index: int = 0) -> AnchoredBatch:
    """A batch whose records ask the given texts; each answer is its text in capitals."""
    records = [Record(t, t.upper()) for t in texts]
    who = examples.account(contributor)
    made = prepare_batch(records, examples.DATANET, who, examples.TERMS, SeededEntropy("s"), 9)
    identity = made.contribution.signing_digest(examples.LOG)
    return AnchoredBatch(identity, block, log_index, made.contribution, made.batch)


ALICE = anchored("alice", ["a", "b", "c"], block=5)
BOB = anchored("bob", ["d", "e"], block=5, log_index=1)
COPIER = anchored("thief", ["A ", " b", "f"], block=9)
ALL = (ALICE, BOB, COPIER)


def manifest(batches: Sequence[AnchoredBatch] = ALL, withdrawn: frozenset[Digest] = frozenset()) -> SnapshotManifest:
    return build_manifest(examples.DATANET, HEAD, 250_000, batches, withdrawn)


def names(batch: AnchoredBatch) -> list[Digest]:
    return [commitment(batch.contribution, salted).digest() for salted in batch.batch.records]


@given(st.permutations(ALL))
def test_the_order_is_the_chains_whatever_order_the_batches_come_in(batches: list[AnchoredBatch]) -> None:
    assert manifest(batches) == manifest()


def test_entries_stand_by_block_then_log_index_then_place_in_the_batch() -> None:
    found = manifest()
    assert [e.commitment for e in found.entries] == [*names(ALICE), *names(BOB), names(COPIER)[2]]
    assert [e.position for e in found.entries] == [0, 1, 2, 3, 4, 5]
    assert snapshot_of(found).record_count == 6


def test_copies_keep_no_place_and_are_listed() -> None:
    """The thief's copies of a and b earn nothing; his own record does."""
    found = manifest()
    assert found.duplicates == tuple(names(COPIER)[:2])
    assert [e.owner for e in found.entries].count(examples.account("thief")) == 1


def test_the_earlier_anchoring_wins_whoever_wrote_the_text() -> None:
    early = replace(COPIER, block_number=1)
    found = manifest((ALICE, BOB, early))
    assert found.duplicates == tuple(names(ALICE)[:2])


def test_withdrawn_batches_are_absent_and_their_copies_move_up() -> None:
    found = manifest(withdrawn=frozenset({ALICE.contribution_id}))
    assert [e.commitment for e in found.entries] == [*names(BOB), *names(COPIER)]
    assert found.duplicates == ()


def test_one_commitment_has_one_place_though_its_owner_repeats_it() -> None:
    """The same record under the same salt has the same name: repeating it must not earn twice."""
    repeated = replace(ALICE, batch=ContributionBatch((*ALICE.batch.records, ALICE.batch.records[0])))
    again = replace(ALICE, contribution_id=examples.word("signed once more"), block_number=7)
    for batches in ((repeated,), (ALICE, again)):
        found = manifest(batches)
        assert [e.commitment for e in found.entries] == names(ALICE)
        assert {e.contribution_id for e in found.entries} == {ALICE.contribution_id}
        assert snapshot_of(found).record_count == 3
        assert set(found.duplicates) <= set(names(ALICE))


def test_nothing_that_may_be_used_makes_no_snapshot() -> None:
    with pytest.raises(InvalidInput, match="no records that may be used"):
        manifest((ALICE,), frozenset({ALICE.contribution_id}))
    with pytest.raises(InvalidInput, match="no records"):
        manifest(())


# -- the split ---------------------------------------------------------------------------------------------------

MANY = [anchored("alice", [f"question {i}" for i in range(40)], 1)]
BY_NAME = {n: s.record for b in MANY for n, s in zip(names(b), b.batch.records, strict=True)}


@pytest.mark.parametrize("kind", DataSplit)
def test_the_same_seal_gives_the_same_split_and_another_seal_another(kind: DataSplit) -> None:
    found = manifest(MANY)
    one, two = (sealed_split(found, BY_NAME, examples.word("id"), examples.word(s), kind) for s in ("seal", "other"))
    assert one == sealed_split(found, BY_NAME, examples.word("id"), examples.word("seal"), kind)
    assert one != two
    assert len(one.held_out) == 10
    assert sorted(one.train + one.held_out) == list(range(40))


def test_no_answer_stands_on_both_sides_of_a_compositional_split() -> None:
    """Four answers over forty records: a group goes to one side whole, however its answer is written."""
    batch = MANY[0]
    answers = ("T36", "t36 ", "T37", "Ｔ37", "T38", "T39", "t39", "T39  ")
    records = {n: Record(f"question {i}", answers[i % 8]) for i, n in enumerate(names(batch))}
    found = manifest(MANY)
    for seal in range(20):
        split = sealed_split(found, records, examples.word("id"), examples.word(f"{seal}"), DataSplit.COMPOSITIONAL)
        groups = {
            side: {answers[i % 8].strip().lower().replace("ｔ", "t") for i in places}
            for side, places in (("train", split.train), ("held out", split.held_out))
        }
        assert not groups["train"] & groups["held out"]
