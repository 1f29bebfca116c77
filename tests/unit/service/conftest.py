"""One devnet for the whole room: a home, its signer, the embedded chain, contracts, funded wallets, one active model.

Deployed once a session (some ten seconds); every test opens lanes and makes batches of its own on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from eth_utils import keccak
from sqlalchemy import insert

from headwater.chain.embedded import EmbeddedChain, Genesis
from headwater.clock import ManualClock
from headwater.config import Config
from headwater.datanets.batches import PreparedBatch, prepare_batch
from headwater.protocol.contribution import Record
from headwater.protocol.license import Disclosure
from headwater.service.accounts import Accounts
from headwater.service.datanets import Datanets
from headwater.service.deployment import deploy_contracts
from headwater.service.lanes import ESCROW, Lanes
from headwater.service.workbench import Workbench, open_workbench
from headwater.signing.launch import SignerProcess
from headwater.signing.paths import SignerPaths
from headwater.storage.database import Database
from headwater.storage.home import open_home
from headwater.storage.schema import lanes as lanes_table
from headwater.testing import examples
from headwater.testing.chains import RICH, AdvancingWaiter, served
from headwater.types import WEI_PER_CREDIT, Digest, digest, hex0x

CHAIN_ID = 31337
START = 1_767_225_600
PASSWORD = "correct horse battery staple"
WALLETS = ("alice", "bob", "owner", "modeler", "provider", "other-provider", "validator", "user")
KEYS = ("provider-hot", "other-hot", "validator-hot", "session")
CREDITS = 1_000 * WEI_PER_CREDIT


@dataclass(frozen=True)
class Devnet:
    """Everything that the services stand on, and the chain itself to move its time."""

    chain: EmbeddedChain
    bench: Workbench
    user_bench: Workbench
    """The same home through the user's own books."""

    @property
    def datanets(self) -> Datanets:
        return Datanets(self.bench)

    def batch(self, contributor: str, records: list[Record], datanet_id: Digest, **changes: Any) -> PreparedBatch:
        """A batch by one of the wallets, not yet signed."""
        options = {"deadline": self.bench.chain_time() + 3_600, **changes}
        terms, who = self.datanets.terms(datanet_id), self.bench.address(contributor)
        return prepare_batch(records, datanet_id, who, terms, self.bench.entropy, **options)

    def open_lane(self, name: str, credits_wei: int, provider: str = "provider", **options: Any) -> Digest:
        """A lane of the wallet 'user'; `name` is used once."""
        bench = self.bench
        user, paid_to, nonce = bench.address("user"), bench.address(provider), keccak(text=name)
        lane_id = digest(bench.call(ESCROW, "laneIdOf", user, paid_to, nonce))
        Accounts(bench).approve("user", ESCROW, credits_wei, f"lane {name}")
        bench.send("user", ESCROW, "deposit", user, credits_wei, intent=f"deposit {hex0x(lane_id)}")
        arguments = (
            paid_to,
            nonce,
            credits_wei,
            bench.address("session"),
            Disclosure.CONFIDENTIAL.value,
            options.get("expires_at", 0),
        )
        bench.send("user", ESCROW, "openLane", *arguments, intent=f"open lane {hex0x(lane_id)}")
        Lanes(self.user_bench).remember(lane_id, "user", "session")
        return lane_id


@pytest.fixture(scope="session")
def devnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    home = open_home(tmp_path_factory.mktemp("home"))
    with ExitStack() as stack:
        signer = stack.enter_context(
            SignerProcess(SignerPaths.of(home.path), PASSWORD, kdf="light", seed="service tests", listen=True)
        )
        for name in ("operator", *WALLETS, *KEYS):
            signer.client.create(name)
        clock = ManualClock(START)
        genesis = Genesis(CHAIN_ID, {signer.client.address("operator"): RICH}, START)
        chain = EmbeddedChain(home.path, genesis, clock, AdvancingWaiter(clock))
        stack.callback(chain.close)
        server = stack.enter_context(served(chain))
        port = int(server.url.rsplit(":", 1)[1])
        config = Config(home.path, rpc_port=port, keystore_kdf="light", seed="service tests", max_unvouchered_wei=0)
        with Database(config.database) as database:
            deploy_contracts(config, home, signer.client, database, clock)
        bench = stack.enter_context(open_workbench(config, lambda: PASSWORD, clock=clock))
        books = stack.enter_context(open_workbench(config, lambda: PASSWORD, "proxy.sqlite", clock))
        _fund(bench)
        yield Devnet(chain, bench, books)


def _fund(bench: Workbench) -> None:
    accounts = Accounts(bench)
    for name in WALLETS:
        accounts.fund(bench.address(name), 10**20, CREDITS, f"fund {name}")
    accounts.register_provider("provider", "provider-hot", 100 * WEI_PER_CREDIT)
    accounts.register_provider("other-provider", "other-hot", 100 * WEI_PER_CREDIT)
    # More than the least, so that a late proposal's slash leaves a validator.
    accounts.register_validator("validator", "validator-hot", 500 * WEI_PER_CREDIT)


@pytest.fixture(scope="session")
def bench(devnet: Devnet) -> Workbench:
    return devnet.bench


@pytest.fixture(scope="session")
def datanet(devnet: Devnet) -> Digest:
    """A Datanet of the wallet 'owner', empty until a test contributes."""
    return devnet.datanets.create("owner", "Drug safety coding", examples.TERMS)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Books of one test's own, without a chain."""
    with Database(f"sqlite:///{tmp_path / 'headwater.sqlite'}") as opened:
        yield opened


@pytest.fixture
def with_lane(database: Database) -> Callable[[Digest], None]:
    """Put a lane's row into those books, for receipts hang on it."""

    def remember(lane_id: Digest) -> None:
        values = {"lane_id": hex0x(lane_id), "role": "provider", "document": "{}", "state": "open"}
        database.write(lambda c: c.execute(insert(lanes_table).values(values)))

    return remember
