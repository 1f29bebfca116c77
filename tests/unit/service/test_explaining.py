"""Who taught an answer, for a person: names and records where this home may show them, and never nothing at all."""

from __future__ import annotations

import pytest
from sqlalchemy import update
from trained_world import Shop

from headwater.errors import NotFound
from headwater.service.explaining import explain
from headwater.storage.content_keys import ContentKeys
from headwater.storage.schema import content_keys, receipts
from headwater.testing import examples
from headwater.types import WHOLE_PPM, hex0x


def test_an_unknown_receipt_and_one_without_its_attribution_are_told(shop: Shop) -> None:
    with pytest.raises(NotFound, match="no receipt"):
        explain(shop.world.bench, examples.word("none"))
    with pytest.raises(NotFound, match="not there yet"):
        explain(shop.world.bench, shop.answer("Code of plant 1 of bob?").request_id)


def test_owners_are_named_and_the_whole_is_divided(shop: Shop) -> None:
    receipt = shop.attributed(shop.prompts[0])
    told = explain(shop.world.bench, receipt.request_id)
    body = shop.inference.receipts.required(receipt.request_id).signed().body
    assert told.owners and sum(o.ppm for o in told.owners) + told.base_ppm == WHOLE_PPM
    assert {o.account: o.ppm for o in told.owners} == {s.account: s.ppm for s in body.shares}
    assert {o.name: o.account for o in told.owners}.items() <= shop.world.bench.signer.wallets().items()
    positions = [r.position for r in told.rows]
    assert positions == [s.position for s in body.scores][: len(positions)] and positions
    records = shop.world.index().head.records
    for row in told.rows:
        assert shop.world.bench.address(row.owner) == records[row.position].owner
        assert row.record.startswith("Code of plant")
    assert sum(o.ppm for o in told.bm25) in range(WHOLE_PPM - 2, WHOLE_PPM + 3)


def test_an_answer_is_explained_after_its_words_were_deleted(shop: Shop) -> None:
    """The shares are public for ever; only the comparison with BM25 needed the words."""
    receipt = shop.attributed(shop.prompts[0])
    before = explain(shop.world.bench, receipt.request_id)
    where = receipts.c.request_id == hex0x(receipt.request_id)
    shop.world.bench.database.write(lambda c: c.execute(update(receipts).where(where).values(private=None)))
    after = explain(shop.world.bench, receipt.request_id)
    assert (after.owners, after.base_ppm, after.rows) == (before.owners, before.base_ppm, before.rows)
    assert after.bm25 == () and "BM25" not in after.words


def test_a_record_that_was_erased_hides_itself_and_not_the_explanation(shop: Shop) -> None:
    receipt = shop.attributed(shop.prompts[0])
    before = explain(shop.world.bench, receipt.request_id)
    erased = before.rows[0].position
    name = shop.world.index().head.records[erased].commitment
    keys = ContentKeys(shop.world.bench.database)
    key = keys.get(name)
    keys.destroy(name)
    try:
        after = explain(shop.world.bench, receipt.request_id)
    finally:
        row = content_keys.c.name == hex0x(name)
        shop.world.bench.database.write(lambda c: c.execute(update(content_keys).where(row).values(key=key)))
    assert (after.owners, after.base_ppm) == (before.owners, before.base_ppm)
    assert {r.position: r.record for r in after.rows}[erased] == ""
    assert after.bm25
