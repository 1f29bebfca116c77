"""Commands as a shell calls them, in this process: exit code, stdout, stderr."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from headwater.cli.main import main

PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object on stdout."""
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        """That object, where it must be an error with code, cause and next step."""
        told = self.json
        assert told.keys() == {"error"}
        assert {"code", "cause", "next_step"} <= told["error"].keys()
        return told["error"]


Run = Callable[..., Done]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, whose keystores are quick and whose password is in a file; no node runs on it."""
    password = tmp_path / "password"
    password.write_text(PASSWORD + "\n", "utf-8")
    password.chmod(0o600)
    folder = tmp_path / "home"
    settings = {
        "HOME": str(folder),
        "PASSWORD_FILE": str(password),
        "KEYSTORE_KDF": "light",
        "RPC_URL": "",
        "RPC_PORT": "9",  # the discard port: nothing answers there
        "API_PORT": "10",
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"HEADWATER_{name}", value)
    return folder


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str) -> Done:
        capsys.readouterr()
        code = main(arguments)
        said = capsys.readouterr()
        return Done(code, said.out, said.err)

    return call
