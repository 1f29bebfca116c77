"""Stock peft on the same base: the yardstick, never the server.

In: a base, an adapter, prompts. Out: peft's logits. It is built from the manifest and the tensors alone, on a module
structure of its own over the base's tensors, and thrown away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import peft
import torch
from torch import Tensor

from headwater.errors import BadAdapter
from headwater.openlora.adapters import LoadedAdapter
from headwater.openlora.models import BaseModel


def peft_model(base: BaseModel, adapter: LoadedAdapter) -> Any:
    """A stock PeftModel over the base's tensors. Raises BadAdapter where peft cannot take the adapter as a whole."""
    manifest = adapter.manifest
    config = peft.LoraConfig(
        task_type="CAUSAL_LM",
        r=manifest.rank,
        lora_alpha=manifest.alpha,
        use_rslora=manifest.use_rslora,
        target_modules=list(manifest.target_modules),
        lora_dropout=0.0,
        inference_mode=True,
    )
    try:
        model = peft.get_peft_model(base.structure(), config, autocast_adapter_dtype=False)
        loaded = peft.set_peft_model_state_dict(model, dict(adapter.tensors))
    except (ValueError, RuntimeError, KeyError) as error:
        raise BadAdapter(
            f"stock peft does not take the adapter: {error}", "save the adapter again with peft"
        ) from error
    missing = [key for key in loaded.missing_keys if "lora_" in key]
    if missing or loaded.unexpected_keys:
        odd = (missing + list(loaded.unexpected_keys))[0]
        raise BadAdapter(
            f"stock peft does not find the same tensors, first {odd}", "save the adapter again with peft"
        )
    return model.to(device=base.device, dtype=base.dtype).eval()


def peft_logits(base: BaseModel, adapter: LoadedAdapter, prompts: Sequence[Sequence[int]]) -> Iterator[Tensor]:
    """Logits [tokens, vocabulary] of each prompt under stock peft."""
    model = peft_model(base, adapter)
    for ids in prompts:
        yield model(input_ids=torch.tensor([list(ids)], device=base.device), use_cache=False).logits[0]
