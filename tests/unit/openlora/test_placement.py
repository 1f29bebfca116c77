from __future__ import annotations

import pytest
import torch

from headwater.errors import InvalidInput
from headwater.openlora.placement import choose_placement


def test_what_is_asked_for_is_used_and_said() -> None:
    place = choose_placement("cpu", "bfloat16", 3)
    assert (place.device.type, place.dtype, place.threads) == ("cpu", torch.bfloat16, 3)
    assert "3 threads: asked for" in place.reasons


def test_defaults_are_exact_and_explained() -> None:
    place = choose_placement()
    assert place.dtype == torch.float32
    assert place.threads >= 1
    assert len(place.reasons) == 3


@pytest.mark.parametrize(
    ("device", "dtype", "threads"), [("tpu", "float32", 0), ("cpu", "int8", 0), ("cpu", "float32", -1)]
)
def test_other_words_are_refused(device: str, dtype: str, threads: int) -> None:
    with pytest.raises(InvalidInput):
        choose_placement(device, dtype, threads)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no CUDA GPU"):
        choose_placement("cuda")
