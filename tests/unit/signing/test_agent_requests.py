"""What the signer's process answers to the wrong people and the wrong questions."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headwater.errors import Refused
from headwater.signing.frames import receive_frame, send_frame
from headwater.signing.keystore import Keystore
from headwater.signing.launch import SignerProcess
from headwater.signing.paths import SignerPaths, require_same_user

PASSWORD = "pässword"
KEY = "4c" * 32


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> SignerPaths:
    folder = tmp_path_factory.mktemp("home")
    for name in ("keystore", "run"):
        (folder / name).mkdir(mode=0o700)
    paths = SignerPaths.of(folder)
    Keystore(paths.keystore, "light").import_key("provider", KEY, PASSWORD)
    return paths


@pytest.fixture(scope="module")
def running(home: SignerPaths) -> Iterator[SignerProcess]:
    with SignerProcess(home, PASSWORD, kdf="light", listen=True) as process:
        yield process


def test_no_operation_gives_out_a_key(running: SignerProcess, home: SignerPaths) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(home.socket))
        for operation in ("unlock", "wallets", "address", "create", "export", "key", "sign_digest", None, {}):
            send_frame(connection, {"operation": operation, "name": "provider"})
            answer = json.dumps(receive_frame(connection))
            assert KEY not in answer and PASSWORD not in answer


def test_its_socket_is_for_its_owner_only(running: SignerProcess, home: SignerPaths) -> None:
    found = home.socket.stat()
    assert stat.S_ISSOCK(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o600


def test_the_other_end_of_a_socket_must_be_the_same_user(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        require_same_user(ours)
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
        with pytest.raises(Refused, match="user"):
            require_same_user(theirs)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_another_user_is_turned_away(running: SignerProcess, home: SignerPaths) -> None:
    for folder in (home.socket, *list(home.socket.parents)[:-1]):
        if folder.stat().st_uid == 0 and folder != Path("/tmp"):
            folder.chmod(0o777)
    script = (
        "import os, socket, sys\n"
        "os.setuid(65534)\n"
        "connection = socket.socket(socket.AF_UNIX)\n"
        "connection.settimeout(10)\n"
        "connection.connect(sys.argv[1])\n"
        "sys.exit(7 if connection.recv(1) == b'' else 0)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, str(home.socket)], check=False).returncode == 7
    assert "provider" in running.client.wallets()


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"operation": "nothing"},
        {"operation": "address"},
        {"operation": "address", "name": "../../etc/passwd"},
        {"operation": "sign_typed", "name": "provider", "type": "Receipt"},
        {"operation": "sign_typed", "name": "provider", "type": "Transfer", "chain_id": 1},
        {
            "operation": "sign_typed",
            "name": "provider",
            "type": "Voucher",
            "contract": "CreditEscrow",
            "chain_id": 1,
            "verifying_contract": "0x" + "11" * 20,
            "struct": {"lane_id": "0x00"},
        },
        {"operation": "sign_transaction", "name": "provider", "transaction": []},
        {"operation": "export_log", "path": "/no/such/folder/backup"},
    ],
)
def test_a_bad_request_is_answered_and_the_signer_goes_on(
    running: SignerProcess, home: SignerPaths, request_: dict[str, Any]
) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(home.socket))
        send_frame(connection, request_)
        answer = receive_frame(connection)
        assert answer is not None and {"code", "cause", "next_step"} <= answer["error"].keys()
        send_frame(connection, {"operation": "wallets"})
        assert receive_frame(connection) is not None


@pytest.mark.parametrize(
    "data",
    [b"\xff\xff\xff\xff", b"\x00\x00\x00\x05{", b"\x00\x00\x00\x02[]", b'\x00\x00\x00\x09{"a":NaN}', b"\x00"],
)
def test_garbage_on_one_connection_disturbs_no_other(running: SignerProcess, home: SignerPaths, data: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(home.socket))
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while connection.recv(4096):
                pass
    assert "provider" in running.client.wallets()
