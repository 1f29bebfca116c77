"""What this machine is good at, and how numerical work on it is made repeatable.

In: the words of the configuration. Out: a device, a number format for the frozen base and a number of threads, each
with its reason; none of it is hidden, because losses repeat bit for bit only where all of it is the same.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from typing import Final

import torch

from headwater.errors import InvalidInput
from headwater.protocol.codec import Document, Uint32
from headwater.protocol.recipe import ComputeType

MAX_THREADS: Final = 256


@dataclass(frozen=True, slots=True)
class Machine(Document):
    """Where training and evaluation run; beside a result, never in anything hashed."""

    device: str
    """'cpu' or 'cuda'."""
    threads: Uint32
    processor: str
    torch_version: str
    fastest: ComputeType
    """The number format of the frozen base that is fastest here."""
    reason: str


def detect_machine(device: str = "auto", threads: int = 0) -> Machine:
    """Settle `Config.device` and `Config.threads` (0 = one a core). Raises InvalidInput."""
    if device not in ("auto", "cpu", "cuda"):
        raise InvalidInput(f"the device {device!r} is unknown", "use auto, cpu or cuda")
    if not 0 <= threads <= MAX_THREADS:
        raise InvalidInput(f"{threads} threads cannot be used", f"use 1 to {MAX_THREADS}, or 0 for one a core")
    has_gpu = torch.cuda.is_available()
    if device == "cuda" and not has_gpu:
        raise InvalidInput("there is no CUDA device here", "use auto or cpu")
    chosen = "cuda" if has_gpu and device != "cpu" else "cpu"
    fastest, reason = _fastest(chosen)
    name = torch.cuda.get_device_name() if chosen == "cuda" else platform.machine() + " " + _capability()
    return Machine(chosen, threads or _cores(), name, torch.__version__, fastest, reason)


def make_repeatable(machine: Machine) -> None:
    """Fix threads and algorithms for this process. For CUDA, CUBLAS_WORKSPACE_CONFIG must be set at its start."""
    torch.set_num_threads(machine.threads)
    torch.use_deterministic_algorithms(True)


def torch_type(compute_type: ComputeType) -> torch.dtype:
    return torch.bfloat16 if compute_type is ComputeType.BFLOAT16 else torch.float32


def _fastest(device: str) -> tuple[ComputeType, str]:
    if device == "cuda":
        if torch.cuda.is_bf16_supported():
            return ComputeType.BFLOAT16, "the GPU multiplies bfloat16 in hardware"
        return ComputeType.FLOAT32, "the GPU has no bfloat16"
    capabilities = _capabilities()
    for name in ("amx_bf16", "avx512_bf16", "bf16", "arm_bf16"):
        if capabilities.get(name):
            return ComputeType.BFLOAT16, f"the processor multiplies bfloat16 in hardware ({name})"
    return ComputeType.FLOAT32, "the processor has no fast bfloat16"


def _capabilities() -> dict[str, object]:
    get = getattr(torch.cpu, "get_capabilities", None)
    if get is not None:
        return dict(get())
    return {
        "amx_bf16": torch.cpu._is_amx_tile_supported(),
        "avx512_bf16": torch.cpu._is_avx512_bf16_supported(),
    }


def _capability() -> str:
    return str(torch.backends.cpu.get_cpu_capability())


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), MAX_THREADS)
    return min(os.cpu_count() or 1, MAX_THREADS)
