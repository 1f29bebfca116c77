"""The provider's attributions: every signed receipt gets its own, a bad one holds nobody up, all recompute."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import update
from trained_world import Shop

from headwater.attribution.verify import verify_attribution
from headwater.protocol.signatures import require_signer
from headwater.service.attributing import VersionAttributor, answer_tokens
from headwater.service.lanes import ESCROW
from headwater.storage.schema import receipts as receipts_table
from headwater.testing.chains import until
from headwater.types import WHOLE_PPM, hex0x


def state(shop: Shop, request_id: object) -> str:
    return shop.inference.receipts.required(request_id).state  # type: ignore[arg-type]


def test_every_signed_receipt_is_attributed_by_itself_and_signed_by_the_hot_key(shop: Shop) -> None:
    lane = shop.lane()
    receipts = [shop.answer(f"Code of plant {i} of bob?", lane) for i in range(2)]
    worker = shop.worker
    worker.start()
    try:
        worker.wake()
        until(lambda: all(state(shop, r.request_id) == "attributed" for r in receipts))
    finally:
        worker.stop()
    domain, hot = shop.world.bench.domain(ESCROW), shop.world.bench.address("provider-hot")
    for receipt in receipts:
        signed = shop.inference.receipts.required(receipt.request_id).signed()
        assert signed.attribution.receipt_digest == signed.body.receipt_digest == receipt.digest()
        require_signer(signed.attribution.signing_digest(domain), signed.attribution_signature, hot, "it")


def test_what_the_provider_signed_recomputes_and_what_it_did_not_do_not(shop: Shop) -> None:
    receipt = shop.attributed(shop.prompts[0])
    signed = shop.inference.receipts.required(receipt.request_id).signed()
    attributor = VersionAttributor(shop.world.base_folder, shop.row).attributor
    tokens = answer_tokens(shop.inference.receipts.private(receipt.request_id))
    found = verify_attribution(attributor, tokens, signed.body)
    assert (found.holds, found.error_ppm) == (True, 0)
    share = signed.body.shares[0]
    friend = replace(share, account=shop.world.bench.address("user"))
    assert not verify_attribution(attributor, tokens, replace(signed.body, shares=(friend,))).holds
    none = replace(signed.body, shares=(), base_ppm=WHOLE_PPM)
    assert verify_attribution(attributor, tokens, none).error_ppm >= share.ppm


@pytest.mark.parametrize("file", ["index/index.safetensors", "checkpoint/second_moment.safetensors"])
def test_a_receipt_that_cannot_be_attributed_is_told_and_goes_on_once_mended(shop: Shop, file: str) -> None:
    """The others go on in the meantime; what is paid for is never dropped."""
    broken, worker = shop.answer("Code of plant 2 of alice?"), shop.worker
    path = shop.row.folder / file
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    try:
        worker._attribute(shop.inference.receipts.required(broken.request_id))
    finally:
        path.write_bytes(good)
    assert file.partition("/")[0] in worker.failures[broken.request_id]
    assert state(shop, broken.request_id) == "signed"
    restarted = shop.worker
    restarted._attribute(shop.inference.receipts.required(broken.request_id))
    assert (restarted.failures, state(shop, broken.request_id)) == ({}, "attributed")


def test_one_unreadable_answer_does_not_end_the_worker(shop: Shop) -> None:
    """Else no later receipt would be attributed, hence paid."""
    lane = shop.lane()
    bad, good = (shop.answer(f"Code of plant {i} of bob?", lane) for i in (1, 2))
    where = receipts_table.c.request_id == hex0x(bad.request_id)
    damaged = update(receipts_table).where(where).values(private=b"damaged" * 9)
    shop.world.bench.database.write(lambda c: c.execute(damaged))
    worker = shop.worker
    worker.start()
    try:
        until(lambda: state(shop, good.request_id) == "attributed")
    finally:
        worker.stop()
    assert "cannot be opened" in worker.failures[bad.request_id]
