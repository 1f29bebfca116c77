"""The first schema.

Frozen: a later change is a new revision. Amounts are 39 decimal digits (see `storage.columns`).
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_WHOLE = sa.Integer().with_variant(sa.BigInteger(), "postgresql")


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=null)


def _whole(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, _WHOLE, nullable=null, autoincrement=False)


def _blob(name: str, *, null: bool = False) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, nullable=null)


def _refers(column: str, to: str, ondelete: str | None = None) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [to], ondelete=ondelete)


def _table(name: str, *items: Any) -> None:
    op.create_table(name, *items, sqlite_strict=True)


def upgrade() -> None:
    _chain()
    _datanets()
    _models()
    _serving()
    _settlement()
    _node()


def _chain() -> None:
    _table(
        "outbox",
        _text("intent_key"),
        _text("sender"),
        _whole("nonce"),
        _blob("raw"),
        _text("tx_hash"),
        _text("state"),
        _whole("block_number", null=True),
        _whole("created_at"),
        sa.PrimaryKeyConstraint("intent_key"),
        sa.UniqueConstraint("sender", "nonce"),
        sa.UniqueConstraint("tx_hash"),
    )
    op.create_index("ix_outbox_sender_state", "outbox", ["sender", "state"])
    _table(
        "outbox_attempts",
        _text("intent_key"),
        _whole("position"),
        _blob("raw"),
        _text("tx_hash"),
        _whole("created_at"),
        sa.PrimaryKeyConstraint("intent_key", "position"),
        _refers("intent_key", "outbox.intent_key"),
        sa.UniqueConstraint("tx_hash"),
    )
    _table(
        "chain_blocks",
        _whole("number"),
        _text("hash"),
        _text("parent"),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("hash"),
    )
    _table(
        "chain_events",
        _whole("block_number"),
        _whole("log_index"),
        _text("tx_hash"),
        _text("contract"),
        _text("name"),
        _text("args"),
        sa.PrimaryKeyConstraint("block_number", "log_index"),
        _refers("block_number", "chain_blocks.number", "CASCADE"),
    )
    op.create_index("ix_chain_events_contract_name", "chain_events", ["contract", "name"])
    _table(
        "quarantined_logs",
        _whole("block_number"),
        _whole("log_index"),
        _text("tx_hash"),
        _text("contract"),
        _text("topics"),
        _blob("data"),
        _text("reason"),
        sa.PrimaryKeyConstraint("block_number", "log_index"),
        _refers("block_number", "chain_blocks.number", "CASCADE"),
    )


def _datanets() -> None:
    _table(
        "contributions",
        _text("contribution_id"),
        _text("datanet_id"),
        _text("contributor"),
        _text("document"),
        _text("signature"),
        _text("state"),
        _whole("anchored_block", null=True),
        _whole("anchored_position", null=True),
        _text("bundle_cid", null=True),
        _whole("received_at"),
        sa.PrimaryKeyConstraint("contribution_id"),
    )
    op.create_index("ix_contributions_datanet_id_state", "contributions", ["datanet_id", "state"])
    _table(
        "contribution_records",
        _text("contribution_id"),
        _whole("position"),
        _text("commitment"),
        _text("cid", null=True),
        _text("cluster", null=True),
        sa.PrimaryKeyConstraint("contribution_id", "position"),
        _refers("contribution_id", "contributions.contribution_id"),
        sa.UniqueConstraint("commitment"),
    )
    op.create_index("ix_contribution_records_cluster", "contribution_records", ["cluster"])
    _table("content_keys", _text("name"), _blob("key"), sa.PrimaryKeyConstraint("name"))
    _table(
        "withdrawals",
        _text("contribution_id"),
        _text("document"),
        _text("signature"),
        _text("state"),
        sa.PrimaryKeyConstraint("contribution_id"),
    )
    _table(
        "snapshots",
        _text("snapshot_id"),
        _text("datanet_id"),
        _text("document"),
        _text("manifest_cid"),
        _text("sealed_hash", null=True),
        _text("state"),
        sa.PrimaryKeyConstraint("snapshot_id"),
    )
    op.create_index("ix_snapshots_datanet_id_state", "snapshots", ["datanet_id", "state"])


def _models() -> None:
    _table(
        "jobs",
        _text("job_id"),
        _text("kind"),
        _text("request"),
        _text("state"),
        _text("reason", null=True),
        _text("log_tail", null=True),
        _text("result", null=True),
        _whole("created_at"),
        _whole("started_at", null=True),
        _whole("ended_at", null=True),
        sa.PrimaryKeyConstraint("job_id"),
    )
    op.create_index("ix_jobs_state", "jobs", ["state"])
    _table(
        "job_events",
        _text("job_id"),
        _whole("sequence"),
        _text("document"),
        sa.PrimaryKeyConstraint("job_id", "sequence"),
        _refers("job_id", "jobs.job_id"),
    )
    _table(
        "models",
        _text("model_id"),
        _whole("version"),
        _text("name"),
        _text("document"),
        _text("folder", null=True),
        _text("certificate_state"),
        _text("state"),
        sa.PrimaryKeyConstraint("model_id", "version"),
    )
    op.create_index("ix_models_name", "models", ["name"])
    _table(
        "adapters",
        _text("digest"),
        _text("name"),
        _text("base_digest"),
        _text("cid"),
        _text("folder", null=True),
        _text("model_id", null=True),
        _whole("version", null=True),
        _text("report", null=True),
        sa.PrimaryKeyConstraint("digest"),
        sa.ForeignKeyConstraint(["model_id", "version"], ["models.model_id", "models.version"]),
        sa.UniqueConstraint("name"),
    )
    op.create_index("ix_adapters_model_id_version", "adapters", ["model_id", "version"])


def _serving() -> None:
    _table(
        "lanes",
        _text("lane_id"),
        _text("role"),
        _text("document"),
        _text("state"),
        _text("session_key_name", null=True),
        sa.PrimaryKeyConstraint("lane_id"),
    )
    op.create_index("ix_lanes_role_state", "lanes", ["role", "state"])
    _table(
        "receipts",
        _text("request_id"),
        _text("lane_id"),
        _whole("sequence"),
        _text("document"),
        _text("signature", null=True),
        _blob("private", null=True),
        _text("attribution", null=True),
        _text("attribution_body", null=True),
        _text("attribution_signature", null=True),
        _text("state"),
        _whole("created_at"),
        sa.PrimaryKeyConstraint("request_id"),
        sa.UniqueConstraint("lane_id", "sequence"),
        _refers("lane_id", "lanes.lane_id"),
    )
    op.create_index("ix_receipts_state", "receipts", ["state"])
    _table(
        "vouchers",
        _text("lane_id"),
        _text("cumulative_wei"),
        _text("document"),
        _text("signature"),
        _text("state"),
        sa.PrimaryKeyConstraint("lane_id", "cumulative_wei"),
        _refers("lane_id", "lanes.lane_id"),
    )


def _settlement() -> None:
    _table(
        "epochs",
        _whole("epoch_id"),
        _whole("attempt"),
        _text("bundle_cid", null=True),
        _text("document"),
        _text("signatures"),
        _text("state"),
        sa.PrimaryKeyConstraint("epoch_id", "attempt"),
    )
    op.create_index("ix_epochs_state", "epochs", ["state"])
    _table(
        "verdicts",
        _whole("epoch_id"),
        _whole("attempt"),
        _text("validator"),
        _text("document"),
        _text("findings"),
        _text("signature"),
        sa.PrimaryKeyConstraint("epoch_id", "attempt", "validator"),
    )
    _table(
        "payouts",
        _whole("epoch_id"),
        _whole("attempt"),
        _text("account"),
        _text("cumulative_wei"),
        _text("proof"),
        sa.PrimaryKeyConstraint("epoch_id", "attempt", "account"),
    )
    op.create_index("ix_payouts_account", "payouts", ["account"])


def _node() -> None:
    _table("pins", _text("cid"), _text("reason"), _text("state"), sa.PrimaryKeyConstraint("cid", "reason"))
    _table("settings", _text("name"), _text("value"), sa.PrimaryKeyConstraint("name"))
    _table(
        "idempotency",
        _text("key"),
        _text("request_digest"),
        _text("answer"),
        _whole("created_at"),
        sa.PrimaryKeyConstraint("key"),
    )
