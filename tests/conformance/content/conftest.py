"""The judge: a real Kubo core in a process of its own, if `scripts/kubo_core_env` could install it here."""

from __future__ import annotations

import json
import select
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
PYTHON = ROOT / ".venv-kubo" / "bin" / "python"


class KuboCore:
    """One running core on one repository. `ask` fails the test when the core does not answer in time."""

    def __init__(self, repository: Path) -> None:
        repository.parent.mkdir(exist_ok=True)
        self._process = subprocess.Popen(
            [PYTHON, Path(__file__).with_name("kubo_core.py"), repository],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=repository.parent,  # the library opens its log in the working directory
        )

    def ask(self, *request: str, seconds: float = 60) -> Any:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin and stdout
        stdin.write(json.dumps(request) + "\n")
        stdin.flush()
        ready, _, _ = select.select([stdout], [], [], seconds)
        assert ready, f"the core did not answer {request} within {seconds} seconds"
        line = stdout.readline()
        assert line, f"the core ended at {request}"
        return json.loads(line)

    def stop(self) -> None:
        try:
            self._process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


@pytest.fixture
def kubo_core() -> Iterator[Callable[[Path], KuboCore]]:
    """Starts a core on the repository given; all are stopped at the end."""
    if not PYTHON.exists():
        pytest.skip("no Kubo core here: run scripts/kubo_core_env (Linux x86-64 only)")
    cores: list[KuboCore] = []

    def start(repository: Path) -> KuboCore:
        cores.append(KuboCore(repository))
        return cores[-1]

    yield start
    for core in cores:
        core.stop()
