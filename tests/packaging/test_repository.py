"""What is tracked belongs to the project alone: no path of a machine, no address of a package index, no keys."""

import json
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MACHINE_PATH = re.compile(r"(?<![\w./~$*-])/(?:home|root|Users|work|opt|var/folders)/[\w.-]+")
PRIVATE = re.compile(r"(^|/)(\.venv[\w-]*|keystore|node_modules)/|(^|/)api-token$|\.sqlite$")


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_no_tracked_file_holds_a_path_of_a_machine() -> None:
    found = {}
    for name in tracked():
        text = (ROOT / name).read_text("utf-8", errors="ignore")
        if match := MACHINE_PATH.search(text):
            found[name] = match.group()
    assert found == {}


def test_the_lock_file_names_no_registry() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text("utf-8"))["packages"]
    assert [name for name, entry in packages.items() if "resolved" in entry] == []
    assert all(entry.get("integrity") for name, entry in packages.items() if name)


def test_no_state_of_a_node_and_no_environment_is_tracked() -> None:
    assert [name for name in tracked() if PRIVATE.search(name)] == []


def test_scripts_can_be_run() -> None:
    staged = subprocess.run(["git", "ls-files", "-s", "scripts", ".ci"], cwd=ROOT, capture_output=True, text=True)
    plain = [
        line.split("\t")[1]
        for line in staged.stdout.splitlines()
        if line.startswith("100644") and "." not in Path(line.split("\t")[1]).name
    ]
    assert plain == []
