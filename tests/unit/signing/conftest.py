"""Structs and domains that every test of this room signs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from eth_utils import keccak

from headwater.protocol.attribution import Attribution
from headwater.protocol.contribution import Contribution
from headwater.protocol.epoch import Epoch, Verdict
from headwater.protocol.receipt import Receipt
from headwater.protocol.typed_data import Domain, TypedStruct
from headwater.protocol.voucher import Voucher
from headwater.signing.paths import SignerPaths
from headwater.types import Address, Digest

CONTRACT = Address("0x" + "11" * 20)
Make = Callable[..., TypedStruct]


def word(text: str) -> Digest:
    return Digest(keccak(text=text))


def fill(kind: type[TypedStruct], **members: Any) -> TypedStruct:
    """A struct with every member set to something that fits, and `members` as given."""
    values: dict[str, Any] = {}
    for name, _, solidity in kind.members():
        if solidity == "bytes32":
            values[name] = word(name)
        elif solidity == "address":
            values[name] = CONTRACT
        elif solidity == "bool":
            values[name] = False
        else:
            values[name] = 1
    return kind(**{**values, **members})


@pytest.fixture
def make() -> Make:
    return fill


@pytest.fixture
def escrow() -> Domain:
    return Domain("CreditEscrow", 31337, CONTRACT)


@pytest.fixture
def ledger() -> Domain:
    return Domain("AttributionLedger", 31337, CONTRACT)


@pytest.fixture
def registry() -> Domain:
    return Domain("ContributionLog", 31337, CONTRACT)


@pytest.fixture
def receipt() -> Callable[..., Receipt]:
    def build(sequence: int = 1, lane: str = "lane", price: int = 5) -> Receipt:
        struct = fill(Receipt, lane_id=word(lane), sequence=sequence, price=price)
        assert isinstance(struct, Receipt)
        return struct

    return build


@pytest.fixture
def voucher() -> Callable[..., TypedStruct]:
    return lambda cumulative, lane="lane", head="head": fill(
        Voucher, lane_id=word(lane), cumulative=cumulative, receipt_head=word(head)
    )


@pytest.fixture
def epoch() -> Callable[..., TypedStruct]:
    return lambda epoch_id, attempt=0, total=1: fill(Epoch, epoch_id=epoch_id, attempt=attempt, payout_total=total)


@pytest.fixture
def verdict() -> Callable[..., TypedStruct]:
    return lambda epoch_id, attempt=0, findings=1: fill(
        Verdict, epoch_id=epoch_id, attempt=attempt, findings_count=findings
    )


@pytest.fixture
def attribution() -> Callable[..., TypedStruct]:
    return lambda receipt, ppm=1: fill(Attribution, receipt_digest=receipt.digest(), base_ppm=ppm)


@pytest.fixture
def contribution() -> Callable[..., TypedStruct]:
    return lambda count=1: fill(Contribution, record_count=count)


@pytest.fixture
def paths(tmp_path: Path) -> SignerPaths:
    """A home's paths, with its folders."""
    for name in ("keystore", "run"):
        (tmp_path / name).mkdir(mode=0o700)
    return SignerPaths.of(tmp_path)
