"""One supervised node: chain, signer, database, store, pool, workers and API of one home, started and stopped as one.

In: a `Config` and the keystore's password. Out: servers on loopback until SIGTERM. It starts in the order of what
needs what and stops in the reverse; what was acknowledged is on disk at every moment, so stopping is only politeness.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headwater.chain.embedded.genesis import Genesis
from headwater.chain.embedded.node import EmbeddedChain
from headwater.chain.rpc import RpcServer
from headwater.clock import SystemClock
from headwater.config import DEFAULT_BASE, Config
from headwater.errors import MissingContent, NotFound
from headwater.modelfactory.assets import assets_folder
from headwater.modelfactory.bases import prepared_base
from headwater.service.attesting import Attesting
from headwater.service.attributing import AttributionWorker
from headwater.service.datanets import Datanets
from headwater.service.deploying import Deploying
from headwater.service.deployment import deploy_contracts
from headwater.service.inference import Inference
from headwater.service.jobs import Handler, JobRows, JobWorker
from headwater.service.model_rows import ModelRows
from headwater.service.pool import Pool
from headwater.service.training import Training
from headwater.service.workbench import Workbench, contracts_path, open_workbench
from headwater.signing.launch import SignerProcess
from headwater.signing.paths import SignerPaths
from headwater.storage.database import Database
from headwater.storage.home import Home, NodeLock, open_home, read_api_token
from headwater.types import Wei

OPERATOR: Final = "operator"
PROVIDER: Final = "provider"
PROVIDER_HOT_KEY: Final = "provider-hot"
GENESIS_WEI: Final = Wei(10**24)
SEEDED_START: Final = 1_767_225_600
"""2026-01-01 00:00 UTC: where the time of a seeded chain begins."""


@dataclass
class Node:
    """A running node's parts, as the API uses them."""

    config: Config
    home: Home
    token: str
    bench: Workbench
    datanets: Datanets
    models: ModelRows
    jobs: JobWorker
    base_folder: Path | None
    pool: Pool | None
    inference: Inference | None
    attributing: AttributionWorker | None


Say = Callable[[str], None]


@asynccontextmanager
async def running_node(config: Config, password: str, say: Say, base_name: str = DEFAULT_BASE) -> AsyncIterator[Node]:
    """Start everything; leave the context to stop it. Raises HomeInUse, PortInUse, InvalidInput (password)."""
    async with AsyncExitStack() as stack:
        home = open_home(config.home)
        stack.enter_context(NodeLock(home))
        signer = stack.enter_context(
            SignerProcess(SignerPaths.of(home.path), password, kdf=config.keystore_kdf, seed=config.seed, listen=True)
        )
        await asyncio.to_thread(_ensure_operator, signer)
        if config.is_embedded_chain:
            await _start_chain(stack, config, home, signer, say)
        await asyncio.to_thread(_ensure_contracts, config, home, signer)
        # In a thread: opening asks the chain, which this very loop serves.
        bench = await asyncio.to_thread(stack.enter_context, open_workbench(config, lambda: password))
        node = await asyncio.to_thread(_assemble, config, home, bench, base_name, say)
        await _start_workers(stack, node)
        yield node


def _ensure_operator(signer: SignerProcess) -> None:
    if OPERATOR not in signer.client.wallets():
        signer.client.create(OPERATOR)
    else:
        signer.client.unlock(OPERATOR)


async def _start_chain(stack: AsyncExitStack, config: Config, home: Home, signer: SignerProcess, say: Say) -> None:
    operator = await asyncio.to_thread(signer.client.address, OPERATOR)
    genesis = Genesis(config.chain_id, {operator: GENESIS_WEI}, SEEDED_START if config.seed else None)
    chain = await asyncio.to_thread(EmbeddedChain, home.path, genesis)
    stack.callback(chain.close)
    server = RpcServer(chain, config.host, config.rpc_port)
    await server.start()
    stack.push_async_callback(server.stop)
    say(f"chain {config.chain_id}: JSON-RPC at {server.url}")


def _ensure_contracts(config: Config, home: Home, signer: SignerProcess) -> None:
    """A home on the embedded chain deploys by itself; elsewhere a person decides to."""
    if contracts_path(home).exists():
        return
    if not config.is_embedded_chain:
        raise NotFound(
            f"the contracts on chain {config.chain_id} are not known here",
            "run `headwater contracts deploy`, or copy contracts.json into the home",
        )
    clock = SystemClock()
    with Database(config.database) as database:
        deploy_contracts(config, home, signer.client, database, clock)


def _assemble(config: Config, home: Home, bench: Workbench, base_name: str, say: Say) -> Node:
    rows = ModelRows(bench.database)
    folder = _base_folder(config, base_name, say)
    pool = None if folder is None else Pool.open(folder, base_name, rows, config.device, config.threads)
    for name, reason in (pool.refused if pool else {}).items():
        say(f"{name} is not served: {reason}")
    inference = attributing = None
    if pool is not None and folder is not None and _may_provide(bench):
        inference = Inference(bench, pool, bench.address(PROVIDER), PROVIDER_HOT_KEY)
        repaired = inference.repair()
        if repaired:
            say(f"signed {repaired} receipts that a crash had left as drafts")
        attributing = AttributionWorker(bench, rows, folder, PROVIDER_HOT_KEY)
    datanets = Datanets(bench)
    handlers: dict[str, Handler] = {}
    if folder is not None:
        training = Training(config, home, datanets, folder)
        handlers = {"train": training.train, "evaluate": training.evaluate}
    jobs = JobRows(bench.database, bench.clock)
    if pool is not None:
        handlers["deploy"] = Deploying(bench, jobs, Attesting(bench), pool).deploy
    return Node(
        config,
        home,
        read_api_token(home),
        bench,
        datanets,
        rows,
        JobWorker(jobs, handlers),
        folder,
        pool,
        inference,
        attributing,
    )


def _base_folder(config: Config, base_name: str, say: Say) -> Path | None:
    try:
        return prepared_base(base_name, assets_folder(config.assets_dir), say)
    except (MissingContent, NotFound) as error:
        say(f"no base model: {error.cause}; {error.next_step}. Serving and training are off until then.")
        return None


def _may_provide(bench: Workbench) -> bool:
    return {PROVIDER, PROVIDER_HOT_KEY} <= bench.signer.wallets().keys()


async def _start_workers(stack: AsyncExitStack, node: Node) -> None:
    node.jobs.start()
    stack.callback(node.jobs.stop)
    if node.attributing is not None:
        node.attributing.start()
        stack.callback(node.attributing.stop)
    if node.pool is not None:
        stack.callback(node.pool.close)
