"""Versions on chain: one fee a registration, and nobody activates what nobody attested."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from trained_world import PRICE_PER_THOUSAND_WEI, SPLIT, Shop, TrainedWorld

from headwater.chain.deployment_plan import DEVNET
from headwater.errors import Refused, TransactionReverted, UnknownModel
from headwater.service.accounts import Accounts
from headwater.service.attesting import Attesting
from headwater.service.model_rows import ModelRows
from headwater.service.models import Models
from headwater.service.workbench import Workbench
from headwater.testing import examples
from headwater.testing.examiners import scripted_examiner
from headwater.types import Ppm


@pytest.fixture
def models(bench: Workbench) -> Models:
    return Models(bench)


def credit(bench: Workbench, name: str = "modeler") -> int:
    return int(Accounts(bench).balance(bench.address(name)).credit_wei)


def register(models: Models, world: TrainedWorld, name: str, split: Any = SPLIT, **changes: Any) -> Any:
    trained = {**world.result, **changes}
    return models.register("modeler", name, trained, examples.word("evaluation"), PRICE_PER_THOUSAND_WEI, split)


# -- registration ------------------------------------------------------------------------------------------------


def test_a_registration_that_the_chain_refuses_costs_nothing_and_may_be_put_right(
    models: Models, world: TrainedWorld
) -> None:
    """Its allowance may have been spent by another registration in between."""
    before = credit(world.bench)
    greedy = replace(SPLIT, contributors_ppm=Ppm(SPLIT.contributors_ppm - 100_000),
                     model_owner_ppm=Ppm(SPLIT.model_owner_ppm + 100_000))  # fmt: skip
    with pytest.raises(TransactionReverted, match="PartTooLow"):
        register(models, world, "modeler/greedy", split=greedy)
    assert credit(world.bench) == before
    with pytest.raises(UnknownModel):
        models.named("modeler/greedy")
    register(models, world, "modeler/between")
    register(models, world, "modeler/greedy")
    assert credit(world.bench) == before - 2 * DEVNET.attestation_fee_wei


def test_registering_again_is_the_same_version_and_no_second_fee(models: Models, world: TrainedWorld) -> None:
    first = register(models, world, "modeler/again")
    before, height = credit(world.bench), world.bench.chain.block().number
    assert register(models, world, "modeler/again") == first
    assert (credit(world.bench), world.bench.chain.block().number) == (before, height)


def test_another_training_does_not_replace_what_a_name_stands_for(models: Models, world: TrainedWorld) -> None:
    register(models, world, "modeler/fixed")
    index = {**world.result["index"], "rows": 1}
    with pytest.raises(TransactionReverted, match="ModelExists"):
        register(models, world, "modeler/fixed", index=index)
    assert models.named("modeler/fixed").version.index_rows == 18


# -- activation --------------------------------------------------------------------------------------------------


def test_what_nobody_attested_is_not_activated(models: Models, world: TrainedWorld) -> None:
    row = world.register("modeler/unattested")
    with pytest.raises(Refused, match="not attested"):
        models.activate("modeler", row)
    assert models.status(row).status == models.named(row.name).state == "registered"
    assert row.version not in [r.version for r in ModelRows(world.bench.database).active()]


def test_a_registered_version_says_what_the_training_made(world: TrainedWorld, models: Models) -> None:
    version = world.register("modeler/said").version
    outcome = world.result["outcome"]
    said = version.to_json()
    for name in ("adapter_digest", "checkpoint_digest", "step_chain_digest"):
        assert said[name] == outcome[name]
    assert said["recipe_digest"] == world.result["recipe_digest"]
    assert (said["index_root"], version.index_rows) == (world.result["index"]["index_root"], 18)


def test_another_wallet_does_not_activate_it_and_its_owner_then_may(models: Models, shop: Shop) -> None:
    row = shop.world.register("modeler/mine")
    Attesting(shop.world.bench, scripted_examiner()).attest("validator", "validator-hot", row.name, lambda line: None)
    with pytest.raises(TransactionReverted, match="NotModelOwner"):
        models.activate("bob", row)
    assert models.named(row.name).state == "registered"
    models.activate("modeler", row)
    models.activate("modeler", row)
    assert models.status(row).status == models.named(row.name).state == "active"
