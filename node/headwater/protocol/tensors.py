"""The digest of a set of tensors: what a model is, whatever file it came in.

In: (name, dtype, shape, little-endian bytes) of each tensor. Out: sha2-256 over them, sorted by name, each with
its name, dtype and shape. File formats, padding, order and metadata do not enter.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import TypeAlias

from headwater.errors import InvalidInput
from headwater.protocol.canonical import canonical_json
from headwater.types import Digest

TensorItem: TypeAlias = tuple[str, str, tuple[int, ...], bytes | memoryview]
"""Name, dtype in safetensors' words ('F32', 'BF16', 'I8', ...), shape, contiguous little-endian bytes."""


def tensor_digest(items: Iterable[TensorItem]) -> Digest:
    """Each tensor is hashed on its own first, so that `items` may stream. Raises InvalidInput for a name twice."""
    rows: dict[str, tuple[str, tuple[int, ...], bytes]] = {}
    for name, dtype, shape, data in items:
        if name in rows:
            raise InvalidInput(f"the tensor {name!r} occurs twice", "keep one")
        rows[name] = (dtype, shape, sha256(data).digest())
    listing = [[name, dtype, list(shape), digest.hex()] for name, (dtype, shape, digest) in sorted(rows.items())]
    return Digest(sha256(canonical_json(listing)).digest())
