"""What every service stands on: one home's configuration, database, chain, contracts, signer, store and entropy.

In: a `Config`. Out: short verbs (`call`, `send`, `events`, `domain`, `address`) under which the services read like
what they do. Every transaction has an intent, so that a service may be called again after a crash.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from headwater.chain.client import Chain, RpcChain
from headwater.chain.contracts import DeployedContracts
from headwater.chain.transactions import TransactionManager, WalletSigner
from headwater.chain.values import Event, TransactionReceipt
from headwater.clock import Clock, SystemClock
from headwater.config import Config
from headwater.content.cid import digest_of_cid
from headwater.content.factory import open_store
from headwater.content.store import ContentStore
from headwater.errors import Refused
from headwater.protocol.canonical import Json, parse_json
from headwater.protocol.typed_data import Domain
from headwater.signing.client import SignerClient
from headwater.signing.entropy import Entropy, entropy_for
from headwater.signing.launch import open_signer
from headwater.signing.password import read_password
from headwater.signing.paths import SignerPaths
from headwater.storage.database import Database
from headwater.storage.home import Home, open_home
from headwater.storage.outbox import Outbox
from headwater.types import Address, Cid, Digest, Wei

CONTRACTS_FILE: Final = "contracts.json"
BLOCKS_BEFORE_SEAL: Final = 2


@dataclass(frozen=True)
class Workbench:
    """One home, opened. Blocking; safe to use from several threads."""

    config: Config
    home: Home
    database: Database
    chain: Chain
    contracts: DeployedContracts
    signer: SignerClient
    store: ContentStore
    entropy: Entropy
    clock: Clock
    transactions: TransactionManager
    _counter: Iterator[int] = field(default_factory=itertools.count)

    @property
    def chain_id(self) -> int:
        return self.config.chain_id

    # -- the chain ---------------------------------------------------------------------------------------------

    def call(self, contract: str, function: str, *args: Any) -> Any:
        """Read a contract; structs come back as dicts by their Solidity names."""
        return self.chain.call(self.contracts[contract], function, *args)

    def send(self, wallet: str, contract: str, function: str, *args: Any, intent: str) -> TransactionReceipt:
        """Carry out `intent` once, from a named wallet, and wait for its block. Raises TransactionReverted."""
        return self.transactions.call(
            WalletSigner(self.signer, wallet), intent, self.contracts[contract], function, *args
        )

    def transfer(self, wallet: str, to: Address, native_wei: int, intent: str) -> TransactionReceipt:
        """Send native coin."""
        return self.transactions.transfer(WalletSigner(self.signer, wallet), intent, to, Wei(native_wei))

    def events(self, contract: str, event: str, **indexed: Any) -> list[Event]:
        """All events of that name so far, in chain order."""
        return self.chain.logs(self.contracts[contract], event, 0, "latest", **indexed)

    def contract_address(self, contract: str) -> Address:
        return self.contracts[contract].address

    def domain(self, contract: str) -> Domain:
        """EIP-712 domain of one of our contracts."""
        return Domain(contract, self.chain_id, self.contract_address(contract))

    def chain_time(self) -> int:
        """Timestamp of the newest block; the only time that enters anything signed."""
        return self.chain.block().timestamp

    def mine_for_seal(self) -> None:
        """A seal needs later blocks: ask the embedded chain for them; elsewhere they come by themselves."""
        if self.config.is_embedded_chain:
            self.chain.mine_empty(BLOCKS_BEFORE_SEAL)

    # -- wallets and content -----------------------------------------------------------------------------------

    def address(self, wallet: str) -> Address:
        return self.signer.address(wallet)

    def unique(self) -> str:
        """A label that no other draw of this process has."""
        return f"{self.clock.now()} {next(self._counter)}"

    def raw_digest(self, cid: Cid) -> Digest:
        """sha2-256 of content that fits one block, from its CID."""
        return digest_of_cid(cid)

    def json_of(self, cid: Cid) -> Json:
        return parse_json(self.store.get(cid), f"the content of {cid}")


def contracts_path(home: Home) -> Path:
    return home.path / CONTRACTS_FILE


@contextmanager
def open_workbench(
    config: Config, ask_password: Callable[[], str], database_name: str = "", clock: Clock | None = None
) -> Iterator[Workbench]:
    """Open a home whose chain answers and whose contracts are deployed.

    `database_name`: another SQLite file of the home than the node's (the user's own books). Raises Unavailable (no
    chain), NotFound (no contracts), InvalidInput (password).
    """
    home = open_home(config.home)
    clock = clock or SystemClock()
    url = f"sqlite:///{home.path / database_name}" if database_name else config.database
    with ExitStack() as stack:
        chain = RpcChain(config.chain_rpc_url, config.chain_id)
        contracts = DeployedContracts.load(contracts_path(home))
        if contracts.chain_id != config.chain_id:
            raise Refused(
                f"the home's contracts are on chain {contracts.chain_id}, the configuration says {config.chain_id}",
                "set chain_id, or use another home",
            )
        database = stack.enter_context(Database(url))
        signer = stack.enter_context(
            open_signer(SignerPaths.of(home.path), ask_password, kdf=config.keystore_kdf, seed=config.seed)
        )
        yield Workbench(
            config=config,
            home=home,
            database=database,
            chain=chain,
            contracts=contracts,
            signer=signer,
            store=open_store(config.store_url, home.content, token=_store_token(config)),
            entropy=entropy_for(config.seed),
            clock=clock,
            transactions=TransactionManager(chain, Outbox(database, clock)),
        )


def _store_token(config: Config) -> str:
    return read_password(config.store_token_file) if config.store_token_file else ""
