"""Bring a database to the schema that this version of Headwater knows.

In: open engines. Out: the same database at `HEAD_REVISION`. All revisions that are missing run in one writing
transaction, so a kill half-way leaves the old schema, and two processes that open at once upgrade once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

from headwater.errors import Conflict
from headwater.storage.engines import Engines

HEAD_REVISION: Final = "0002"
"""The newest module in `migrations/versions`; known here so that alembic is loaded only when there is work."""

_FOLDER: Final = Path(__file__).parent / "migrations"


def upgrade(engines: Engines) -> None:
    """Apply what is missing. Raises Conflict if a newer Headwater wrote the database."""
    with engines.read.connect() as connection, connection.begin():
        if current_revision(connection) == HEAD_REVISION:
            return
    with engines.write.connect() as connection, connection.begin():
        if current_revision(connection) != HEAD_REVISION:  # another process may have been first
            _apply(connection)


def current_revision(connection: Connection) -> str | None:
    """The schema's revision; None for an empty database."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def _apply(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    found = current_revision(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise Conflict(
            f"the database has schema {found}, and this version of Headwater knows none newer than {HEAD_REVISION}",
            "run the newer Headwater that wrote it",
            found=found,
            known=HEAD_REVISION,
        )
    command.upgrade(config, "head")
