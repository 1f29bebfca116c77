"""Torch tensors in the words of `headwater.protocol.tensors`.

In: named tensors. Out: their canonical digest. Knows no files and no models.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import torch
from torch import Tensor

from headwater.errors import InvalidInput
from headwater.protocol.tensors import TensorItem, tensor_digest
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


def tensor_items(tensors: Mapping[str, Tensor]) -> Iterator[TensorItem]:
    """(name, dtype, shape, little-endian bytes) of each tensor, copied from its device one at a time."""
    for name, tensor in tensors.items():
        if tensor.dtype not in DTYPE_NAMES:
            raise InvalidInput(f"the tensor {name!r} has the number format {tensor.dtype}", "save it as float32")
        flat = tensor.detach().to("cpu").contiguous().reshape(-1).view(torch.uint8)
        yield name, DTYPE_NAMES[tensor.dtype], tuple(tensor.shape), flat.numpy().data


def digest_of(tensors: Mapping[str, Tensor]) -> Digest:
    """The canonical digest of the tensors as they stand in memory."""
    return tensor_digest(tensor_items(tensors))
