"""Keys of sealed records: one a record, kept for good, and once destroyed gone for good."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headwater.errors import ErasedContent, NotFound
from headwater.storage.content_keys import ContentKeys, StagedKeys, add_key
from headwater.storage.database import Database
from headwater.types import Digest

ONE, TWO = Digest(b"\1" * 32), Digest(b"\2" * 32)
KEY, OTHER = b"k" * 32, b"o" * 32
_runs = count()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(f"sqlite:///{tmp_path / 'headwater.sqlite'}") as opened:
        yield opened


@pytest.fixture
def keys(database: Database) -> ContentKeys:
    return ContentKeys(database)


def test_the_first_key_of_a_record_stays(keys: ContentKeys) -> None:
    """A delivery that is repeated after a crash must not encrypt anew."""
    assert keys.add(ONE, KEY) == KEY
    assert keys.add(ONE, OTHER) == KEY == keys.get(ONE)


def test_a_record_without_a_key_is_told(keys: ContentKeys) -> None:
    with pytest.raises(NotFound, match="there is no key"):
        keys.get(ONE)


def test_a_destroyed_key_is_gone_and_cannot_be_put_back(keys: ContentKeys) -> None:
    keys.add(ONE, KEY)
    keys.add(TWO, KEY)
    keys.destroy(ONE)
    for attempt in (lambda: keys.get(ONE), lambda: keys.add(ONE, KEY)):
        with pytest.raises(ErasedContent, match="was destroyed"):
            attempt()
    assert keys.get(TWO) == KEY


def test_a_key_that_never_came_can_be_forbidden(keys: ContentKeys) -> None:
    """Erasure may be asked for before the content arrives."""
    keys.destroy(ONE)
    keys.destroy(ONE)
    with pytest.raises(ErasedContent):
        keys.add(ONE, KEY)


def test_no_byte_of_a_destroyed_key_is_left_in_its_row(keys: ContentKeys, database: Database, tmp_path: Path) -> None:
    keys.add(ONE, KEY)
    keys.destroy(ONE)
    rows = database.read(lambda c: c.exec_driver_sql("SELECT key FROM content_keys").all())
    assert [tuple(r) for r in rows] == [(b"",)]


# -- staged ------------------------------------------------------------------------------------------------------


def test_staged_keys_are_nowhere_until_they_are_written(keys: ContentKeys, database: Database) -> None:
    staged = StagedKeys(keys)
    assert staged.add(ONE, KEY) == KEY == staged.get(ONE)
    with pytest.raises(NotFound):
        keys.get(ONE)
    database.write(lambda c: [add_key(c, name, key) for name, key in staged.added.items()])
    assert keys.get(ONE) == KEY


def test_staging_prefers_the_key_that_is_stored_already(keys: ContentKeys) -> None:
    keys.add(ONE, KEY)
    staged = StagedKeys(keys)
    assert staged.add(ONE, OTHER) == KEY == staged.get(ONE)
    assert staged.added == {}


def test_staging_twice_keeps_the_first(keys: ContentKeys) -> None:
    staged = StagedKeys(keys)
    assert staged.add(ONE, KEY) == staged.add(ONE, OTHER) == KEY


def test_a_destroyed_key_cannot_be_staged(keys: ContentKeys) -> None:
    keys.destroy(ONE)
    staged = StagedKeys(keys)
    with pytest.raises(ErasedContent):
        staged.add(ONE, KEY)
    staged.add(TWO, KEY)
    staged.destroy(TWO)
    assert staged.added == {}
    with pytest.raises(ErasedContent):
        staged.get(TWO)


def test_writing_a_destroyed_one_takes_the_whole_transaction_back(keys: ContentKeys, database: Database) -> None:
    keys.destroy(TWO)
    with pytest.raises(ErasedContent):
        database.write(lambda c: [add_key(c, name, KEY) for name in (ONE, TWO)])
    with pytest.raises(NotFound):
        keys.get(ONE)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(st.lists(st.tuples(st.sampled_from(["add", "destroy"]), st.integers(0, 3), st.binary(min_size=1, max_size=4))))
def test_any_sequence_keeps_the_first_key_until_it_is_destroyed(
    keys: ContentKeys, steps: list[tuple[str, int, bytes]]
) -> None:
    """Model: a dict of first keys and a set of destroyed names."""
    known: dict[Digest, bytes] = {}
    gone: set[Digest] = set()
    run = next(_runs).to_bytes(16, "big")
    for verb, number, key in steps:
        name = Digest(run + number.to_bytes(16, "big"))
        if verb == "destroy":
            keys.destroy(name)
            gone.add(name)
        elif name in gone:
            with pytest.raises(ErasedContent):
                keys.add(name, key)
        else:
            assert keys.add(name, key) == known.setdefault(name, key)
