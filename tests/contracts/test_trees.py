"""The test plans in contracts/trees name test files that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TREES = sorted((HERE.parents[1] / "contracts/trees").glob("*.tree"))


@pytest.mark.parametrize("tree", TREES, ids=lambda p: p.stem)
def test_a_plan_names_tests_that_are_there(tree: Path) -> None:
    named = set(re.findall(r"\btest_\w+", tree.read_text("utf-8")))
    assert named
    assert all((HERE / f"{name}.py").is_file() for name in named), named
