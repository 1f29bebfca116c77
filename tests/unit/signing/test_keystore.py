"""Wallets open with their password, with nothing else, and say what is wrong with a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from headwater.errors import Conflict, InvalidInput, NotFound, VerificationFailed
from headwater.signing.entropy import SeededEntropy, SystemEntropy
from headwater.signing.keystore import Keystore

PASSWORD = "pässword 1"
KEY = "0x" + "4c" * 32


@pytest.fixture
def keystore(tmp_path: Path) -> Keystore:
    return Keystore(tmp_path, "light")


def change(path: Path, **members: Any) -> None:
    document = json.loads(path.read_text())
    document.update(members)
    path.write_text(json.dumps(document))


def test_a_wallet_opens_with_its_password(keystore: Keystore) -> None:
    wallet = keystore.create("alice", PASSWORD, SystemEntropy())
    key = keystore.unlock("alice", PASSWORD)
    assert key.public_key.to_checksum_address() == wallet.address == keystore.address("alice")


def test_its_file_is_standard_secret_and_holds_no_key_in_clear(keystore: Keystore) -> None:
    wallet = keystore.import_key("alice", KEY, PASSWORD)
    path = keystore.folder / "alice.json"
    assert oct(path.stat().st_mode & 0o777) == "0o600"
    assert "4c4c4c" not in path.read_text()
    assert Account.from_key(Account.decrypt(json.loads(path.read_text()), PASSWORD)).address == wallet.address
    assert [p.name for p in keystore.folder.iterdir()] == ["alice.json"]


def test_the_usual_key_derivation_is_scrypt_at_262144(tmp_path: Path) -> None:
    Keystore(tmp_path).import_key("alice", KEY, PASSWORD)
    parameters = json.loads((tmp_path / "alice.json").read_text())["crypto"]["kdfparams"]
    assert (parameters["n"], parameters["r"]) == (262_144, 8)


@pytest.mark.parametrize("password", ["", "password 1", PASSWORD + "\n"])
def test_another_password_does_not_open_it(keystore: Keystore, password: str) -> None:
    keystore.create("alice", PASSWORD, SystemEntropy())
    with pytest.raises(InvalidInput, match="password does not open"):
        keystore.unlock("alice", password)


def test_an_empty_password_encrypts_nothing(keystore: Keystore) -> None:
    with pytest.raises(InvalidInput, match="empty"):
        keystore.create("alice", "", SystemEntropy())
    assert keystore.list() == []


def test_names_and_addresses_are_listed_without_a_password(keystore: Keystore) -> None:
    made = [keystore.create(name, PASSWORD, SystemEntropy()) for name in ("carol", "alice")]
    (keystore.folder / "README.txt").write_text("not a wallet")
    assert keystore.list() == sorted(made, key=lambda wallet: wallet.name)
    assert Keystore(keystore.folder / "none").list() == []


def test_a_seeded_wallet_is_the_same_again_and_a_fresh_one_is_not(keystore: Keystore, tmp_path: Path) -> None:
    entropy = SeededEntropy("demo")
    first = keystore.create("alice", PASSWORD, entropy)
    assert keystore.create("alice", PASSWORD, entropy) == first
    assert keystore.create("bob", PASSWORD, entropy).address != first.address
    with pytest.raises(Conflict, match="exists already"):
        keystore.create("alice", PASSWORD, SystemEntropy())


@pytest.mark.parametrize("name", ["", "../alice", "a/b", "Alice", ".alice", "a" * 41, "alice\n", "-a", "ålice"])
def test_a_name_is_no_path(keystore: Keystore, name: str) -> None:
    with pytest.raises(InvalidInput, match="no wallet name"):
        keystore.create(name, PASSWORD, SystemEntropy())
    with pytest.raises(InvalidInput, match="no wallet name"):
        keystore.address(name)


def test_an_unknown_wallet_is_not_found(keystore: Keystore) -> None:
    with pytest.raises(NotFound):
        keystore.unlock("alice", PASSWORD)


@pytest.mark.parametrize("key", ["", "0x", "zz" * 32, "11" * 31, "00" * 32, "ff" * 32])
def test_what_is_no_private_key_is_refused_without_repeating_it(keystore: Keystore, key: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        keystore.import_key("alice", key, PASSWORD)
    assert len(key) < 4 or key not in str(refused.value)


def test_an_export_is_imported_again_under_another_password(keystore: Keystore, tmp_path: Path) -> None:
    wallet = keystore.import_key("alice", KEY, PASSWORD)
    (tmp_path / "export").write_bytes(keystore.export("alice"))
    other = Keystore(tmp_path / "other", "light")
    other.folder.mkdir()
    assert other.import_file("alice", tmp_path / "export", PASSWORD, "new").address == wallet.address
    assert other.unlock("alice", "new").to_hex() == KEY


def test_a_file_of_another_program_is_imported(keystore: Keystore, tmp_path: Path) -> None:
    foreign = Account.encrypt(KEY, "their password", kdf="pbkdf2", iterations=2)
    (tmp_path / "UTC--foreign").write_text(json.dumps(foreign))
    wallet = keystore.import_file("alice", tmp_path / "UTC--foreign", "their password", PASSWORD)
    assert wallet.address == Account.from_key(KEY).address
    with pytest.raises(NotFound):
        keystore.import_file("bob", tmp_path / "missing", "x", "y")


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]",
        b'{"version": 3}',
        b'{"version": 1, "crypto": {}}',
        b'{"version": 3, "version": 3, "crypto": {}}',
        b"\xff\xfe",
        b'{"version": 3, "crypto": {"kdfparams": {"n": -1}}}',
        b'{"version": 3, "crypto": {"kdfparams": {}}, "address": "0x1111111111111111111111111111111111111111"}',
        b" " * 70_000,
    ],
)
def test_a_corrupt_file_is_named_as_damaged(keystore: Keystore, damage: bytes) -> None:
    (keystore.folder / "alice.json").write_bytes(damage)
    with pytest.raises(VerificationFailed, match=r"alice\.json"):
        keystore.unlock("alice", PASSWORD)


def test_a_flipped_bit_of_the_ciphertext_is_found(keystore: Keystore) -> None:
    keystore.import_key("alice", KEY, PASSWORD)
    path = keystore.folder / "alice.json"
    crypto = json.loads(path.read_text())["crypto"]
    crypto["ciphertext"] = f"{int(crypto['ciphertext'], 16) ^ 1:064x}"
    change(path, crypto=crypto)
    with pytest.raises(InvalidInput, match="password does not open"):
        keystore.unlock("alice", PASSWORD)


def test_a_file_that_names_a_foreign_address_is_damaged(keystore: Keystore) -> None:
    keystore.import_key("alice", KEY, PASSWORD)
    change(keystore.folder / "alice.json", address="11" * 20)
    with pytest.raises(VerificationFailed, match="another address"):
        keystore.unlock("alice", PASSWORD)


@pytest.mark.parametrize("cost", [{"n": 2**30}, {"r": 10**9}, {"p": 10**6}, {"c": 10**12}, {"dklen": 2**31}])
def test_a_foreign_file_cannot_make_us_work_for_ever(keystore: Keystore, cost: dict[str, int]) -> None:
    keystore.import_key("alice", KEY, PASSWORD)
    path = keystore.folder / "alice.json"
    crypto = json.loads(path.read_text())["crypto"]
    crypto["kdfparams"].update(cost)
    change(path, crypto=crypto)
    with pytest.raises(InvalidInput, match="key derivation may cost"):
        keystore.unlock("alice", PASSWORD)


def test_an_unknown_key_derivation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="md5"):
        Keystore(tmp_path, "md5")
