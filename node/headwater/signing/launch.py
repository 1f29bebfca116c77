"""Start a signer, or find the one that runs.

In: a home's paths, a password, a seed for demo homes. Out: a `SignerClient`. The password goes through an inherited
socket, never through an argument or the environment.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from headwater.errors import Unavailable
from headwater.signing.client import TIMEOUT_SECONDS, SignerClient
from headwater.signing.frames import receive_frame, send_frame
from headwater.signing.paths import SignerPaths
from headwater.signing.service import error_from_frame

_STOP_SECONDS: Final = 10


class SignerProcess:
    """A signer that lives as long as this object's process at most. `client` is connected to it."""

    def __init__(
        self,
        paths: SignerPaths,
        password: str,
        *,
        kdf: str = "scrypt",
        seed: str = "",
        remote: Path | None = None,
        listen: bool = False,
    ) -> None:
        """Start it. `listen`: also serve the home's socket (the node does; it then holds the signing log).

        Raises what the signer met: Unavailable if another one holds the log, VerificationFailed if the log is gone.
        """
        ours, theirs = socket.socketpair()
        arguments = ["--keystore", str(paths.keystore), "--log", str(paths.log), "--kdf", kdf]
        arguments += ["--fd", str(theirs.fileno())]
        arguments += ["--listen", str(paths.socket)] if listen else []
        arguments += ["--remote", str(remote)] if remote else []
        # -P: the working directory must not be able to put a module of its own before ours.
        command = [sys.executable, "-P", "-m", "headwater.signing.agent", *arguments]
        with theirs:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
        ours.settimeout(TIMEOUT_SECONDS)
        # This socket is also the signer's life line: it stays open here until `stop`.
        self._life_line = ours
        try:
            _hand_over(ours, password, seed)
            self.client = SignerClient.over_socket(paths.socket) if listen else SignerClient(ours, None)
        except BaseException:
            self._end()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_running(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """Close the line and wait until it has ended. May be called twice."""
        self.client.close()
        self._end()

    def _end(self) -> None:
        self._life_line.close()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


@contextlib.contextmanager
def open_signer(
    paths: SignerPaths,
    password: Callable[[], str],
    *,
    kdf: str = "scrypt",
    seed: str = "",
    remote: Path | None = None,
) -> Iterator[SignerClient]:
    """The running node's signer; without one, a private signer for as long as the context lasts.

    `password` is asked only if a signer must be started.
    """
    try:
        client = SignerClient.over_socket(paths.socket)
    except Unavailable:
        with SignerProcess(paths, password(), kdf=kdf, seed=seed, remote=remote) as private:
            yield private.client
        return
    with client:
        yield client


def _hand_over(line: socket.socket, password: str, seed: str) -> None:
    answer = None
    with contextlib.suppress(OSError):
        send_frame(line, {"password": password, "seed": seed})
        answer = receive_frame(line)
    if answer is None:
        raise Unavailable("the signer ended before it was ready", "read what it wrote above")
    if "error" in answer:
        raise error_from_frame(answer["error"])
