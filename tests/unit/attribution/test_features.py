"""Per-example gradients against stock peft and plain autograd, one example at a time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import peft
import pytest
import torch

from headwater.attribution.checkpoint import LoraCheckpoint
from headwater.attribution.features import GradientModel, open_module
from headwater.attribution.precision import exact_float64
from headwater.errors import BadAdapter, InvalidInput, MissingContent, VerificationFailed
from headwater.protocol.attribution import AttributionMethod
from headwater.protocol.tokens import LabelledTokens
from headwater.testing.tiny import tiny_base
from headwater.types import Digest

SEED = Digest(bytes(range(32)))


@pytest.fixture
def batch(tokens: Callable[..., LabelledTokens]) -> list[LabelledTokens]:
    return [tokens("name the code: ", "A12"), tokens("x", "a much longer answer"), tokens("of what? ", "b")]


@pytest.fixture
def reference(
    base_folder: Path, checkpoint_folder: Path
) -> Callable[[LabelledTokens, torch.dtype], tuple[float, dict[str, torch.Tensor]]]:
    """Loss and gradients of one example by peft's own modules and autograd: slow, and none of our code."""
    model = peft.PeftModel.from_pretrained(open_module(base_folder), checkpoint_folder, is_trainable=True)

    def compute(example: LabelledTokens, dtype: torch.dtype) -> tuple[float, dict[str, torch.Tensor]]:
        model.to(dtype).zero_grad()
        ids = torch.tensor([example.ids])
        with exact_float64() if dtype is torch.float64 else nullcontext():
            logits = model(input_ids=ids).logits[0, example.answer_start - 1 : -1]
            loss = torch.nn.functional.cross_entropy(logits, ids[0, example.answer_start :])
        loss.backward()
        grads = {n.replace(".default", ""): p.grad for n, p in model.named_parameters() if p.grad is not None}
        return loss.item(), grads

    return compute


@pytest.mark.parametrize(
    ("kind", "dtype", "tolerance"), [("float32", torch.float32, 2e-4), ("float64", torch.float64, 1e-9)]
)
def test_one_batched_pass_gives_every_examples_own_gradients(
    kind: str,
    dtype: torch.dtype,
    tolerance: float,
    load_model: Callable[..., GradientModel],
    batch: list[LabelledTokens],
    reference: Callable[..., tuple[float, dict[str, torch.Tensor]]],
) -> None:
    model = load_model(gradient_type=kind)
    gradients = dict(zip(model.names, model.gradients(batch), strict=True))
    losses = model.losses(batch)
    for i, example in enumerate(batch):
        loss, expected = reference(example, dtype)
        assert expected.keys() == gradients.keys()
        assert losses[i].item() == pytest.approx(loss, rel=1e-5)
        for name, want in expected.items():
            got = gradients[name][i]
            assert got.dtype == dtype and got.shape == want.shape
            assert float((got - want).abs().max()) <= tolerance * float(want.abs().max()), name


@pytest.mark.parametrize("top", [1, 2])
def test_the_top_layers_have_the_same_gradients_alone(
    top: int, load_model: Callable[..., GradientModel], batch: list[LabelledTokens]
) -> None:
    whole, part = load_model(), load_model(top_layers=top)
    everything = dict(zip(whole.names, whole.gradients(batch), strict=True))
    assert {n.split("layers.")[1][0] for n in part.names} == {str(i) for i in range(3 - top, 3)}
    for name, gradient in zip(part.names, part.gradients(batch), strict=True):
        assert torch.allclose(gradient, everything[name], rtol=1e-5, atol=1e-7)


def test_the_backward_pass_stops_at_the_lowest_used_layer(
    load_model: Callable[..., GradientModel], batch: list[LabelledTokens]
) -> None:
    reached: list[int] = []
    model = load_model(top_layers=1)
    for number, layer in enumerate(model.module.model.layers):

        def after(module: object, args: object, output: torch.Tensor, number: int = number) -> None:
            if output.requires_grad:
                reached.append(number)

        layer.register_forward_hook(after)
    list(model.gradients(batch))
    assert reached == [2]


