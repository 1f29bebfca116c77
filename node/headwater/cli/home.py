"""Opening the home for a command: password, workbench, node client, and small readers of arguments."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from headwater.api.client import NodeClient
from headwater.cli.session import Session
from headwater.errors import InvalidInput
from headwater.service.workbench import Workbench, open_workbench
from headwater.signing.password import read_password
from headwater.storage.home import open_home, read_api_token
from headwater.types import WEI_PER_CREDIT, Address, Digest, address, digest


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


def credits_to_wei(text: str) -> int:
    """'1.5' credits -> wei, exactly. Raises InvalidInput."""
    whole, _, fraction = text.partition(".")
    if not (whole.isascii() and whole.isdigit()) or (fraction and not (fraction.isascii() and fraction.isdigit())):
        raise InvalidInput(f"{text!r} is not an amount of credits", "write digits, e.g. 2.5")
    if len(fraction) > 18:
        raise InvalidInput(f"{text!r} has more than 18 decimals", "round it")
    return int(whole) * WEI_PER_CREDIT + int(fraction.ljust(18, "0"))


def in_credits(wei: int) -> str:
    """Wei as credits, exactly, without trailing zeros."""
    whole, rest = divmod(wei, WEI_PER_CREDIT)
    return f"{whole}.{rest:018d}".rstrip("0").rstrip(".")


def account(bench: Workbench, name: str) -> Address:
    """A wallet's name or an address."""
    return address(name) if name.startswith("0x") else bench.address(name)


def digest_option(text: str) -> Digest:
    return digest(text)
