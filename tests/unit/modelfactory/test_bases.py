"""A base is its tensors: not its file, not its name, and never a pickle."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch

from headwater.errors import BadAdapter, InvalidInput, MissingContent, NotFound, VerificationFailed
from headwater.modelfactory.bases import BASES, base, base_digest, open_base, prepared_base
from headwater.modelfactory.tensors import read_tensors
from headwater.protocol.recipe import ComputeType
from headwater.testing.tiny import tiny_base


@pytest.fixture
def folder(tmp_path: Path, base_folder: Path) -> Path:
    return Path(shutil.copytree(base_folder, tmp_path / "base"))


def rewrite(folder: Path, tensors: dict[str, torch.Tensor], **metadata: str) -> None:
    safetensors.torch.save_file(tensors, folder / "model.safetensors", metadata=metadata or None)


def test_the_digest_is_of_the_tensors_and_not_of_the_file(folder: Path) -> None:
    before, tensors = base_digest(folder), read_tensors(folder / "model.safetensors")
    file_before = (folder / "model.safetensors").read_bytes()
    rewrite(folder, dict(reversed(tensors.items())), note="another header")
    assert (folder / "model.safetensors").read_bytes() != file_before
    assert base_digest(folder) == before


@pytest.mark.parametrize("change", ["value", "shape", "format", "name"])
def test_every_property_of_a_tensor_counts(folder: Path, change: str) -> None:
    before, tensors = base_digest(folder), read_tensors(folder / "model.safetensors")
    name = "model.norm.weight"
    weight = tensors.pop(name)
    changed = {
        "value": (name, weight * 2),
        "shape": (name, weight.reshape(2, -1)),
        "format": (name, weight.view(torch.int32)),
        "name": ("model.norm.weights", weight),
    }[change]
    rewrite(folder, tensors | dict([changed]))
    assert base_digest(folder) != before


def test_the_tiny_base_is_the_same_everywhere(tmp_path: Path, base_folder: Path) -> None:
    assert base_digest(tiny_base(tmp_path / "again")) == base_digest(base_folder)
    assert base_digest(tiny_base(tmp_path / "other", seed=1)) != base_digest(base_folder)


def test_a_base_is_opened_frozen_in_the_recipes_number_format(folder: Path) -> None:
    for compute_type, dtype in ((ComputeType.FLOAT32, torch.float32), (ComputeType.BFLOAT16, torch.bfloat16)):
        module = open_base(folder, compute_type)
        assert {(p.dtype, p.requires_grad) for p in module.parameters()} == {(dtype, False)}
        assert not module.training


def test_pickle_weights_are_refused_even_beside_safetensors(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"would": "run"}))
    with pytest.raises(BadAdapter, match="pickle"):
        open_base(folder, ComputeType.FLOAT32)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_part_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(MissingContent, match=name):
        open_base(folder, ComputeType.FLOAT32)


def test_a_missing_tensor_is_not_filled_with_random_numbers(folder: Path) -> None:
    tensors = read_tensors(folder / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    rewrite(folder, tensors, format="pt")
    with pytest.raises(InvalidInput, match=r"missing keys: model\.layers\.1\.mlp\.up_proj\.weight"):
        open_base(folder, ComputeType.FLOAT32)


def test_an_architecture_that_the_loop_would_train_wrongly_is_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    # Granite scales its logits after the head, which the training loop does not do.
    config |= {"model_type": "granite", "architectures": ["GraniteForCausalLM"], "logits_scaling": 8.0}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InvalidInput, match="'granite', which cannot be trained here"):
        open_base(folder, ComputeType.FLOAT32)


def test_an_unknown_base_names_the_known_ones(tmp_path: Path) -> None:
    for ask in (lambda: base("GPT-5"), lambda: prepared_base("GPT-5", tmp_path)):
        with pytest.raises(NotFound, match="SmolLM2-135M-Instruct"):
            ask()


def test_a_prepared_folder_of_another_model_is_found_on_every_use(tmp_path: Path) -> None:
    entry = BASES[0]
    tiny_base(tmp_path / "bases" / f"{entry.name}-{entry.digest.hex()[:16]}")
    with pytest.raises(VerificationFailed, match="Remove the folder"):
        prepared_base(entry.name, tmp_path)
