"""Amounts are exact at any size and in order; rules that hold in every room are held by the tables."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, create_engine, delete, func, insert, select
from sqlalchemy.exc import IntegrityError, StatementError

from headwater.storage.columns import WeiText
from headwater.storage.database import Database
from headwater.storage.schema import (
    chain_blocks,
    chain_events,
    contribution_records,
    contributions,
    lanes,
    outbox,
    receipts,
)

amounts = Table("amounts", MetaData(), Column("i", Integer, primary_key=True), Column("wei", WeiText))
uint128 = st.integers(min_value=0, max_value=2**128 - 1)


@pytest.fixture
def database() -> Iterator[Database]:
    with tempfile.TemporaryDirectory() as folder, Database(f"sqlite:///{Path(folder) / 'h.sqlite'}") as opened:
        yield opened


@given(st.lists(uint128, min_size=1, max_size=8))
def test_amounts_come_back_exact_and_sort_as_numbers(values: list[int]) -> None:
    """Property: WeiText is an order-preserving bijection on uint128."""
    engine = create_engine("sqlite://")
    amounts.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(insert(amounts), [{"wei": value} for value in values])
        assert list(connection.scalars(select(amounts.c.wei).order_by(amounts.c.wei))) == sorted(values)
        assert connection.scalar(select(func.max(amounts.c.wei))) == max(values)
        above = select(func.count()).where(amounts.c.wei > values[0])
        assert connection.scalar(above) == sum(value > values[0] for value in values)
    engine.dispose()


@pytest.mark.parametrize("value", [-1, 2**128, 1.5, True, "7"])
def test_what_is_no_amount_is_refused(value: object) -> None:
    engine = create_engine("sqlite://")
    amounts.metadata.create_all(engine)
    with engine.begin() as connection, pytest.raises(StatementError, match="amount of wei"):
        connection.execute(insert(amounts), [{"wei": value}])
    engine.dispose()


def contribution(contribution_id: str) -> dict[str, object]:
    return {
        "contribution_id": contribution_id,
        "datanet_id": "0xd",
        "contributor": "0xc",
        "document": "{}",
        "signature": "0x",
        "state": "received",
        "received_at": 1,
    }


def test_a_commitment_belongs_to_one_contribution(database: Database) -> None:
    row = {"position": 0, "commitment": "0xsame"}
    database.write(lambda c: c.execute(insert(contributions), [contribution("0x1"), contribution("0x2")]) and None)
    database.write(lambda c: c.execute(insert(contribution_records).values(contribution_id="0x1", **row)) and None)
    with pytest.raises(IntegrityError):
        database.write(
            lambda c: c.execute(insert(contribution_records).values(contribution_id="0x2", **row)) and None
        )


def test_a_record_without_its_contribution_is_refused(database: Database) -> None:
    row = {"contribution_id": "0xnone", "position": 0, "commitment": "0xa"}
    with pytest.raises(IntegrityError, match="FOREIGN KEY"):
        database.write(lambda c: c.execute(insert(contribution_records).values(row)) and None)


def test_a_lane_has_one_receipt_a_sequence(database: Database) -> None:
    lane = {"lane_id": "0xl", "role": "provider", "document": "{}", "state": "open"}
    receipt = {"lane_id": "0xl", "sequence": 1, "document": "{}", "state": "draft", "created_at": 1}
    database.write(lambda c: c.execute(insert(lanes).values(lane)) and None)
    database.write(lambda c: c.execute(insert(receipts).values(request_id="0x1", **receipt)) and None)
    with pytest.raises(IntegrityError):
        database.write(lambda c: c.execute(insert(receipts).values(request_id="0x2", **receipt)) and None)


def test_a_dropped_block_takes_its_events_along(database: Database) -> None:
    event = {"log_index": 0, "tx_hash": "0x", "contract": "0x", "name": "Anchored", "args": "{}"}
    blocks = [{"number": n, "hash": f"0x{n}", "parent": f"0x{n - 1}"} for n in (1, 2)]
    database.write(lambda c: c.execute(insert(chain_blocks), blocks) and None)
    database.write(lambda c: c.execute(insert(chain_events), [{"block_number": n, **event} for n in (1, 2)]) and None)
    database.write(lambda c: c.execute(delete(chain_blocks).where(chain_blocks.c.number > 1)) and None)
    assert database.read(lambda c: list(c.scalars(select(chain_events.c.block_number)))) == [1]


def test_text_in_a_number_column_is_refused(database: Database) -> None:
    row = {"intent_key": "i", "sender": "0x", "raw": b"", "tx_hash": "0x", "state": "signed", "created_at": 1}
    with pytest.raises(IntegrityError, match="cannot store TEXT"):
        database.write(lambda c: c.execute(insert(outbox).values(nonce="first", **row)) and None)
