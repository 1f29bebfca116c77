from __future__ import annotations

import pytest
import torch

from headwater.errors import VerificationFailed
from headwater.openlora.adapters import LoadedAdapter, resident
from headwater.openlora.lora_ops import LoraPair, ResidentAdapter, attach
from headwater.openlora.models import BaseModel
from headwater.types import Digest

IDS = torch.tensor([[1, 2, 3, 4]])


def logits(structure: torch.nn.Module) -> torch.Tensor:
    with torch.inference_mode():
        return structure(input_ids=IDS, use_cache=False).logits


def test_the_term_is_scale_times_b_a_x(base: BaseModel) -> None:
    structure = base.structure()
    switch = attach(structure)
    layer = structure.get_submodule("model.layers.0.mlp.up_proj")
    a, b, x = torch.randn(3, 32), torch.randn(64, 3), torch.randn(5, 32)
    adapter = ResidentAdapter(Digest(bytes(32)), {"model.layers.0.mlp.up_proj": LoraPair(a, b, 0.5)})
    plain = layer(x)
    with switch.using(adapter):
        tuned = layer(x)
    torch.testing.assert_close(tuned - plain, 0.5 * x @ a.T @ b.T, atol=1e-4, rtol=1e-4)


def test_wrapped_without_an_adapter_is_the_stock_model_bit_for_bit(base: BaseModel) -> None:
    structure = base.structure()
    attach(structure)
    assert torch.equal(logits(structure), logits(base.module))


def test_nothing_of_an_adapter_stays_behind(adapters: list[LoadedAdapter], base: BaseModel) -> None:
    structure = base.structure()
    switch = attach(structure)
    before = logits(structure)
    with switch.using(resident(adapters[0], base.device, base.dtype)):
        assert not torch.equal(logits(structure), before)
    assert torch.equal(logits(structure), before)


def test_a_layer_that_is_not_reached_is_an_error_not_a_silence(base: BaseModel) -> None:
    structure = base.structure()
    switch = attach(structure)
    pair = LoraPair(torch.zeros(1, 32), torch.zeros(32, 1), 1.0)
    lost = ResidentAdapter(Digest(bytes(32)), {"model.layers.5.self_attn.q_proj": pair})
    with pytest.raises(VerificationFailed, match="0 layers applied the adapter, which has 1"), switch.using(lost):
        logits(structure)


def test_a_thousand_adapters_add_no_modules(adapters: list[LoadedAdapter], base: BaseModel) -> None:
    structure = base.structure()
    switch = attach(structure)
    modules = len(list(structure.modules()))
    placed = [resident(adapters[i % 4], base.device, base.dtype) for i in range(1000)]
    with switch.using(placed[999]):
        logits(structure)
    assert len(list(structure.modules())) == modules


def test_structures_share_tensors_and_nothing_else(base: BaseModel) -> None:
    one, two = base.structure(), base.structure()
    attach(one)
    assert {p.data_ptr() for p in one.parameters()} == {p.data_ptr() for p in base.module.parameters()}
    assert torch.equal(logits(two), logits(base.module))
    assert not {id(m) for m in one.modules()} & {id(m) for m in two.modules()}
