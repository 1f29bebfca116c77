"""Who decides what, and after how long: roles, timelock, successors, bounded parameters (P32, P44, P63, P64)."""

from __future__ import annotations

from typing import Any

import pytest
from bare_evm import Actor, Deployed, Evm, artefact_of
from registry_world import FEE, WINDOW, Registries, name
from settlement_world import ROLES, Settlement

from headwater.types import ZERO_ADDRESS, ZERO_DIGEST

DAY = 86_400
DELAY = 7 * DAY


@pytest.fixture
def world(evm: Evm) -> Registries:
    return Registries(evm)


# -- successors ----------------------------------------------------------------------------------------------------


def succeeding(world: Registries) -> list[Deployed]:
    settlement = world.settlement
    return [world.registry, world.log, world.models, settlement.escrow, settlement.ledger]


def test_the_admin_names_a_contracts_successor_and_nobody_else(world: Registries) -> None:
    for contract in succeeding(world):
        assert contract.call("successor") == ZERO_ADDRESS
        for other in ("thief", "guardian", "timelock"):
            with world.evm.reverts("AccessManagedUnauthorized", Actor(other)):
                contract.send(other, "setSuccessor", world.staking)
        sent = contract.send("deployer", "setSuccessor", world.staking)
        assert sent.event("SuccessorSet").successor == world.staking.address == contract.call("successor")


def test_a_successor_is_another_contract_that_stands(world: Registries) -> None:
    for contract in succeeding(world):
        for wrong in (ZERO_ADDRESS, Actor("nobody"), contract):
            with world.evm.reverts("NotASuccessor", wrong):
                contract.send("deployer", "setSuccessor", wrong)


def test_a_contract_with_a_successor_goes_on_working(world: Registries) -> None:
    for contract in succeeding(world):
        contract.send("deployer", "setSuccessor", world.staking)
    world.anchored()
    world.sealed_snapshot()


# -- parameters ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("member", "given"),
    [
        ("priceRiseDelaySeconds", (FEE, 30 * DAY + 1, WINDOW)),
        ("attestationWindowSeconds", (FEE, 0, 0)),
        ("attestationWindowSeconds", (FEE, 0, 30 * DAY + 1)),
        ("attestationFeeWei", (0, 0, WINDOW)),
    ],
)
def test_parameters_keep_their_bounds(world: Registries, member: str, given: tuple[int, ...]) -> None:
    with world.evm.reverts("ParameterOutOfBounds") as caught:
        world.models.send("timelock", "setParameters", given)
    assert caught.value.arguments[0].rstrip(b"\0").decode() == member


def test_parameters_on_their_bounds_are_taken_and_change_no_version(world: Registries) -> None:
    world.anchored()
    snapshot = world.sealed_snapshot()
    version = world.model_version([snapshot])
    world.register(version, [snapshot])
    sent = world.models.send("timelock", "setParameters", (1, 30 * DAY, 30 * DAY))
    assert vars(sent.event("ParametersSet").parameters) == vars(world.models.call("parameters"))
    assert world.models.call("stateOf", version.model_id, 1).feeWei == FEE
    for other in ("thief", "guardian", "deployer"):
        with world.evm.reverts("AccessManagedUnauthorized", Actor(other)):
            world.models.send(other, "setParameters", (1, 0, 1))


# -- the timelock --------------------------------------------------------------------------------------------------


@pytest.fixture
def governed(world: Registries) -> tuple[Registries, Deployed]:
    """As production ends up: the timelock administers and sets parameters, the deployer gave everything up."""
    timelock = world.evm.deploy("ProtocolTimelock", DELAY, Actor("council"))
    for role in ("PARAMETER", "ADMIN"):
        world.access.send("deployer", "grantRole", ROLES[role], timelock, 0)
    world.access.send("deployer", "revokeRole", ROLES["PARAMETER"], Actor("timelock"))
    world.access.send("deployer", "renounceRole", ROLES["ADMIN"], Actor("deployer"))
    return world, timelock


def schedule(timelock: Deployed, target: Deployed, call: bytes, sender: str = "council") -> tuple[Any, ...]:
    operation = (target, 0, call, ZERO_DIGEST, ZERO_DIGEST)
    timelock.send(sender, "schedule", *operation, DELAY)
    return operation


