"""Opening the home for a command: password, workbench, node client, and small readers of arguments."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headwater.api.amounts import credits_to_wei as credits_to_wei
from headwater.api.amounts import in_credits as in_credits
from headwater.api.client import NodeClient
from headwater.cli.session import Session
from headwater.errors import InvalidInput, NotFound
from headwater.service.workbench import Workbench, open_workbench
from headwater.signing.password import read_password
from headwater.storage.home import open_home, read_api_token
from headwater.types import Address, address


def ask_password(session: Session) -> str:
    """From the configured file, else from the person at the terminal. Raises InvalidInput without either."""
    if session.config.password_file:
        return read_password(session.config.password_file)
    if not sys.stdin.isatty():
        raise InvalidInput("no password for the keystores", "set password_file, or run this at a terminal")
    return getpass.getpass("Password of the keystores: ")


@contextmanager
def workbench(session: Session, database_name: str = "") -> Iterator[Workbench]:
    with open_workbench(session.config, lambda: ask_password(session), database_name) as bench:
        yield bench


def node_client(session: Session) -> NodeClient:
    """The API of this home's node."""
    token = session.config.token or read_api_token(open_home(session.config.home))
    return NodeClient(session.config.api_url, token)


def account(bench: Workbench, name: str) -> Address:
    """A wallet's name or an address."""
    return address(name) if name.startswith("0x") else bench.address(name)


def read_file(path: Path) -> bytes:
    """A file that a person names. Raises NotFound, InvalidInput."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}", "check the path") from None
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}", "name a file that you may read") from None


def read_text(path: Path) -> str:
    """The same as text. Raises InvalidInput if it is not UTF-8."""
    try:
        return read_file(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not UTF-8 at byte {error.start}", "save it as UTF-8") from None


def write_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write where a person says, never with wider rights than `mode`. Raises InvalidInput."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, mode)
            file.write(data)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror}", "name a place that you may write") from None
