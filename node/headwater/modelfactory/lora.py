"""LoRA on a frozen base: y = W x + B (scale · A x), with A and B in float32 and W in whatever the recipe says.

In: a frozen transformers module, rank, alpha, targets, seed. Out: the same module with trainable pairs, whose tensors
carry the names that peft gives them in its files. After Hu et al., "LoRA" (2021), initialised as there: A uniform,
B zero. Stock peft computes the same (a test holds them together); this form casts the small tensors and not the
activations, and draws each tensor from its own seed, so that nothing depends on the order of modules.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, Final

import torch
from torch import Tensor, nn

from headwater.errors import BadAdapter, InvalidInput
from headwater.types import Digest

_PREFIX: Final = "base_model.model."


class LoraLinear(nn.Module):
    """A frozen linear layer and its trainable pair."""

    def __init__(self, layer: nn.Linear, rank: int, scale: float) -> None:
        super().__init__()
        self.layer = layer
        self.scale = scale
        self.enabled = True
        device = layer.weight.device
        self.a = nn.Parameter(torch.zeros(rank, layer.in_features, dtype=torch.float32, device=device))
        self.b = nn.Parameter(torch.zeros(layer.out_features, rank, dtype=torch.float32, device=device))

    def forward(self, x: Tensor) -> Tensor:
        """`x` [..., in] -> [..., out], both in the base's number format."""
        y: Tensor = self.layer(x)
        if not self.enabled:
            return y
        low = nn.functional.linear(x, self.a.to(x.dtype)) * self.scale
        return y + nn.functional.linear(low, self.b.to(x.dtype))


class LoraAdapter:
    """The trainable pairs of one module, by peft's file names in sorted order."""

    def __init__(self, layers: Mapping[str, LoraLinear]) -> None:
        self._layers = dict(layers)
        pairs = {f"{_PREFIX}{path}.lora_{side}.weight": (path, side) for path in layers for side in "AB"}
        self.parameters: Final[dict[str, nn.Parameter]] = {
            name: layers[path].a if side == "A" else layers[path].b for name, (path, side) in sorted(pairs.items())
        }

    def state(self) -> dict[str, Tensor]:
        """A copy of the tensors, float32 on the processor."""
        return {name: p.detach().to("cpu", copy=True) for name, p in self.parameters.items()}

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Raises BadAdapter unless names and shapes are exactly those of this adapter and all numbers finite."""
        if odd := sorted(tensors.keys() ^ self.parameters.keys()):
            raise BadAdapter(
                f"the adapter and the model disagree on {len(odd)} tensors, first {odd[0]}",
                "check that it was trained on this base with these target modules",
            )
        for name, parameter in self.parameters.items():
            tensor = tensors[name]
            if tensor.shape != parameter.shape:
                raise BadAdapter(
                    f"{name} has the shape {tuple(tensor.shape)}, not {tuple(parameter.shape)}", "check the rank"
                )
            if not bool(torch.isfinite(tensor).all()):
                raise BadAdapter(f"{name} holds NaN or infinity", "train again with a lower learning rate")
            parameter.copy_(tensor)

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """The base alone, inside."""
        for layer in self._layers.values():
            layer.enabled = False
        try:
            yield
        finally:
            for layer in self._layers.values():
                layer.enabled = True


def linear_layers(module: Any) -> dict[str, nn.Linear]:
    """Module path -> linear layer, all but the output head, which is the embedding transposed."""
    head = module.get_output_embeddings()
    return {n: m for n, m in module.named_modules() if isinstance(m, nn.Linear) and m is not head}


def linear_shapes(module: Any) -> dict[str, tuple[int, int]]:
    return {path: (m.out_features, m.in_features) for path, m in linear_layers(module).items()}


def attach_adapter(module: Any, rank: int, alpha: int, target_modules: tuple[str, ...], seed: Digest) -> LoraAdapter:
    """Wrap every layer whose last name is a target, in place. Raises InvalidInput for a target that is absent."""
    layers = linear_layers(module)
    wrapped: dict[str, LoraLinear] = {}
    for target in target_modules:
        paths = [p for p in layers if p.rpartition(".")[2] == target]
        if not paths:
            raise InvalidInput(f"the base has no linear layer called {target!r}", "name layers that it has")
        for path in paths:
            pair = LoraLinear(layers[path], rank, alpha / rank)
            _initialise(pair, path, seed)
            parent, _, name = path.rpartition(".")
            setattr(module.get_submodule(parent), name, pair)
            wrapped[path] = pair
    return LoraAdapter(wrapped)


@torch.no_grad()
def _initialise(pair: LoraLinear, path: str, seed: Digest) -> None:
    """A uniform in ±1/sqrt(in), from sha256(seed ‖ path); B stays zero, so training starts at the base."""
    number = int.from_bytes(sha256(seed + path.encode()).digest()[:8], "big") >> 1
    generator = torch.Generator().manual_seed(number)
    uniform = torch.rand(pair.a.shape, generator=generator, dtype=torch.float32)
    pair.a.copy_((uniform * 2 - 1) / math.sqrt(pair.layer.in_features))
