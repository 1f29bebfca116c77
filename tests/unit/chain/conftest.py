"""What the chain's tests share: a probe contract, accounts, and two chains that must behave alike.

`chain` runs every test that takes it twice: on the embedded chain behind its RPC, and on anvil where it is installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.chain.client import RpcChain
from headwater.chain.contracts import Artifact, Artifacts, Contract
from headwater.chain.embedded import EmbeddedChain, Genesis
from headwater.chain.factory import FACTORY_ADDRESS, FACTORY_CODE
from headwater.chain.transactions import TransactionManager
from headwater.clock import ManualClock
from headwater.storage.database import Database
from headwater.storage.outbox import Outbox
from headwater.testing.chains import RICH, AdvancingWaiter, LocalSigner, ShortWaiter, anvil, find_anvil, served
from headwater.types import address, hex0x

REPOSITORY = Path(__file__).resolve().parents[3]
FIXTURE = Path(__file__).parent / "fixture"
CHAIN_ID = 31337
START = 1_700_000_000
PROBE = address("0x" + "9b" * 20)
"""Where a probe stands from the start, on both chains."""


@pytest.fixture
def alice() -> LocalSigner:
    return LocalSigner("alice")


@pytest.fixture
def bob() -> LocalSigner:
    return LocalSigner("bob")


@pytest.fixture
def genesis(alice: LocalSigner, bob: LocalSigner, probe_artifact: Artifact) -> Genesis:
    code = {FACTORY_ADDRESS: FACTORY_CODE, PROBE: runtime_of(probe_artifact)}
    return Genesis(CHAIN_ID, {alice.address: RICH, bob.address: RICH}, START, code)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def embedded(tmp_path: Path, genesis: Genesis, clock: ManualClock) -> Iterator[EmbeddedChain]:
    """A seeded embedded chain."""
    chain = EmbeddedChain(tmp_path / "chain", genesis, clock, AdvancingWaiter(clock))
    yield chain
    chain.close()


@pytest.fixture
def embedded_url(embedded: EmbeddedChain) -> Iterator[str]:
    with served(embedded) as server:
        yield server.url


@pytest.fixture
def artifacts() -> Artifacts:
    return Artifacts(FIXTURE)


@pytest.fixture
def probe_artifact(artifacts: Artifacts) -> Artifact:
    return artifacts["Probe"]


@pytest.fixture(scope="session")
def anvil_url() -> Iterator[str]:
    binary = find_anvil(REPOSITORY)
    if binary is None:
        pytest.skip("anvil is not installed here: `npm ci` installs it")
    with anvil(binary, CHAIN_ID, "--balance", "1000000000") as url:
        yield url


@pytest.fixture(params=["embedded", "anvil"])
def url(request: pytest.FixtureRequest, alice: LocalSigner, bob: LocalSigner) -> Iterator[str]:
    """Either chain; on both, alice and bob are rich and the CREATE2 factory is there."""
    if request.param == "embedded":
        yield request.getfixturevalue("embedded_url")
        return
    where = request.getfixturevalue("anvil_url")
    chain = RpcChain(where, CHAIN_ID, {})
    before = chain._transport.ask("evm_snapshot")
    for account in (alice, bob):
        chain._transport.ask("anvil_setBalance", account.address, hex(RICH))
    chain._transport.ask("anvil_setCode", PROBE, hex0x(runtime_of(request.getfixturevalue("probe_artifact"))))
    yield where
    chain._transport.ask("evm_revert", before)


@pytest.fixture
def chain(url: str, artifacts: Artifacts) -> RpcChain:
    return RpcChain(url, CHAIN_ID, artifacts, ShortWaiter())


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(f"sqlite:///{tmp_path / 'headwater.sqlite'}") as opened:
        yield opened


@pytest.fixture
def outbox(database: Database, clock: ManualClock) -> Outbox:
    return Outbox(database, clock)


@pytest.fixture
def manager(chain: RpcChain, outbox: Outbox) -> TransactionManager:
    return TransactionManager(chain, outbox, ShortWaiter())


@pytest.fixture
def probe(probe_artifact: Artifact) -> Contract:
    return probe_artifact.at(PROBE)


def runtime_of(artifact: Artifact) -> bytes:
    return bytes.fromhex(artifact.document["runtime"][2:])
