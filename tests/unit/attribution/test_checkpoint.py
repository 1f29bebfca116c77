"""The checkpoint folder: what the training writes is read here, and anything else is refused by name."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from headwater.attribution.checkpoint import LoraCheckpoint, load_checkpoint
from headwater.attribution.features import used_layers
from headwater.errors import BadAdapter, InvalidInput, MissingContent, VerificationFailed
from headwater.modelfactory.checkpoints import TrainingState, read_checkpoint, write_checkpoint
from headwater.types import ZERO_DIGEST


@pytest.fixture
def copy(checkpoint_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(checkpoint_folder, tmp_path / "checkpoint"))


def test_what_the_training_wrote_is_read_with_the_same_digest(
    checkpoint: LoraCheckpoint, checkpoint_folder: Path
) -> None:
    state = read_checkpoint(checkpoint_folder, checkpoint.digest)
    assert checkpoint.step == state.step == 5
    assert checkpoint.scaling == 8 / 4
    assert all(torch.equal(checkpoint.tensors[n], t) for n, t in state.adapter.items())
    assert all(torch.equal(checkpoint.moment[n], t) for n, t in state.second_moment.items())
    load_checkpoint(checkpoint_folder, 999_000, checkpoint.digest)


def test_the_metric_is_one_over_the_root_of_the_corrected_moment_and_epsilon(checkpoint: LoraCheckpoint) -> None:
    name = next(iter(checkpoint.tensors))
    v = checkpoint.moment[name].double().reshape(-1).numpy() / (1 - 0.999**5)
    assert np.allclose(checkpoint.metric_of(name, 10_000), 1 / (np.sqrt(v) + 1e-8), rtol=1e-12)


def test_another_checkpoint_than_the_one_on_chain_is_refused(checkpoint_folder: Path) -> None:
    with pytest.raises(VerificationFailed, match=r"checkpoint\.json"):
        load_checkpoint(checkpoint_folder, 999_000, ZERO_DIGEST)


@pytest.mark.parametrize("file", ["adapter_model.safetensors", "second_moment.safetensors"])
def test_a_changed_tensor_is_found(copy: Path, file: str) -> None:
    tensors = safetensors.torch.load_file(copy / file)
    next(iter(tensors.values()))[0, 0] += 1e-3
    safetensors.torch.save_file(tensors, copy / file)
    with pytest.raises(VerificationFailed, match=file.replace(".", r"\.")):
        load_checkpoint(copy, 999_000)


@pytest.mark.parametrize("file", ["adapter_model.safetensors", "second_moment.safetensors"])
def test_a_truncated_file_is_refused(copy: Path, file: str) -> None:
    (copy / file).write_bytes((copy / file).read_bytes()[:-8])
    with pytest.raises(BadAdapter, match="not whole safetensors"):
        load_checkpoint(copy, 999_000)


@pytest.mark.parametrize(
    "file", ["adapter.json", "adapter_model.safetensors", "checkpoint.json", "second_moment.safetensors"]
)
def test_a_missing_file_is_named(copy: Path, file: str) -> None:
    (copy / file).unlink()
    with pytest.raises(MissingContent, match=file.replace(".", r"\.")):
        load_checkpoint(copy, 999_000)


@pytest.mark.parametrize("beta2_ppm", [0, 1_000_000])
def test_a_beta2_that_defines_no_moment_is_refused(checkpoint_folder: Path, beta2_ppm: int) -> None:
    with pytest.raises(InvalidInput, match="beta2"):
        load_checkpoint(checkpoint_folder, beta2_ppm)


def _rewritten(folder: Path, name: str, change: str) -> None:
    """Write the checkpoint again with one tensor changed, digests and all."""

    class _Recipe:  # the five fields that the manifest takes from a recipe
        base_digest, rank, alpha, target_modules = ZERO_DIGEST, 4, 8, ("q_proj",)

    state = read_checkpoint(folder)
    tensors, moment = dict(state.adapter), dict(state.second_moment)
    match change:
        case "negative":
            moment[name] = -moment[name]
        case "foreign":
            moment["base_model.model.x.layers.0.y.lora_A.weight"] = moment.pop(name)
        case "unpaired":
            del tensors[name], moment[name]
        case "outside":
            for side in "AB":
                tensors[f"base_model.model.lm_head.lora_{side}.weight"] = torch.ones(4, 4)
            moment = {n: torch.ones_like(t) for n, t in tensors.items()}
        case "odd":
            tensors["base_model.model.layers.0.x.lora_magnitude_vector"] = torch.ones(4)
            moment = {n: torch.ones_like(t) for n, t in tensors.items()}
    first = {n: torch.zeros_like(t) for n, t in tensors.items()}
    write_checkpoint(folder, TrainingState(state.step, tensors, first, moment), _Recipe())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("negative", "negative"),
        ("foreign", "does not belong"),
        ("unpaired", "has only lora_B"),
        ("outside", "no decoder layer"),
        ("odd", "not a plain LoRA"),
    ],
)
def test_tensors_that_are_no_plain_lora_with_moments_are_refused(copy: Path, change: str, words: str) -> None:
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
    _rewritten(copy, name, change)
    with pytest.raises(BadAdapter, match=words):
        load_checkpoint(copy, 999_000)


def test_the_top_layers_are_the_last_that_carry_lora(checkpoint: LoraCheckpoint) -> None:
    assert used_layers(checkpoint, 0) == {0, 1, 2}
    assert used_layers(checkpoint, 2) == {1, 2}
    lower = replace(checkpoint, tensors={n: t for n, t in checkpoint.tensors.items() if "layers.2" not in n})
    assert used_layers(lower, 1) == {1}
    with pytest.raises(InvalidInput, match="uses 4 layers"):
        used_layers(checkpoint, 4)
