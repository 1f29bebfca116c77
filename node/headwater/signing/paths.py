"""Where a home keeps its keys, its signing log and its signer's socket.

In: a home folder. Out: paths, and sockets whose other end is this very user. Touches nothing else.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

from headwater.errors import Refused

_MAX_SOCKET_PATH: Final = 100
"""A Unix socket's path has 104 bytes on macOS and 108 on Linux."""


@dataclass(frozen=True, slots=True)
class SignerPaths:
    keystore: Path
    log: Path
    """Backed up with the keystore, never without it."""
    socket: Path

    @classmethod
    def of(cls, home: Path) -> Self:
        """Of a home folder; a path too long for a socket moves the socket into the system's temporary folder."""
        home = home.absolute()
        place = home / "run" / "signer.sock"
        if len(os.fsencode(place)) > _MAX_SOCKET_PATH:
            name = sha256(os.fsencode(home)).hexdigest()[:16]
            place = Path(tempfile.gettempdir()) / f"headwater-{os.geteuid()}-{name}.sock"
        return cls(home / "keystore", home / "signing.sqlite", place)


def require_same_user(connection: socket.socket) -> None:
    """Raise Refused unless the process at the other end runs as this user."""
    if (other := _peer_uid(connection)) != os.geteuid():
        raise Refused(
            f"the process at the other end of the signer's socket runs as user {other}", "run both as one user"
        )


def _peer_uid(connection: socket.socket) -> int:
    if sys.platform == "darwin":
        # struct xucred { u_int version; uid_t uid; ... } by LOCAL_PEERCRED = 1 at SOL_LOCAL = 0
        _, uid = struct.unpack_from("II", connection.getsockopt(0, 1, 76))
    else:
        _, uid, _ = struct.unpack("iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(uid)
