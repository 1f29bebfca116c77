"""Fixtures of the contract tests: an empty chain, and one on which the settlement contracts stand."""

from __future__ import annotations

import pytest
from bare_evm import Evm
from settlement_world import CREDIT, Settlement


@pytest.fixture
def evm() -> Evm:
    """An empty chain."""
    return Evm()


@pytest.fixture(scope="session")
def _settlement() -> tuple[Settlement, tuple[bytes, int, int]]:
    world = Settlement.deploy(Evm())
    return world, world.evm.snapshot()


@pytest.fixture
def world(_settlement: tuple[Settlement, tuple[bytes, int, int]]) -> Settlement:
    """The settlement contracts with a provider, a user with free credit and three equal validators; as new."""
    made, snapshot = _settlement
    made.evm.restore(snapshot)
    return made


@pytest.fixture
def funded(world: Settlement) -> Settlement:
    """`world` with 100 credits redeemed."""
    world.fund(100 * CREDIT)
    return world
