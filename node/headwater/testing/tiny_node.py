"""A whole node on a tiny base, for tests of pages and API: chain, contracts, wallets, a sealed snapshot, a pool.

In: a folder. Out: a `Node` as `service.node` assembles it, whose chain, registries, training, attestation and pool
are real and whose evaluation is scripted (the real one asks a sentence embedder that a tiny home has not). Nothing
answers for money: there is no inference. Some ten seconds to start; the jobs' worker waits for `jobs.start()`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from headwater.chain.embedded import EmbeddedChain, Genesis
from headwater.clock import ManualClock
from headwater.config import Config
from headwater.datanets.batches import prepare_batch
from headwater.modelfactory import job_spec as files
from headwater.modelfactory.bases import base_digest
from headwater.modelfactory.job_spec import JobSpec
from headwater.protocol.canonical import Json
from headwater.protocol.contribution import Record
from headwater.protocol.evaluation import Contender, EvaluationReport, Finding, Score
from headwater.protocol.recipe import Recipe
from headwater.service.accounts import Accounts
from headwater.service.attesting import Attesting
from headwater.service.datanets import LOG, Datanets, SealedSnapshot
from headwater.service.deploying import Deploying
from headwater.service.deployment import deploy_contracts
from headwater.service.jobs import JobRows, JobWorker, Report
from headwater.service.model_rows import ModelRows
from headwater.service.node import Node
from headwater.service.pool import Pool
from headwater.service.training import Training, TrainRequest
from headwater.service.workbench import Workbench, open_workbench
from headwater.signing.launch import SignerProcess
from headwater.signing.paths import SignerPaths
from headwater.storage.database import Database
from headwater.storage.home import open_home, read_api_token
from headwater.testing import examples
from headwater.testing.chains import RICH, AdvancingWaiter, served
from headwater.testing.examiners import scripted_examiner
from headwater.testing.tiny import tiny_base
from headwater.types import WEI_PER_CREDIT, Digest, Ppm, digest, hex0x

CHAIN_ID: Final = 31337
START: Final = 1_767_225_600
PASSWORD: Final = "correct horse battery staple"
OWNERS: Final = ("alice", "bob", "datanet-owner", "model-owner", "validator")
KEYS: Final = ("validator-hot",)
RECORDS_EACH: Final = 12
LAYERS: Final = 6
"""One more than the default attribution method looks at."""


class TinyTraining(Training):
    """Training on the folder that is there: its digest stands where the catalogue's would."""

    def _recipe(self, request: TrainRequest, first: SealedSnapshot) -> Recipe:
        return replace(super()._recipe(request, first), base_digest=base_digest(self._base_folder))


class ScoredByScript(TinyTraining):
    """Its evaluations are invented."""

    def evaluate(self, job_id: str, raw: Mapping[str, Any], report: Report) -> Json:
        """Scores that nobody measured, in the shape of measured ones."""
        folder = self.folder(str(raw["train_job"]))
        recipe = JobSpec.from_bytes((folder / files.SPEC_FILE).read_bytes()).recipe
        report({"stage": "evaluate", "metrics": {"step": 6, "steps": 6}})
        return scripted_evaluation(recipe)


def scripted_evaluation(recipe: Recipe) -> dict[str, Any]:
    """The result of a job 'evaluate' for a recipe."""
    right = {Contender.BASE: 0, Contender.NEAREST: 1, Contender.RULE: 6, Contender.TUNED: 5}
    found = EvaluationReport(
        snapshot_ids=recipe.snapshot_ids,
        data_split=recipe.data_split,
        base_digest=recipe.base_digest,
        adapter_digest=examples.word("adapter"),
        recipe_digest=recipe.digest(),
        held_out_count=6,
        evaluated_count=6,
        scores=tuple(_score(who, count) for who, count in right.items()),
        finding=Finding.USEFUL,
        unused_snapshot_ids=(),
        answers_digest=examples.word("answers"),
    )
    return {"report": found.to_json(), "report_digest": hex0x(found.digest()), "asked": []}


