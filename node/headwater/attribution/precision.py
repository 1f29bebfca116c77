"""float64 all the way through a model whose own code asks for float32 in norms, softmax and rotary angles.

In: a block of torch calls under `exact_float64()`. Out: the same calls, every requested float32 read as float64. The
transformers models widen half precision to float32 at these places; for float64 weights that would be a narrowing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class _Float64(TorchFunctionMode):  # type: ignore[misc,unused-ignore]
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = {k: torch.float64 if v is torch.float32 else v for k, v in (kwargs or {}).items()}
        if func is torch.Tensor.float:
            func = torch.Tensor.double
        return func(*(torch.float64 if a is torch.float32 else a for a in args), **named)


def exact_float64() -> TorchFunctionMode:
    """A context manager; for the current thread only."""
    return _Float64()
