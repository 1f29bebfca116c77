"""All tables of the node's database, once.

In: nothing. Out: SQLAlchemy Core tables, that every room queries with. The migrations build the same tables, and a
test holds them against each other. States are the words of PROTOCOL.md §9 in lower case, or named at the table.
Conventions of the columns: see `columns`. JSON that is signed or hashed is called `document`.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import ForeignKeyConstraint, Index, MetaData, Table, UniqueConstraint
from sqlalchemy.schema import SchemaItem

from headwater.storage.columns import blob, text, wei, whole

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _table(name: str, *items: SchemaItem) -> Table:
    return Table(name, metadata, *items, sqlite_strict=True)


# -- the chain ----------------------------------------------------------------------------------------------------

outbox: Final = _table(
    "outbox",
    text("intent_key", key=True),
    text("sender"),
    whole("nonce"),
    blob("raw"),
    text("tx_hash", unique=True),
    text("state"),  # signed, broadcast, mined, final, reverted
    whole("block_number", null=True),
    whole("created_at"),
    UniqueConstraint("sender", "nonce"),
    Index(None, "sender", "state"),
)
outbox_attempts: Final = _table(
    "outbox_attempts",
    # Further signed forms of an intent: the same nonce, a higher fee.
    text("intent_key", key=True, of="outbox.intent_key"),
    whole("position", key=True),
    blob("raw"),
    text("tx_hash", unique=True),
    whole("created_at"),
)
chain_blocks: Final = _table(
    "chain_blocks",
    whole("number", key=True),
    text("hash", unique=True),
    text("parent"),
)
chain_events: Final = _table(
    "chain_events",
    # Deleting a block that a reorganisation dropped takes its events along.
    whole("block_number", key=True, of="chain_blocks.number", cascade=True),
    whole("log_index", key=True),
    text("tx_hash"),
    text("contract"),
    text("name"),
    text("args"),  # JSON object
    Index(None, "contract", "name"),
)
quarantined_logs: Final = _table(
    "quarantined_logs",
    whole("block_number", key=True, of="chain_blocks.number", cascade=True),
    whole("log_index", key=True),
    text("tx_hash"),
    text("contract"),
    text("topics"),  # JSON list
    blob("data"),
    text("reason"),
)

# -- Datanets -----------------------------------------------------------------------------------------------------

contributions: Final = _table(
    "contributions",
    text("contribution_id", key=True),
    text("datanet_id"),
    text("contributor"),
    text("document"),
    text("signature"),
    text("state"),  # received, anchored, delivered, withdrawn, void
    whole("anchored_block", null=True),
    whole("anchored_position", null=True),
    text("bundle_cid", null=True),
    whole("received_at"),
    Index(None, "datanet_id", "state"),
)
contribution_records: Final = _table(
    "contribution_records",
    text("contribution_id", key=True, of="contributions.contribution_id"),
    whole("position", key=True),
    text("commitment", unique=True),
    text("cid", null=True),
    text("cluster", null=True),
    Index(None, "cluster"),
)
content_keys: Final = _table("content_keys", text("name", key=True), blob("key"))
withdrawals: Final = _table(
    "withdrawals",
    text("contribution_id", key=True),
    text("document"),
    text("signature"),
    text("state"),  # received, anchored
)
snapshots: Final = _table(
    "snapshots",
    text("snapshot_id", key=True),
    text("datanet_id"),
    text("document"),
    text("manifest_cid"),
    text("sealed_hash", null=True),
    text("state"),
    Index(None, "datanet_id", "state"),
)

# -- training and models ------------------------------------------------------------------------------------------

jobs: Final = _table(
    "jobs",
    text("job_id", key=True),
    text("kind"),
    text("request"),  # JSON object
    text("state"),  # queued, running, done, failed, cancelled
    text("reason", null=True),
    text("log_tail", null=True),
    text("result", null=True),  # JSON object
    whole("created_at"),
    whole("started_at", null=True),
    whole("ended_at", null=True),
    Index(None, "state"),
)
job_events: Final = _table(
    "job_events",
    text("job_id", key=True, of="jobs.job_id"),
    whole("sequence", key=True),
    text("document"),
)
models: Final = _table(
    "models",
    text("model_id", key=True),
    whole("version", key=True),
    text("name"),
    text("document"),
    text("folder", null=True),
    text("certificate_state"),  # uncertified, certified
    text("state"),
    Index(None, "name"),
)
adapters: Final = _table(
    "adapters",
    text("digest", key=True),
    text("name", unique=True),
    text("base_digest"),
    text("cid"),
    text("folder", null=True),
    text("model_id", null=True),
    whole("version", null=True),
    text("report", null=True),  # JSON object
    ForeignKeyConstraint(["model_id", "version"], ["models.model_id", "models.version"]),
    Index(None, "model_id", "version"),
)

# -- serving and settlement ---------------------------------------------------------------------------------------

lanes: Final = _table(
    "lanes",
    text("lane_id", key=True),
    text("role"),  # user or provider: which side this home holds
    text("document"),
    text("state"),
    text("session_key_name", null=True),
    Index(None, "role", "state"),
)
receipts: Final = _table(
    "receipts",
    text("request_id", key=True),
    text("lane_id", of="lanes.lane_id"),
    whole("sequence"),
    text("document"),
    text("signature", null=True),  # null while a draft, stored before it is signed, so that a crash finds it again
    blob("private", null=True),  # encrypted JSON: prompt, answer, salts; null once deleted
    text("attribution", null=True),
    text("attribution_body", null=True),
    text("attribution_signature", null=True),
    text("state"),
    whole("created_at"),
    UniqueConstraint("lane_id", "sequence"),
    Index(None, "state"),
)
pending_requests: Final = _table(
    "pending_requests",
    text("lane_id", key=True, of="lanes.lane_id"),
    text("request_id"),
    blob("private"),  # encrypted JSON: what was asked, with its nonce
)
vouchers: Final = _table(
    "vouchers",
    text("lane_id", key=True, of="lanes.lane_id"),
    wei("cumulative_wei", key=True),
    text("document"),
    text("signature"),
    text("state"),
)
epochs: Final = _table(
    "epochs",
    whole("epoch_id", key=True),
    whole("attempt", key=True),
    text("bundle_cid", null=True),
    text("document"),
    text("signatures"),  # JSON object: validator to signature
    text("state"),
    Index(None, "state"),
)
verdicts: Final = _table(
    "verdicts",
    whole("epoch_id", key=True),
    whole("attempt", key=True),
    text("validator", key=True),
    text("document"),
    text("findings"),  # JSON list
    text("signature"),
)
payouts: Final = _table(
    "payouts",
    whole("epoch_id", key=True),
    whole("attempt", key=True),
    text("account", key=True),
    wei("cumulative_wei"),
    text("proof"),  # JSON
    Index(None, "account"),
)

# -- the node itself ----------------------------------------------------------------------------------------------

pins: Final = _table(
    "pins",
    text("cid", key=True),
    text("reason", key=True),
    text("state"),  # wanted, pinned, released
)
settings: Final = _table("settings", text("name", key=True), text("value"))
idempotency: Final = _table(
    "idempotency",
    text("key", key=True),
    text("request_digest"),  # the same key with another request is a Conflict
    text("answer"),
    whole("created_at"),
)
