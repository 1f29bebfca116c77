"""Torch tensors in safetensors files and in the words of `headwater.protocol.tensors`.

In: named tensors, or a file. Out: canonical digests, durable files, tensors that were checked. Nothing but
safetensors is ever opened as weights: pickle can run code when it is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from headwater.errors import BadAdapter, InvalidInput, MissingContent
from headwater.protocol.tensors import TensorItem, tensor_digest
from headwater.storage.files import write_durably
from headwater.types import Digest

DTYPE_NAMES: Final[Mapping[torch.dtype, str]] = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""safetensors' names of the number formats."""

PICKLE_SUFFIXES: Final = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"})


def tensor_items(tensors: Mapping[str, Tensor]) -> Iterator[TensorItem]:
    """(name, dtype, shape, little-endian bytes) of each tensor, one at a time."""
    for name, tensor in tensors.items():
        if tensor.dtype not in DTYPE_NAMES:
            raise InvalidInput(f"the tensor {name!r} has the number format {tensor.dtype}", "save it as float32")
        flat = tensor.detach().to("cpu").contiguous().reshape(-1).view(torch.uint8)
        yield name, DTYPE_NAMES[tensor.dtype], tuple(tensor.shape), flat.numpy().data


def digest_of(tensors: Mapping[str, Tensor]) -> Digest:
    """The canonical digest of the tensors as they stand in memory."""
    return tensor_digest(tensor_items(tensors))


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a safetensors file that is whole and on disk when this returns. Raises DiskFull."""
    plain = {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()}
    write_durably(path, safetensors.torch.save(plain, metadata={"format": "pt"}))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors by name. Raises MissingContent without the file, BadAdapter for pickle or a damaged file."""
    if path.suffix.lower() in PICKLE_SUFFIXES:
        raise BadAdapter(
            f"{path.name} is a pickle, which can run code when it is opened", "save the weights as safetensors"
        )
    if not path.is_file():
        raise MissingContent(f"{path.parent} holds no {path.name}", "pass the folder that the training wrote")
    try:
        return dict(safetensors.torch.load(path.read_bytes()))
    except (SafetensorError, ValueError, KeyError) as error:
        raise BadAdapter(f"{path} is not whole safetensors: {error}", "train again, or fetch it again") from error


def refuse_pickle(folder: Path) -> None:
    """Raises BadAdapter if any file in `folder` could be a pickle."""
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in PICKLE_SUFFIXES:
            raise BadAdapter(
                f"{path.name} is a pickle, which can run code when it is opened",
                "save the weights as safetensors and remove the file",
            )