@pytest.mark.parametrize("delay", [0, DAY - 1, 30 * DAY + 1])
def test_a_timelocks_delay_has_bounds(evm: Evm, delay: int) -> None:
    with evm.reverts("DelayOutOfBounds", delay):
        evm.deploy("ProtocolTimelock", delay, Actor("council"))


def test_only_the_timelock_sets_a_bases_payee_and_only_after_its_delay(
    governed: tuple[Registries, Deployed],
) -> None:
    world, timelock = governed
    for other in ("deployer", "guardian", "timelock", "council", "thief"):
        with world.evm.reverts("AccessManagedUnauthorized", Actor(other)):
            world.models.send(other, "setBasePayee", name("base"), Actor(other))
    call = world.models.calldata("setBasePayee", name("base"), Actor("author"))
    operation = schedule(timelock, world.models, call)
    ready = world.evm.now + DELAY
    world.evm.advance(ready - 1 - world.evm.now)
    with world.evm.reverts("TimelockUnexpectedOperationState"):
        timelock.send("anybody", "execute", *operation)
    timelock.send("anybody", "execute", *operation)
    assert world.evm.now == ready
    assert world.models.call("basePayeeOf", name("base")) == Actor("author").address
    with world.evm.reverts("TimelockUnexpectedOperationState"):
        timelock.send("anybody", "execute", *operation)


def test_only_the_timelock_names_successors_then(governed: tuple[Registries, Deployed]) -> None:
    world, timelock = governed
    with world.evm.reverts("AccessManagedUnauthorized", Actor("deployer")):
        world.models.send("deployer", "setSuccessor", world.staking)
    operation = schedule(timelock, world.models, world.models.calldata("setSuccessor", world.staking))
    world.evm.advance(DELAY)
    timelock.send("anybody", "execute", *operation)
    assert world.models.call("successor") == world.staking.address


def test_nobody_else_schedules_and_the_delay_itself_is_locked(governed: tuple[Registries, Deployed]) -> None:
    world, timelock = governed
    for other in ("thief", "deployer", "guardian"):
        with world.evm.reverts("AccessControlUnauthorizedAccount"):
            schedule(timelock, world.models, b"", sender=other)
    with world.evm.reverts("TimelockUnauthorizedCaller", Actor("council")):
        timelock.send("council", "updateDelay", 0)
    with world.evm.reverts("TimelockInsufficientDelay", DELAY - 1, DELAY):
        timelock.send("council", "schedule", world.models, 0, b"", ZERO_DIGEST, ZERO_DIGEST, DELAY - 1)


def test_what_is_scheduled_can_be_cancelled(governed: tuple[Registries, Deployed]) -> None:
    world, timelock = governed
    operation = schedule(timelock, world.models, world.models.calldata("setProtocolPayee", Actor("thief")))
    timelock.send("council", "cancel", timelock.call("hashOperation", *operation))
    world.evm.advance(DELAY)
    with world.evm.reverts("TimelockUnexpectedOperationState"):
        timelock.send("anybody", "execute", *operation)


# -- the access matrix of what is restricted -----------------------------------------------------------------------


def test_p63_every_restricted_function_refuses_every_other_role(world: Registries) -> None:
    settlement: Settlement = world.settlement
    contracts = (*succeeding(world), world.token)
    holders = {"ADMIN": "deployer", "FAUCET": "deployer", "GUARDIAN": "guardian", "PARAMETER": "timelock"}
    tried = 0
    for contract in contracts:
        for signature, role in artefact_of(contract.name)["roles"].items():
            entry = next(e for e in contract.abi if e.get("name") == signature.split("(")[0])
            arguments = [blank(i) for i in entry["inputs"]]
            for other in {*holders.values(), "thief"} - {holders[role["role"]]}:
                with world.evm.reverts("AccessManagedUnauthorized", Actor(other)):
                    contract.send(other, entry["name"], *arguments)
                tried += 1
    assert tried >= 30
    assert settlement.ledger.call("authority") == world.access.address


def blank(entry: dict[str, Any]) -> Any:
    if entry["type"] == "tuple":
        return tuple(blank(c) for c in entry["components"])
    return {"address": ZERO_ADDRESS, "bytes32": ZERO_DIGEST}.get(entry["type"], 0)
