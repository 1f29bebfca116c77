"""Leaving one contributor out: what is wrong is told before an hour of training, what is right is compared."""

from __future__ import annotations

from typing import Any

import pytest
from trained_world import Shop

from headwater.errors import InvalidInput, NotFound, UnknownModel
from headwater.service.counterfactual import leave_out
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
def test_an_answer_learnt_from_one_contributor_is_less_likely_without_her(shop: Shop) -> None:
    """And asked again, the retraining is joined."""
    alice = shop.world.bench.address("alice")
    receipt = shop.answer("Code of plant 3 of alice?").request_id
    found = without(shop, alice, receipt)
    owners = [r.owner for r in shop.world.index().head.records]
    assert (found.left_out, found.records_left_out) == (alice, owners.count(alice))
    assert found.fall_micronats > 0
    assert without(shop, alice, receipt) == found
