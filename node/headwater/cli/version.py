"""`headwater version`: what runs here."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

import typer

from headwater import __version__
from headwater.cli.session import Session, Shown, command

PARTS = ("torch", "transformers", "peft", "web3", "py-evm", "aiohttp")


def attach(app: typer.Typer) -> None:
    @command(app, "version")
    def show_version(session: Session) -> Shown:
        """Print the version of Headwater and of what it stands on."""
        parts = {name: _installed(name) for name in PARTS}
        data = {"headwater": __version__, "python": sys.version.split()[0], "platform": platform.platform(), **parts}
        return Shown(data, "\n".join(f"{name:<14} {value}" for name, value in data.items()))


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
