"""`headwater bench contracts`: what it counts and what it says outside a checkout; the figures are the gas tests'."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headwater.bench import contracts
from headwater.errors import NotFound, VerificationFailed

SNAPSHOT = json.loads((contracts.ROOT / "tests/gas/snapshot.json").read_text("utf-8"))


def checkout(root: Path, measure: str) -> Path:
    """A folder whose measurement is this code."""
    (root / "tests/gas").mkdir(parents=True)
    (root / "tests/gas/measure.py").write_text(measure, "utf-8")
    return root


def test_each_field_is_a_figure_of_the_measurement(tmp_path: Path) -> None:
    root = checkout(tmp_path, f"def measure():\n    return {SNAPSHOT!r}\n")
    assert contracts.gas(root) == {field: SNAPSHOT[name] for field, name in contracts.FIELDS.items()}


def test_outside_a_checkout_it_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="checkout"):
        contracts.gas(tmp_path)


def test_a_measurement_that_fails_is_no_figure(tmp_path: Path) -> None:
    root = checkout(tmp_path, "def measure():\n    raise ValueError('out of gas')\n")
    with pytest.raises(VerificationFailed, match="out of gas"):
        contracts.gas(root)


def test_no_fault_goes_unproved_and_no_honest_epoch_is_disproved() -> None:
    """Each fault once, on chain."""
    told = contracts.faults(contracts.ROOT, 1)
    assert told["faults_injected"] > 50 and told["honest_epochs"] >= 60
    assert told["faults_unproved"] == told["honest_disproved"] == 0


def test_properties_are_counted_and_those_without_a_test_are_not_tested() -> None:
    assert contracts.properties(contracts.ROOT) == {"properties_total": 68, "properties_tested": 67}
