"""A model that was really trained: two contributors' records, a tiny base, an index, versions to recompute.

In: a devnet. Out: the result of a training job (a few seconds, once a session), versions registered from it, and
paid answers of them. The base knows nothing; the mechanics are those of every other base.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import delete, update

from headwater.attribution.index import AttributionIndex
from headwater.chain.deployment_plan import DEVNET
from headwater.modelfactory import job_spec as files
from headwater.modelfactory.data import Example
from headwater.modelfactory.job_spec import JobSpec
from headwater.modelfactory.jobs import prepare_job
from headwater.modelfactory.trainer import run_training
from headwater.protocol.attribution import AttributionBody
from headwater.protocol.chat import Message
from headwater.protocol.completion import InferenceRequest
from headwater.protocol.contribution import Record
from headwater.protocol.epoch import EpochBundle
from headwater.protocol.model import PriceSplit
from headwater.protocol.receipt import Receipt
from headwater.service.attributing import AttributionWorker, VersionAttributor, attribution_of
from headwater.service.datanets import LOG, Datanets
from headwater.service.epochs import CommittedEpoch, Epochs
from headwater.service.indexing import used_examples
from headwater.service.inference import Inference, Order
from headwater.service.jobs import Report
from headwater.service.lanes import ESCROW
from headwater.service.model_rows import ModelRows, VersionRow
from headwater.service.models import Models
from headwater.service.paying import Paying
from headwater.service.pool import identity_of
from headwater.service.receipt_rows import PrivateAnswer
from headwater.service.validating import Round, Validating
from headwater.service.workbench import Workbench
from headwater.settlement.receipts import response_of
from headwater.storage.schema import receipts as table
from headwater.testing import examples
from headwater.testing.tiny_node import TinyTraining
from headwater.types import WHOLE_PPM, Digest, Ppm, Wei, hex0x

SPLIT = PriceSplit(*(Ppm(p) for p in (480_000, 160_000, 60_000, 210_000, 55_000, 35_000)))
"""No two parts are equal: whoever mixes two of them up is seen."""
PRICE_PER_THOUSAND_WEI = Wei(10**15)
_numbers = count()


class TrainingHere(TinyTraining):
    """Trains in this process."""

    def _run(
        self, folder: Path, spec: JobSpec, train: Sequence[Example], held_out: Sequence[Example], report: Report
    ) -> None:
        """A child of its own would spend most of its time on loading torch; the executor has its own tests."""
        prepare_job(folder, spec, train, held_out)
        if not (folder / files.RESULT_FILE).is_file():
            run_training(folder, spec, lambda line: None)


def training_over(bench: Workbench, base_folder: Path) -> TrainingHere:
    config = replace(bench.config, device="cpu", threads=1)
    return TrainingHere(config, bench.home, Datanets(bench), base_folder)


def train_request(*snapshot_ids: Digest, **changes: Any) -> dict[str, Any]:
    """A training of some seconds that learns a few answers by heart."""
    return {
        "snapshot_ids": [hex0x(s) for s in snapshot_ids],
        "base": "SmolLM2-135M-Instruct",
        "preset": "smoke",
        "changes": {"training_records": 18, "batch_size": 3, "epochs": 5, "learning_rate_ppb": 20_000_000},
        "data_split": "random",
        **changes,
    }


def contribute(devnet: Any, datanet: Digest, who: str, records: list[Record]) -> Digest:
    """Sign, anchor and deliver; the contribution's id."""
    batch = devnet.batch(who, records, datanet)
    signature = devnet.bench.signer.sign_typed(who, batch.contribution, devnet.bench.domain(LOG))
    name: Digest = devnet.datanets.anchor(batch.contribution, signature)
    devnet.datanets.deliver(name, batch.batch)
    return name


def sealed(devnet: Any, datanet: Digest, held_out_ppm: int = 250_000) -> Digest:
    snapshot_id: Digest = devnet.datanets.snapshot("owner", datanet, held_out_ppm)
    devnet.datanets.seal("owner", snapshot_id)
    return snapshot_id


def plants(who: str, size: int) -> list[Record]:
    return [Record(f"Code of plant {i} of {who}?", f"{who[:1].upper()}{i}") for i in range(size)]


@dataclass(frozen=True)
class TrainedWorld:
    """One finished training and the verbs of its pages."""

    devnet: Any
    base_folder: Path
    datanet: Digest
    snapshot_id: Digest
    job_id: str
    result: dict[str, Any]
    events: list[Any]

    @property
    def bench(self) -> Workbench:
        bench: Workbench = self.devnet.bench
        return bench

    @property
    def folder(self) -> Path:
        return Path(self.result["folder"])

    def index(self) -> AttributionIndex:
        return AttributionIndex.load(self.folder / "index")

    def register(self, name: str, **changes: Any) -> VersionRow:
        """A version of this training under a name of its own, in state 'registered'."""
        models = Models(self.bench)
        trained = {**self.result, **changes}
        models.register("modeler", name, trained, examples.word("evaluation"), PRICE_PER_THOUSAND_WEI, SPLIT)
        return models.named(name)


def train(devnet: Any, base_folder: Path) -> TrainedWorld:
    datanet = devnet.datanets.create("owner", "Plants", examples.TERMS)
    for who in ("alice", "bob"):
        contribute(devnet, datanet, who, plants(who, 12))
    snapshot_id, events = sealed(devnet, datanet), []
    job_id = "trained-world"
    result: Any = training_over(devnet.bench, base_folder).train(job_id, train_request(snapshot_id), events.append)
    return TrainedWorld(devnet, base_folder, datanet, snapshot_id, job_id, result, events)


