"""The checkpoint that attribution looks through: a LoRA adapter and Adam's second moments at the same step.

In: a folder that the training left behind (`adapter.json`, `adapter_model.safetensors`, `second_moment.safetensors`,
`checkpoint.json`), every tensor checked against the digest on chain. Out: tensors by PEFT name, and Adam's metric
1 / (sqrt(v / (1 - beta2^step)) + eps), with the bias correction of Kingma and Ba (2015). Knows no model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor

from headwater.attribution.tensors import float32_digest
from headwater.errors import BadAdapter, InvalidInput, MissingContent, VerificationFailed
from headwater.protocol.model import Adapter
from headwater.protocol.training import Checkpoint
from headwater.types import WHOLE_PPM, Digest, hex0x

ADAPTER_FILE: Final = "adapter_model.safetensors"
ADAPTER_MANIFEST: Final = "adapter.json"
CHECKPOINT_MANIFEST: Final = "checkpoint.json"
MOMENT_FILE: Final = "second_moment.safetensors"

_NAME: Final = re.compile(r"base_model\.model\.(?P<path>.+)\.lora_(?P<side>[AB])\.weight")
_LAYER: Final = re.compile(r"(?:^|\.)layers\.(?P<layer>\d+)\.")


@dataclass(frozen=True, slots=True, eq=False)
class LoraCheckpoint:
    """y = W x + scaling B (A x) in every module of `modules`."""

    adapter: Adapter
    tensors: Mapping[str, Tensor]
    """PEFT name -> float32 tensor: A [rank, in], B [out, rank]."""
    moment: Mapping[str, Tensor]
    """PEFT name -> Adam's second moment of that tensor, float32, not bias-corrected."""
    step: int
    adam_beta2_ppm: int
    digest: Digest

    @property
    def scaling(self) -> float:
        return self.adapter.alpha / (self.adapter.rank**0.5 if self.adapter.use_rslora else self.adapter.rank)

    @property
    def modules(self) -> tuple[str, ...]:
        """Module paths in the base model, ascending."""
        return tuple(sorted({split_name(name)[0] for name in self.tensors}))

    def metric_of(self, name: str, epsilon_ppt: int) -> NDArray[np.float64]:
        """The Adam metric of one tensor, flat, float64."""
        correction = 1.0 - (self.adam_beta2_ppm / WHOLE_PPM) ** self.step
        v: NDArray[np.float64] = self.moment[name].reshape(-1).double().numpy()
        return 1.0 / (np.sqrt(v / correction) + epsilon_ppt / 10**12)


def split_name(name: str) -> tuple[str, str]:
    """(module path, 'A' or 'B') of a PEFT tensor name. Raises BadAdapter for any other name."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise BadAdapter(
            f"the adapter tensor {name[:100]!r} is not a plain LoRA tensor", "save the adapter with peft"
        )
    return match["path"], match["side"]


def layer_of(path: str) -> int:
    """The decoder layer that a module path lies in. Raises BadAdapter outside the layers."""
    match = _LAYER.search(path)
    if match is None:
        raise BadAdapter(
            f"the module {path!r} lies in no decoder layer", "train a LoRA on the layers' linear modules"
        )
    return int(match["layer"])


def load_checkpoint(folder: Path, adam_beta2_ppm: int, expected: Digest | None = None) -> LoraCheckpoint:
    """Open and check a checkpoint folder; `adam_beta2_ppm` stands in the recipe, `expected` on chain.

    Raises MissingContent, BadAdapter, VerificationFailed naming the file that differs, InvalidInput.
    """
    manifest = Checkpoint.from_bytes(_read(folder / CHECKPOINT_MANIFEST))
    if expected is not None:
        _check_digest(folder / CHECKPOINT_MANIFEST, manifest.digest(), expected)
    adapter = Adapter.from_bytes(_read(folder / ADAPTER_MANIFEST))
    _check_digest(folder / ADAPTER_MANIFEST, adapter.digest(), manifest.adapter_digest)
    tensors = _read_tensors(folder / ADAPTER_FILE, adapter.tensors_digest)
    moment = _read_tensors(folder / MOMENT_FILE, manifest.second_moment_digest)
    if manifest.step == 0 or not 0 < adam_beta2_ppm < WHOLE_PPM:
        raise InvalidInput(
            f"Adam has no second moments at step {manifest.step} with beta2 = {adam_beta2_ppm} ppm",
            "keep the checkpoint after the first step and pass the recipe's beta2",
        )
    _check_shapes(tensors, moment, adapter.rank)
    return LoraCheckpoint(adapter, tensors, moment, manifest.step, adam_beta2_ppm, manifest.digest())


def _check_shapes(tensors: Mapping[str, Tensor], moment: Mapping[str, Tensor], rank: int) -> None:
    sides: dict[str, set[str]] = {}
    for name, tensor in tensors.items():
        path, side = split_name(name)
        layer_of(path)
        sides.setdefault(path, set()).add(side)
        if tensor.dim() != 2 or tensor.shape[0 if side == "A" else 1] != rank:
            raise BadAdapter(
                f"{name} has the shape {tuple(tensor.shape)} at rank {rank}", "save the adapter with peft"
            )
    for path, found in sorted(sides.items()):
        if found != {"A", "B"}:
            raise BadAdapter(f"{path} has only lora_{min(found)}", "save the adapter with peft")
    if {n: t.shape for n, t in moment.items()} != {n: t.shape for n, t in tensors.items()}:
        raise BadAdapter(f"{MOMENT_FILE} does not belong to the adapter beside it", "fetch the checkpoint again")
    if any(float(m.min()) < 0 for m in moment.values()):
        raise BadAdapter(f"{MOMENT_FILE} holds a negative second moment", "train again")


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise MissingContent(f"{path.parent} holds no {path.name}", "pass the checkpoint folder of the training")
    return path.read_bytes()


def _read_tensors(path: Path, expected: Digest) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load(_read(path))
    except (SafetensorError, ValueError, KeyError) as error:
        raise BadAdapter(f"{path} is not whole safetensors: {error}", "fetch it again, or train again") from error
    for name, tensor in tensors.items():
        if tensor.dtype is not torch.float32 or tensor.numel() == 0 or not bool(torch.isfinite(tensor).all()):
            raise BadAdapter(f"{name} in {path.name} is not finite float32", "save it as the trainer holds it")
    _check_digest(path, float32_digest(tensors), expected)
    return tensors


def _check_digest(path: Path, actual: Digest, expected: Digest) -> None:
    if actual != expected:
        raise VerificationFailed(
            f"{path.name} has the digest {hex0x(actual)}, not {hex0x(expected)}",
            "fetch the checkpoint again: a file is damaged or of another training",
        )
