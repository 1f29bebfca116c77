"""Receipts on disk: draft, signed, attributed, covered; what is private is sealed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from headwater.errors import CorruptContent, NotFound
from headwater.service.private_box import KEY_FILE, PrivateBox
from headwater.service.receipt_rows import PrivateAnswer, ReceiptRows
from headwater.storage.database import Database
from headwater.storage.schema import receipts
from headwater.testing import examples
from headwater.types import Digest

FIRST = examples.answered()
SECOND = examples.answered(before=FIRST.after)
PRIVATE = PrivateAnswer(FIRST.request, FIRST.response, FIRST.nonce, FIRST.completion.prompt_ids)


@pytest.fixture
def rows(database: Database, tmp_path: Path, with_lane: Callable[[Digest], None]) -> ReceiptRows:
    with_lane(FIRST.terms.lane_id)
    return ReceiptRows(database, tmp_path)


def test_a_receipt_goes_from_draft_to_covered(rows: ReceiptRows) -> None:
    name = FIRST.receipt.request_id
    rows.draft(FIRST.receipt, PRIVATE)
    assert (rows.drafts(), rows.required(name).state) == ((FIRST.receipt,), "draft")
    rows.signed(FIRST.receipt, FIRST.signature)
    assert (rows.drafts(), rows.required(name).signature) == ((), FIRST.signature)
    signed = examples.attributed(FIRST)
    rows.attributed(FIRST.receipt, signed.attribution, signed.attribution_signature, signed.body)
    assert rows.required(name).signed() == signed
    rows.set_state(name, "covered")
    assert [r.state for r in rows.all()] == ["covered"]


@pytest.mark.parametrize("steps", [1, 2])
def test_without_its_attribution_a_receipt_enters_no_epoch(rows: ReceiptRows, steps: int) -> None:
    rows.draft(FIRST.receipt, PRIVATE)
    if steps == 2:
        rows.signed(FIRST.receipt, FIRST.signature)
    with pytest.raises(NotFound, match="not there yet"):
        rows.required(FIRST.receipt.request_id).signed()


def test_rows_of_one_state_stand_by_lane_and_sequence(rows: ReceiptRows) -> None:
    for answer in (SECOND, FIRST):
        rows.draft(answer.receipt, PRIVATE)
    assert [r.receipt.sequence for r in rows.in_state("draft")] == [1, 2]
    assert rows.in_state("signed") == ()


def test_a_sequence_number_is_given_once(rows: ReceiptRows) -> None:
    rows.draft(FIRST.receipt, PRIVATE)
    twin = examples.answered(output_ids=(1, 2)).receipt
    with pytest.raises(IntegrityError):
        rows.draft(twin, PRIVATE)
    other_request, _ = examples.resigned(FIRST.receipt, request_id=examples.word("other"))
    with pytest.raises(IntegrityError):
        rows.draft(other_request, PRIVATE)
    assert rows.all()[0].receipt == FIRST.receipt


def test_an_unknown_receipt_is_told(rows: ReceiptRows) -> None:
    assert rows.get(examples.word("none")) is None
    with pytest.raises(NotFound, match="no receipt"):
        rows.required(examples.word("none"))


# -- what is private ---------------------------------------------------------------------------------------------


def blob(database: Database) -> bytes:
    return bytes(database.read(lambda c: c.scalar(select(receipts.c.private))))


def test_prompt_and_answer_come_back_and_are_not_readable_on_disk(rows: ReceiptRows, database: Database) -> None:
    rows.draft(FIRST.receipt, PRIVATE)
    assert rows.private(FIRST.receipt.request_id) == PRIVATE
    assert b"Poisoning" not in blob(database) and b"T36" not in blob(database)


def test_a_changed_or_exchanged_blob_does_not_open(rows: ReceiptRows, database: Database) -> None:
    rows.draft(FIRST.receipt, PRIVATE)
    rows.draft(SECOND.receipt, PRIVATE)
    taken = blob(database)
    for damaged in (taken[:-1] + bytes([taken[-1] ^ 1]), taken):
        where = receipts.c.sequence == 2
        database.write(lambda c, d=damaged, w=where: c.execute(update(receipts).where(w).values(private=d)))
        with pytest.raises(CorruptContent, match="cannot be opened"):
            rows.private(SECOND.receipt.request_id)


def test_what_was_deleted_is_told(rows: ReceiptRows, database: Database) -> None:
    rows.draft(FIRST.receipt, PRIVATE)
    database.write(lambda c: c.execute(update(receipts).values(private=None)))
    with pytest.raises(NotFound, match="not kept here"):
        rows.private(FIRST.receipt.request_id)
    with pytest.raises(NotFound):
        rows.private(examples.word("none"))


def test_another_opening_of_the_home_reads_it_too(rows: ReceiptRows, database: Database, tmp_path: Path) -> None:
    rows.draft(FIRST.receipt, PRIVATE)
    assert ReceiptRows(database, tmp_path).private(FIRST.receipt.request_id) == PRIVATE
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o077 == 0


def test_two_first_answers_at_once_agree_on_the_key(tmp_path: Path) -> None:
    """Whoever comes second takes the key that is there."""
    start, failed = threading.Barrier(8), []

    def seal(number: int) -> None:
        start.wait()
        try:
            PrivateBox(tmp_path).seal(b"text", examples.word(f"{number}"))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=seal, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
