"""Wallets without a node: made once, listed without a password, in and out as encrypted files only."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

KEY = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"
ADDRESS = "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23"
"""The pair of web3.js's documentation."""


def test_new_makes_each_wallet_once(run: Any) -> None:
    first = run("wallet", "new", "alice", "bob", "--json").json["wallets"]
    assert [w["name"] for w in first] == ["alice", "bob"]
    assert first[0]["address"] != first[1]["address"]
    assert run("wallet", "new", "bob", "alice", "--json").json["wallets"] == first[::-1]
    assert run("wallet", "list", "--json").json["wallets"] == first


def test_list_needs_no_password(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = run("wallet", "new", "alice", "--json").json["wallets"]
    monkeypatch.setenv("HEADWATER_PASSWORD_FILE", "")
    assert run("wallet", "list", "--json").json["wallets"] == made
    assert made[0]["address"] in run("wallet", "list").out


def test_an_empty_home_has_no_wallets(run: Any) -> None:
    assert run("wallet", "list", "--json").json == {"wallets": []}


def test_without_password_and_terminal_nothing_is_made(run: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_PASSWORD_FILE", "")
    done = run("wallet", "new", "alice", "--json")
    assert done.code == 2 and "password" in done.error["cause"]
    assert list((home / "keystore").iterdir()) == []


@pytest.mark.parametrize("name", ["", "Alice", "../x", "a" * 41, "<script>", "a b"])
def test_a_name_that_could_be_a_path_is_refused(run: Any, name: str) -> None:
    done = run("wallet", "new", "--json", "--", name)
    assert done.code == 2 and "no wallet name" in done.error["cause"]


def test_a_key_in_a_file_is_taken_over_and_never_shown(run: Any, home: Path, tmp_path: Path) -> None:
    file = tmp_path / "key.txt"
    file.write_text(f"0x{KEY}\n", "utf-8")
    done = run("wallet", "import", "alice", str(file))
    assert done.code == 0 and ADDRESS in done.out
    assert all(KEY not in p.read_text("utf-8") for p in (home / "keystore").iterdir())


def test_an_exported_wallet_is_encrypted_private_and_can_be_taken_over(run: Any, tmp_path: Path) -> None:
    made = run("wallet", "new", "alice", "--json").json["wallets"][0]
    target = tmp_path / "alice.json"
    target.write_text("an older file that others may read", "utf-8")
    target.chmod(0o644)
    assert run("wallet", "export", "alice", str(target)).code == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert json.loads(target.read_text("utf-8"))["crypto"]["kdf"] == "scrypt"
    other = ("--home", str(tmp_path / "other"))
    assert run("wallet", "import", "copy", str(target), "--json", *other).json["address"] == made["address"]


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        ("not a key", "k.txt", "no secp256k1 private key"),
        ("0" * 64, "k.txt", "no secp256k1 private key"),
        ("ü" * 64, "k.txt", "no secp256k1 private key"),
        ("{}", "k.json", ""),
        ("not json", "k.json", ""),
    ],
)
def test_a_file_that_holds_no_key_is_refused_without_repeating_it(
    run: Any, tmp_path: Path, content: str, name: str, words: str
) -> None:
    file = tmp_path / name
    file.write_text(content, "utf-8")
    done = run("wallet", "import", "alice", str(file), "--json")
    assert done.code in (1, 2) and words in done.error["cause"]
    if content != "{}":
        assert content not in done.out


@pytest.mark.parametrize("name", ["gone.txt", "gone.json", "."])
def test_a_file_that_cannot_be_read_is_told(run: Any, tmp_path: Path, name: str) -> None:
    done = run("wallet", "import", "alice", str(tmp_path / name), "--json")
    assert done.code in (2, 4) and done.error["next_step"]


def test_a_place_that_cannot_be_written_is_told(run: Any, tmp_path: Path) -> None:
    run("wallet", "new", "alice")
    done = run("wallet", "export", "alice", str(tmp_path / "no-folder" / "x"), "--json")
    assert done.code == 2 and "cannot be written" in done.error["cause"]


def test_a_taken_name_keeps_its_key(run: Any, tmp_path: Path) -> None:
    before = run("wallet", "new", "alice", "--json").json["wallets"]
    file = tmp_path / "key.txt"
    file.write_text(KEY, "utf-8")
    assert run("wallet", "import", "alice", str(file), "--json").code == 5
    assert run("wallet", "list", "--json").json["wallets"] == before