def _score(who: Contender, correct: int, total: int = 6) -> Score:
    value = correct * 1_000_000 // total
    low, high = max(0, value - 100_000), min(1_000_000, value + 100_000)
    return Score(who, correct, total, Ppm(value), Ppm(low), Ppm(high))


@contextmanager
def tiny_node(folder: Path) -> Iterator[Node]:
    """Deployed, funded, with one validator and one sealed snapshot of the Datanet 'Plants'."""
    home = open_home(folder)
    with ExitStack() as stack:
        paths = SignerPaths.of(home.path)
        signer = stack.enter_context(SignerProcess(paths, PASSWORD, kdf="light", seed="tiny node", listen=True))
        for name in ("operator", *OWNERS, *KEYS):
            signer.client.create(name)
        clock = ManualClock(START)
        genesis = Genesis(CHAIN_ID, {signer.client.address("operator"): RICH}, START)
        chain = EmbeddedChain(home.path, genesis, clock, AdvancingWaiter(clock))
        stack.callback(chain.close)
        server = stack.enter_context(served(chain))
        config = Config(
            home.path,
            rpc_port=int(server.url.rsplit(":", 1)[1]),
            keystore_kdf="light",
            seed="tiny node",
            device="cpu",
            threads=1,
        )
        with Database(config.database) as database:
            deploy_contracts(config, home, signer.client, database, clock)
        bench = stack.enter_context(open_workbench(config, lambda: PASSWORD, clock=clock))
        _fund(bench)
        sealed_snapshot(bench, "Plants")
        node = _assemble(config, bench, tiny_base(folder / "tiny-base", seed=7, layers=LAYERS, context_tokens=1_024))
        assert node.pool is not None
        stack.callback(node.pool.close)
        stack.callback(node.jobs.stop)
        yield node


def _assemble(config: Config, bench: Workbench, base_folder: Path) -> Node:
    datanets, rows = Datanets(bench), ModelRows(bench.database)
    pool = Pool.open(base_folder, "tiny", rows, "cpu", 1)
    training = ScoredByScript(config, bench.home, datanets, base_folder)
    jobs = JobRows(bench.database, bench.clock)
    deploying = Deploying(bench, jobs, Attesting(bench, scripted_examiner()), pool)
    handlers = {"train": training.train, "evaluate": training.evaluate, "deploy": deploying.deploy}
    return Node(
        config=config,
        home=bench.home,
        token=read_api_token(bench.home),
        bench=bench,
        datanets=datanets,
        models=rows,
        jobs=JobWorker(jobs, handlers),
        base_folder=base_folder,
        pool=pool,
        inference=None,
        attributing=None,
    )


def _fund(bench: Workbench) -> None:
    accounts = Accounts(bench)
    for name in OWNERS:
        accounts.fund(bench.address(name), 10**20, 1_000 * WEI_PER_CREDIT, f"fund {name}")
    accounts.register_validator("validator", "validator-hot", 500 * WEI_PER_CREDIT)


def sealed_snapshot(bench: Workbench, name: str) -> Digest:
    """A new Datanet of that name with records of alice and bob, committed and sealed; the snapshot's id."""
    datanets = Datanets(bench)
    datanet = datanets.create("datanet-owner", name, examples.TERMS)
    for who in ("alice", "bob"):
        records = [Record(f"Code of plant {i} of {who}?", f"{who[0].upper()}{i}") for i in range(RECORDS_EACH)]
        account = bench.address(who)
        batch = prepare_batch(records, datanet, account, examples.TERMS, bench.entropy, bench.chain_time() + 3_600)
        signature = bench.signer.sign_typed(who, batch.contribution, bench.domain(LOG))
        datanets.deliver(datanets.anchor(batch.contribution, signature), batch.batch)
    snapshot_id = datanets.snapshot("datanet-owner", datanet, 250_000)
    datanets.seal("datanet-owner", snapshot_id)
    return digest(snapshot_id)


TINY_TRAINING: Final = {"training_records": 18, "batch_size": 3, "epochs": 5}
"""Changes of the preset 'smoke' that a snapshot of `sealed_snapshot` can feed."""
