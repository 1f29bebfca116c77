"""LoRA beside a frozen linear layer, chosen per request: y = W x + scale · B (A x).

In: a model structure and, at each step, the adapter of the request whose turn it is. Out: the same structure with
each target layer wrapped. Adapters add no modules: the wrapper looks up the current request's pair by its own path,
so ten thousand adapters cost the model nothing. After Hu et al., "LoRA" (2021); operations in the order of stock
peft, so that both round alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor, nn

from headwater.errors import VerificationFailed
from headwater.openlora.models import target_layers
from headwater.types import Digest


@dataclass(frozen=True, slots=True, eq=False)
class LoraPair:
    """One layer's share of an adapter: `a` [rank, in], `b` [out, rank], and alpha/rank or alpha/sqrt(rank)."""

    a: Tensor
    b: Tensor
    scale: float


@dataclass(frozen=True, slots=True, eq=False)
class ResidentAdapter:
    """An adapter's tensors where they are multiplied, and the digest of exactly these."""

    digest: Digest
    pairs: Mapping[str, LoraPair]

    def nbytes(self) -> int:
        return sum(p.a.nbytes + p.b.nbytes for p in self.pairs.values())


class LoraSwitch:
    """Says to all wrapped layers of one structure which adapter is meant now, and counts who obeyed."""

    def __init__(self) -> None:
        self.active: ResidentAdapter | None = None
        self.applied = 0

    @contextmanager
    def using(self, adapter: ResidentAdapter | None) -> Iterator[None]:
        """Apply `adapter` (None = base alone) to forward passes inside; one forward pass per use.

        Raises VerificationFailed if a layer of the adapter was not reached: an adapter that silently does nothing,
        while its contributors are paid, must be impossible.
        """
        self.active, self.applied = adapter, 0
        try:
            yield
        finally:
            self.active = None
        wanted = len(adapter.pairs) if adapter else 0
        if self.applied != wanted:
            raise VerificationFailed(
                f"{self.applied} layers applied the adapter, which has {wanted}",
                "report this: the engine and the model disagree on the layers",
            )


class LoraLinear(nn.Module):
    """A linear layer that adds the current adapter's low-rank term, if there is one for its path."""

    def __init__(self, layer: nn.Linear, path: str, switch: LoraSwitch) -> None:
        super().__init__()
        self.layer = layer
        self.path = path
        self.switch = switch

    def forward(self, x: Tensor) -> Tensor:
        """`x` [..., in] -> [..., out]."""
        y: Tensor = self.layer(x)
        adapter = self.switch.active
        pair = adapter.pairs.get(self.path) if adapter is not None else None
        if pair is None:
            return y
        self.switch.applied += 1
        return y + nn.functional.linear(nn.functional.linear(x, pair.a), pair.b) * pair.scale


def attach(structure: nn.Module) -> LoraSwitch:
    """Wrap every target layer of `structure` in place. Returns the switch that governs them."""
    switch = LoraSwitch()
    for path, layer in target_layers(structure).items():
        parent, _, name = path.rpartition(".")
        setattr(structure.get_submodule(parent), name, LoraLinear(layer, path, switch))
    return switch
