"""The wheel holds what the package needs at run time, and nothing else of the repository or of a machine."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "node/headwater"
NEEDED = (
    "py.typed",
    "chain/artifacts/AttributionLedger.json",
    "storage/migrations/script.py.mako",
    "storage/migrations/env.py",
    "storage/migrations/versions/v0001_first.py",
    "web/templates/page.html",
    "web/static/headwater.css",
)
MACHINE_PATH = re.compile(rb"(?<![\w./~$*-])/(?:home|root|Users|work|opt|var/folders)/[\w.-]+")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Built as CI builds it: with the back end of this environment, no network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("headwater-*.whl")
    return zipfile.ZipFile(built)


def test_every_file_of_the_package_is_in_it(wheel: zipfile.ZipFile) -> None:
    tracked = subprocess.run(["git", "ls-files", "."], cwd=PACKAGE, capture_output=True, text=True, check=True)
    packed = {n.removeprefix("headwater/") for n in wheel.namelist() if n.startswith("headwater/")}
    on_disk = {name for name in tracked.stdout.splitlines() if (PACKAGE / name).is_file()}
    assert on_disk - packed == set()
    assert {n for n in NEEDED if n not in packed} == set()


def test_nothing_else_is_in_it(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert len(tops) == 2 and "headwater" in tops
    strays = [n for n in wheel.namelist() if re.search(r"__pycache__|(^|/)tests?/|\.sqlite|\.pyc$|\.safetensors$", n)]
    assert strays == []


def test_no_path_of_a_machine_is_in_it(wheel: zipfile.ZipFile) -> None:
    found = {
        name: match.group().decode() for name in wheel.namelist() if (match := MACHINE_PATH.search(wheel.read(name)))
    }
    assert found == {}


def test_licence_notice_and_entry_point_travel_with_it(wheel: zipfile.ZipFile) -> None:
    names = [n for n in wheel.namelist() if ".dist-info/" in n]
    assert {n.rsplit("/", 1)[1] for n in names} >= {"LICENSE", "NOTICE", "METADATA", "entry_points.txt"}
    (entry,) = (n for n in names if n.endswith("entry_points.txt"))
    assert b"headwater = headwater.cli.main:run" in wheel.read(entry)