@dataclass(frozen=True)
class Shop:
    """The active version, its provider and its user."""

    world: TrainedWorld
    row: VersionRow
    inference: Inference
    paying_over: Callable[[Digest], Paying]

    @cached_property
    def prompts(self) -> tuple[str, ...]:
        """Every question that was shown in training; first that whose answer owes most to records, last the least.

        Which these are follows from the seal, and so from all that happened on this chain before.
        """
        attributor = VersionAttributor(self.world.base_folder, self.row)
        shown = used_examples(self.row.folder)
        owed = {
            e.prompt: WHOLE_PPM - attributor.body(self._sample(e.prompt), Digest(bytes(32))).base_ppm for e in shown
        }
        ranked = tuple(sorted(owed, key=lambda prompt: -owed[prompt]))
        assert owed[ranked[1]] > 10_000 and owed[ranked[-1]] < owed[ranked[0]] - 10_000, f"nothing was learnt: {owed}"
        return ranked

    def _sample(self, prompt: str) -> PrivateAnswer:
        """What the pool answers, without lane or receipt."""
        pool, name = self.inference.pool, examples.word(f"sample {prompt}")
        served = pool.resolve(self.row.name)
        asked = InferenceRequest(*identity_of(served), (Message("user", prompt),), 6, 0, WHOLE_PPM, ())
        done = pool.generate(served, asked, name, name, "sampler").result()
        return PrivateAnswer(asked, response_of(done), name, done.prompt_ids)

    def answer(self, prompt: str, lane: Digest | None = None) -> Receipt:
        """One paid answer with its voucher; signed, not yet attributed."""
        lane = lane or self.lane()
        paying = self.paying_over(lane)
        asked = Order(self.row.name, (Message("user", prompt),), 6, 0, WHOLE_PPM, (), None)
        prepared = paying.prepare(asked)
        done = self.inference.finish(self.inference.start(replace(asked, lane=prepared.order)))
        assert done.receipt is not None and done.signature is not None
        paid = paying.settle(prepared, done.receipt, done.signature, response_of(done.completion))
        lanes = self.inference.lanes
        lanes.accept_voucher(lanes.terms(lane), paid.voucher, paid.signature)
        return done.receipt

    @property
    def worker(self) -> AttributionWorker:
        """Not started: a test attributes what it means to."""
        bench = self.world.bench
        return AttributionWorker(bench, ModelRows(bench.database), self.world.base_folder, "provider-hot")

    def attributed(self, prompt: str, lane: Digest | None = None) -> Receipt:
        """The same with its attribution."""
        receipt, worker = self.answer(prompt, lane), self.worker
        worker._attribute(self.inference.receipts.required(receipt.request_id))
        assert not worker.failures
        return receipt

    def lane(self) -> Digest:
        lane: Digest = self.world.devnet.open_lane(f"shop {next(_numbers)}", 10**18)
        return lane

    def attribute(self, receipt: Receipt, body: AttributionBody) -> None:
        """Whatever a provider may claim, signed by its key."""
        bench, made = self.world.bench, attribution_of(receipt, body)
        signature = bench.signer.sign_typed("provider-hot", made, bench.domain(ESCROW))
        self.inference.receipts.attributed(receipt, made, signature, body)

    def deliver(self, receipt: Receipt, private: PrivateAnswer | None) -> None:
        """Exchange what a validator will be given for a receipt; None: nothing."""
        rows, where = self.inference.receipts, table.c.request_id == hex0x(receipt.request_id)
        database, row = self.world.bench.database, rows.required(receipt.request_id)
        if private is None:
            database.write(lambda c: c.execute(update(table).where(where).values(private=None)))
            return
        signed = row.signed()
        database.write(lambda c: c.execute(delete(table).where(where)))
        rows.draft(receipt, private)
        rows.signed(receipt, signed.receipt_signature)
        rows.attributed(receipt, signed.attribution, signed.attribution_signature, signed.body)

    def epoch(self, *lanes: Digest) -> PaidEpoch:
        """Redeem, propose, seal, verify twice, commit: whatever is due."""
        bench, chain = self.world.bench, self.world.devnet.chain
        for lane in lanes:
            self.inference.lanes.redeem("provider", lane)
        chain.advance(DEVNET.minimum_epoch_seconds + DEVNET.window_seconds)
        chain.mine_empty()
        epochs = Epochs(bench)
        bundle = epochs.propose("validator")
        epochs.seal("bob")
        said: list[str] = []
        rounds = [
            Validating(bench, self.world.base_folder).run_once("validator-hot", say)
            for say in (said.append, lambda line: None)
        ]
        return PaidEpoch(bundle, rounds[0], rounds[1], tuple(said), epochs.commit("bob"))


@dataclass(frozen=True)
class PaidEpoch:
    """A committed epoch, and what its validator found in two rounds."""

    bundle: EpochBundle
    first: Round
    second: Round
    said: tuple[str, ...]
    committed: CommittedEpoch


@dataclass(frozen=True)
class MixedEpoch:
    """One lane, three receipts: right, its words withheld, its words exchanged for others."""

    honest: Receipt
    withheld: Receipt
    exchanged: Receipt
    paid: PaidEpoch


def mixed_epoch(shop: Shop) -> MixedEpoch:
    lane = shop.lane()
    honest, withheld, exchanged = (shop.attributed(shop.prompts[i], lane) for i in range(3))
    other = shop.inference.receipts.private(withheld.request_id)
    shop.deliver(exchanged, other)
    shop.deliver(withheld, None)
    return MixedEpoch(honest, withheld, exchanged, shop.epoch(lane))
