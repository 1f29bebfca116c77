"""Only what no reason holds is removed, whatever was interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from headwater.content.pins import Pin, PinBook, PinState
from headwater.content.store import LocalStore
from headwater.content.unixfs import Source, cid_of
from headwater.errors import Conflict, DiskFull, MissingContent, NotFound, VerificationFailed
from headwater.testing.content_fakes import MemoryPinRows
from headwater.types import Cid


class FailingStore(LocalStore):
    """A store that fails on request, as if the node were killed at that point."""

    fail: str = ""

    def put(self, source: Source) -> Cid:
        if self.fail == "before":
            raise DiskFull("full", "free space")
        cid = super().put(source)
        if self.fail == "after":
            raise DiskFull("full", "free space")
        return cid

    def delete(self, cid: Cid) -> bool:
        if self.fail == "delete":
            raise DiskFull("full", "free space")
        return super().delete(cid)


@pytest.fixture
def store(tmp_path: Path) -> FailingStore:
    return FailingStore(tmp_path / "store")


@pytest.fixture
def book(store: FailingStore) -> PinBook:
    return PinBook(MemoryPinRows(), store)


def test_content_stays_while_one_reason_holds_it(store: FailingStore, book: PinBook) -> None:
    cid = book.put(b"x", "snapshot:1")
    book.hold(cid, "adapter:2")
    book.release(cid, "snapshot:1")
    assert book.collect() == []
    assert store.get(cid) == b"x"
    book.release(cid, "adapter:2")
    assert book.collect() == [cid]
    assert not store.has(cid)
    assert book.collect() == []


def test_a_released_reason_can_come_back_before_collection(store: FailingStore, book: PinBook) -> None:
    cid = book.put(b"x", "snapshot:1")
    book.release(cid, "snapshot:1")
    book.hold(cid, "snapshot:1")
    assert book.collect() == []
    assert store.get(cid) == b"x"


def test_a_file_of_a_folder_outlives_the_folder(store: FailingStore, book: PinBook) -> None:
    folder = book.put({"a": b"x", "b": b"y"}, "snapshot:1")
    book.hold(cid_of(b"x"), "record:7")
    book.release(folder, "snapshot:1")
    assert book.collect() == [folder]
    assert store.get(cid_of(b"x")) == b"x"
    assert not store.has(cid_of(b"y"))


@pytest.mark.parametrize("fail", ["before", "after"])
def test_an_interrupted_put_is_known_by_its_row(tmp_path: Path, fail: str) -> None:
    rows, store = MemoryPinRows(), FailingStore(tmp_path / "store")
    store.fail = fail
    with pytest.raises(DiskFull):
        PinBook(rows, store).put(b"x", "snapshot:1")
    wanted = Pin(cid_of(b"x"), "snapshot:1", PinState.WANTED)
    assert rows.pins() == [wanted]
    assert PinBook(rows, store).collect() == []
    absent = PinBook(rows, store).resume()
    assert absent == ([wanted] if fail == "before" else [])
    assert rows.pins()[0].state is (PinState.WANTED if fail == "before" else PinState.PINNED)


def test_an_interrupted_collection_is_finished_by_the_next(tmp_path: Path) -> None:
    rows, store = MemoryPinRows(), FailingStore(tmp_path / "store")
    book = PinBook(rows, store)
    cid = book.put(b"x", "snapshot:1")
    book.release(cid, "snapshot:1")
    store.fail = "delete"
    with pytest.raises(DiskFull):
        book.collect()
    with pytest.raises(Conflict, match="being removed"):
        book.put(b"x", "snapshot:2")
    store.fail = ""
    assert book.collect() == [cid]
    assert book.put(b"x", "snapshot:2") == cid
    assert store.get(cid) == b"x"


def test_content_that_nobody_named_is_listed_and_never_removed(store: FailingStore, book: PinBook) -> None:
    stray = store.put(b"another program's")
    book.put(b"x", "snapshot:1")
    assert book.strays() == [stray]
    assert book.collect() == []
    assert store.has(stray)


def test_bad_holds_and_releases_are_refused(book: PinBook) -> None:
    with pytest.raises(MissingContent):
        book.hold(cid_of(b"absent"), "snapshot:1")
    with pytest.raises(NotFound):
        book.release(cid_of(b"x"), "snapshot:1")


def test_a_file_that_changes_while_it_is_stored_is_refused(store: FailingStore, tmp_path: Path) -> None:
    path = tmp_path / "growing"
    path.write_bytes(b"first")

    class Rows(MemoryPinRows):
        def want(self, cid: Cid, reason: str) -> None:
            super().want(cid, reason)
            path.write_bytes(b"second")

    book = PinBook(Rows(), store)
    with pytest.raises(VerificationFailed, match="changed while it was stored"):
        book.put(path, "snapshot:1")
    assert book.strays() == [cid_of(b"second")]


class Reasons(RuleBasedStateMachine):
    """Property: after any sequence of puts, releases and collections, the store keeps exactly what a reason holds,
    and between collections possibly more, never less."""

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.kept = MemoryPinRows(), dict[Cid, bytes]()
        self.held: set[tuple[bytes, str]] = set()
        self.book = PinBook(self.rows, self)  # type: ignore[arg-type]  # the part of a store that is used here

    def put(self, source: bytes) -> Cid:
        self.kept[cid_of(source)] = source
        return cid_of(source)

    def delete(self, cid: Cid) -> bool:
        return self.kept.pop(cid, None) is not None

    @rule(content=st.sampled_from([b"a", b"b", b"c"]), reason=st.sampled_from(["1", "2"]))
    def want(self, content: bytes, reason: str) -> None:
        self.book.put(content, reason)
        self.held.add((content, reason))

    @rule(content=st.sampled_from([b"a", b"b", b"c"]), reason=st.sampled_from(["1", "2"]))
    def release(self, content: bytes, reason: str) -> None:
        if (content, reason) in self.held:
            self.book.release(cid_of(content), reason)
            self.held.remove((content, reason))

    @rule()
    def collect(self) -> None:
        self.book.collect()
        assert set(self.kept.values()) == {content for content, _ in self.held}

    @invariant()
    def nothing_held_is_gone(self) -> None:
        assert {content for content, _ in self.held} <= set(self.kept.values())


TestReasons = Reasons.TestCase
TestReasons.settings = settings(max_examples=50, stateful_step_count=15, deadline=None)