def test_features_are_the_sketch_of_the_scaled_gradient(
    load_model: Callable[..., GradientModel], checkpoint: LoraCheckpoint, batch: list[LabelledTokens]
) -> None:
    model = load_model()
    flat = torch.cat([g[1].reshape(-1) for g in model.gradients(batch)]).numpy()
    assert list(model.names) == sorted(checkpoint.tensors) and flat.size == model.size
    features = model.features(batch, model.sketch_of(SEED))
    assert features.shape == (3, 512)
    assert np.allclose(features[1], model.sketch_of(SEED).apply(flat), rtol=1e-12)


def test_an_example_has_the_same_features_alone_and_in_a_batch(
    load_model: Callable[..., GradientModel], batch: list[LabelledTokens]
) -> None:
    model = load_model()
    sketch = model.sketch_of(SEED)
    together = model.features(batch, sketch)
    for i, example in enumerate(batch):
        alone = model.features([example], sketch)[0]
        assert np.abs(alone - together[i]).max() <= 1e-4 * np.abs(alone).max()
        assert (model.features([example], sketch)[0] == alone).all()


def test_examples_that_do_not_fit_are_refused(
    load_model: Callable[..., GradientModel], tokens: Callable[..., LabelledTokens]
) -> None:
    model = load_model()
    with pytest.raises(InvalidInput, match="257 tokens, the model's context 256"):
        list(model.gradients([tokens("x" * 250, "y" * 6)]))
    with pytest.raises(InvalidInput, match="outside the vocabulary"):
        list(model.gradients([LabelledTokens((1, 2, 4_000), 1)]))
    with pytest.raises(InvalidInput, match="empty"):
        list(model.gradients([]))


def test_reduced_float32_precision_is_refused(
    load_model: Callable[..., GradientModel], batch: list[LabelledTokens]
) -> None:
    model, before = load_model(), torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with pytest.raises(InvalidInput, match="narrower"):
            list(model.gradients(batch))
    finally:
        torch.set_float32_matmul_precision(before)


def test_another_base_is_refused(tmp_path: Path, checkpoint: LoraCheckpoint, method: AttributionMethod) -> None:
    with pytest.raises(VerificationFailed, match="the checkpoint needs"):
        GradientModel.load(tiny_base(tmp_path, seed=1, layers=3), checkpoint, method)
    with pytest.raises(BadAdapter, match="does not fit"):
        GradientModel(open_module(tiny_base(tmp_path, hidden=64, layers=3)), checkpoint, method)
    with pytest.raises(BadAdapter, match="has no module"):
        GradientModel(open_module(tiny_base(tmp_path, layers=2)), checkpoint, method)


def test_a_folder_that_is_no_base_is_refused(tmp_path: Path, base_folder: Path) -> None:
    with pytest.raises(MissingContent, match="not a prepared base"):
        open_module(tmp_path)
    (tmp_path / "config.json").write_bytes((base_folder / "config.json").read_bytes())
    whole = (base_folder / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[:-100])
    with pytest.raises(InvalidInput):
        open_module(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gradient_type": "bfloat16"}, "bfloat16"),
        ({"sketch_width": 1_000}, "power of two"),
        ({"name": "taste-v1"}, "taste-v1"),
        ({"damping_ppm": 0}, "damping_ppm is zero"),
        ({"floor_quantile_ppm": 1_000_001}, "above the whole"),
    ],
)
def test_a_method_that_cannot_be_honoured_is_refused(
    changes: dict[str, object],
    words: str,
    base_folder: Path,
    checkpoint: LoraCheckpoint,
    method: AttributionMethod,
) -> None:
    with pytest.raises(InvalidInput, match=words):
        GradientModel.load(base_folder, checkpoint, replace(method, **changes))  # type: ignore[arg-type]


def test_float64_is_float64_in_every_operation(
    load_model: Callable[..., GradientModel], batch: list[LabelledTokens]
) -> None:
    """A change of one part in 10**12 of a weight moves the loss by about as much: nothing rounds to float32."""
    model = load_model(gradient_type="float64")
    weight = model.module.model.layers[0].mlp.up_proj.weight
    before = model.losses(batch)
    with torch.no_grad():
        weight.mul_(1 + 1e-7)
        slope = (model.losses(batch) - before) / 1e-7
        weight.mul_((1 + 1e-10) / (1 + 1e-7))
    finer = (model.losses(batch) - before) / 1e-10
    assert torch.allclose(slope, finer, rtol=1e-3, atol=1e-5)
    assert float(slope.abs().max()) > 1e-3
