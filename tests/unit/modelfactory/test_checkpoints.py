"""Checkpoints come back bit for bit or not at all."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from headwater.errors import BadAdapter, MissingContent, VerificationFailed
from headwater.modelfactory import checkpoints
from headwater.modelfactory.checkpoints import (
    TrainingState,
    read_adapter,
    read_checkpoint,
    write_adapter,
    write_checkpoint,
)
from headwater.modelfactory.tensors import write_tensors
from headwater.protocol.recipe import Recipe
from headwater.types import Digest


def tensors(seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        f"base_model.model.model.layers.0.self_attn.q_proj.lora_{side}.weight": torch.randn(
            shape, generator=generator
        )
        for side, shape in (("A", (2, 8)), ("B", (8, 2)))
    }


@pytest.fixture
def state() -> TrainingState:
    return TrainingState(5, tensors(1), tensors(2), tensors(3))


def test_a_checkpoint_survives_the_disk(
    tmp_path: Path, state: TrainingState, recipe_for: Callable[..., Recipe]
) -> None:
    kept = write_checkpoint(tmp_path, state, recipe_for())
    read = read_checkpoint(tmp_path, kept.digest())
    assert read.step == 5
    for before, after in (
        (state.adapter, read.adapter),
        (state.first_moment, read.first_moment),
        (state.second_moment, read.second_moment),
    ):
        assert all(torch.equal(before[n], after[n]) for n in before)


@pytest.mark.parametrize(
    "name", [checkpoints.ADAPTER_FILE, checkpoints.FIRST_MOMENT_FILE, checkpoints.SECOND_MOMENT_FILE]
)
def test_one_changed_bit_is_found(
    tmp_path: Path, state: TrainingState, recipe_for: Callable[..., Recipe], name: str
) -> None:
    write_checkpoint(tmp_path, state, recipe_for())
    path = tmp_path / name
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(VerificationFailed, match=name):
        read_checkpoint(tmp_path)


def test_another_checkpoint_than_the_chain_names_is_refused(
    tmp_path: Path, state: TrainingState, recipe_for: Callable[..., Recipe]
) -> None:
    write_checkpoint(tmp_path, state, recipe_for())
    with pytest.raises(VerificationFailed, match=r"checkpoint\.json"):
        read_checkpoint(tmp_path, Digest(bytes(32)))


def test_every_part_counts_in_the_digest(state: TrainingState, recipe_for: Callable[..., Recipe]) -> None:
    from dataclasses import replace

    recipe = recipe_for()
    variants = [
        state,
        replace(state, step=6),
        replace(state, adapter=tensors(9)),
        replace(state, first_moment=tensors(9)),
        replace(state, second_moment=tensors(9)),
    ]
    digests = {v.checkpoint(recipe).digest() for v in variants} | {state.checkpoint(recipe_for(alpha=8)).digest()}
    assert len(digests) == 6


def test_moments_of_another_adapter_are_refused(
    tmp_path: Path, state: TrainingState, recipe_for: Callable[..., Recipe]
) -> None:
    from dataclasses import replace

    short = dict(list(state.first_moment.items())[:1])
    write_checkpoint(tmp_path, replace(state, first_moment=short), recipe_for())
    with pytest.raises(VerificationFailed, match="does not belong"):
        read_checkpoint(tmp_path)


def test_pickle_beside_the_adapter_is_refused_unopened(tmp_path: Path, recipe_for: Callable[..., Recipe]) -> None:
    write_adapter(tmp_path, tensors(1), recipe_for())
    (tmp_path / "adapter_model.bin").write_bytes(pickle.dumps({"would": "run"}))
    with pytest.raises(BadAdapter, match="pickle"):
        read_adapter(tmp_path)


def test_pickle_under_a_safe_name_is_refused(tmp_path: Path, recipe_for: Callable[..., Recipe]) -> None:
    write_adapter(tmp_path, tensors(1), recipe_for())
    (tmp_path / checkpoints.ADAPTER_FILE).write_bytes(pickle.dumps({"would": "run"}))
    with pytest.raises(BadAdapter, match="not whole safetensors"):
        read_adapter(tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_not_written(
    tmp_path: Path, recipe_for: Callable[..., Recipe], value: float
) -> None:
    broken = tensors(1)
    next(iter(broken.values()))[0, 0] = value
    with pytest.raises(BadAdapter, match="NaN or infinity"):
        write_adapter(tmp_path, broken, recipe_for())


def test_narrow_numbers_are_refused(tmp_path: Path, recipe_for: Callable[..., Recipe]) -> None:
    with pytest.raises(BadAdapter, match="not float32"):
        write_adapter(tmp_path, {n: t.bfloat16() for n, t in tensors(1).items()}, recipe_for())


def test_a_folder_without_its_parts_is_named(tmp_path: Path, recipe_for: Callable[..., Recipe]) -> None:
    with pytest.raises(MissingContent, match="no folder"):
        read_adapter(tmp_path / "absent")
    write_adapter(tmp_path, tensors(1), recipe_for())
    (tmp_path / checkpoints.ADAPTER_FILE).unlink()
    with pytest.raises(MissingContent, match=checkpoints.ADAPTER_FILE):
        read_adapter(tmp_path)


def test_the_file_is_not_the_digest(tmp_path: Path, recipe_for: Callable[..., Recipe]) -> None:
    """Order and padding of the file do not enter: only names, formats, shapes and bytes do."""
    manifest = write_adapter(tmp_path, tensors(1), recipe_for())
    write_tensors(tmp_path / checkpoints.ADAPTER_FILE, dict(reversed(tensors(1).items())))
    assert read_adapter(tmp_path)[0] == manifest
