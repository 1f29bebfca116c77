"""P42, without a chain: no honest epoch has a charge; every injected fault has evidence.

tests/contracts/test_epoch_disputes.py shows samples of the same evidence to the contracts.
"""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.testing.epoch_faults import FAULTS
from headwater.testing.epoch_generator import Consecutive, consecutive, epochs, fictitious_setting, inject
from headwater.validator.prosecutor import charges, prosecute

SETTING = fictitious_setting()
FACTS = SETTING.facts()
HONEST = 300
FALSIFIED_PER_EPOCH = 3
NAMES = tuple(FAULTS)


def test_p42_no_honest_epoch_is_charged_and_every_fault_is() -> None:
    """600 honest epochs and 900 falsified ones (fewer where a shape has no room), all faults in turn."""
    injected: Counter[str] = Counter()
    for seed in range(HONEST):
        pair = consecutive(SETTING, seed)
        assert prosecute(pair.previous, None, FACTS) is None
        assert pair.case.is_whole and prosecute(pair.case, pair.previous, FACTS) is None
        for k in range(FALSIFIED_PER_EPOCH):
            fault = NAMES[(seed * FALSIFIED_PER_EPOCH + k) % len(NAMES)]
            case = inject(fault, pair, seed)
            if case is not None:
                assert prosecute(case, pair.previous, FACTS) is not None, (fault, seed)
                injected[fault] += 1
    print(f"{2 * HONEST} honest epochs, {sum(injected.values())} falsified, {len(injected)} faults")
    assert set(injected) == set(NAMES)
    assert sum(injected.values()) > 2 * HONEST


@given(epochs(SETTING), st.sampled_from(NAMES), st.integers(0, 1_000))
@settings(max_examples=60, deadline=None)
def test_p42_any_shape_any_fault(pair: Consecutive, fault: str, seed: int) -> None:
    case = inject(fault, pair, seed)
    if case is not None:
        assert next(charges(case, pair.previous, FACTS), None) is not None


@pytest.mark.parametrize("fault", NAMES)
def test_a_fault_changes_what_is_committed(fault: str) -> None:
    """Else the injector would prove nothing."""
    for seed in range(60):
        pair = consecutive(SETTING, seed)
        case = inject(fault, pair, seed)
        if case is not None:
            assert case.epoch.digest() != pair.case.epoch.digest() and case.is_whole
            return
    raise AssertionError("no epoch has room for it")
