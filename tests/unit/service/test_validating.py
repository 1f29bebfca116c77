"""A validator's round: what holds is signed, what was not delivered is refunded, what was invented pays nobody."""

from __future__ import annotations

from dataclasses import replace

import pytest
from trained_world import MixedEpoch, Shop

from headwater.errors import Refused
from headwater.service.dividing import divided
from headwater.service.epochs import Epochs
from headwater.service.strike_rows import strikes_in
from headwater.service.validating import Validating


def refunds(shop: Shop, mixed: MixedEpoch) -> dict[str, int]:
    parts = divided(shop.world.bench, Epochs(shop.world.bench), mixed.paid.committed)
    out: dict[str, int] = {}
    for part in parts:
        out[part.role] = out.get(part.role, 0) + part.wei
    return out


def test_without_a_sealed_epoch_there_is_nothing_to_verify(shop: Shop) -> None:
    with pytest.raises(Refused, match="nothing to verify"):
        Validating(shop.world.bench, shop.world.base_folder).run_once("validator-hot", lambda line: None)


def test_every_receipt_is_recomputed_and_a_second_round_signs_the_same(mixed: MixedEpoch) -> None:
    first, second = mixed.paid.first, mixed.paid.second
    assert (first.receipts, first.drawn, first.strikes, first.largest_error_ppm) == (3, 3, 2, 0)
    assert second == first
    assert first.epoch_digest == mixed.paid.committed.epoch.digest()


def test_words_that_were_withheld_or_exchanged_strike_their_receipt_alone(shop: Shop, mixed: MixedEpoch) -> None:
    struck = strikes_in(shop.world.bench, mixed.paid.bundle)
    assert struck == {mixed.withheld.digest(), mixed.exchanged.digest()}
    said = "\n".join(mixed.paid.said)
    assert "not delivered" in said and "not what was signed" in said


def test_what_was_struck_goes_back_to_the_user_to_the_wei(shop: Shop, mixed: MixedEpoch) -> None:
    by_role = refunds(shop, mixed)
    prices = [r.price for r in (mixed.honest, mixed.withheld, mixed.exchanged)]
    assert sum(by_role.values()) == sum(prices)
    body = shop.inference.receipts.required(mixed.honest.request_id).signed().body
    base_part = prices[0] * 540_000 // 10**6 * body.base_ppm // 10**6
    assert prices[1] + prices[2] <= by_role["refund"] <= prices[1] + prices[2] + base_part + 10
    assert by_role["contributor"] > 0


def test_a_provider_that_pays_its_friend_is_struck_and_nobody_is_paid(shop: Shop) -> None:
    """The shares of another record's owner, signed and consistent in themselves: only the gradient tells."""
    lane = shop.lane()
    receipt, other = shop.answer(shop.prompts[-1], lane), shop.answer(shop.prompts[0], lane)
    right = shop.attributed(shop.prompts[0])
    body = shop.inference.receipts.required(right.request_id).signed().body
    shop.attribute(receipt, replace(body, receipt_digest=receipt.digest()))
    shop.worker._attribute(shop.inference.receipts.required(other.request_id))
    paid = shop.epoch(lane)
    assert paid.first.largest_error_ppm > 400
    struck = strikes_in(shop.world.bench, paid.bundle)
    assert {receipt.digest(), other.digest()} <= struck
    roles = {p.role: p.wei for p in divided(shop.world.bench, Epochs(shop.world.bench), paid.committed)}
    assert roles == {"refund": receipt.price + other.price}
