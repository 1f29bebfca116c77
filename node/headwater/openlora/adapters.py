"""An adapter: what it is, where it comes from, and that it is what its digest says.

In: a PEFT folder (`adapter_config.json`, `adapter_model.safetensors`, optionally the manifest `adapter.json`). Out:
a `LoadedAdapter`, whose digest is recomputed from its tensors. Whether it may be served is the gate's question; who
calls it by which name is the registry's.

The digest is that of `headwater.protocol.model.Adapter`: base, rank, alpha, rsLoRA, target modules, and the canonical
digest of the tensors under the names that peft gives them in its file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from headwater.errors import BadAdapter, InvalidInput, MissingContent, VerificationFailed
from headwater.openlora.lora_ops import LoraPair, ResidentAdapter
from headwater.openlora.peft_config import FILE_NAME as CONFIG_FILE
from headwater.openlora.peft_config import parse_peft_config
from headwater.openlora.tensors import digest_of
from headwater.protocol.model import Adapter
from headwater.types import Digest, hex0x

WEIGHTS_FILE: Final = "adapter_model.safetensors"
MANIFEST_FILE: Final = "adapter.json"
MAX_ADAPTER_BYTES: Final = 512 * 1024 * 1024
MAX_CONFIG_BYTES: Final = 1024 * 1024
PICKLE_SUFFIXES: Final = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"})
_TENSOR_NAME: Final = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight")


@dataclass(frozen=True, slots=True, eq=False)
class LoadedAdapter:
    """A manifest and the tensors it names. Raises VerificationFailed if they do not belong together."""

    manifest: Adapter
    tensors: Mapping[str, Tensor]
    """Under peft's file names, in the number format of the file."""

    def __post_init__(self) -> None:
        actual = digest_of(self.tensors)
        if actual != self.manifest.tensors_digest:
            raise VerificationFailed(
                f"the adapter's tensors have the digest {hex0x(actual)}, not {hex0x(self.manifest.tensors_digest)}",
                "fetch the adapter again",
            )
        object.__setattr__(self, "tensors", MappingProxyType(dict(self.tensors)))

    @property
    def digest(self) -> Digest:
        return self.manifest.digest()

    def nbytes(self) -> int:
        return sum(t.nbytes for t in self.tensors.values())

    def scale(self) -> float:
        """alpha / rank, with rsLoRA (Kalajdzievski 2023) alpha / sqrt(rank)."""
        m = self.manifest
        return m.alpha / math.sqrt(m.rank) if m.use_rslora else m.alpha / m.rank

    def pairs(self) -> dict[str, LoraPair]:
        """Module path -> its pair, on the tensors as loaded. Raises BadAdapter for what is not a LoRA pair."""
        sides: dict[str, dict[str, Tensor]] = {}
        for name, tensor in self.tensors.items():
            found = _TENSOR_NAME.fullmatch(name)
            if found is None:
                raise _not_a_pair(name)
            sides.setdefault(found["module"], {})[found["side"]] = tensor
        for module, pair in sides.items():
            if len(pair) != 2:
                raise BadAdapter(f"{module} has lora_{next(iter(pair))} alone", "save the adapter again, whole")
        return {module: LoraPair(pair["A"], pair["B"], self.scale()) for module, pair in sides.items()}


def resident(adapter: LoadedAdapter, device: torch.device, dtype: torch.dtype) -> ResidentAdapter:
    """The adapter as an engine multiplies it: tensors of its own, named by the digest computed from these."""
    own = {name: tensor.detach().clone() for name, tensor in adapter.tensors.items()}
    copied = LoadedAdapter(replace(adapter.manifest, tensors_digest=digest_of(own)), own)
    pairs = {
        module: LoraPair(pair.a.to(device, dtype), pair.b.to(device, dtype), pair.scale)
        for module, pair in copied.pairs().items()
    }
    return ResidentAdapter(copied.digest, MappingProxyType(pairs))


def read_peft_folder(folder: Path, base_digest: Digest, max_bytes: int = MAX_ADAPTER_BYTES) -> LoadedAdapter:
    """Open a PEFT folder. `base_digest` is what it was trained on; a manifest in the folder must agree.

    Raises MissingContent for an absent file, BadAdapter for pickle, an unserved option or an unreadable file.
    """
    if not folder.is_dir():
        raise MissingContent(f"there is no folder {folder}", "pass the folder that peft saved")
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in PICKLE_SUFFIXES:
            raise BadAdapter(
                f"{path.name} is a pickle, which can run code when it is opened",
                "save the adapter as safetensors and remove the file",
            )
    config = parse_peft_config(_read(folder / CONFIG_FILE, MAX_CONFIG_BYTES))
    tensors = parse_safetensors(_read(folder / WEIGHTS_FILE, max_bytes))
    manifest = Adapter(
        base_digest=base_digest,
        rank=config.rank,
        alpha=config.alpha,
        use_rslora=config.use_rslora,
        target_modules=config.target_modules,
        tensors_digest=digest_of(tensors),
    )
    if (folder / MANIFEST_FILE).is_file():
        _agree(manifest, Adapter.from_bytes(_read(folder / MANIFEST_FILE, MAX_CONFIG_BYTES)))
    return LoadedAdapter(manifest, tensors)


def parse_safetensors(data: bytes) -> dict[str, Tensor]:
    """Tensors by name. Raises BadAdapter for anything that is not whole, well-formed safetensors."""
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise BadAdapter(f"{WEIGHTS_FILE} is not safetensors: {error}", "save the adapter again") from error
    if not tensors:
        raise BadAdapter(f"{WEIGHTS_FILE} holds no tensors", "save the adapter again")
    return tensors


def _agree(computed: Adapter, stated: Adapter) -> None:
    if stated.base_digest != computed.base_digest:
        raise BadAdapter(
            f"the adapter was trained on the base {hex0x(stated.base_digest)}, not on {hex0x(computed.base_digest)}",
            "serve it on its own base",
        )
    if stated != computed:
        differing = [n for n, v in stated.to_json().items() if computed.to_json()[n] != v]
        raise BadAdapter(
            f"{MANIFEST_FILE} disagrees with the files beside it in {', '.join(differing)}", "fetch the adapter again"
        )


def _read(path: Path, limit: int) -> bytes:
    if not path.is_file():
        raise MissingContent(f"{path.parent} holds no {path.name}", "pass the folder that peft saved")
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise BadAdapter(f"{path.name} has more than {limit:,} bytes", "lower the rank or target fewer modules")
    return data


def _not_a_pair(name: str) -> InvalidInput:
    words = "is not a LoRA pair of a linear layer"
    if "magnitude" in name:
        words = "belongs to DoRA"
    elif "embed" in name:
        words = "changes the embeddings"
    elif ".lora_" not in name:
        words = "replaces a whole module (modules_to_save)"
    return BadAdapter(
        f"the tensor {name[:120]!r} {words}, which is not served", "train a plain LoRA on linear layers"
    )
