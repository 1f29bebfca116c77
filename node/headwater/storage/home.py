"""The folder that holds all state of one node: where things are in it, who may read it, who runs on it.

In: a path. Out: a `Home` (0700, made if missing), the lock that admits one node, and the API token. Commands beside
the node open the same home without the lock. Knows nothing of what the folders contain.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from headwater.errors import HomeInUse, InvalidInput, Refused
from headwater.storage.files import create_durably, make_folder

FOLDERS: Final = ("keystore", "content", "jobs", "adapters", "run", "logs")
TOKEN_FILE: Final = "api-token"
_TOKEN_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Home:
    """Paths inside one home; nothing here touches the disk."""

    path: Path

    @property
    def keystore(self) -> Path:
        """Encrypted wallets, one file each."""
        return self.path / "keystore"

    @property
    def content(self) -> Path:
        """The local content-addressed store."""
        return self.path / "content"

    @property
    def jobs(self) -> Path:
        """One folder a training job."""
        return self.path / "jobs"

    @property
    def adapters(self) -> Path:
        return self.path / "adapters"

    @property
    def run(self) -> Path:
        """Sockets and locks of running processes."""
        return self.path / "run"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def chain_database(self) -> Path:
        """The embedded chain's own SQLite file."""
        return self.path / "chain.sqlite"

    @property
    def api_token(self) -> Path:
        return self.path / TOKEN_FILE

    @property
    def node_lock(self) -> Path:
        return self.run / "node.lock"


def open_home(path: Path) -> Home:
    """Make the home or check it. Raises InvalidInput if it is no folder, Refused if others may enter it.

    An empty folder of ours is closed to others; one with content is not changed behind its owner's back.
    """
    home = Home(path.expanduser().absolute())
    if home.path.exists() and not home.path.is_dir():
        raise InvalidInput(f"{home.path} is not a folder", "name another home")
    make_folder(home.path)
    _check_private(home.path)
    for name in FOLDERS:
        make_folder(home.path / name)
    return home


def _check_private(path: Path) -> None:
    found = path.stat()
    if found.st_uid != os.geteuid():
        raise Refused(f"the home {path} belongs to another user", "name a home of your own")
    if stat.S_IMODE(found.st_mode) & 0o077 == 0:
        return
    if any(path.iterdir()):
        raise Refused(f"other users may enter the home {path}", f"run chmod 700 {path}")
    path.chmod(0o700)


def read_api_token(home: Home) -> str:
    """The bearer token of this home's API, made on first use. Raises InvalidInput if its file is empty."""
    with contextlib.suppress(FileExistsError):
        if not home.api_token.exists():
            create_durably(home.api_token, secrets.token_urlsafe(_TOKEN_BYTES).encode() + b"\n")
    token = home.api_token.read_text("ascii").strip()
    if not token:
        raise InvalidInput(f"{home.api_token} is empty", "delete it; the node makes a new one")
    return token


class NodeLock:
    """One node a home. The operating system lets go of the lock when the process ends, however it ends."""

    def __init__(self, home: Home) -> None:
        """Raises HomeInUse, with the other node's process id."""
        self._handle = os.open(home.node_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(self._handle, 32, 0).decode("ascii", "replace").strip()
            os.close(self._handle)
            self._handle = -1
            raise HomeInUse(
                f"another node (process {owner or 'unknown'}) runs on the home {home.path}",
                "stop it first, or name another home with --home",
                pid=int(owner) if owner.isdigit() else None,
            ) from None
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, f"{os.getpid()}\n".encode(), 0)
        # A forked child shares the lock and would hold it after we are gone.
        os.register_at_fork(after_in_child=self.release)

    def release(self) -> None:
        """Let go; in a forked child only this copy of the handle is closed. May be called twice."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()
