"""One devnet for the whole room: a home, its signer, the embedded chain, contracts, funded wallets, one active model.

Deployed once a session (some ten seconds); every test opens lanes and makes batches of its own on it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers
from eth_utils import keccak
from sqlalchemy import insert
from trained_world import MixedEpoch, Shop, TrainedWorld, mixed_epoch, train

from headwater.chain.embedded import EmbeddedChain, Genesis
from headwater.clock import ManualClock
from headwater.config import Config
from headwater.datanets.batches import PreparedBatch, prepare_batch
from headwater.openlora.adapters import read_peft_folder
from headwater.openlora.loader import load_base
from headwater.openlora.placement import choose_placement
from headwater.protocol.chat import TEMPLATE
from headwater.protocol.contribution import Record
from headwater.protocol.license import Disclosure
from headwater.protocol.recipe import ComputeType, Recipe
from headwater.protocol.snapshot import DataSplit
from headwater.service.accounts import Accounts
from headwater.service.attesting import Attestation, Attesting
from headwater.service.datanets import Datanets
from headwater.service.deployment import deploy_contracts
from headwater.service.inference import Inference
from headwater.service.lanes import ESCROW, Lanes
from headwater.service.model_rows import ModelRows, VersionRow
from headwater.service.models import MODELS, Models
from headwater.service.paying import Paying
from headwater.service.pool import Pool
from headwater.service.version_catalogue import VersionCatalogue
from headwater.service.workbench import Workbench, open_workbench
from headwater.signing.launch import SignerProcess
from headwater.signing.paths import SignerPaths
from headwater.storage.database import Database
from headwater.storage.home import open_home
from headwater.storage.schema import lanes as lanes_table
from headwater.testing import examples
from headwater.testing.chains import RICH, AdvancingWaiter, served
from headwater.testing.examiners import scripted_examiner
from headwater.testing.tiny import tiny_base
from headwater.types import WEI_PER_CREDIT, Digest, Ppm, Wei, digest, hex0x

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


# -- a model that answers ----------------------------------------------------------------------------------------

MODEL_NAME = "modeler/drug-codes"
PRICE_PER_THOUSAND_WEI = Wei(10**15)
"""A token costs 10**12 wei, as in `examples`."""


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return tiny_base(tmp_path_factory.mktemp("base"), seed=7, layers=5, context_tokens=1_024)


@pytest.fixture(scope="session")
def model(devnet: Devnet, base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> VersionRow:
    """An active version of a tiny adapter: registered, sealed, attested by the validator's vote, activated."""
    base = load_base(base_folder, "tiny", choose_placement("cpu", threads=1))
    folder = tmp_path_factory.mktemp("job")
    adapter = read_peft_folder(_adapter(base_folder, folder / "adapter"), base.digest)
    recipe = _recipe(base.digest, _sealed_snapshot(devnet))
    trained = {
        "recipe": recipe.to_json(),
        "outcome": {
            "step_chain_digest": hex0x(examples.word("steps")),
            "adapter_digest": hex0x(adapter.digest),
            "checkpoint_digest": hex0x(examples.word("checkpoint")),
        },
        "index": {
            "method_id": hex0x(examples.METHOD.digest()),
            "index_root": hex0x(examples.INDEX_TREE.root),
            "floor_unit": examples.FLOOR_UNIT,
            "record_cap_ppm": examples.METHOD.record_cap_ppm,
            "listed_rows": examples.METHOD.listed_rows,
            "rows": len(examples.INDEX),
        },
        "folder": str(folder),
    }
    models = Models(devnet.bench)
    models.register("modeler", MODEL_NAME, trained, examples.word("evaluation"), PRICE_PER_THOUSAND_WEI)
    row = models.named(MODEL_NAME)
    sealed = models.seal("validator", row)
    position = devnet.bench.call(MODELS, "drawPositionOf", devnet.bench.address("validator-hot"))
    preimage = Accounts(devnet.bench).preimage("validator-hot", "version", position)
    found = Attestation(True, "the tests' word", 0, 0, 0, 0, 0, 0, 1)
    Attesting(devnet.bench)._vote("validator", "validator-hot", row, sealed, preimage, found)
    models.activate("modeler", row)
    return models.named(MODEL_NAME)


