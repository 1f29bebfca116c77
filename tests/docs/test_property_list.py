"""docs/PROPERTIES.md is complete, and what it names is there and runs."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/PROPERTIES.md").read_text("utf-8")
PROPERTIES = dict(re.findall(r"^- \*\*(P\d+)\*\* (.*?)(?=^- \*\*P|^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@cache
def functions_in(path: str) -> dict[str, list[str]]:
    """Name -> its decorators, of every test function of a file."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return {
        node.name: [ast.unparse(d) for d in node.decorator_list]
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    }


def test_the_list_is_complete_and_in_order() -> None:
    assert re.findall(r"^- \*\*(P\d+)\*\*", TEXT, re.MULTILINE) == [f"P{i}" for i in range(1, 69)]


@pytest.mark.parametrize("number", PROPERTIES)
def test_each_property_names_tests_that_run_or_says_why_it_does_not_apply(number: str) -> None:
    named = NAMED.findall(PROPERTIES[number])
    assert bool(named) != PROPERTIES[number].startswith("Not applicable: ")
    for path, test in named:
        assert test.startswith("test_") and test in functions_in(path), f"{path} has no {test}"
        assert not [d for d in functions_in(path)[test] if "skip" in d or "xfail" in d]


def test_each_test_that_carries_a_number_belongs_to_a_property_of_that_number() -> None:
    """A number in a test's name is a claim: there must be such a property."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for test in re.findall(r"^def (test_(?:p\d+_)+)", path.read_text("utf-8"), re.MULTILINE):
            assert {f"P{n}" for n in re.findall(r"p(\d+)_", test)} <= set(PROPERTIES), path
