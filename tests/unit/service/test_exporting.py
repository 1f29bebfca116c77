"""An answer's evidence in one file: it verifies without this node and says no word too many."""

from __future__ import annotations

from typing import Any

import pytest
from trained_world import MixedEpoch, Shop

from headwater.errors import NotFound, VerificationFailed
from headwater.protocol.chat import Message
from headwater.provenance.verifier import CONSISTENT, verify_export
from headwater.service.epochs import LEDGER
from headwater.service.exporting import anchor_receipt, epoch_digest_on_chain, export_receipt
from headwater.testing import examples
from headwater.types import Digest


def on_chain(shop: Shop, epoch_id: int) -> Digest | None:
    bench = shop.world.bench
    return epoch_digest_on_chain(bench.config.chain_rpc_url, bench.chain_id, bench.contract_address(LEDGER), epoch_id)


def test_an_unknown_receipt_and_one_without_its_attribution_are_not_exported(shop: Shop) -> None:
    with pytest.raises(NotFound, match="no receipt"):
        export_receipt(shop.world.bench, examples.word("none"), False)
    with pytest.raises(NotFound, match="not there yet"):
        export_receipt(shop.world.bench, shop.answer("Code of plant 1 of bob?").request_id, False)


def test_before_its_epoch_an_export_is_consistent_and_holds_words_only_if_asked(shop: Shop) -> None:
    receipt = shop.attributed("Code of plant 4 of bob?")
    closed, opened = (export_receipt(shop.world.bench, receipt.request_id, asked) for asked in (False, True))
    for export in (closed, opened):
        assert export.place is None
        assert verify_export(export.canonical_bytes(), lambda _: None).summary == CONSISTENT
    assert b"Code of plant" not in closed.canonical_bytes()
    assert opened.disclosed is not None
    assert opened.disclosed.request.messages == (Message("user", "Code of plant 4 of bob?"),)
    shop.deliver(receipt, None)
    with pytest.raises(NotFound, match="not kept"):
        export_receipt(shop.world.bench, receipt.request_id, True)


def test_a_covered_receipt_verifies_against_what_the_chain_says(shop: Shop, mixed: MixedEpoch) -> None:
    export = export_receipt(shop.world.bench, mixed.honest.request_id, True)
    found = verify_export(export.canonical_bytes(), lambda epoch_id: on_chain(shop, epoch_id))
    assert found.is_anchored
    assert on_chain(shop, mixed.paid.committed.epoch.epoch_id) == mixed.paid.committed.epoch.digest()
    for other in (None, examples.word("another root")):
        with pytest.raises(VerificationFailed, match="epoch on chain"):
            verify_export(export.canonical_bytes(), lambda _, root=other: root)


def test_an_epoch_that_was_never_committed_has_no_root(shop: Shop) -> None:
    assert on_chain(shop, 10**6) is None


def test_an_index_that_was_changed_on_disk_gives_no_export(shop: Shop) -> None:
    receipt = shop.attributed("Code of plant 4 of alice?")
    path = shop.row.index_folder / "index.safetensors"
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    try:
        with pytest.raises(VerificationFailed, match="root"):
            export_receipt(shop.world.bench, receipt.request_id, False)
    finally:
        path.write_bytes(good)


def test_a_receipt_is_anchored_once_by_whomever(devnet: Any, shop: Shop) -> None:
    receipt = shop.attributed("Code of plant 6 of bob?")
    first = anchor_receipt(shop.world.bench, "bob", receipt.request_id)
    height = shop.world.bench.chain.block().number
    assert anchor_receipt(shop.world.bench, "bob", receipt.request_id) == first
    assert shop.world.bench.chain.block().number == height
