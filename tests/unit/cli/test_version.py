"""`version`: what runs here, for people and for bug reports."""

from __future__ import annotations

import sys
from typing import Any

from headwater import __version__


def test_version_names_the_package_the_python_and_what_they_stand_on(run: Any) -> None:
    told = run("version", "--json").json
    assert told["headwater"] == __version__
    assert told["python"] == sys.version.split()[0]
    assert told.keys() >= {"torch", "transformers", "peft", "web3", "py-evm", "aiohttp", "platform"}
    assert "not installed" not in told.values()
    assert run("version").out.split()[:2] == ["headwater", __version__]


def test_a_part_that_is_missing_is_said(run: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("headwater.cli.version.PARTS", ("torch", "no-such-package"))
    assert run("version", "--json").json["no-such-package"] == "not installed"
