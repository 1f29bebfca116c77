"""One contract for whoever signs: a keystore in its own process, Clef, Web3Signer, and the signer of the tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_utils import keccak

from headwater.errors import DoubleSigning, InvalidInput, NotFound
from headwater.protocol.signatures import recover, split_signature
from headwater.protocol.typed_data import Domain
from headwater.signing.client import SignerClient
from headwater.signing.entropy import SeededEntropy
from headwater.signing.holders import GuardedSigner
from headwater.signing.keystore import Keystore
from headwater.signing.launch import SignerProcess
from headwater.signing.log import SigningLog
from headwater.signing.paths import SignerPaths
from headwater.signing.signer import Signer
from headwater.testing.signers import FakeRemoteSigner, LocalSigner

Build = Callable[..., Any]
NAMES = ("provider", "user")
KINDS = ("local", "private process", "listening process", "clef", "web3signer")
TO = "0x" + "44" * 20
TYPE_2 = {
    "type": 2,
    "chainId": 31337,
    "nonce": 7,
    "gas": 21_000,
    "maxFeePerGas": 10**10,
    "maxPriorityFeePerGas": 1,
    "to": TO,
    "value": 10**24,
    "data": b"\x01\x02",
    "accessList": [{"address": TO, "storageKeys": ["0x" + "00" * 32]}],
}
LEGACY = {"chainId": 31337, "nonce": 0, "gas": 21_000, "gasPrice": 10**9, "to": TO, "value": 1}
CREATION = {"chainId": 1, "nonce": 1, "gas": 10**6, "maxFeePerGas": 2, "maxPriorityFeePerGas": 1, "data": "0x6000"}


@pytest.fixture(scope="module", params=KINDS)
def signer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signer]:
    home = tmp_path_factory.mktemp("home")
    for name in ("keystore", "run"):
        (home / name).mkdir(mode=0o700)
    paths, keys = SignerPaths.of(home), LocalSigner(NAMES)
    if request.param == "local":
        with SigningLog(paths.log) as log:
            yield GuardedSigner(keys, lambda: log)
        return
    if request.param.endswith("process"):
        for name in NAMES:
            Keystore(paths.keystore, "light").import_key(name, keys.keys[name].to_hex(), "password")
        with SignerProcess(paths, "password", listen=request.param.startswith("listening")) as process:
            yield process.client
        return
    with FakeRemoteSigner({keys.address(name): keys.keys[name] for name in NAMES}) as remote:
        file = home / "remote.json"
        accounts = {name: keys.address(name) for name in NAMES}
        file.write_text(json.dumps({"url": remote.url, "dialect": request.param, "accounts": accounts}))
        with SignerProcess(paths, "", remote=file) as process:
            yield process.client


@pytest.fixture
def lane(request: pytest.FixtureRequest) -> str:
    """A lane for each test: the log of one signer serves them all."""
    return request.node.name


def test_it_knows_its_names(signer: Signer) -> None:
    expected = LocalSigner(NAMES)
    assert {name: signer.address(name) for name in NAMES} == {name: expected.address(name) for name in NAMES}
    with pytest.raises(NotFound):
        signer.address("nobody")


def test_a_typed_signature_recovers_to_the_wallet_and_is_canonical(
    signer: Signer, escrow: Domain, receipt: Build, lane: str
) -> None:
    struct = receipt(1, lane=lane)
    signature = signer.sign_typed("provider", struct, escrow)
    assert len(signature) == 65 and signature[64] in (27, 28)
    split_signature(signature)  # refuses a high s
    assert recover(struct.signing_digest(escrow), signature) == signer.address("provider")


def test_all_signers_give_the_same_signature(signer: Signer, escrow: Domain, receipt: Build, lane: str) -> None:
    """RFC 6979: the reference is eth-account's own encoder and signer."""
    struct = receipt(1, lane=lane)
    payload = json.loads(json.dumps(struct.wallet_payload(escrow)))
    reference = Account.sign_typed_data(LocalSigner(NAMES).keys["provider"].to_bytes(), full_message=payload)
    assert signer.sign_typed("provider", struct, escrow) == bytes(reference.signature)
    assert signer.sign_typed("provider", struct, escrow) == bytes(reference.signature)


