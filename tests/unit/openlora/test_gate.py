"""Every adapter that must not be served is refused in words; the good ones are measured."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from headwater.errors import BadAdapter
from headwater.openlora.adapters import LoadedAdapter, read_peft_folder
from headwater.openlora.gate import GateLimits, admit, admit_folder
from headwater.openlora.models import BaseModel
from headwater.openlora.tensors import digest_of
from headwater.types import Digest

Q_PROJ = "base_model.model.model.layers.0.self_attn.q_proj"


def rewritten(adapter: LoadedAdapter, **tensors: torch.Tensor | None) -> LoadedAdapter:
    """The adapter with tensors replaced (dots written as __), or taken away by None."""
    changed = dict(adapter.tensors)
    for name, tensor in tensors.items():
        full = f"{Q_PROJ}.{name}.weight"
        if tensor is None:
            del changed[full]
        else:
            changed[full] = tensor
    return LoadedAdapter(replace(adapter.manifest, tensors_digest=digest_of(changed)), changed)


def test_good_adapters_pass_and_are_measured(adapters: list[LoadedAdapter], base: BaseModel) -> None:
    for adapter in adapters:
        report = admit(adapter, base)
        assert report.digest == adapter.digest
        assert report.effect_max > 0.1
        assert report.peft_max_error <= 1e-5
        assert report.inert_layers == ()
        json.dumps(report.to_json())


def test_a_folder_is_read_checked_and_held_to_its_digest(adapter_folders: list[Path], base: BaseModel) -> None:
    adapter, report = admit_folder(adapter_folders[0], base)
    assert report.layers == 14
    assert report.nbytes == adapter.nbytes()
    assert admit_folder(adapter_folders[0], base, expected=adapter.digest)[1] == report
    with pytest.raises(BadAdapter, match="has the digest"):
        admit_folder(adapter_folders[0], base, expected=Digest(bytes(32)))


def test_pickle_in_the_folder_is_refused(adapter_copy: Path, base: BaseModel) -> None:
    (adapter_copy / "adapter_model.bin").write_bytes(b"")
    with pytest.raises(BadAdapter, match="pickle"):
        admit_folder(adapter_copy, base)


def test_an_adapter_of_another_base_is_refused(adapters: list[LoadedAdapter], base: BaseModel) -> None:
    stranger = LoadedAdapter(replace(adapters[0].manifest, base_digest=Digest(b"\x07" * 32)), adapters[0].tensors)
    with pytest.raises(BadAdapter, match="trained on the base 0x0707"):
        admit(stranger, base)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("side", ["lora_A", "lora_B"])
def test_numbers_that_are_none_are_refused(
    adapters: list[LoadedAdapter], base: BaseModel, bad: float, side: str
) -> None:
    tensor = adapters[0].tensors[f"{Q_PROJ}.{side}.weight"].clone()
    tensor[1, 2] = bad
    with pytest.raises(BadAdapter, match=rf"{side} of .*q_proj holds NaN or infinity"):
        admit(rewritten(adapters[0], **{side: tensor}), base)


def test_finite_numbers_that_overflow_the_logits_are_refused(adapters: list[LoadedAdapter], base: BaseModel) -> None:
    huge = torch.full((4, 32), 3e38)
    with pytest.raises(BadAdapter, match="NaN or infinite"):
        admit(rewritten(adapters[0], lora_A=huge), base)


def test_an_unknown_target_module_is_refused(make_adapter: Any, base: BaseModel) -> None:
    adapter = read_peft_folder(make_adapter(targets=["q_proj"]), base.digest)
    for target in ("w_qkv", "lm_head", "embed_tokens", "model.layers.9.self_attn.q_proj"):
        stranger = LoadedAdapter(replace(adapter.manifest, target_modules=(target,)), adapter.tensors)
        with pytest.raises(BadAdapter, match=f"no linear layer called '{target}'"):
            admit(stranger, base)


def test_weights_for_a_layer_that_the_base_lacks_are_refused(adapters: list[LoadedAdapter], base: BaseModel) -> None:
    for module in ("model.layers.7.self_attn.q_proj", "lm_head", "model.embed_tokens", "model.norm"):
        tensors = {
            **adapters[0].tensors,
            f"base_model.model.{module}.lora_A.weight": torch.ones(4, 32),
            f"base_model.model.{module}.lora_B.weight": torch.ones(32, 4),
        }
        stranger = LoadedAdapter(replace(adapters[0].manifest, tensors_digest=digest_of(tensors)), tensors)
        with pytest.raises(BadAdapter, match=r"linear layer|embeddings"):
            admit(stranger, base)


@pytest.mark.parametrize(
    ("side", "shape"),
    [("lora_A", (4, 31)), ("lora_A", (5, 32)), ("lora_B", (33, 4)), ("lora_B", (32, 3)), ("lora_B", (32,))],
)
def test_wrong_shapes_are_refused(
    adapters: list[LoadedAdapter], base: BaseModel, side: str, shape: tuple[int, ...]
) -> None:
    with pytest.raises(BadAdapter, match=rf"{side} of .*q_proj has the shape"):
        admit(rewritten(adapters[0], **{side: torch.ones(shape)}), base)


def test_whole_numbers_are_refused(adapters: list[LoadedAdapter], base: BaseModel) -> None:
    with pytest.raises(BadAdapter, match=r"torch\.int8"):
        admit(rewritten(adapters[0], lora_A=torch.ones(4, 32, dtype=torch.int8)), base)


def test_layers_without_weights_are_refused_where_others_would_serve_the_base(
    adapters: list[LoadedAdapter], base: BaseModel
) -> None:
    with pytest.raises(BadAdapter, match="means 14 layers, 1 have no weights"):
        admit(rewritten(adapters[0], lora_A=None, lora_B=None), base)


def test_weights_that_target_modules_does_not_name_are_refused(
    adapters: list[LoadedAdapter], base: BaseModel
) -> None:
    fewer = LoadedAdapter(replace(adapters[0].manifest, target_modules=("v_proj",)), adapters[0].tensors)
    with pytest.raises(BadAdapter, match="target_modules does not name"):
        admit(fewer, base)


def test_limits_of_rank_and_bytes_hold(adapters: list[LoadedAdapter], base: BaseModel) -> None:
    with pytest.raises(BadAdapter, match="rank 4, the limit here is 3"):
        admit(adapters[0], base, GateLimits(max_rank=3))
    with pytest.raises(BadAdapter, match="the limit here is 1,000"):
        admit(adapters[0], base, GateLimits(max_bytes=1_000))


def test_an_adapter_without_effect_is_refused(make_adapter: Any, base: BaseModel) -> None:
    """As peft initialises it, B is zero: every check of form passes, and the base would answer under its name."""
    for strength in (0.0, 1e-9):
        adapter = read_peft_folder(make_adapter(strength=strength), base.digest)
        with pytest.raises(BadAdapter, match="no effect"):
            admit(adapter, base)


def test_layers_that_do_nothing_are_reported(adapters: list[LoadedAdapter], base: BaseModel) -> None:
    report = admit(rewritten(adapters[0], lora_B=torch.zeros(32, 4)), base)
    assert report.inert_layers == ("model.layers.0.self_attn.q_proj",)


def test_a_difference_to_stock_peft_is_refused(adapters: list[LoadedAdapter], base: BaseModel) -> None:
    with pytest.raises(BadAdapter, match="differ from stock peft"):
        admit(adapters[0], base, GateLimits(max_parity_error=-1.0))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_files_are_served(adapters: list[LoadedAdapter], base: BaseModel, dtype: torch.dtype) -> None:
    tensors = {name: tensor.to(dtype) for name, tensor in adapters[0].tensors.items()}
    half = LoadedAdapter(replace(adapters[0].manifest, tensors_digest=digest_of(tensors)), tensors)
    assert admit(half, base).digest == half.digest != adapters[0].digest
