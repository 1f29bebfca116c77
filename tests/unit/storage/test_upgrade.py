"""The migrations build the schema that the code queries, once, whole, and never backwards."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine

import headwater.storage.upgrade as upgrade_module
from headwater.errors import Conflict
from headwater.storage.database import Database
from headwater.storage.engines import open_engines
from headwater.storage.schema import metadata
from headwater.storage.upgrade import HEAD_REVISION, current_revision, upgrade


def definitions(path: Path) -> dict[str, str]:
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    connection.close()
    return {name: " ".join(sql.split()) for name, sql in rows if name != "alembic_version"}


def test_the_migrated_schema_equals_the_metadata(tmp_path: Path) -> None:
    Database(f"sqlite:///{tmp_path / 'migrated.sqlite'}").close()
    fresh = create_engine(f"sqlite:///{tmp_path / 'fresh.sqlite'}")
    metadata.create_all(fresh)
    fresh.dispose()
    migrated = definitions(tmp_path / "migrated.sqlite")
    assert migrated == definitions(tmp_path / "fresh.sqlite")
    assert len(migrated) > len(metadata.tables)


def test_alembic_finds_no_difference_either(tmp_path: Path) -> None:
    with Database(f"sqlite:///{tmp_path / 'migrated.sqlite'}") as database:

        def differences(connection: Connection) -> list[object]:
            return list(compare_metadata(MigrationContext.configure(connection), metadata))

        assert database.read(differences) == []


def test_the_revision_that_the_code_names_is_the_newest_one() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(upgrade_module.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD_REVISION]


def test_a_database_of_a_newer_headwater_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "headwater.sqlite"
    Database(f"sqlite:///{path}").close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    before = definitions(path)
    with pytest.raises(Conflict, match="9999"):
        Database(f"sqlite:///{path}")
    assert definitions(path) == before


def test_an_upgrade_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "headwater.sqlite"
    engines = open_engines(f"sqlite:///{path}")
    with engines.write.connect() as connection, connection.begin():
        connection.exec_driver_sql("CREATE TABLE vouchers (in_the_way TEXT)")
    before = definitions(path)
    with pytest.raises(Exception, match="already exists"):
        upgrade(engines)
    with engines.read.connect() as connection:
        assert current_revision(connection) is None
    engines.dispose()
    assert definitions(path) == before


def test_a_home_with_odd_letters_in_its_path_is_migrated(tmp_path: Path) -> None:
    folder = tmp_path / "a b%20c"
    folder.mkdir()
    Database(f"sqlite:///{folder / 'headwater.sqlite'}").close()
    assert "outbox" in definitions(folder / "headwater.sqlite")
