"""A remote signer is believed in nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from headwater.errors import InvalidInput, NotFound, Refused, Unavailable, VerificationFailed
from headwater.protocol.signatures import CURVE_ORDER
from headwater.protocol.typed_data import Domain
from headwater.signing.remote import RemoteAccounts, RemoteSigner, read_remote
from headwater.testing.signers import FakeRemoteSigner, LocalSigner

Build = Callable[..., Any]
KEYS = LocalSigner(["provider", "thief"])
TRANSACTION: dict[str, Any] = {
    "chainId": 31337,
    "nonce": 1,
    "gas": 21_000,
    "maxFeePerGas": 2,
    "maxPriorityFeePerGas": 1,
    "to": KEYS.address("provider"),
    "value": 5,
}


@pytest.fixture(params=["clef", "web3signer"])
def dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def remote() -> Iterator[FakeRemoteSigner]:
    with FakeRemoteSigner({KEYS.address(name): KEYS.keys[name] for name in KEYS.keys}) as fake:
        yield fake


@pytest.fixture
def signer(remote: FakeRemoteSigner, dialect: str) -> RemoteSigner:
    return RemoteSigner(RemoteAccounts(remote.url, dialect, {"provider": KEYS.address("provider")}))


def lie(remote: FakeRemoteSigner, dialect: str, answer: Any) -> None:
    prefix = "account" if dialect == "clef" else "eth"
    remote.lies = {f"{prefix}_signTypedData": answer, f"{prefix}_signTransaction": answer}


def test_it_asks_by_the_dialects_names(
    signer: RemoteSigner, remote: FakeRemoteSigner, dialect: str, escrow: Domain, receipt: Build
) -> None:
    signer.sign_typed("provider", receipt(1), escrow)
    signer.sign_transaction("provider", TRANSACTION)
    prefix = "account" if dialect == "clef" else "eth"
    assert remote.asked == [f"{prefix}_signTypedData", f"{prefix}_signTransaction"]


def test_a_parity_counted_from_zero_is_understood(
    signer: RemoteSigner, remote: FakeRemoteSigner, dialect: str, escrow: Domain, receipt: Build
) -> None:
    usual = KEYS.sign_typed("provider", receipt(1), escrow)
    lie(remote, dialect, "0x" + (usual[:64] + bytes([usual[64] - 27])).hex())
    assert signer.sign_typed("provider", receipt(1), escrow) == usual


def test_a_signature_by_another_account_or_over_another_thing_is_refused(
    signer: RemoteSigner, remote: FakeRemoteSigner, dialect: str, escrow: Domain, receipt: Build
) -> None:
    good = KEYS.sign_typed("provider", receipt(1), escrow)
    s = CURVE_ORDER - int.from_bytes(good[32:64], "big")
    lies = [
        KEYS.sign_typed("thief", receipt(1), escrow),
        KEYS.sign_typed("provider", receipt(1, price=6), escrow),
        good[:32] + s.to_bytes(32, "big") + bytes([55 - good[64]]),
        good[:64],
        b"",
    ]
    for answer in lies[:3] + lies[4:]:
        lie(remote, dialect, "0x" + answer.hex())
        with pytest.raises(VerificationFailed, match="wrong signature"):
            signer.sign_typed("provider", receipt(1), escrow)
    lie(remote, dialect, "hello")
    with pytest.raises(VerificationFailed, match="hexadecimal"):
        signer.sign_typed("provider", receipt(1), escrow)


@pytest.mark.parametrize(
    "change",
    [{"value": 6}, {"to": KEYS.address("thief")}, {"nonce": 2}, {"maxFeePerGas": 3}, {"data": "0x01"}],
    ids=str,
)
def test_a_changed_transaction_is_refused(
    signer: RemoteSigner, remote: FakeRemoteSigner, dialect: str, change: dict[str, Any]
) -> None:
    raw = KEYS.sign_transaction("provider", {**TRANSACTION, **change})
    lie(remote, dialect, {"raw": "0x" + raw.hex()} if dialect == "clef" else "0x" + raw.hex())
    with pytest.raises(VerificationFailed, match=next(iter(change))):
        signer.sign_transaction("provider", TRANSACTION)


def test_a_transaction_of_another_kind_account_or_chain_is_refused(
    signer: RemoteSigner, remote: FakeRemoteSigner, dialect: str
) -> None:
    legacy = {"chainId": 31337, "nonce": 1, "gas": 21_000, "gasPrice": 2, "to": KEYS.address("provider"), "value": 5}
    answers = [
        KEYS.sign_transaction("thief", TRANSACTION),
        KEYS.sign_transaction("provider", legacy),
        KEYS.sign_transaction("provider", {**TRANSACTION, "chainId": 1}),
        b"",
        b"\x02\x01",
        b"\xc0",
        bytes(Account.sign_transaction({**legacy, "chainId": 1}, KEYS.keys["provider"].to_bytes()).raw_transaction),
    ]
    for raw in answers:
        lie(remote, dialect, {"raw": "0x" + raw.hex()} if dialect == "clef" else "0x" + raw.hex())
        with pytest.raises(VerificationFailed):
            signer.sign_transaction("provider", TRANSACTION)
    lie(remote, dialect, KEYS.sign_transaction("provider", legacy).hex())
    if dialect == "web3signer":
        assert signer.sign_transaction("provider", legacy) == KEYS.sign_transaction("provider", legacy)


def test_a_refusal_there_is_a_refusal_here(
    signer: RemoteSigner, dialect: str, escrow: Domain, receipt: Build
) -> None:
    unknown = {"provider": KEYS.address("provider"), "stranger": LocalSigner(["stranger"]).address("stranger")}
    stranger = RemoteSigner(RemoteAccounts(signer._remote.url, dialect, unknown))
    with pytest.raises(Refused, match="request denied"):
        stranger.sign_typed("stranger", receipt(1), escrow)


def test_keys_are_not_made_there(signer: RemoteSigner) -> None:
    with pytest.raises(Refused):
        signer.create("new")
    with pytest.raises(NotFound):
        signer.unlock("new")


def test_a_remote_signer_that_is_gone_is_unavailable(dialect: str, escrow: Domain, receipt: Build) -> None:
    with FakeRemoteSigner({}) as fake:
        url = fake.url
    gone = RemoteSigner(RemoteAccounts(url, dialect, {"provider": KEYS.address("provider")}, timeout_seconds=1))
    with pytest.raises(Unavailable, match="does not answer"):
        gone.sign_typed("provider", receipt(1), escrow)


@pytest.mark.parametrize("url", ["", "ftp://127.0.0.1", "unix:/x"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="http"):
        RemoteAccounts(url, "clef", {})


def test_plain_http_stays_on_this_machine() -> None:
    for url in ("http://127.0.0.1:8550", "http://[::1]:8550", "http://localhost:8550", "https://signer.example"):
        RemoteAccounts(url, "clef", {})
    for url in ("http://signer.example", "http://10.0.0.1:8550", "http://127.0.0.1.example"):
        with pytest.raises(Refused, match="https"):
            RemoteAccounts(url, "clef", {})
    with pytest.raises(InvalidInput, match="ledger"):
        RemoteAccounts("https://signer.example", "ledger", {})


def test_its_file_names_all_three_and_no_more(tmp_path: Path) -> None:
    file = tmp_path / "remote.json"
    good = {"url": "http://127.0.0.1:1", "dialect": "clef", "accounts": {"a": KEYS.address("provider")}}
    file.write_text(json.dumps(good))
    assert read_remote(file).accounts == {"a": KEYS.address("provider")}
    for bad in ({**good, "password": "x"}, {"url": ""}, [], {**good, "accounts": {"a": "0x1"}}):
        file.write_text(json.dumps(bad))
        with pytest.raises(InvalidInput):
            read_remote(file)
    with pytest.raises(NotFound):
        read_remote(tmp_path / "none")
