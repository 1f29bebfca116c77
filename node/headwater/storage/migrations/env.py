"""Run by alembic: applies revisions on the connection that `storage.upgrade` hands over, inside its transaction."""

from __future__ import annotations

from alembic import context

from headwater.storage.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
