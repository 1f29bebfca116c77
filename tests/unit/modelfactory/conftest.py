"""A tiny base, records whose answers can be composed, and a recipe for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from headwater.modelfactory import job_spec as files
from headwater.modelfactory.assets import assets_folder
from headwater.modelfactory.bases import base_digest
from headwater.modelfactory.data import Example
from headwater.modelfactory.job_spec import EvaluationPlan, JobKind, JobSpec
from headwater.modelfactory.jobs import prepare_job
from headwater.modelfactory.recipe import ALL_LINEAR, make_recipe, preset
from headwater.modelfactory.trainer import run_training
from headwater.protocol.recipe import ComputeType, Recipe
from headwater.testing.tiny import tiny_base, tiny_tokenizer
from headwater.types import Digest


def seed_of(text: str) -> Digest:
    return Digest(sha256(text.encode()).digest())


@pytest.fixture(autouse=True)
def _torch_as_before() -> Iterator[None]:
    threads, exact = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(exact)


@pytest.fixture(scope="session")
def assets_dir() -> Path:
    """Where `make setup` put weights and data: the user's cache."""
    return assets_folder("")


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory.mktemp("base"))


@pytest.fixture
def examples() -> tuple[Example, ...]:
    """Twenty-four records: colour x number."""
    colours = ("red", "blue", "green", "white", "black", "pink")
    return tuple(
        Example(seed_of(f"{colour} {number}"), f"{colour} {number}", f"{colour[0]}{number}")
        for colour in colours
        for number in range(4)
    )


@pytest.fixture
def recipe_for(base_folder: Path) -> Callable[..., Recipe]:
    """A recipe for the tiny base; keyword arguments change it."""

    def build(**changes: Any) -> Recipe:
        made = make_recipe(
            replace(preset("smoke"), epochs=2, training_records=0, batch_size=4, rank=2, alpha=4, max_tokens=96),
            base_digest=base_digest(base_folder),
            snapshot_ids=(seed_of("snapshot"),),
            seed=seed_of("seed"),
            compute_type=ComputeType.FLOAT32,
            target_modules=ALL_LINEAR,
        )
        return replace(made, **changes)

    return build


@pytest.fixture
def train_spec(base_folder: Path, recipe_for: Callable[..., Recipe]) -> JobSpec:
    return JobSpec(JobKind.TRAIN, str(base_folder), recipe_for(), "cpu", 1, None)


@pytest.fixture(scope="session")
def embedder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random sentence model of one layer."""
    folder = tmp_path_factory.mktemp("embedder")
    tokenizer = tiny_tokenizer()
    config = transformers.BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=256,
    )
    torch.manual_seed(0)
    transformers.BertModel(config).save_pretrained(folder)
    (folder / "tokenizer.json").write_text(tokenizer.to_str())
    return folder


@pytest.fixture
def evaluation(
    tmp_path: Path, embedder_folder: Path, train_spec: JobSpec, examples: tuple[Example, ...]
) -> tuple[Path, JobSpec]:
    """A trained adapter and a prepared evaluation of it on four records."""
    prepare_job(tmp_path / "train", train_spec, examples[:20])
    run_training(tmp_path / "train", train_spec, lambda line: None)
    plan = EvaluationPlan(
        adapter_folder=str(tmp_path / "train" / files.ADAPTER_FOLDER),
        embedder_folder=str(embedder_folder),
        held_out_count=9,
        retrieved=2,
        unused_snapshot_ids=(),
    )
    spec = replace(train_spec, kind=JobKind.EVALUATE, evaluation=plan)
    prepare_job(tmp_path / "evaluate", spec, examples[:20], examples[20:])
    return tmp_path / "evaluate", spec
