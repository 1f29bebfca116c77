"""Exactly one effect an intent: the nonce and the signed bytes are stored before anything is sent."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.clock import ManualClock
from headwater.errors import Conflict, DiskFull, NotFound
from headwater.storage.database import Database
from headwater.storage.outbox import BROADCAST, FINAL, MINED, Outbox, OutboxRow
from headwater.types import Address

ALICE, BOB = Address("0x" + "0a" * 20), Address("0x" + "0b" * 20)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(f"sqlite:///{tmp_path / 'headwater.sqlite'}") as opened:
        yield opened


@pytest.fixture
def outbox(database: Database) -> Outbox:
    return Outbox(database, ManualClock(1_000))


def signed(sender: Address, nonce: int) -> tuple[bytes, str]:
    return f"{sender} {nonce}".encode(), f"0x{sender[2:4]}{nonce:04d}"


def reserve(outbox: Outbox, key: str, sender: Address = ALICE, first: int = 0) -> OutboxRow:
    return outbox.reserve(key, sender, lambda nonce: signed(sender, nonce), first)


def test_nonces_follow_each_other_for_each_sender(outbox: Outbox) -> None:
    assert [reserve(outbox, f"a{i}", first=7).nonce for i in range(3)] == [7, 8, 9]
    assert reserve(outbox, "b", BOB).nonce == 0


def test_the_chains_count_wins_when_it_is_ahead(outbox: Outbox) -> None:
    reserve(outbox, "a", first=0)
    assert reserve(outbox, "b", first=5).nonce == 5


def test_the_same_intent_is_returned_as_it_was_and_not_signed_again(outbox: Outbox) -> None:
    first = reserve(outbox, "a")

    def never(nonce: int) -> tuple[bytes, str]:
        raise AssertionError("signed twice")

    assert outbox.reserve("a", ALICE, never, 99) == first == outbox.get("a")
    assert first.raw == f"{ALICE} 0".encode() and first.state == "signed" and first.block_number is None


def test_an_intent_belongs_to_one_sender(outbox: Outbox) -> None:
    reserve(outbox, "a", ALICE)
    with pytest.raises(Conflict):
        reserve(outbox, "a", BOB)


def test_a_signer_that_refuses_uses_up_no_nonce(outbox: Outbox) -> None:
    def refuse(nonce: int) -> tuple[bytes, str]:
        raise NotFound("no wallet", "make it")

    with pytest.raises(NotFound):
        outbox.reserve("a", ALICE, refuse, 0)
    assert outbox.get("a") is None
    assert reserve(outbox, "b").nonce == 0


def test_pending_is_what_may_have_to_be_sent_again_in_order(outbox: Outbox) -> None:
    for key in "abcd":
        reserve(outbox, key)
    outbox.mark("a", MINED, 5)
    outbox.mark("c", BROADCAST)
    outbox.mark("d", FINAL, 6)
    unsettled = [(row.intent_key, row.state) for row in outbox.pending(ALICE)]
    assert unsettled == [("a", "mined"), ("b", "signed"), ("c", "broadcast")]
    assert outbox.pending(BOB) == []
    mined = outbox.get("a")
    assert mined is not None and mined.block_number == 5


def test_a_mark_on_nothing_is_an_error(outbox: Outbox) -> None:
    with pytest.raises(NotFound):
        outbox.mark("none", MINED, 1)
    with pytest.raises(ValueError):
        outbox.mark("none", "invented")


def test_every_attempt_at_an_intent_is_kept_in_order_and_once(outbox: Outbox) -> None:
    reserve(outbox, "a")
    assert outbox.attempts("a") == []
    outbox.add_attempt("a", b"dearer", "0x2")
    outbox.add_attempt("a", b"dearest", "0x3")
    outbox.add_attempt("a", b"dearer", "0x2")
    assert outbox.attempts("a") == [(b"dearer", "0x2"), (b"dearest", "0x3")]
    with pytest.raises(NotFound):
        outbox.add_attempt("none", b"raw", "0x4")


def test_threads_that_reserve_at_once_get_different_nonces(outbox: Outbox) -> None:
    rows: list[OutboxRow] = []
    threads = [threading.Thread(target=lambda i=i: rows.append(reserve(outbox, str(i)))) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(row.nonce for row in rows) == list(range(16))


def test_a_command_beside_the_node_gets_the_next_nonce(outbox: Outbox, tmp_path: Path) -> None:
    reserve(outbox, "node")
    with Database(f"sqlite:///{tmp_path / 'headwater.sqlite'}") as other:
        assert reserve(Outbox(other, ManualClock(1_000)), "command").nonce == 1
    assert reserve(outbox, "node again").nonce == 2


def test_on_a_full_disk_there_is_no_transaction_to_send(database: Database, outbox: Outbox) -> None:
    database.write(lambda c: c.exec_driver_sql("PRAGMA max_page_count=1") and None)
    with pytest.raises(DiskFull):
        outbox.reserve("a", ALICE, lambda nonce: (b"x" * 10**6, "0x1"), 0)
    assert outbox.get("a") is None


def test_a_crash_between_reserve_and_broadcast_leaves_the_signed_bytes(tmp_path: Path) -> None:
    """After the kill the intent is pending with the same bytes, so sending it again can have one effect only."""
    script = (
        "import os, signal, sys\n"
        "from headwater.clock import ManualClock\n"
        "from headwater.storage.database import Database\n"
        "from headwater.storage.outbox import Outbox\n"
        "outbox = Outbox(Database(sys.argv[1]), ManualClock(1))\n"
        f"outbox.reserve('pay', {ALICE!r}, lambda nonce: (b'signed bytes', '0xhash'), 3)\n"
        "os.kill(os.getpid(), signal.SIGKILL)  # before it is broadcast\n"
    )
    url = f"sqlite:///{tmp_path / 'crashed.sqlite'}"
    subprocess.run([sys.executable, "-c", script, url], check=False)
    with Database(url) as again:
        outbox = Outbox(again, ManualClock(2))
        assert [(r.intent_key, r.nonce, r.raw) for r in outbox.pending(ALICE)] == [("pay", 3, b"signed bytes")]
        assert reserve(outbox, "pay").raw == b"signed bytes"
        assert reserve(outbox, "next").nonce == 4


def test_a_crash_while_signing_leaves_nothing(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "from headwater.clock import ManualClock\n"
        "from headwater.storage.database import Database\n"
        "from headwater.storage.outbox import Outbox\n"
        "outbox = Outbox(Database(sys.argv[1]), ManualClock(1))\n"
        f"outbox.reserve('pay', {ALICE!r}, lambda nonce: os.kill(os.getpid(), signal.SIGKILL), 3)\n"
    )
    url = f"sqlite:///{tmp_path / 'crashed.sqlite'}"
    subprocess.run([sys.executable, "-c", script, url], check=False)
    with Database(url) as again:
        outbox = Outbox(again, ManualClock(2))
        assert outbox.get("pay") is None
        assert reserve(outbox, "pay", first=3).nonce == 3