def test_a_second_digest_for_a_slot_is_refused(signer: Signer, escrow: Domain, receipt: Build, lane: str) -> None:
    signer.sign_typed("provider", receipt(1, lane=lane), escrow)
    with pytest.raises(DoubleSigning) as refused:
        signer.sign_typed("provider", receipt(1, lane=lane, price=6), escrow)
    assert "signed_digest" in refused.value.details
    signer.sign_typed("provider", receipt(2, lane=lane), escrow)


def test_what_has_no_slot_is_signed_as_often_as_asked(signer: Signer, registry: Domain, contribution: Build) -> None:
    for count in (1, 2):
        struct = contribution(count)
        signature = signer.sign_typed("user", struct, registry)
        assert recover(struct.signing_digest(registry), signature) == signer.address("user")


def test_a_struct_is_signed_under_its_own_contract_only(
    signer: Signer, ledger: Domain, receipt: Build, lane: str
) -> None:
    with pytest.raises(InvalidInput, match="CreditEscrow"):
        signer.sign_typed("provider", receipt(1, lane=lane), ledger)


def test_an_unknown_name_signs_nothing_and_takes_no_slot(
    signer: Signer, escrow: Domain, receipt: Build, lane: str
) -> None:
    with pytest.raises(NotFound):
        signer.sign_typed("nobody", receipt(1, lane=lane), escrow)
    signer.sign_typed("provider", receipt(1, lane=lane, price=6), escrow)


@pytest.mark.parametrize("transaction", [TYPE_2, LEGACY, CREATION], ids=["type 2", "legacy", "creation"])
def test_a_transaction_is_signed_as_eth_account_signs_it(signer: Signer, transaction: dict[str, Any]) -> None:
    key = LocalSigner(NAMES).keys["user"]
    expected = Account.sign_transaction(transaction, key.to_bytes())
    raw = signer.sign_transaction("user", {**transaction, "from": signer.address("user")})
    assert raw == bytes(expected.raw_transaction)
    assert keccak(raw) == bytes(expected.hash)
    assert Account.recover_transaction(raw) == signer.address("user")


@pytest.mark.parametrize(
    "change",
    [
        {"chainId": None},
        {"nonce": None},
        {"gas": None},
        {"gasPrice": 1},
        {"maxFeePerGas": None},
        {"from": TO},
        {"value": -1},
        {"value": 1.5},
        {"nonce": True},
        {"to": "0x12"},
        {"extra": 1},
        {"to": 5},
        {"data": "0xzz"},
        {"data": 5},
        {"accessList": 5},
        {"accessList": [{}]},
        {"accessList": [{"address": TO, "storageKeys": ["0x00"]}]},
    ],
    ids=str,
)
def test_a_transaction_that_does_not_say_everything_is_refused(signer: Signer, change: dict[str, Any]) -> None:
    transaction = {**TYPE_2, **change}
    transaction = {name: value for name, value in transaction.items() if value is not None}
    with pytest.raises(InvalidInput):
        signer.sign_transaction("user", transaction)
    assert signer.sign_transaction("user", TYPE_2)  # and it is still there


def test_the_client_is_a_signer() -> None:
    def takes(signer: Signer) -> Signer:
        return signer

    assert takes(SignerClient(None, None))
    assert takes(LocalSigner(["a"], SeededEntropy("x"))).address("a") != LocalSigner(["a"]).address("a")


def test_names_of_a_home_are_found_again(tmp_path: Path) -> None:
    assert SignerPaths.of(tmp_path).keystore == tmp_path / "keystore"
