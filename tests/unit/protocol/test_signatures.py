"""Strict signatures: right, wrong, malleable, foreign."""

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data

from headwater.errors import BadSignature
from headwater.protocol.signatures import CURVE_ORDER, recover, require_signer
from headwater.protocol.typed_data import Domain
from headwater.protocol.voucher import Voucher
from headwater.types import address, digest

KEY = Account.from_key(b"\7" * 32)
HERE = Domain("CreditEscrow", 31337, address("0x" + "11" * 20))
VOUCHER = Voucher(digest(b"\1" * 32), 5, digest(b"\2" * 32))
DIGEST = VOUCHER.signing_digest(HERE)
SIGNATURE = bytes(KEY.sign_message(encode_typed_data(full_message=VOUCHER.wallet_payload(HERE))).signature)


def test_right_signature_recovers_its_signer() -> None:
    assert recover(DIGEST, SIGNATURE) == KEY.address


def test_compact_form_of_eip_2098_is_the_same_signature() -> None:
    packed = int.from_bytes(SIGNATURE[32:64], "big") | (SIGNATURE[64] - 27) << 255
    assert recover(DIGEST, SIGNATURE[:32] + packed.to_bytes(32, "big")) == KEY.address


@pytest.mark.parametrize(
    ("foreign", "name"),
    [
        (Domain("CreditEscrow", 1, HERE.verifying_contract), "chain"),
        (Domain("CreditEscrow", 31337, address("0x" + "12" * 20)), "contract"),
        (Domain("AttributionLedger", 31337, HERE.verifying_contract), "name"),
    ],
)
def test_signature_is_void_in_a_foreign_domain(foreign: Domain, name: str) -> None:
    with pytest.raises(BadSignature, match="not by"):
        require_signer(VOUCHER.signing_digest(foreign), SIGNATURE, address(KEY.address), "the voucher")


def test_high_s_is_refused() -> None:
    s = CURVE_ORDER - int.from_bytes(SIGNATURE[32:64], "big")
    flipped = SIGNATURE[:32] + s.to_bytes(32, "big") + bytes([55 - SIGNATURE[64]])
    with pytest.raises(BadSignature, match="malleable"):
        recover(DIGEST, flipped)


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        SIGNATURE[:-2],
        SIGNATURE + b"\0",
        SIGNATURE[:64] + b"\0",
        SIGNATURE[:64] + b"\1",
        bytes(64) + b"\x1b",
        b"\xff" * 32 + SIGNATURE[32:],
    ],
)
def test_malformed_signatures_are_refused(bad: bytes) -> None:
    with pytest.raises(BadSignature):
        recover(DIGEST, bad)
