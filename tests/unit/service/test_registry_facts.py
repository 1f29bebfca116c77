"""What the registries say: each part of a price goes where its owner put it."""

from __future__ import annotations

from dataclasses import replace

from trained_world import SPLIT, MixedEpoch, Shop

from headwater.service.attesting import Attesting
from headwater.service.models import MODELS, Models
from headwater.service.registry_facts import paymasters, revoked_versions, split_of, version_facts
from headwater.testing.examiners import scripted_examiner
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


def test_a_revoked_versions_receipts_are_refunded_once_its_grace_is_over(shop: Shop, mixed: MixedEpoch) -> None:
    """Up to R epochs after the revocation they are paid, and in every later one refunded."""
    bench = shop.world.bench
    row = shop.world.register("modeler/revoked")
    Attesting(bench, scripted_examiner()).attest("validator", "validator-hot", row.name, lambda line: None)
    Models(bench).activate("modeler", row)
    key = row.version.model_id, row.version.version
    first = mixed.paid.bundle.receipts[0]
    of_it = replace(first, receipt=replace(first.receipt, model_id=key[0], version=key[1]))
    bundle = replace(mixed.paid.bundle, receipts=(of_it,))
    assert revoked_versions(bench, replace(bundle, epoch_id=10**6)) == frozenset()
    bench.send("modeler", MODELS, "revoke", *key, intent="revoke it")
    since = bench.call(MODELS, "stateOf", *key)["revokedInEpoch"]
    grace = bench.call("AttributionLedger", "parameters")["refundAfterEpochs"]
    assert revoked_versions(bench, replace(bundle, epoch_id=since + grace)) == frozenset()
    assert revoked_versions(bench, replace(bundle, epoch_id=since + grace + 1)) == {key}
