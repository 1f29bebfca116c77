"""Benchmarks: one module each; all print hardware and versions beside their figures."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

from headwater.bench import chain, contracts, signing
from headwater.errors import NotFound


@dataclass(frozen=True, slots=True)
class Benchmark:
    """`run(quick)` returns figures by name, with units in the names."""

    name: str
    what: str
    run: Callable[[bool], Mapping[str, Any]]


BENCHMARKS: Final[Mapping[str, Benchmark]] = {
    b.name: b
    for b in (
        Benchmark("chain", "transactions a second on the embedded chain, each acknowledged on disk", chain.run),
        Benchmark(
            "contracts",
            "gas of the contracts' transactions, faults proved by the court, properties tested",
            contracts.run,
        ),
        Benchmark("signing", "signatures a second through the signer's own process and its log", signing.run),
    )
}


def run_benchmark(name: str, quick: bool) -> dict[str, Any]:
    """Raises NotFound."""
    if name not in BENCHMARKS:
        raise NotFound(f"no benchmark is called {name!r}", "see `headwater bench list`")
    return {"name": name, "quick": quick, **BENCHMARKS[name].run(quick), **hardware()}


def hardware() -> dict[str, Any]:
    """What every figure is printed beside."""
    import torch  # takes seconds, and `bench list` does without

    return {
        "machine": platform.machine(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "py_evm": version("py-evm"),
    }
