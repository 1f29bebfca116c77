"""The exact versions of constraints.txt satisfy the ranges that pyproject.toml promises to everybody else."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PIN = re.compile(r"^([a-z0-9-]+)==([^+\s]+)$")


def lines() -> list[str]:
    text = (ROOT / "constraints.txt").read_text("utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def pins() -> dict[str, str]:
    return {m[1]: m[2] for line in lines() if (m := PIN.match(line))}


def test_every_line_is_a_name_and_one_version() -> None:
    assert [line for line in lines() if not PIN.match(line)] == []
    assert lines() == sorted(lines(), key=lambda line: line.split("==")[0])


def test_pins_lie_in_the_ranges() -> None:
    pinned = pins()
    wanted = [
        *PROJECT["project"]["dependencies"],
        *(line for extra in PROJECT["project"]["optional-dependencies"].values() for line in extra),
        *PROJECT["dependency-groups"]["dev"],
    ]
    for line in wanted:
        requirement = Requirement(line)
        version = pinned[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version, prereleases=True), f"{line}, but {version} is pinned"


def test_every_runtime_dependency_has_a_lower_bound() -> None:
    for line in PROJECT["project"]["dependencies"]:
        operators = {s.operator for s in Requirement(line).specifier}
        assert operators & {">=", "=="}, line
