"""The adapter equals stock peft's, starts at the base, and takes only tensors that belong to it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import peft
import pytest
import torch

from headwater.errors import BadAdapter, InvalidInput
from headwater.modelfactory.bases import open_base
from headwater.modelfactory.checkpoints import read_adapter, write_adapter
from headwater.modelfactory.lora import attach_adapter
from headwater.modelfactory.recipe import ALL_LINEAR
from headwater.protocol.recipe import ComputeType
from headwater.types import Digest

SEED = Digest(hashlib.sha256(b"seed").digest())
IDS = torch.tensor([[1, 40, 50, 60, 2, 70]])


def fresh(folder: Path) -> Any:
    return open_base(folder, ComputeType.FLOAT32, max_tokens=96)


def randomised(folder: Path, targets: tuple[str, ...] = ALL_LINEAR) -> tuple[Any, Any]:
    module = fresh(folder)
    adapter = attach_adapter(module, 2, 4, targets, SEED)
    generator = torch.Generator().manual_seed(1)
    adapter.load({n: torch.randn(p.shape, generator=generator) * 0.3 for n, p in adapter.parameters.items()})
    return module, adapter


@torch.inference_mode()
def logits(module: Any) -> torch.Tensor:
    out: torch.Tensor = module(input_ids=IDS, use_cache=False).logits
    return out


def test_a_fresh_adapter_leaves_the_base_as_it_is(base_folder: Path) -> None:
    plain, module = fresh(base_folder), fresh(base_folder)
    attach_adapter(module, 2, 4, ALL_LINEAR, SEED)
    assert torch.equal(logits(plain), logits(module))


def test_the_saved_adapter_gives_the_same_logits_in_stock_peft(
    base_folder: Path, tmp_path: Path, recipe_for: Any
) -> None:
    module, adapter = randomised(base_folder)
    write_adapter(tmp_path / "adapter", adapter.state(), recipe_for())
    stock = peft.PeftModel.from_pretrained(fresh(base_folder), str(tmp_path / "adapter"))
    torch.testing.assert_close(logits(stock), logits(module), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(logits(fresh(base_folder)), logits(module), atol=1e-2)


def test_disabled_means_the_base_alone(base_folder: Path) -> None:
    module, adapter = randomised(base_folder)
    tuned = logits(module)
    with adapter.disabled():
        assert torch.equal(logits(module), logits(fresh(base_folder)))
    assert torch.equal(logits(module), tuned)


def test_only_the_adapter_is_trainable(base_folder: Path) -> None:
    module = fresh(base_folder)
    adapter = attach_adapter(module, 2, 4, ("q_proj", "v_proj"), SEED)
    trainable = {id(p) for p in module.parameters() if p.requires_grad}
    assert trainable == {id(p) for p in adapter.parameters.values()}
    assert len(trainable) == 2 * 2 * 2
    assert all(p.dtype == torch.float32 for p in adapter.parameters.values())


def test_each_tensor_starts_from_its_own_seed(base_folder: Path) -> None:
    some = attach_adapter(fresh(base_folder), 2, 4, ("q_proj",), SEED).state()
    every = attach_adapter(fresh(base_folder), 2, 4, ALL_LINEAR, SEED).state()
    other = attach_adapter(fresh(base_folder), 2, 4, ("q_proj",), Digest(bytes(32))).state()
    for name, tensor in some.items():
        assert torch.equal(tensor, every[name])
        assert torch.equal(tensor, other[name]) == name.endswith("lora_B.weight")


def test_an_unknown_target_is_refused(base_folder: Path) -> None:
    with pytest.raises(InvalidInput, match="w_pack"):
        attach_adapter(fresh(base_folder), 2, 4, ("w_pack",), SEED)


def test_foreign_tensors_are_refused(base_folder: Path) -> None:
    _, adapter = randomised(base_folder)
    tensors = adapter.state()
    name = next(iter(tensors))
    for wrong, words in (
        ({k: v for k, v in tensors.items() if k != name}, "disagree on 1 tensors"),
        (tensors | {"stranger": tensors[name]}, "disagree on 1 tensors"),
        (tensors | {name: tensors[name][:1]}, "has the shape"),
        (tensors | {name: tensors[name] * float("nan")}, "NaN"),
    ):
        with pytest.raises(BadAdapter, match=words):
            adapter.load(wrong)


def test_what_was_written_is_what_is_read(base_folder: Path, tmp_path: Path, recipe_for: Any) -> None:
    _, adapter = randomised(base_folder)
    manifest = write_adapter(tmp_path, adapter.state(), recipe_for())
    read, tensors = read_adapter(tmp_path)
    assert read == manifest
    assert all(torch.equal(tensors[n], t) for n, t in adapter.state().items())
