"""Where the numbers are worked, in which format, on how many threads, and why.

In: the words of the configuration and what this machine has. Out: a `Placement`, whose reasons are printed at start.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from headwater.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Placement:
    """Where and in which number format the numbers are worked, and why."""

    device: torch.device
    dtype: torch.dtype
    threads: int
    reasons: tuple[str, ...]


def choose_placement(device: str = "auto", dtype: str = "float32", threads: int = 0) -> Placement:
    """Settle `Config.device` (auto, cpu, cuda), the number format (float32, bfloat16) and `Config.threads` (0 = all).

    Raises InvalidInput for other words and for a GPU that is not there.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise InvalidInput(f"the device {device!r} is unknown", "use auto, cpu or cuda")
    has_gpu = torch.cuda.is_available()
    if device == "cuda" and not has_gpu:
        raise InvalidInput("there is no CUDA GPU here", "use the device cpu or auto")
    chosen = "cuda" if has_gpu and device != "cpu" else "cpu"
    why = "asked for" if device != "auto" else "a GPU was found" if has_gpu else "no GPU was found"
    dtypes = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    if dtype not in dtypes:
        raise InvalidInput(f"the number format {dtype!r} is unknown", "use float32 or bfloat16")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not 0 <= threads <= 1024:
        raise InvalidInput(f"{threads} threads cannot be used", "pass 0 for one a core")
    reasons = (
        f"device {chosen}: {why}",
        f"{dtype}: " + ("exact, the reference for every other engine" if dtype == "float32" else "asked for, faster"),
        f"{threads or cores} threads: " + ("asked for" if threads else f"this process may use {cores} cores"),
    )
    return Placement(torch.device(chosen), dtypes[dtype], threads or cores, reasons)
