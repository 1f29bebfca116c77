"""The one base model that every adapter of a pool stands on.

In: a transformers module, its tokenizer and its digest. Out: `BaseModel`, from which each user takes a structure of
its own over the same tensors. Knows neither files (see `loader`) nor adapters (see `lora_ops`).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from headwater.openlora.placement import Placement
from headwater.openlora.tensors import digest_of
from headwater.openlora.tokenizer import Tokenizer
from headwater.types import Digest


@dataclass(frozen=True, slots=True, eq=False)
class BaseModel:
    """A loaded base. Its tensors are shared by every structure made from it and are never written to."""

    name: str
    digest: Digest
    """Over the tensors as stored, before any change of number format."""
    module: nn.Module
    """The stock transformers model; do not change its structure, take `structure()`."""
    tokenizer: Tokenizer
    context_tokens: int
    placement: Placement

    @property
    def dtype(self) -> torch.dtype:
        return self.placement.dtype

    @property
    def device(self) -> torch.device:
        return self.placement.device

    def structure(self) -> nn.Module:
        """A copy of the module tree over the same parameters and buffers: cheap, free to be wrapped."""
        shared: dict[int, Any] = {}
        for tensor in (*self.module.parameters(), *self.module.buffers()):
            shared[id(tensor)] = tensor
        return copy.deepcopy(self.module, shared)

    def linear_shapes(self) -> dict[str, tuple[int, int]]:
        """Module path -> (out, in) of every linear layer that an adapter may target: all but the output head."""
        return {name: (layer.out_features, layer.in_features) for name, layer in target_layers(self.module).items()}

    def kv_bytes_per_token(self) -> int:
        """Bytes of keys and values that one token of context costs."""
        config: Any = self.module.config
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        return int(2 * config.num_hidden_layers * heads * head_dim * self.dtype.itemsize)


def target_layers(module: nn.Module) -> dict[str, nn.Linear]:
    """The linear layers that an adapter may target. The output head is not one: it is the embedding, transposed."""
    head: Any = getattr(module, "get_output_embeddings", lambda: None)()
    return {n: m for n, m in module.named_modules() if isinstance(m, nn.Linear) and m is not head}


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    """What a base's digest covers: each parameter once (tied ones under their first name) and saved buffers."""
    tensors: dict[str, Tensor] = dict(module.named_parameters(remove_duplicate=True))
    saved = module.state_dict(keep_vars=True)
    tensors.update({n: b for n, b in module.named_buffers() if n in saved})
    return tensors


def model_digest(module: nn.Module) -> Digest:
    """Canonical digest of a model's weights as they stand in memory; equals that of its `model.safetensors`."""
    return digest_of(weights_of(module))
