"""The story with kills: the node dies twice, the same command goes on, and everybody's balances end up the same.

It runs the public command `headwater demo --quick --seed` as a process of its own, as a person would.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.real_model]

PATIENCE_SECONDS = 1_500
WATCH_SECONDS = 0.02


def demo(home: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "headwater", "demo", "--quick", "--seed", "kills", "--home", str(home), "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def told(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """The whole story of a telling that came to its end."""
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, err.decode()[-3_000:]
    story: dict[str, Any] = json.loads(out)
    return story


def killed_after(home: Path, command: str) -> None:
    """Tell the story until `command` is in the demo's journal, that is: acknowledged; then SIGKILL the node."""
    process = demo(home)
    killer = threading.Thread(target=_kill_node_after, args=(home, command, process))
    killer.start()
    process.communicate(timeout=PATIENCE_SECONDS)
    killer.join()
    assert process.returncode != 0, "the story cannot be told without its node"


def _kill_node_after(home: Path, command: str, process: subprocess.Popen[bytes]) -> None:
    journal = home / "demo.json"
    while process.poll() is None:
        if journal.exists() and any(done.startswith(command) for done in json.loads(journal.read_bytes())["done"]):
            os.kill(int((home / "run" / "node.lock").read_text()), signal.SIGKILL)
            return
        with suppress(subprocess.TimeoutExpired):
            process.wait(WATCH_SECONDS)


def test_a_node_killed_twice_ends_in_the_same_balances_as_an_undisturbed_one(tmp_path: Path) -> None:
    """Once after a contribution was acknowledged, once in the middle of the epoch; then the same command again."""
    calm = told(demo(tmp_path / "calm"))
    for command in ("datanet contribute", "epoch propose"):
        killed_after(tmp_path / "killed", command)
    again = told(demo(tmp_path / "killed"))
    assert again["payouts"] == calm["payouts"]
    assert again["epoch"] == calm["epoch"], "the same root, to the byte"
    assert again["conservation_ok"] and again["verified"]
