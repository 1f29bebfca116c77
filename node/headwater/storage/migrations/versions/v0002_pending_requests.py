"""What a user has asked on a lane and has no receipt for yet.

Frozen: a later change is a new revision.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "pending_requests",
        sa.Column("lane_id", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("private", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("lane_id"),
        sa.ForeignKeyConstraint(["lane_id"], ["lanes.lane_id"]),
        sqlite_strict=True,
    )
