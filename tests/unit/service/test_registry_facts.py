"""What the registries say: each part of a price goes where its owner put it."""

from __future__ import annotations

from trained_world import SPLIT, MixedEpoch, Shop

from headwater.service.registry_facts import paymasters, split_of, version_facts
from headwater.types import address


def test_the_parts_of_a_price_keep_their_names(shop: Shop) -> None:
    version = shop.row.version
    assert split_of(shop.world.bench, (version.model_id, version.version)) == SPLIT


def test_the_payees_are_those_of_the_registries(shop: Shop, mixed: MixedEpoch) -> None:
    bench, version = shop.world.bench, shop.row.version
    facts = version_facts(bench, mixed.paid.bundle.receipts)
    found = facts[version.model_id, version.version]
    assert list(facts) == [(version.model_id, version.version)]
    assert found.model_owner == bench.address("modeler")
    assert found.datanet_owners == {shop.world.datanet: bench.address("owner")}
    assert found.base_payee == address(bytes(20))
    assert paymasters(bench).validators == bench.contract_address("Staking")
    assert paymasters(bench).protocol == bench.address("operator")
