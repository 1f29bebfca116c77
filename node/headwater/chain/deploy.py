"""Put a suite of contracts on a chain: each once, at the same addresses everywhere, wired to each other.

In: a plan (contracts in order with their constructor arguments, then calls that wire them), a signer, a salt. Out:
`DeployedContracts`. Run again, it finishes what is missing and changes nothing else. Knows no contract by name:
`deployment_plan` does.

The addresses follow from the public CREATE2 factory, the signer's account, the salt, and the plan itself (bytecode
and arguments), so another version of a contract never hides behind an old one's address.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from eth_utils.crypto import keccak

from headwater.chain.client import Chain
from headwater.chain.contracts import Artifact, DeployedContracts, shipped_artifacts
from headwater.chain.factory import (
    FACTORY_ADDRESS,
    FACTORY_CODE,
    FACTORY_COST,
    FACTORY_SENDER,
    FACTORY_TRANSACTION,
    factory_calldata,
)
from headwater.chain.suite_factory import place_address, suite_factory_address, suite_factory_code
from headwater.chain.transactions import TransactionManager, TransactionSigner
from headwater.errors import Conflict, InvalidInput, Refused
from headwater.types import Address, Wei, address

Addresses = Mapping[str, Address]
Arguments = Callable[[Addresses], Sequence[Any]]
"""Arguments from the addresses of all contracts of the plan, also those that come later."""

DEFAULT_SALT: Final = keccak(text="headwater")


class Read(Protocol):
    def __call__(self, contract: str, function: str, *args: Any) -> Any:
        """One call to a contract of the plan."""
        ...


@dataclass(frozen=True, slots=True)
class Deployment:
    """One contract of the plan."""

    name: str
    arguments: Arguments = lambda _: ()
    made_of: str = ""
    """The artefact behind it, where that has another name: two contracts may do one thing in different ways."""

    @property
    def artifact(self) -> str:
        return self.made_of or self.name


@dataclass(frozen=True, slots=True)
class Wiring:
    """One call after all contracts stand. `is_done` looks whether somebody made it already."""

    contract: str
    function: str
    arguments: Arguments
    is_done: Callable[[Read, Addresses], bool]


@dataclass(frozen=True, slots=True)
class Plan:
    deployments: Sequence[Deployment]
    wirings: Sequence[Wiring] = ()

    def digest(self, artifacts: Mapping[str, Artifact]) -> bytes:
        """keccak of every creation code, with a name's own digest in place of each address that is not known yet."""
        stand_ins = {d.name: address(keccak(text=d.name)[12:]) for d in self.deployments}
        parts = [keccak(artifacts[d.artifact].creation_code(*d.arguments(stand_ins))) for d in self.deployments]
        return keccak(b"".join(parts))


def deploy_all(
    chain: Chain,
    manager: TransactionManager,
    signer: TransactionSigner,
    plan: Plan,
    artifacts: Mapping[str, Artifact] | None = None,
    salt: bytes = DEFAULT_SALT,
) -> DeployedContracts:
    """Deploy and wire what is missing. `signer` pays, and must be the same account when it is run again.

    Raises TransactionReverted with the error of a constructor or call, InsufficientFunds, Conflict (the factory was
    used for something else), Refused (the chain has no CREATE2 factory and takes none), Unavailable.
    """
    artifacts = shipped_artifacts() if artifacts is None else artifacts
    addresses, suite, suite_salt = _places(signer.address, plan, artifacts, salt)
    _ensure_public_factory(chain, manager, signer)
    if not chain.code(suite):
        data = factory_calldata(suite_salt, suite_factory_code(signer.address))
        manager.execute(signer, f"deploy:{chain.chain_id}:{suite}", FACTORY_ADDRESS, data)
    for number, deployment in enumerate(plan.deployments, start=1):
        place = addresses[deployment.name]
        if chain.code(place):
            continue
        if (used := chain.nonce(suite)) != number:
            raise Conflict(
                f"the suite's factory {suite} has made {used - 1} contracts, but {deployment.name} is not among them",
                "deploy under another salt",
            )
        creation_code = artifacts[deployment.artifact].creation_code(*deployment.arguments(addresses))
        manager.execute(signer, f"deploy:{chain.chain_id}:{place}", suite, creation_code)
    deployed = DeployedContracts(chain.chain_id, addresses)
    _wire(chain, manager, signer, plan, artifacts, deployed)
    return deployed


def planned_addresses(
    owner: Address,
    plan: Plan,
    artifacts: Mapping[str, Artifact] | None = None,
    salt: bytes = DEFAULT_SALT,
) -> dict[str, Address]:
    """Where `deploy_all` with these arguments puts the contracts, on any chain."""
    return _places(owner, plan, shipped_artifacts() if artifacts is None else artifacts, salt)[0]


def _places(
    owner: Address, plan: Plan, artifacts: Mapping[str, Artifact], salt: bytes
) -> tuple[dict[str, Address], Address, bytes]:
    """Every contract's address, the suite factory's, and the salt that it is made with."""
    suite_salt = keccak(salt + plan.digest(artifacts))
    suite = suite_factory_address(owner, suite_salt)
    return {d.name: place_address(suite, n) for n, d in enumerate(plan.deployments, start=1)}, suite, suite_salt


def _ensure_public_factory(chain: Chain, manager: TransactionManager, signer: TransactionSigner) -> None:
    """On a chain without it: pay for the transaction that its author signed before, and send that."""
    if (code := chain.code(FACTORY_ADDRESS)) == FACTORY_CODE:
        return
    if code:
        raise Conflict(f"another contract stands at {FACTORY_ADDRESS}", "use another chain")
    missing = FACTORY_COST - chain.balance(FACTORY_SENDER)
    if missing > 0:
        key = f"fund-create2-factory:{chain.chain_id}:{missing}"
        manager.transfer(signer, key, FACTORY_SENDER, Wei(missing))
    try:
        chain.wait(chain.send_raw(FACTORY_TRANSACTION))
    except (Refused, InvalidInput) as error:
        raise _no_public_factory(error.cause) from None
    if chain.code(FACTORY_ADDRESS) != FACTORY_CODE:
        raise _no_public_factory("its presigned transaction does not make it")


def _no_public_factory(why: str) -> Refused:
    return Refused(
        f"the chain has no CREATE2 factory: {why}",
        "ask the chain's operator for the deterministic deployment proxy, or use another chain",
    )


def _wire(
    chain: Chain,
    manager: TransactionManager,
    signer: TransactionSigner,
    plan: Plan,
    artifacts: Mapping[str, Artifact],
    deployed: DeployedContracts,
) -> None:
    def read(contract: str, function: str, *args: Any) -> Any:
        return chain.call(deployed.contract(contract, artifacts), function, *args)

    for number, wiring in enumerate(plan.wirings):
        if wiring.is_done(read, deployed.addresses):
            continue
        contract = deployed.contract(wiring.contract, artifacts)
        key = f"wire:{chain.chain_id}:{contract.address}:{number}:{wiring.function}"
        manager.call(signer, key, contract, wiring.function, *wiring.arguments(deployed.addresses))
