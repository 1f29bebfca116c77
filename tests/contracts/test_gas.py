"""What the settlement costs: gas of whole transactions in the steady state (ring full, accounts known), each barred.

`pytest tests/contracts/test_gas.py -s` prints the figures; py-evm makes them exact.
"""

from __future__ import annotations

import pytest
from bare_evm import Actor, Evm
from settlement_world import CREDIT, PROVIDER, VALIDATOR, Parameters, Settlement, Terms

ANNA = Actor("anna").address
PAYEES = 500


@pytest.fixture(scope="module")
def steady() -> Settlement:
    """One validator, a ring that has gone round once."""
    world = Settlement.deploy_bare(Evm(), Parameters(), Terms())
    world.validators = world.validators[:1]
    world.register(world.validators[0], VALIDATOR, world.terms.minimum_stake)
    world.register(world.provider, PROVIDER, world.terms.provider_bond)
    world.fund(100 * CREDIT)
    for i in range(world.parameters.ring_size + 1):
        world.commit({ANNA: i})
    return world


def bar(what: str, gas: float, most: int) -> None:
    print(f"{what:44} {gas:>10,.0f}   at most {most:,}")
    assert gas <= most, what


def test_gas_of_an_epoch_with_one_signer(steady: Settlement) -> None:
    gas = steady.commit({ANNA: 100}).gas
    bar("propose", gas["propose"], 65_000)
    bar("seal", gas["seal"], 37_000)
    bar("commit, one signer", gas["commit"], 84_000)


def test_gas_of_each_further_signer() -> None:
    world = Settlement.deploy(Evm())
    for _ in range(world.parameters.ring_size + 1):
        world.commit({})
    keys = [world.key_of(v) for v in world.validators]
    two, three = (world.commit({}, keys=keys[:count]).gas["commit"] for count in (2, 3))
    bar("commit, each further signer", three - two, 9_600)


def test_gas_of_redeeming_a_voucher(steady: Settlement) -> None:
    steady.deposit(steady.user, CREDIT)
    lane = steady.open_lane(CREDIT)
    steady.redeem(lane, 1)
    bar("redeem", steady.redeem(lane, CREDIT).gas_used, 62_000)


def test_gas_of_being_paid(steady: Settlement) -> None:
    first = steady.commit({Actor(f"payee {i}").address: i + 1 for i in range(PAYEES)})
    again = steady.commit({Actor(f"payee {i}").address: i + 2 for i in range(PAYEES)})
    more = steady.commit({Actor(f"payee {i}").address: i + 3 for i in range(PAYEES)})
    steady.finalise()
    account = more.tree.accounts[7]
    gas = [steady.ledger.send("settler", "settle", done.entry, done.payouts).gas_used for done in (first, again)]
    bar(f"settle, a new payee of {PAYEES}", gas[0] / PAYEES, 27_600)
    bar(f"settle, a repeated payee of {PAYEES}", gas[1] / PAYEES, 10_500)
    steady.ledger.send("anybody", "withdrawCredit", account)
    bar(f"claim, depth {len(more.tree.proof(account))}", steady.claim(more, account).gas_used, 75_000)
