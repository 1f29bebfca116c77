"""The contributor's side: a batch that can be made again, and the terms in words before it is signed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.datanets.batches import PreparedBatch, batch_tree, prepare_batch, terms_in_words
from headwater.errors import BadRecord, Refused
from headwater.protocol.contribution import ContributionBatch, Record, RecordCommitment
from headwater.protocol.license import Purpose
from headwater.protocol.merkle import verify_merkle
from headwater.signing.entropy import SeededEntropy
from headwater.testing import examples

RECORDS = (Record("Poisoning by penicillins", "T36.0X1A"), Record("Poisoning by iron", "T45.4X1A"))
ALICE, BOB = examples.account("alice"), examples.account("bob")
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(str.strip)
records = st.builds(Record, texts, texts)


def prepare(given: Any = RECORDS, contributor: str = ALICE, seed: str = "seed", **changes: Any) -> PreparedBatch:
    options = {"datanet_id": examples.DATANET, "terms": examples.TERMS, "deadline": 9, **changes}
    return prepare_batch(given, contributor=contributor, entropy=SeededEntropy(seed), **options)  # type: ignore[arg-type]


def test_the_contribution_names_everything_that_was_signed() -> None:
    made = prepare().contribution
    assert (made.datanet_id, made.contributor, made.record_count, made.deadline) == (examples.DATANET, ALICE, 2, 9)
    assert made.license_digest == examples.TERMS.digest()


@given(st.lists(records, min_size=1, max_size=9))
def test_every_record_stands_under_the_root_in_its_place(given_records: list[Record]) -> None:
    made = prepare(given_records)
    assert tuple(s.record for s in made.batch.records) == tuple(given_records)
    tree = batch_tree(made.contribution, made.batch)
    assert tree.root == made.contribution.records_root
    for i, salted in enumerate(made.batch.records):
        leaf = RecordCommitment(examples.DATANET, ALICE, salted.record.digest(), salted.salt)
        assert verify_merkle(tree.root, leaf.digest(), i, tree.proof(i))


def test_the_same_command_makes_the_same_batch_again() -> None:
    assert prepare() == prepare()
    assert prepare() != prepare(seed="another wallet")


def test_each_record_has_a_salt_of_its_own_even_if_the_records_are_equal() -> None:
    made = prepare((RECORDS[0],) * 5)
    assert len({s.salt for s in made.batch.records}) == 5


def test_a_copied_batch_has_another_root_under_another_contributor() -> None:
    """Copying somebody's records and salts yields commitments that name the copier."""
    original = prepare()
    stolen = replace(original.contribution, contributor=BOB)
    assert batch_tree(stolen, original.batch).root != original.contribution.records_root


@pytest.mark.parametrize("at", [0, 1])
def test_a_changed_record_or_salt_changes_the_root(at: int) -> None:
    made = prepare()
    for change in ({"record": Record("x", "y")}, {"salt": examples.word("x")}):
        changed = list(made.batch.records)
        changed[at] = replace(changed[at], **change)
        assert batch_tree(made.contribution, ContributionBatch(tuple(changed))).root != made.contribution.records_root


def test_no_records_make_no_batch() -> None:
    with pytest.raises(BadRecord, match="no records"):
        prepare(())


def test_a_licence_that_does_not_allow_training_is_refused_before_anything_is_signed() -> None:
    with pytest.raises(Refused, match="does not allow training"):
        prepare(terms=replace(examples.TERMS, purposes=(Purpose.EVALUATE,)))


def test_the_terms_say_who_reads_what_for_how_much_and_how_to_leave() -> None:
    told = "\n".join(terms_in_words(examples.TERMS, 1_200))
    for needle in ("1,200", examples.TERMS.readers, "train, evaluate", "may be sold", "40 %", examples.TERMS.exit):
        assert needle in told
    assert "may not be sold" in "\n".join(terms_in_words(replace(examples.TERMS, commercial=False), 1))
