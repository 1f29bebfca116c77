"""The documents say what is there: commands, rooms, dependencies, links."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "node/headwater"
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "ipfs/README.md", ROOT / "contracts/README.md"]
)
LINK = re.compile(r"\[[^\]]*\]\((?!https?:|mailto:|#)([^)#]+)(?:#[^)]*)?\)")


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def rooms() -> list[str]:
    return sorted(p.name for p in PACKAGE.iterdir() if (p / "__init__.py").is_file())


@pytest.mark.parametrize("builder", ["build_cli_docs", "build_benchmarks"])
def test_a_page_that_a_command_writes_is_what_it_would_write(builder: str) -> None:
    done = subprocess.run([sys.executable, f"scripts/{builder}", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", ["README.md", "ARCHITECTURE.md"])
def test_every_room_of_the_package_has_its_line(page: str) -> None:
    text = read(page)
    assert [room for room in rooms() if f"{room}/" not in text] == []


def test_every_top_level_entry_has_its_line_in_the_readme() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    top = {line.split("/")[0] for line in listed.splitlines()}
    text = read("README.md")
    unnamed = {name for name in top if not name.startswith(".") and name not in text}
    assert unnamed == set()


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads(read("pyproject.toml"))
    lines = [
        *project["project"]["dependencies"],
        *(line for extra in project["project"]["optional-dependencies"].values() for line in extra),
        *project["dependency-groups"]["dev"],
    ]
    names = {re.split(r"[<>=!~;\[ ]", line)[0] for line in lines}
    explained = set(re.findall(r"^\| `([^`]+)` \|", read("docs/dependencies.md"), re.MULTILINE))
    assert explained == names


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_inside_the_repository_lead_somewhere(page: Path) -> None:
    broken = [target for target in LINK.findall(page.read_text("utf-8")) if not (page.parent / target).exists()]
    assert broken == []


def test_every_fault_names_a_test_that_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", read("docs/faults.md"))
    assert len(named) > 30
    assert [f"{file}::{name}" for file, name in named if f"def {name}(" not in read(file)] == []
