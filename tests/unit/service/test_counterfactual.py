"""Leaving one contributor out: what is wrong is told before an hour of training, what is right is compared."""

from __future__ import annotations

from typing import Any

import pytest
from trained_world import Shop

from headwater.errors import InvalidInput, NotFound, UnknownModel
from headwater.service.attributing import answer_tokens
from headwater.service.counterfactual import MICRONATS, leave_out, log_likelihood
from headwater.testing import examples
from headwater.types import Address, Digest


def without(shop: Shop, who: Address, receipt: Digest, name: str = "modeler/plants") -> Any:
    return leave_out(shop.world.bench, name, who, receipt, lambda line: None)


def trainings(shop: Shop) -> set[str]:
    return {p.name for p in shop.world.bench.home.jobs.glob("without-*")}


def test_wrong_orders_train_nothing(shop: Shop) -> None:
    bench = shop.world.bench
    alice, receipt = bench.address("alice"), shop.answer("Code of plant 3 of alice?").request_id
    other = shop.world.register("modeler/other")
    before = trainings(shop)
    with pytest.raises(UnknownModel):
        without(shop, alice, receipt, "nobody/nothing")
    with pytest.raises(InvalidInput, match="has 0 of 18 records"):
        without(shop, bench.address("user"), receipt)
    with pytest.raises(NotFound, match="no receipt"):
        without(shop, alice, examples.word("no receipt"))
    with pytest.raises(InvalidInput, match="another version"):
        without(shop, alice, receipt, other.name)
    assert trainings(shop) == before


@pytest.mark.slow
def test_an_answer_is_weighed_with_and_without_a_contributor(shop: Shop) -> None:
    """How much likelier it was is a matter of luck at this size; that it was weighed twice is not."""
    bench, receipt = shop.world.bench, shop.answer(shop.prompts[0])
    alice = bench.address("alice")
    found = without(shop, alice, receipt.request_id)
    owners = [r.owner for r in shop.world.index().head.records]
    assert (found.left_out, found.records_left_out) == (alice, owners.count(alice))
    tokens = answer_tokens(shop.inference.receipts.private(receipt.request_id))
    served = log_likelihood(shop.world.base_folder, shop.row.adapter_folder, tokens)
    assert found.with_micronats == round(served * MICRONATS) != found.without_micronats
    assert found.fall_micronats == found.with_micronats - found.without_micronats
    assert without(shop, alice, receipt.request_id) == found
