"""The whole suite on the embedded chain, as `headwater contracts deploy` puts it there."""

from __future__ import annotations

import pytest

from headwater.chain.client import RpcChain
from headwater.chain.contracts import DeployedContracts, shipped_artifacts
from headwater.chain.deploy import Plan, deploy_all, planned_addresses
from headwater.chain.deployment_plan import DEVNET, PRODUCTION, ROLES, contracts_plan
from headwater.chain.transactions import TransactionManager
from headwater.errors import InvalidInput, TransactionReverted
from headwater.storage.outbox import Outbox
from headwater.testing.chains import LocalSigner, ShortWaiter
from headwater.types import WEI_PER_CREDIT, Address


@pytest.fixture
def chain(embedded_url: str) -> RpcChain:
    return RpcChain(embedded_url, 31337, None, ShortWaiter())


@pytest.fixture
def manager(chain: RpcChain, outbox: Outbox) -> TransactionManager:
    return TransactionManager(chain, outbox, ShortWaiter())


UNDERLYING = Address("0x" + "cc" * 20)


def production(operator: LocalSigner) -> Plan:
    return contracts_plan(operator.address, PRODUCTION, UNDERLYING)


@pytest.fixture
def deployed(chain: RpcChain, manager: TransactionManager, alice: LocalSigner) -> DeployedContracts:
    return deploy_all(chain, manager, alice, contracts_plan(alice.address))


def test_every_shipped_contract_is_in_a_plan(deployed: DeployedContracts, alice: LocalSigner) -> None:
    made = {d.artifact for d in production(alice).deployments} | set(deployed.addresses)
    assert made == set(shipped_artifacts())


def test_the_parts_name_each_other(chain: RpcChain, deployed: DeployedContracts) -> None:
    def named(contract: str, getter: str) -> Address:
        return Address(chain.call(deployed[contract], getter))

    at = deployed.addresses
    assert named("CreditEscrow", "ledger") == named("Staking", "ledger") == at["AttributionLedger"]
    assert named("AttributionLedger", "escrow") == at["CreditEscrow"]
    assert named("EcdsaQuorum", "staking") == named("ModelRegistry", "staking") == at["Staking"]
    assert named("CreditToken", "authority") == named("AttributionLedger", "authority") == at["ProtocolAccess"]
    assert named("Staking", "disputes") == named("AttributionLedger", "disputes") == at["EpochDisputes"]
    assert named("EpochDisputes", "payoutProofs") == at["PayoutProofs"]
    assert named("LaneProofs", "court") == named("AttributionProofs", "court") == at["EpochDisputes"]


def test_roles_have_the_numbers_that_the_contract_says(chain: RpcChain, deployed: DeployedContracts) -> None:
    assert {name: chain.call(deployed["ProtocolAccess"], name) for name in ROLES} == ROLES


def test_the_operator_mints_and_nobody_else(
    chain: RpcChain, manager: TransactionManager, deployed: DeployedContracts, alice: LocalSigner, bob: LocalSigner
) -> None:
    token = deployed["CreditToken"]
    manager.call(alice, "mint", token, "mint", bob.address, 5 * WEI_PER_CREDIT)
    assert chain.call(token, "balanceOf", bob.address) == 5 * WEI_PER_CREDIT
    with pytest.raises(TransactionReverted, match=r"AccessManagedUnauthorized\(caller=") as error:
        manager.call(bob, "steal", token, "mint", bob.address, 1)
    assert error.value.details["args"] == {"caller": bob.address}


def test_deploying_again_changes_nothing(
    chain: RpcChain, manager: TransactionManager, deployed: DeployedContracts, alice: LocalSigner
) -> None:
    height = chain.block().number
    assert deploy_all(chain, manager, alice, contracts_plan(alice.address)) == deployed
    assert chain.block().number == height


def test_production_gives_nobody_the_faucet(alice: LocalSigner) -> None:
    """PROTOCOL.md §5: credits are a faucet token on devnets only."""

    def granted(plan_wirings: object) -> set[int]:
        calls = [w for w in plan_wirings if w.function == "grantRole"]  # type: ignore[attr-defined]
        return {w.arguments({"ProtocolTimelock": UNDERLYING})[0] for w in calls}

    assert ROLES["FAUCET"] in granted(contracts_plan(alice.address, DEVNET).wirings)
    assert ROLES["FAUCET"] not in granted(production(alice).wirings)


def test_other_parameters_stand_at_other_addresses(alice: LocalSigner) -> None:
    devnet = planned_addresses(alice.address, contracts_plan(alice.address, DEVNET))
    other = planned_addresses(alice.address, production(alice))
    assert not set(devnet.values()) & set(other.values())


def test_a_chain_has_either_a_faucet_or_a_token_behind_its_credits(alice: LocalSigner) -> None:
    for chosen, underlying in ((PRODUCTION, None), (DEVNET, UNDERLYING)):
        with pytest.raises(InvalidInput, match="either a faucet or a token"):
            contracts_plan(alice.address, chosen, underlying)


def test_in_production_the_timelock_administers_and_the_operator_only_guards(
    chain: RpcChain, manager: TransactionManager, deployed: DeployedContracts, alice: LocalSigner
) -> None:
    plan = contracts_plan(alice.address, PRODUCTION, deployed.addresses["CreditToken"])
    made = deploy_all(chain, manager, alice, plan)
    access, timelock = made["ProtocolAccess"], made.addresses["ProtocolTimelock"]

    def holders(role: str) -> list[bool]:
        return [chain.call(access, "hasRole", ROLES[role], who)[0] for who in (alice.address, timelock)]

    assert [holders(role) for role in ("ADMIN", "FAUCET", "GUARDIAN", "PARAMETER")] == [
        [False, True],
        [False, False],
        [True, False],
        [False, True],
    ]
    assert chain.call(made["CreditToken"], "symbol") == "HWC"
    with pytest.raises(TransactionReverted, match="AccessManagedUnauthorized"):
        manager.call(alice, "base payee", made["ModelRegistry"], "setBasePayee", b"\1" * 32, alice.address)
    height = chain.block().number
    assert deploy_all(chain, manager, alice, plan) == made
    assert chain.block().number == height


@pytest.mark.parametrize("chosen", [DEVNET, PRODUCTION], ids=["devnet", "production"])
def test_parameters_keep_the_protocols_bounds(chosen: type) -> None:
    """PROTOCOL.md §6.5 and §10."""
    p = chosen
    assert p.ring_size >= -(-p.window_seconds // p.minimum_epoch_seconds) + 2  # type: ignore[attr-defined]
    assert p.attempt_timeout_seconds < p.minimum_epoch_seconds  # type: ignore[attr-defined]
    assert p.lane_close_delay_seconds > 2 * p.minimum_epoch_seconds  # type: ignore[attr-defined]
    assert p.stake_exit_delay_seconds > p.window_seconds + p.evidence_window_seconds  # type: ignore[attr-defined]
