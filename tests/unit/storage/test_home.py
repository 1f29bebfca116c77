"""One node a home; nobody else may look in; the token is made once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from headwater.errors import HomeInUse, InvalidInput, Refused
from headwater.storage.home import FOLDERS, Home, NodeLock, open_home, read_api_token


def mode(path: Path) -> str:
    return oct(path.stat().st_mode & 0o777)


def test_a_new_home_is_closed_to_others_and_has_its_folders(tmp_path: Path) -> None:
    home = open_home(tmp_path / "deep" / "home")
    assert {mode(home.path)} | {mode(home.path / name) for name in FOLDERS} == {"0o700"}
    assert open_home(home.path) == home


def test_an_empty_folder_is_closed_and_taken(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    open_home(tmp_path)
    assert mode(tmp_path) == "0o700"


def test_a_folder_with_content_that_others_can_enter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "headwater.toml").write_text("")
    tmp_path.chmod(0o755)
    with pytest.raises(Refused, match="chmod 700"):
        open_home(tmp_path)
    assert mode(tmp_path) == "0o755"


def test_a_file_is_no_home(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="not a folder"):
        open_home(tmp_path / "file")


def test_a_second_node_on_the_same_home_is_refused_by_name(tmp_path: Path) -> None:
    home = open_home(tmp_path)
    with NodeLock(home), pytest.raises(HomeInUse, match=str(os.getpid())) as refused:
        NodeLock(home)
    assert refused.value.details["pid"] == os.getpid()
    with NodeLock(home):
        pass


def test_the_lock_of_a_killed_node_is_free(tmp_path: Path) -> None:
    home = open_home(tmp_path)
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from headwater.storage.home import NodeLock, open_home\n"
        "lock = NodeLock(open_home(Path(sys.argv[1])))\n"
        "print('locked', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == "locked\n"
        with pytest.raises(HomeInUse, match=str(other.pid)):
            NodeLock(home)
        other.kill()
        other.wait()
        with NodeLock(home):
            assert home.node_lock.read_text() == f"{os.getpid()}\n"


def test_a_forked_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    home = open_home(tmp_path)
    lock = NodeLock(home)
    (started, say_started), (may_end, say_end) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.write(say_started, b"x")
        os.read(may_end, 1)
        os._exit(0)
    os.read(started, 1)
    lock.release()
    try:
        NodeLock(home).release()
    finally:
        os.write(say_end, b"x")
        os.waitpid(child, 0)
        for handle in (started, say_started, may_end, say_end):
            os.close(handle)


def test_the_api_token_is_made_once_and_secret(tmp_path: Path) -> None:
    home = open_home(tmp_path)
    token = read_api_token(home)
    assert len(token) >= 40 and read_api_token(home) == token
    assert mode(home.api_token) == "0o600"
    assert read_api_token(open_home(tmp_path / "other")) != token


def test_an_empty_token_admits_nobody(tmp_path: Path) -> None:
    home = open_home(tmp_path)
    home.api_token.write_text("\n")
    with pytest.raises(InvalidInput, match="empty"):
        read_api_token(home)


def test_paths_are_inside_the_home() -> None:
    home = Home(Path("/h"))
    assert {home.keystore, home.content, home.jobs, home.adapters, home.run, home.logs} == {
        Path("/h") / name for name in FOLDERS
    }
