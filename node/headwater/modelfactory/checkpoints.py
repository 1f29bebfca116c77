"""What training leaves behind: the adapter in PEFT's format, and checkpoints with both Adam moments.

In: tensors by peft's names. Out: folders of safetensors and JSON whose digests are recomputed on every read.

    adapter/      adapter_config.json  adapter_model.safetensors  adapter.json (`protocol.model.Adapter`)
    checkpoint/   the same three, first_moment.safetensors, second_moment.safetensors, checkpoint.json
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from headwater.errors import BadAdapter, InvalidInput, MissingContent, VerificationFailed
from headwater.modelfactory.tensors import digest_of, read_tensors, refuse_pickle, write_tensors
from headwater.protocol.model import Adapter
from headwater.protocol.recipe import Recipe
from headwater.protocol.training import Checkpoint
from headwater.storage.files import make_folder, write_durably
from headwater.types import Digest, hex0x

ADAPTER_FILE: Final = "adapter_model.safetensors"
CONFIG_FILE: Final = "adapter_config.json"
MANIFEST_FILE: Final = "adapter.json"
CHECKPOINT_FILE: Final = "checkpoint.json"
FIRST_MOMENT_FILE: Final = "first_moment.safetensors"
SECOND_MOMENT_FILE: Final = "second_moment.safetensors"


@dataclass(frozen=True, slots=True, eq=False)
class TrainingState:
    """Adapter and Adam moments after `step` steps: float32, three tensors of one shape for each name."""

    step: int
    adapter: Mapping[str, Tensor]
    first_moment: Mapping[str, Tensor]
    second_moment: Mapping[str, Tensor]

    def checkpoint(self, recipe: Recipe) -> Checkpoint:
        return Checkpoint(
            self.step,
            adapter_manifest(self.adapter, recipe).digest(),
            digest_of(self.first_moment),
            digest_of(self.second_moment),
        )


def adapter_manifest(tensors: Mapping[str, Tensor], recipe: Recipe) -> Adapter:
    """Its digest is the adapter digest: tensors and how they are applied."""
    return Adapter(
        base_digest=recipe.base_digest,
        rank=recipe.rank,
        alpha=recipe.alpha,
        use_rslora=False,
        target_modules=recipe.target_modules,
        tensors_digest=digest_of(tensors),
    )


def write_adapter(folder: Path, tensors: Mapping[str, Tensor], recipe: Recipe) -> Adapter:
    """Write a folder that stock peft opens. Raises DiskFull, BadAdapter for NaN or infinity."""
    _check_finite(tensors)
    manifest = adapter_manifest(tensors, recipe)
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": None,
        "r": recipe.rank,
        "lora_alpha": recipe.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "use_rslora": False,
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "target_modules": list(recipe.target_modules),
    }
    make_folder(folder)
    write_tensors(folder / ADAPTER_FILE, tensors)
    write_durably(folder / CONFIG_FILE, json.dumps(config, indent=2, sort_keys=True).encode())
    write_durably(folder / MANIFEST_FILE, manifest.canonical_bytes())
    return manifest


def read_adapter(folder: Path) -> tuple[Adapter, dict[str, Tensor]]:
    """Manifest and tensors, checked against each other.

    Raises MissingContent, BadAdapter (pickle, damaged, NaN, not float32), VerificationFailed.
    """
    if not folder.is_dir():
        raise MissingContent(f"there is no folder {folder}", "pass the folder that the training wrote")
    refuse_pickle(folder)
    manifest = Adapter.from_bytes(_read(folder / MANIFEST_FILE))
    tensors = read_tensors(folder / ADAPTER_FILE)
    _check_finite(tensors)
    _check_digest(folder / ADAPTER_FILE, digest_of(tensors), manifest.tensors_digest)
    return manifest, tensors


def write_checkpoint(folder: Path, state: TrainingState, recipe: Recipe) -> Checkpoint:
    """Write adapter and moments. Raises DiskFull."""
    write_adapter(folder, state.adapter, recipe)
    write_tensors(folder / FIRST_MOMENT_FILE, state.first_moment)
    write_tensors(folder / SECOND_MOMENT_FILE, state.second_moment)
    manifest = state.checkpoint(recipe)
    write_durably(folder / CHECKPOINT_FILE, manifest.canonical_bytes())
    return manifest


def read_checkpoint(folder: Path, expected: Digest | None = None) -> TrainingState:
    """All tensors of a checkpoint, checked against its manifest and that against `expected`, the digest on chain.

    Raises MissingContent, BadAdapter, VerificationFailed naming what differs.
    """
    adapter, tensors = read_adapter(folder)
    manifest = Checkpoint.from_bytes(_read(folder / CHECKPOINT_FILE))
    if expected is not None:
        _check_digest(folder / CHECKPOINT_FILE, manifest.digest(), expected)
    _check_digest(folder / MANIFEST_FILE, adapter.digest(), manifest.adapter_digest)
    moments = []
    for name, wanted in (
        (FIRST_MOMENT_FILE, manifest.first_moment_digest),
        (SECOND_MOMENT_FILE, manifest.second_moment_digest),
    ):
        moment = read_tensors(folder / name)
        _check_digest(folder / name, digest_of(moment), wanted)
        if {n: t.shape for n, t in moment.items()} != {n: t.shape for n, t in tensors.items()}:
            raise VerificationFailed(f"{name} does not belong to the adapter beside it", "fetch the checkpoint again")
        moments.append(moment)
    return TrainingState(manifest.step, tensors, moments[0], moments[1])


def _check_finite(tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if tensor.dtype != torch.float32:
            raise BadAdapter(f"{name} holds {tensor.dtype}, not float32", "save the adapter again as float32")
        if not bool(torch.isfinite(tensor).all()):
            raise BadAdapter(f"{name} holds NaN or infinity", "train again with a lower learning rate")


def _check_digest(path: Path, actual: Digest, wanted: Digest) -> None:
    if actual != wanted:
        raise VerificationFailed(
            f"{path.name} has the digest {hex0x(actual)}, not {hex0x(wanted)}", "fetch it again, or train again"
        )


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise MissingContent(f"{path.parent} holds no {path.name}", "pass the folder that the training wrote")
    data = path.read_bytes()
    if len(data) > 1 << 20:
        raise InvalidInput(f"{path.name} is larger than 1 MiB", "pass the file that the training wrote")
    return data
