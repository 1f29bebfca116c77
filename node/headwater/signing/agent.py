"""The signer's own process: `python -m headwater.signing.agent`.

In: a keystore (or a remote signer), a signing log, and a password through an inherited socket, a file or the
terminal. Out: answers on that socket and, if asked, on a Unix socket that only this user can reach. It ends when the
inherited socket closes, so it never outlives its node. Keys exist in this process only.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import getpass
import os
import resource
import signal
import socket
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headwater.errors import Conflict, HeadwaterError, InvalidInput, VerificationFailed
from headwater.signing.entropy import entropy_for
from headwater.signing.frames import receive_frame, send_frame
from headwater.signing.holders import GuardedSigner, KeyHolder, KeystoreSigner
from headwater.signing.keystore import Keystore
from headwater.signing.log import SigningLog
from headwater.signing.password import read_password
from headwater.signing.paths import require_same_user
from headwater.signing.remote import RemoteSigner, read_remote
from headwater.signing.service import SignerService, error_frame

MARKER: Final = ".signing-log-exists"
"""Lies in the keystore: a keystore that has it, beside no log, was restored without its log."""

_PR_SET_DUMPABLE: Final = 4


@dataclass(frozen=True, slots=True)
class Secrets:
    password: str
    seed: str = ""


def main(arguments: list[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.fd is None and options.listen is None:
        parser.error("name a socket with --listen, so that somebody can ask")
    _harden()
    control = socket.socket(fileno=options.fd) if options.fd is not None else None
    try:
        _run(options, control)
    except HeadwaterError as error:
        if control is None:
            print(error, file=sys.stderr)
        else:
            send_frame(control, error_frame(error))
        return error.exit_code
    return 0


def _run(options: argparse.Namespace, control: socket.socket | None) -> None:
    signer = GuardedSigner(_holder(options, control), lambda: open_signing_log(options.log, options.keystore))
    service = SignerService(signer)
    ours, _other_end = socket.socketpair()  # nobody writes here: without a parent only a signal ends us
    line = control or ours
    _end_on_signal(line)
    with contextlib.ExitStack() as at_end:
        at_end.callback(signer.close)
        if options.listen is not None:
            signer.log()  # from now on this home's log is ours, and so is its socket
            listener = _listen(options.listen)
            at_end.callback(options.listen.unlink, missing_ok=True)
            threading.Thread(target=_accept, args=(listener, service), daemon=True).start()
        if control is not None:
            send_frame(control, {"ok": {}})
        service.serve(line)  # until the other end closes, or a signal shuts it


def _end_on_signal(line: socket.socket) -> None:
    """SIGTERM shuts `line`. By sigwait: a handler may run just before a blocking read, which then never ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C at the terminal is for the node, which then ends us
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def wait() -> None:
        signal.sigwait({signal.SIGTERM})
        line.shutdown(socket.SHUT_RDWR)

    threading.Thread(target=wait, daemon=True).start()


def open_signing_log(path: Path, keystore: Path) -> SigningLog:
    """Raises VerificationFailed if these keys had a log and it is gone: a new one would forget what they signed."""
    marker = keystore / MARKER
    if marker.exists() and not path.exists():
        raise VerificationFailed(
            f"the signing log {path} is missing, and the keys beside it have signed before",
            f"restore it from the backup; if these keys never served as provider or validator, delete {marker}",
        )
    log = SigningLog(path)
    marker.touch(mode=0o600)
    return log


def _holder(options: argparse.Namespace, control: socket.socket | None) -> KeyHolder:
    secrets = _secrets(options, control)
    if options.remote is not None:
        return RemoteSigner(read_remote(options.remote))
    keystore, entropy = Keystore(options.keystore, options.kdf), entropy_for(secrets.seed)
    return KeystoreSigner(keystore, secrets.password, lambda name: keystore.create(name, secrets.password, entropy))


def _secrets(options: argparse.Namespace, control: socket.socket | None) -> Secrets:
    if control is not None:
        frame = receive_frame(control)
        if frame is None:
            raise InvalidInput("the parent closed before it sent the password", "start the signer by the node")
        return Secrets(str(frame.get("password", "")), str(frame.get("seed", "")))
    if options.remote is not None:
        return Secrets("")
    if options.password_file is not None:
        return Secrets(read_password(options.password_file))
    return Secrets(getpass.getpass("Password of the keystore: "))


def _listen(path: Path) -> socket.socket:
    """The caller holds the signing log, so a socket that lies here already is a dead process's."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))  # the umask makes it 0700
    except OSError as error:
        raise Conflict(f"the signer cannot listen at {path}: {error.strerror}", "remove what lies there") from None
    path.chmod(0o600)
    listener.listen(64)
    return listener


def _accept(listener: socket.socket, service: SignerService) -> None:
    while True:
        connection, _ = listener.accept()
        try:
            require_same_user(connection)
        except HeadwaterError as error:
            print(error, file=sys.stderr)
            connection.close()
            continue
        threading.Thread(target=service.serve, args=(connection,), daemon=True).start()


def _harden() -> None:
    """No core dump, no debugger of the same user, no file that others can read."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m headwater.signing.agent", description="Headwater's signer.")
    parser.add_argument("--keystore", type=Path, required=True, help="folder of the encrypted wallets")
    parser.add_argument("--log", type=Path, required=True, help="the signing log")
    parser.add_argument("--kdf", default="scrypt", help="scrypt or light, for new wallets")
    parser.add_argument("--listen", type=Path, help="also serve a Unix socket here")
    parser.add_argument("--remote", type=Path, help="JSON file of a remote signer, instead of the keystore's keys")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--fd", type=int, help="inherited socket: first the password, then requests")
    source.add_argument("--password-file", type=Path, help="otherwise the terminal asks")
    return parser


if __name__ == "__main__":
    sys.exit(main())
