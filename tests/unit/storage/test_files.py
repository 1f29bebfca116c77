"""A file is whole or absent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from headwater.errors import DiskFull
from headwater.storage.files import create_durably, make_folder, write_durably


def test_writing_replaces_the_whole_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    write_durably(tmp_path / "f", b"first, and longer")
    write_durably(tmp_path / "f", b"second", mode=0o644)
    assert (tmp_path / "f").read_bytes() == b"second"
    assert oct((tmp_path / "f").stat().st_mode & 0o777) == "0o644"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_creating_never_replaces(tmp_path: Path) -> None:
    create_durably(tmp_path / "f", b"first")
    with pytest.raises(FileExistsError):
        create_durably(tmp_path / "f", b"second")
    assert (tmp_path / "f").read_bytes() == b"first"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_folders_are_made_with_their_parents(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    assert oct((tmp_path / "a").stat().st_mode & 0o777) == "0o700"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
def test_a_write_that_does_not_fit_is_disk_full_and_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_durably(tmp_path / "f", b"old")
    full = os.open("/dev/full", os.O_WRONLY)

    def on_a_full_disk(prefix: str, dir: Path) -> tuple[int, str]:
        (dir / "temporary").touch()
        return full, str(dir / "temporary")

    monkeypatch.setattr("tempfile.mkstemp", on_a_full_disk)
    monkeypatch.setattr("os.fchmod", lambda *_: None)
    with pytest.raises(DiskFull):
        write_durably(tmp_path / "f", b"new")
    assert (tmp_path / "f").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_a_writer_killed_in_the_middle_leaves_the_old_file(tmp_path: Path) -> None:
    write_durably(tmp_path / "f", b"old")
    script = (
        "import os, signal, sys, pathlib\n"
        "from headwater.storage.files import write_durably\n"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_durably(pathlib.Path(sys.argv[1]), b'new')\n"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path / "f")], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert (tmp_path / "f").read_bytes() == b"old"
