"""How many injected faults the court proves, and how many honest epochs anything is found against.

    python tests/contracts/measure_faults.py 1        every fault once, on chain; prints one JSON object

In: how many epochs a fault. Out: `faults_injected`, `faults_unproved` (committed on py-evm and still standing after
the prosecutor's evidence was shown to the court), `honest_epochs`, `honest_disproved` (against which the prosecutor
has evidence). `headwater bench contracts` runs it.
"""

from __future__ import annotations

import json
import sys

from bare_evm import Evm, Reverted
from dispute_world import DisputeWorld

from headwater.testing.epoch_faults import FAULTS
from headwater.testing.epoch_generator import Consecutive, consecutive, inject
from headwater.validator.cases import Case
from headwater.validator.prosecutor import prosecute

SEEDS = 60
"""How many shapes are tried before a fault is said to have no room."""


def measure(each: int) -> dict[str, int]:
    world = DisputeWorld(Evm())
    begun, facts = world.evm.snapshot(), world.setting.facts()
    pairs = [consecutive(world.setting, seed, world.previous) for seed in range(SEEDS)]
    proved = [_is_proved(world, begun, case) for fault in FAULTS for case in _cases(pairs, fault, each)]
    charged = [prosecute(pair.case, world.previous, facts) is not None for pair in pairs]
    return {
        "faults_injected": len(proved),
        "faults_unproved": proved.count(False),
        "honest_epochs": len(charged),
        "honest_disproved": charged.count(True),
    }


def _cases(pairs: list[Consecutive], fault: str, each: int) -> list[Case]:
    """The first epochs that have room for the fault."""
    made = (inject(fault, pair, seed) for seed, pair in enumerate(pairs))
    return [case for _, case in zip(range(each), (c for c in made if c is not None), strict=False)]


def _is_proved(world: DisputeWorld, begun: tuple[bytes, int, int], case: Case) -> bool:
    world.evm.restore(begun)
    committed = world.commit(case)
    evidence = prosecute(committed, world.previous, world.setting.facts())
    if evidence is None:
        return False
    try:
        world.prove(evidence, committed)
    except Reverted:
        return False
    return bool(world.latest()[0] == 1)


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
