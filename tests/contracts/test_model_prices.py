"""ModelRegistry's price lists: only added to, cuts at once, rises later, and old entries never change."""

from __future__ import annotations

import pytest
from bare_evm import Actor, Evm
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from registry_world import DAY, PRICE, Registries, name

from headwater.protocol.model import DEFAULT_SPLIT, ModelVersion

DELAY = 7 * DAY
NEVER = 2**64 - 1
Deployed = tuple[Registries, ModelVersion, tuple[bytes, int, int]]


@pytest.fixture(scope="module")
def deployed() -> Deployed:
    """One version at PRICE, with the production delay of rises."""
    world = Registries(Evm(), price_rise_delay=DELAY)
    world.anchored()
    snapshots = [world.sealed_snapshot()]
    version = world.model_version(snapshots)
    world.register(version, snapshots)
    return world, version, world.evm.snapshot()


@pytest.fixture
def world(deployed: Deployed) -> Registries:
    made, _, snapshot = deployed
    made.evm.restore(snapshot)
    return made


@pytest.fixture
def version(deployed: Deployed) -> ModelVersion:
    return deployed[1]


def propose(world: Registries, version: ModelVersion, price: int) -> int:
    return int(world.models.send(world.maker, "proposePrice", version.model_id, 1, price).value)


def quote(world: Registries, version: ModelVersion) -> tuple[int, int]:
    price, price_version, split = world.models.call("quote", version.model_id, 1)
    assert tuple(vars(split).values()) == DEFAULT_SPLIT.values()
    return price, price_version


def effective_at(world: Registries, version: ModelVersion, price_version: int) -> int:
    return int(world.models.call("priceAt", version.model_id, 1, price_version).effectiveAt)


def test_the_first_price_is_in_force_at_once(world: Registries, version: ModelVersion) -> None:
    assert quote(world, version) == (PRICE, 1)


def test_a_cut_is_in_force_at_once(world: Registries, version: ModelVersion) -> None:
    assert propose(world, version, PRICE - 1) == 2
    assert quote(world, version) == (PRICE - 1, 2)


def test_a_rise_is_in_force_exactly_after_the_delay(world: Registries, version: ModelVersion) -> None:
    assert propose(world, version, PRICE + 1) == 2
    ripe = world.evm.now + DELAY
    assert effective_at(world, version, 2) == ripe
    world.evm.now = ripe - 1
    assert quote(world, version) == (PRICE, 1)
    world.evm.now = ripe
    assert quote(world, version) == (PRICE + 1, 2)


def test_only_one_rise_waits_at_a_time(world: Registries, version: ModelVersion) -> None:
    propose(world, version, PRICE + 1)
    with world.evm.reverts("PriceRisePending", world.evm.now + DELAY):
        propose(world, version, PRICE + 2)


def test_a_cut_withdraws_the_waiting_rise_for_good(world: Registries, version: ModelVersion) -> None:
    propose(world, version, PRICE + 1)
    sent = world.models.send(world.maker, "proposePrice", version.model_id, 1, PRICE - 1)
    assert sent.names() == ["PriceWithdrawn", "PriceAdded"]
    assert effective_at(world, version, 2) == NEVER
    world.evm.now += 2 * DELAY
    assert quote(world, version) == (PRICE - 1, 3)
    assert propose(world, version, PRICE) == 4  # a rise from there waits again
    assert quote(world, version) == (PRICE - 1, 3)


def test_the_price_in_force_cannot_be_proposed(world: Registries, version: ModelVersion) -> None:
    with world.evm.reverts("SamePrice", PRICE):
        propose(world, version, PRICE)


def test_p35_a_price_may_be_zero_and_the_highest_that_fits(world: Registries, version: ModelVersion) -> None:
    propose(world, version, 0)
    assert quote(world, version) == (0, 2)
    propose(world, version, 2**128 - 1)
    world.evm.now += DELAY
    assert quote(world, version) == (2**128 - 1, 3)


def test_p63_only_the_owner_prices(world: Registries, version: ModelVersion) -> None:
    for who in (world.thief, Actor("timelock")):
        with world.evm.reverts("NotModelOwner", version.model_id, who):
            world.models.send(who, "proposePrice", version.model_id, 1, 0)
    with world.evm.reverts("UnknownVersion", version.model_id, 2):
        world.models.send(world.maker, "proposePrice", version.model_id, 2, 0)


def test_a_price_version_that_is_not_there_is_named(world: Registries, version: ModelVersion) -> None:
    for missing in (0, 2):
        with world.evm.reverts("UnknownPriceVersion", version.model_id, 1, missing):
            world.models.call("priceAt", version.model_id, 1, missing)
    with world.evm.reverts("UnknownVersion", name("nothing"), 1):
        world.models.call("priceAt", name("nothing"), 1, 1)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.integers(0, 4), st.sampled_from([1, DELAY // 2, DELAY])), max_size=8))
def test_p60_no_price_in_force_ever_changes_and_no_rise_bites_unannounced(
    deployed: Deployed, steps: list[tuple[int, int]]
) -> None:
    """Any sequence of proposals, against the list that PROTOCOL.md §2.5 describes."""
    world, version, snapshot = deployed
    world.evm.restore(snapshot)
    first = effective_at(world, version, 1)
    entries = [(PRICE, first)]
    announced = [first]
    for price, wait in steps:
        world.evm.advance(wait)
        sent_at = world.evm.now + 1
        in_force = max(i for i, (_, since) in enumerate(entries) if since <= sent_at)
        if price == entries[in_force][0]:
            expected = "SamePrice"
        elif price > entries[in_force][0] and in_force != len(entries) - 1:
            expected = "PriceRisePending"
        else:
            propose(world, version, price)
            rises = price > entries[in_force][0]
            if in_force != len(entries) - 1:
                entries[-1] = (entries[-1][0], NEVER)
            entries.append((price, sent_at + DELAY if rises else sent_at))
            announced.append(sent_at)
            continue
        with world.evm.reverts(expected):
            propose(world, version, price)
    found = [world.models.call("priceAt", version.model_id, 1, n + 1) for n in range(len(entries))]
    assert [(e.perThousandTokensWei, e.effectiveAt) for e in found] == entries
    dearest = PRICE
    for (price, since), told in sorted(zip(entries, announced, strict=True), key=lambda e: e[0][1]):
        assert price <= dearest or since == NEVER or since - told >= DELAY
        dearest = price


def test_p62_the_price_list_comes_in_pages(world: Registries, version: ModelVersion) -> None:
    for cut in range(1, 5):
        world.models.send(world.maker, "proposePrice", version.model_id, 1, PRICE - cut)

    def page(offset: int, limit: int) -> list[int]:
        return [p.perThousandTokensWei for p in world.models.call("pricesOf", version.model_id, 1, offset, limit)]

    whole = [PRICE - cut for cut in range(5)]
    assert page(0, 2**256 - 1) == whole
    assert [page(0, 2), page(2, 2), page(4, 2), page(5, 2), page(2**256 - 1, 2)] == [
        whole[:2],
        whole[2:4],
        whole[4:],
        [],
        [],
    ]
    assert page(0, 0) == []
    assert world.models.call("MAX_PAGE") == 256
    with world.evm.reverts("UnknownVersion", version.model_id, 2):
        world.models.call("pricesOf", version.model_id, 2, 0, 1)
