"""The signer's process: keys stay inside, strangers stay outside, a kill forgets nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headwater.errors import Conflict, DoubleSigning, InvalidInput, Refused, Unavailable, VerificationFailed
from headwater.protocol.typed_data import Domain
from headwater.signing import paths as paths_module
from headwater.signing.agent import MARKER
from headwater.signing.client import SignerClient
from headwater.signing.entropy import SeededEntropy
from headwater.signing.keystore import Keystore
from headwater.signing.launch import SignerProcess, open_signer
from headwater.signing.log import SigningLog
from headwater.signing.paths import SignerPaths

Build = Callable[..., Any]
PASSWORD = "pässword"
KEY = "4c" * 32


@pytest.fixture
def home(paths: SignerPaths) -> SignerPaths:
    Keystore(paths.keystore, "light").import_key("provider", KEY, PASSWORD)
    return paths


@pytest.fixture
def listening(home: SignerPaths) -> Iterator[SignerProcess]:
    with SignerProcess(home, PASSWORD, kdf="light", listen=True) as process:
        yield process


def never_asked() -> str:
    raise AssertionError("asked for a password")


def test_double_signing_is_refused_after_the_signer_was_killed(
    home: SignerPaths, escrow: Domain, receipt: Build
) -> None:
    process = SignerProcess(home, PASSWORD, listen=True)
    signature = process.client.sign_typed("provider", receipt(1), escrow)
    os.kill(process.pid, signal.SIGKILL)
    process.stop()
    with SignerProcess(home, PASSWORD, listen=True) as again:
        with pytest.raises(DoubleSigning):
            again.client.sign_typed("provider", receipt(1, price=6), escrow)
        assert again.client.sign_typed("provider", receipt(1), escrow) == signature


def test_a_signer_killed_at_work_has_logged_all_that_it_gave_out(
    home: SignerPaths, escrow: Domain, receipt: Build
) -> None:
    process = SignerProcess(home, PASSWORD, listen=True)
    process.client.unlock("provider")
    given: list[int] = []

    def work(thread: int) -> None:
        try:
            for sequence in range(1, 10_000):
                process.client.sign_typed("provider", receipt(sequence, lane=str(thread)), escrow)
                given.append(thread * 10_000 + sequence)
                if len(given) == 40:
                    os.kill(process.pid, signal.SIGKILL)
        except Unavailable:
            pass

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    process.stop()
    with SigningLog(home.log) as log:
        recorded = {(entry["scope"], int(entry["height"])) for entry in log.export()["entries"]}
    wanted = {(f"lane 0x{receipt(1, lane=str(g // 10_000)).lane_id.hex()}", g % 10_000) for g in given}
    assert len(given) >= 40 and wanted <= recorded


def test_it_ends_with_its_parent(home: SignerPaths) -> None:
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from headwater.signing.launch import SignerProcess\n"
        "from headwater.signing.paths import SignerPaths\n"
        f"process = SignerProcess(SignerPaths.of(Path(sys.argv[1])), {PASSWORD!r}, listen=True)\n"
        "print(process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    parent = subprocess.run(
        [sys.executable, "-c", script, str(home.log.parent)], capture_output=True, text=True, check=False
    )
    assert parent.stdout.strip().isdigit(), parent.stderr
    with SigningLog(home.log):  # waits until the signer has let go of it
        assert not home.socket.exists()


def test_a_term_signal_ends_it_cleanly(listening: SignerProcess, home: SignerPaths) -> None:
    os.kill(listening.pid, signal.SIGTERM)
    listening._process.wait(10)
    assert listening._process.returncode == 0
    assert not home.socket.exists()
    with pytest.raises(Unavailable):
        listening.client.wallets()


def test_an_interrupt_at_the_terminal_is_left_to_the_node(listening: SignerProcess) -> None:
    os.kill(listening.pid, signal.SIGINT)
    assert "provider" in listening.client.wallets()


def test_a_command_uses_the_running_signer_without_a_password(listening: SignerProcess, home: SignerPaths) -> None:
    with open_signer(home, never_asked) as client:
        assert client.wallets() == listening.client.wallets()


def test_a_command_alone_starts_a_signer_for_as_long_as_it_lasts(
    home: SignerPaths, registry: Domain, contribution: Build
) -> None:
    with open_signer(home, lambda: PASSWORD, kdf="light") as client:
        assert client.sign_typed("provider", contribution(), registry)
        assert not home.socket.exists()
        assert not home.log.exists()  # no slot was asked for, so two commands can sign side by side
    with pytest.raises(Unavailable):
        client.wallets()


def test_only_one_signer_holds_the_log(listening: SignerProcess, home: SignerPaths) -> None:
    with pytest.raises(Unavailable, match="another signer"):
        SigningLog(home.log, lock_timeout_seconds=0.01)


def test_a_wrong_password_takes_no_slot_and_is_told_apart(home: SignerPaths, escrow: Domain, receipt: Build) -> None:
    with SignerProcess(home, "wrong") as process:
        with pytest.raises(InvalidInput, match="password does not open"):
            process.client.unlock("provider")
        with pytest.raises(InvalidInput, match="password does not open"):
            process.client.sign_typed("provider", receipt(1), escrow)
    with SignerProcess(home, PASSWORD) as process:
        process.client.sign_typed("provider", receipt(1, price=6), escrow)


def test_a_corrupt_wallet_is_named_and_the_others_still_sign(
    home: SignerPaths, registry: Domain, contribution: Build
) -> None:
    (home.keystore / "broken.json").write_text('{"version": 3}')
    with SignerProcess(home, PASSWORD) as process:
        with pytest.raises(VerificationFailed, match=r"broken\.json"):
            process.client.sign_typed("broken", contribution(), registry)
        process.client.sign_typed("provider", contribution(), registry)


def test_a_wallet_is_born_inside_and_repeatable_from_a_seed(home: SignerPaths) -> None:
    with SignerProcess(home, PASSWORD, kdf="light", seed="demo") as process:
        made = process.client.create("session")
        assert process.client.create("session") == made == process.client.address("session")
        with pytest.raises(Conflict):
            process.client.create("provider")
    assert made == Keystore(home.keystore.parent, "light").create("session", "other", SeededEntropy("demo")).address


def test_the_password_and_the_key_are_nowhere_to_be_seen(listening: SignerProcess) -> None:
    listening.client.unlock("provider")
    process = Path(f"/proc/{listening.pid}")
    if process.exists():
        seen = (process / "cmdline").read_bytes()
        if os.geteuid() == 0:
            seen += (process / "environ").read_bytes()
        assert PASSWORD.encode() not in seen and KEY.encode() not in seen


def test_a_client_finds_a_signer_that_was_started_again(
    home: SignerPaths, registry: Domain, contribution: Build
) -> None:
    with SignerProcess(home, PASSWORD, listen=True):
        client = SignerClient.over_socket(home.socket)
        client.sign_typed("provider", contribution(), registry)
    with pytest.raises(Unavailable, match="no signer answers"):
        client.sign_typed("provider", contribution(), registry)
    with SignerProcess(home, PASSWORD, listen=True), client:
        client.sign_typed("provider", contribution(), registry)


def test_a_socket_left_by_a_killed_signer_is_in_nobodys_way(home: SignerPaths) -> None:
    process = SignerProcess(home, PASSWORD, listen=True)
    os.kill(process.pid, signal.SIGKILL)
    process.stop()
    assert home.socket.exists()
    with SignerProcess(home, PASSWORD, listen=True) as again:
        assert "provider" in again.client.wallets()


def test_a_keystore_restored_without_its_log_does_not_sign_slots(
    home: SignerPaths, escrow: Domain, receipt: Build, registry: Domain, contribution: Build
) -> None:
    with SignerProcess(home, PASSWORD, listen=True) as process:
        process.client.sign_typed("provider", receipt(1), escrow)
    assert (home.keystore / MARKER).exists()
    for file in home.log.parent.glob(home.log.name + "*"):
        file.unlink()
    with pytest.raises(VerificationFailed, match="missing"):
        SignerProcess(home, PASSWORD, listen=True)
    with SignerProcess(home, PASSWORD) as private:
        private.client.sign_typed("provider", contribution(), registry)
        with pytest.raises(VerificationFailed, match="missing"):
            private.client.sign_typed("provider", receipt(1, price=6), escrow)


def test_a_backup_is_taken_while_the_signer_runs_and_closes_its_lanes_elsewhere(
    listening: SignerProcess, tmp_path: Path, escrow: Domain, receipt: Build
) -> None:
    listening.client.sign_typed("provider", receipt(1), escrow)
    assert listening.client.export_log(tmp_path / "backup.json") == 1
    assert oct((tmp_path / "backup.json").stat().st_mode & 0o777) == "0o600"
    with pytest.raises(InvalidInput, match="new file"):
        listening.client.export_log(tmp_path / "backup.json")
    with SigningLog(tmp_path / "elsewhere.sqlite") as log:
        log.restore(json.loads((tmp_path / "backup.json").read_text()))
        with pytest.raises(Refused):
            log.record(receipt(2), escrow, listening.client.address("provider"))


def test_a_home_too_deep_for_a_socket_gets_one_elsewhere(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    for name in ("keystore", "run"):
        (deep / name).mkdir(parents=True)
    paths = SignerPaths.of(deep)
    assert not paths.socket.is_relative_to(deep) and len(os.fsencode(paths.socket)) <= paths_module._MAX_SOCKET_PATH
    Keystore(paths.keystore, "light").import_key("provider", KEY, PASSWORD)
    with SignerProcess(paths, PASSWORD, listen=True), open_signer(paths, never_asked) as client:
        assert "provider" in client.wallets()


def test_a_module_in_the_working_directory_is_not_loaded(
    home: SignerPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = tmp_path / "trap"
    (trap / "headwater").mkdir(parents=True)
    for file in ("json.py", "headwater/__init__.py"):
        (trap / file).write_text(f"open({str(trap / 'sprung')!r}, 'w')")
    monkeypatch.chdir(trap)
    with SignerProcess(home, PASSWORD) as process:
        assert "provider" in process.client.wallets()
    assert not (trap / "sprung").exists()


def test_by_hand_the_password_comes_from_a_file(home: SignerPaths, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(PASSWORD + "\n", "utf-8")
    command = [sys.executable, "-P", "-m", "headwater.signing.agent", "--keystore", str(home.keystore)]
    command += ["--log", str(home.log), "--listen", str(home.socket), "--password-file", str(tmp_path / "password")]
    with subprocess.Popen(command) as process:
        try:
            while not home.socket.exists() and process.poll() is None:
                threading.Event().wait(0.01)
            with SignerClient.over_socket(home.socket) as client:
                client.unlock("provider")
        finally:
            process.terminate()
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("content", "cause"), [("", "empty"), ("\nsecond line", "empty"), (None, "no password file")]
)
def test_a_password_file_without_a_password_is_refused(
    home: SignerPaths, tmp_path: Path, content: str | None, cause: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "password").write_text(content)
    arguments = [
        "--keystore",
        str(home.keystore),
        "--log",
        str(home.log),
        "--listen",
        str(home.socket),
        "--password-file",
        str(tmp_path / "password"),
    ]
    assert subprocess_main(arguments) in (2, 4)
    assert cause in capfd.readouterr().err


def subprocess_main(arguments: list[str]) -> int:
    """The signer changes umask and limits of its process, so it runs in one of its own."""
    command = [sys.executable, "-P", "-m", "headwater.signing.agent", *arguments]
    return subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode
