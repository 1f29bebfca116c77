"""A base is opened whole and verified, or not at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from headwater.errors import InvalidInput, MissingContent, VerificationFailed
from headwater.openlora.loader import load_base
from headwater.openlora.models import BaseModel
from headwater.openlora.placement import choose_placement
from headwater.openlora.tensors import digest_of

PLACE = choose_placement("cpu", threads=1)


@pytest.fixture
def copy(base_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(base_folder, tmp_path / "base"))


def test_the_digest_in_memory_is_that_of_the_file(base: BaseModel, base_folder: Path) -> None:
    assert base.digest == digest_of(safetensors.torch.load_file(base_folder / "model.safetensors"))


def test_the_digest_does_not_depend_on_the_working_format(base: BaseModel, base_folder: Path) -> None:
    other = load_base(base_folder, "tiny", choose_placement("cpu", "bfloat16", 1), expected=base.digest)
    assert other.digest == base.digest
    assert next(other.module.parameters()).dtype == torch.bfloat16
    assert other.kv_bytes_per_token() * 2 == base.kv_bytes_per_token()


def test_a_changed_weight_is_another_base(base: BaseModel, copy: Path) -> None:
    path = copy / "model.safetensors"
    tensors = safetensors.torch.load_file(path)
    tensors["model.norm.weight"][0] += 1e-6
    safetensors.torch.save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(VerificationFailed, match="has the digest"):
        load_base(copy, "tiny", PLACE, expected=base.digest)


@pytest.mark.parametrize("change", ["missing", "unexpected", "mismatched"])
def test_weights_that_are_not_exactly_the_models_are_refused(copy: Path, change: str) -> None:
    path = copy / "model.safetensors"
    tensors = safetensors.torch.load_file(path)
    if change == "missing":
        del tensors["model.layers.0.mlp.up_proj.weight"]
    elif change == "unexpected":
        tensors["model.layers.0.mlp.extra.weight"] = torch.zeros(2)
    else:
        tensors["model.layers.0.mlp.up_proj.weight"] = torch.zeros(64, 31)
    safetensors.torch.save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(InvalidInput, match=r"keys|cannot be opened"):
        load_base(copy, "tiny", PLACE)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_an_absent_file_is_said(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(MissingContent):
        load_base(copy, "tiny", PLACE)


def test_a_pickle_beside_missing_safetensors_is_not_opened(copy: Path) -> None:
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(MissingContent, match="no safetensors"):
        load_base(copy, "tiny", PLACE)


@pytest.mark.parametrize(
    "change",
    [
        {"model_type": "of_tomorrow"},
        {"model_type": "of_tomorrow", "auto_map": {"AutoConfig": "code.Evil", "AutoModelForCausalLM": "code.Evil"}},
        {"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True}},
    ],
)
def test_what_would_need_foreign_code_or_quantisation_is_refused(copy: Path, change: dict[str, Any]) -> None:
    (copy / "code.py").write_text("raise SystemExit('it ran')")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(InvalidInput):
        load_base(copy, "tiny", PLACE)


def test_a_tokenizer_that_knows_more_than_the_model_is_refused(copy: Path) -> None:
    raw = json.loads((copy / "tokenizer.json").read_text())
    raw["added_tokens"].append({**raw["added_tokens"][-1], "id": 259, "content": "<|new|>"})
    (copy / "tokenizer.json").write_text(json.dumps(raw))
    with pytest.raises(InvalidInput, match="260 tokens, the model 259"):
        load_base(copy, "tiny", PLACE)


def test_only_the_linear_layers_of_the_blocks_may_be_targeted(base: BaseModel) -> None:
    shapes = base.linear_shapes()
    assert len(shapes) == 14
    assert shapes["model.layers.1.mlp.down_proj"] == (32, 64)
    assert not any("lm_head" in name for name in shapes)
