"""float32 tensors in the words of `headwater.protocol.tensors`: named tensors in, their canonical digest out."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from headwater.errors import InvalidInput
from headwater.protocol.tensors import tensor_digest
from headwater.types import Digest


def float32_digest(tensors: Mapping[str, Tensor]) -> Digest:
    """sha2-256 over names, shapes and bytes. Raises InvalidInput for a tensor that is not float32."""
    for name, tensor in tensors.items():
        if tensor.dtype is not torch.float32:
            raise InvalidInput(f"the tensor {name!r} is {tensor.dtype}", "digests here are over float32 tensors")
    return tensor_digest(
        (name, "F32", tuple(t.shape), t.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        for name, t in tensors.items()
    )
