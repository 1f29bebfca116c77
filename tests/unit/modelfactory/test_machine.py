"""What this machine is good at is chosen, said and bounded."""

import pytest
import torch

from headwater.errors import InvalidInput
from headwater.modelfactory.machine import Machine, detect_machine, make_repeatable
from headwater.protocol.recipe import ComputeType


def test_the_choice_has_a_reason() -> None:
    machine = detect_machine("cpu", 1)
    assert machine.fastest in ComputeType
    assert ("no fast bfloat16" in machine.reason) == (machine.fastest is ComputeType.FLOAT32)
    assert Machine.from_bytes(machine.canonical_bytes()) == machine


def test_threads_and_algorithms_are_fixed() -> None:
    make_repeatable(detect_machine("cpu", 1))
    assert torch.get_num_threads() == 1
    assert torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize(("device", "threads"), [("tpu", 1), ("cpu", -1), ("cpu", 257)])
def test_impossible_wishes_are_refused(device: str, threads: int) -> None:
    with pytest.raises(InvalidInput):
        detect_machine(device, threads)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no CUDA"):
        detect_machine("cuda", 1)
