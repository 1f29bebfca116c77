"""A tiny base with a checkpoint in the training's own format, and indexes made of chosen integers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from headwater.attribution.checkpoint import LoraCheckpoint, load_checkpoint
from headwater.attribution.features import GradientModel, open_module
from headwater.attribution.fit import FitRecord
from headwater.attribution.index import FORMAT, AttributionIndex, IndexedRecord, IndexHead
from headwater.attribution.method import DEFAULT_METHOD
from headwater.attribution.quantise import pack_rows
from headwater.attribution.tensors import float32_digest
from headwater.modelfactory.checkpoints import TrainingState, write_checkpoint
from headwater.modelfactory.recipe import ALL_LINEAR, make_recipe, preset
from headwater.protocol.attribution import AttributionMethod
from headwater.protocol.recipe import ComputeType
from headwater.protocol.tokens import LabelledTokens
from headwater.testing.tiny import tiny_base
from headwater.types import Address, Digest, Ppm, address

BETA2_PPM = 999_000
LAYERS = 3


def name_of(text: str) -> Digest:
    return Digest(sha256(text.encode()).digest())


def account_of(text: str) -> Address:
    return address(name_of(text)[:20])


@pytest.fixture(autouse=True)
def _torch_as_before() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def named() -> Callable[[str], Digest]:
    """32 bytes that stand for whatever the text says."""
    return name_of


@pytest.fixture
def account() -> Callable[[str], Address]:
    return account_of


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory.mktemp("base"), layers=LAYERS)


@pytest.fixture(scope="session")
def checkpoint_folder(base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random LoRA tensors and second moments after '5 steps', written by the training room."""
    module = open_module(base_folder)
    recipe = make_recipe(
        replace(preset("smoke"), rank=4, alpha=8),
        base_digest=float32_digest(dict(module.named_parameters())),
        snapshot_ids=(name_of("snapshot"),),
        seed=name_of("seed"),
        compute_type=ComputeType.FLOAT32,
        target_modules=ALL_LINEAR,
    )
    generator = torch.Generator().manual_seed(7)
    tensors: dict[str, torch.Tensor] = {}
    for path, linear in module.named_modules():
        if path.rsplit(".", 1)[-1] in ALL_LINEAR:
            for side, shape in (("A", (4, linear.in_features)), ("B", (linear.out_features, 4))):
                tensors[f"base_model.model.{path}.lora_{side}.weight"] = 0.2 * torch.randn(shape, generator=generator)
    moments = {n: 1e-4 * torch.rand(t.shape, generator=generator) + 1e-6 for n, t in tensors.items()}
    folder = tmp_path_factory.mktemp("checkpoint")
    write_checkpoint(folder, TrainingState(5, tensors, {n: 0 * t for n, t in tensors.items()}, moments), recipe)
    return folder


@pytest.fixture(scope="session")
def checkpoint(checkpoint_folder: Path) -> LoraCheckpoint:
    return load_checkpoint(checkpoint_folder, BETA2_PPM)


@pytest.fixture(scope="session")
def method() -> AttributionMethod:
    """The default method, narrower, over all layers, with a floor that a model which learned nothing can pass."""
    return replace(
        DEFAULT_METHOD,
        top_layers=0,
        sketch_width=512,
        damping_ppm=100_000_000,
        floor_quantile_ppm=Ppm(800_000),
    )


@pytest.fixture
def load_model(
    base_folder: Path, checkpoint: LoraCheckpoint, method: AttributionMethod
) -> Callable[..., GradientModel]:
    """A gradient model of the tiny base; keyword arguments change the method."""

    def load(**changes: Any) -> GradientModel:
        return GradientModel.load(base_folder, checkpoint, replace(method, **changes))

    return load


@pytest.fixture
def tokens() -> Callable[..., LabelledTokens]:
    """Byte-level tokens of a prompt and an answer, with the end mark (id 2)."""

    def build(prompt: str, answer: str) -> LabelledTokens:
        encoded = [b + 3 for b in (prompt + answer).encode()]
        return LabelledTokens((*encoded, 2), len(prompt.encode()))

    return build


@pytest.fixture
def corpus(tokens: Callable[..., LabelledTokens]) -> tuple[FitRecord, ...]:
    """Twenty-four records, colour x number; each colour has one owner."""
    out = []
    for i, (colour, number) in enumerate(product(("red", "blue", "green", "yellow"), range(6))):
        record = IndexedRecord(name_of(f"r{i}"), account_of(colour), name_of("net"), name_of(f"r{i}"))
        out.append(FitRecord(record, tokens(f"{colour} {number}: ", f"{colour[0].upper()}{number}")))
    return tuple(out)


@pytest.fixture
def make_index(method: AttributionMethod) -> Callable[..., AttributionIndex]:
    """An index of the given int4 rows; owners, clusters and Datanets by name, one record each."""

    def build(
        rows: Any,
        *,
        scales: Sequence[int] | None = None,
        owners: Sequence[str] | None = None,
        clusters: Sequence[str] | None = None,
        datanets: Sequence[str] | None = None,
        **changes: Any,
    ) -> AttributionIndex:
        values = np.asarray(rows, np.int8)
        n, width = values.shape
        names = [f"record {i}" for i in range(n)]
        records = tuple(
            IndexedRecord(
                name_of(names[i]),
                account_of(owners[i] if owners else names[i]),
                name_of(datanets[i] if datanets else "net"),
                name_of(clusters[i] if clusters else names[i]),
            )
            for i in range(n)
        )
        head = IndexHead(
            FORMAT,
            replace(method, sketch_width=width, **changes),
            name_of("sketch"),
            name_of("base"),
            name_of("checkpoint"),
            BETA2_PPM,  # type: ignore[arg-type]
            records,
        )
        return AttributionIndex(head, pack_rows(values), np.array(scales or [1 << 20] * n, np.int64))

    return build
