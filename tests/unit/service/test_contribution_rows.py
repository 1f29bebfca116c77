"""Contributions on disk: each step is one write, and a step twice changes nothing."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from headwater.datanets.batches import prepare_batch
from headwater.errors import ErasedContent, NotFound
from headwater.protocol.contribution import Contribution, Record, Withdrawal
from headwater.service.contribution_rows import ContributionRows
from headwater.signing.entropy import SeededEntropy
from headwater.storage.content_keys import ContentKeys
from headwater.storage.database import Database
from headwater.storage.schema import contribution_records, withdrawals
from headwater.testing import examples
from headwater.types import ZERO_DIGEST, Cid, Digest

NAMES = (examples.word("one"), examples.word("two"))
BUNDLE = Cid("bafybundle")
KEYS = {name: bytes([i]) * 32 for i, name in enumerate(NAMES)}


def contribution(who: str = "alice") -> Contribution:
    made = prepare_batch(
        [Record("p", "a")], examples.DATANET, examples.account(who), examples.TERMS, SeededEntropy("s"), 9
    )
    return made.contribution


ALICE = contribution()
ID = ALICE.signing_digest(examples.LOG)
SIGNATURE = examples.sign("alice", ALICE, examples.LOG)


@pytest.fixture
def rows(database: Database) -> ContributionRows:
    made = ContributionRows(database)
    made.receive(ID, ALICE, SIGNATURE, 100)
    return made


def test_a_contribution_goes_from_received_to_withdrawn(rows: ContributionRows) -> None:
    assert rows.required(ID).state == "received"
    rows.anchored(ID, 7, 3)
    row = rows.required(ID)
    assert (row.state, row.anchored_block, row.anchored_position) == ("anchored", 7, 3)
    rows.delivered(ID, NAMES, KEYS, BUNDLE)
    assert (rows.required(ID).state, rows.record_names(ID)) == ("delivered", NAMES)
    rows.withdrawn(ID)
    assert rows.required(ID).state == "withdrawn"


def test_the_signed_document_is_kept_as_it_was(rows: ContributionRows) -> None:
    row = rows.required(ID)
    assert Contribution.from_bytes(row.document) == ALICE
    assert (row.signature, row.contributor) == ("0x" + SIGNATURE.hex(), ALICE.contributor)


def test_receiving_twice_changes_nothing(rows: ContributionRows) -> None:
    rows.anchored(ID, 7, 3)
    rows.receive(ID, ALICE, SIGNATURE, 999)
    row = rows.required(ID)
    assert (row.state, row.received_at) == ("anchored", 100)  # type: ignore[attr-defined]


def test_an_unknown_one_is_told(rows: ContributionRows) -> None:
    assert rows.get(examples.word("none")) is None
    with pytest.raises(NotFound, match="no contribution"):
        rows.required(examples.word("none"))
    with pytest.raises(NotFound, match="never arrived"):
        rows.record(examples.word("none"))


def test_only_delivered_content_of_the_datanet_is_listed(rows: ContributionRows) -> None:
    states = ("delivered", "withdrawn")
    rows.anchored(ID, 7, 3)
    assert list(rows.in_datanet(examples.DATANET, states)) == []
    rows.delivered(ID, NAMES, KEYS, BUNDLE)
    assert [r.contribution_id for r in rows.in_datanet(examples.DATANET, states)] == ["0x" + ID.hex()]
    assert list(rows.in_datanet(examples.word("another"), states)) == []


def test_a_record_leads_to_its_bundle_and_key(rows: ContributionRows, database: Database) -> None:
    rows.delivered(ID, NAMES, KEYS, BUNDLE)
    assert tuple(rows.record(NAMES[1])) == ("0x" + examples.DATANET.hex(), BUNDLE)
    assert ContentKeys(database).get(NAMES[1]) == KEYS[NAMES[1]]


def test_delivery_is_whole_or_not_at_all(rows: ContributionRows, database: Database) -> None:
    """A key that was destroyed in the meantime stops it, and then nothing of it is stored."""
    ContentKeys(database).destroy(NAMES[1])
    with pytest.raises(ErasedContent):
        rows.delivered(ID, NAMES, KEYS, BUNDLE)
    assert (rows.required(ID).state, rows.record_names(ID)) == ("received", ())
    with pytest.raises(NotFound):
        ContentKeys(database).get(NAMES[0])


def test_a_commitment_belongs_to_the_first_contribution_that_brought_it(rows: ContributionRows) -> None:
    bob = contribution("bob")
    other: Digest = bob.signing_digest(examples.LOG)
    rows.receive(other, bob, examples.sign("bob", bob, examples.LOG), 100)
    rows.delivered(ID, NAMES, KEYS, BUNDLE)
    rows.delivered(other, (NAMES[0], examples.word("three")), {}, Cid("bafyother"))
    assert rows.record_names(other) == (examples.word("three"),)
    assert rows.record(NAMES[0])[1] == BUNDLE


def leaving(who: str) -> Withdrawal:
    return Withdrawal(examples.DATANET, examples.account(who), ID, ZERO_DIGEST, 9)


def test_a_withdrawal_that_the_chain_refused_does_not_stand_in_the_way_of_the_right_one(
    rows: ContributionRows, database: Database
) -> None:
    for who in ("thief", "alice"):
        rows.ask_withdrawal(leaving(who), examples.sign(who, leaving(who), examples.LOG))
    rows.withdrawn(ID)
    (row,) = database.read(lambda c: c.execute(select(withdrawals)).all())
    assert (Withdrawal.from_bytes(row.document), row.state) == (leaving("alice"), "anchored")
    rows.ask_withdrawal(leaving("thief"), SIGNATURE)
    (row,) = database.read(lambda c: c.execute(select(withdrawals)).all())
    assert (Withdrawal.from_bytes(row.document), row.state) == (leaving("alice"), "anchored")


def test_withdrawing_keeps_the_records_names(rows: ContributionRows, database: Database) -> None:
    """A withdrawn contributor goes on being paid for versions that were trained on his records."""
    rows.delivered(ID, NAMES, KEYS, BUNDLE)
    rows.withdrawn(ID)
    assert rows.record_names(ID) == NAMES
    assert len(database.read(lambda c: c.execute(select(contribution_records)).all())) == 2