def _adapter(base_folder: Path, folder: Path) -> Path:
    """As stock peft saves one, with a B that is not zero."""
    torch.manual_seed(1)
    module = transformers.AutoModelForCausalLM.from_pretrained(base_folder, dtype=torch.float32)
    tuned = peft.get_peft_model(
        module, peft.LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    )
    for name, parameter in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    tuned.save_pretrained(folder)
    return folder


def _sealed_snapshot(devnet: Devnet) -> Digest:
    datanets = devnet.datanets
    datanet_id = datanets.create("owner", "For the model", examples.TERMS)
    batch = devnet.batch("alice", [Record(f"question {i}", f"T{i}") for i in range(4)], datanet_id)
    signature = devnet.bench.signer.sign_typed("alice", batch.contribution, devnet.bench.domain("ContributionLog"))
    datanets.deliver(datanets.anchor(batch.contribution, signature), batch.batch)
    snapshot_id = datanets.snapshot("owner", datanet_id, 250_000)
    datanets.seal("owner", snapshot_id)
    return snapshot_id


def _recipe(base_digest: Digest, snapshot_id: Digest) -> Recipe:
    return Recipe(
        base_digest=base_digest,
        snapshot_ids=(snapshot_id,),
        data_split=DataSplit.RANDOM,
        training_records=0,
        rank=4,
        alpha=8,
        target_modules=("q_proj", "v_proj"),
        learning_rate_ppb=2_000_000,
        warmup_steps=0,
        epochs=1,
        batch_size=1,
        weight_decay_ppm=Ppm(0),
        adam_beta1_ppm=Ppm(900_000),
        adam_beta2_ppm=Ppm(999_000),
        adam_epsilon_ppt=10_000,
        checkpoint_ppm=Ppm(250_000),
        max_tokens=64,
        compute_type=ComputeType.FLOAT32,
        template=TEMPLATE,
        seed=examples.word("seed"),
    )


@pytest.fixture(scope="session")
def inference(devnet: Devnet, model: VersionRow, base_folder: Path) -> Iterator[Inference]:
    """The provider 'provider' over the tiny base and its one adapter."""
    pool = Pool.open(base_folder, "tiny", ModelRows(devnet.bench.database), "cpu", 1)
    yield Inference(devnet.bench, pool, devnet.bench.address("provider"), "provider-hot")
    pool.close()


@pytest.fixture(scope="session")
def paying_over(devnet: Devnet, model: VersionRow) -> Callable[[Digest], Paying]:
    """The user's half on one lane; the catalogue is what this home has registered."""

    def listed() -> list[dict[str, Any]]:
        rows = ModelRows(devnet.bench.database).all()
        return [{"id": "tiny", "headwater": None}, *({"id": r.name, "headwater": _facts(r)} for r in rows)]

    catalogue = VersionCatalogue(devnet.user_bench, listed)
    return lambda lane_id: Paying(devnet.user_bench, lane_id, catalogue)


def _facts(row: VersionRow) -> dict[str, Any]:
    version = row.version
    return {
        "model_id": hex0x(version.model_id),
        "version": version.version,
        "adapter_digest": hex0x(version.adapter_digest),
    }


# -- a model that was really trained -----------------------------------------------------------------------------


@pytest.fixture(scope="session")
def world(devnet: Devnet, base_folder: Path) -> TrainedWorld:
    return train(devnet, base_folder)


@pytest.fixture
def copied(world: TrainedWorld, tmp_path: Path) -> Path:
    """The training's folder, to be damaged."""
    return Path(shutil.copytree(world.folder, tmp_path / "job"))


@pytest.fixture(scope="session")
def shop(world: TrainedWorld, inference: Inference, paying_over: Callable[[Digest], Paying]) -> Shop:
    """Its version, attested by recomputation and served."""
    row = world.register("modeler/plants")
    Attesting(world.bench, scripted_examiner()).attest("validator", "validator-hot", row.name, lambda line: None)
    Models(world.bench).activate("modeler", row)
    return Shop(world, Models(world.bench).named(row.name), inference, paying_over)


@pytest.fixture(scope="session")
def mixed(shop: Shop) -> MixedEpoch:
    return mixed_epoch(shop)


# -- books without a chain ---------------------------------------------------------------------------------------


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
