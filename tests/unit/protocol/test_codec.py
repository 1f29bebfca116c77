"""Every document survives JSON and back, and nothing that does not fit gets in."""

import pytest

from headwater.errors import InvalidInput
from headwater.protocol.license import Disclosure, License, Purpose
from headwater.protocol.sumtree import SumNode
from headwater.protocol.voucher import Voucher
from headwater.testing import vectors
from headwater.types import Ppm, digest

TERMS = License("L", "text", (Purpose.TRAIN,), True, "readers", "exit", Ppm(400_000), Disclosure.CONFIDENTIAL)


@pytest.mark.parametrize("cls", vectors.LEAVES, ids=lambda c: c.__name__)
def test_struct_round_trips(cls: type) -> None:
    value = vectors.sample(cls)
    assert cls.from_json(value.to_json()) == value


def test_document_round_trips_with_enums_and_lists() -> None:
    assert License.from_bytes(TERMS.canonical_bytes()) == TERMS


def test_wide_integers_travel_as_text() -> None:
    node = SumNode(digest(b"\1" * 32), 2**127)
    assert node.to_json()["sum"] == str(2**127)
    assert SumNode.from_json(node.to_json()) == node


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"extra": 1}, "unknown members extra"),
        ({"cumulative": 5}, "text"),
        ({"cumulative": "05"}, "decimal"),
        ({"cumulative": "-5"}, "decimal"),
        ({"cumulative": "٣"}, "decimal"),
        ({"cumulative": str(2**128)}, "uint128"),
        ({"lane_id": "0x12"}, "32 bytes"),
        ({"lane_id": 7}, "text"),
    ],
)
def test_refuses_members_that_do_not_fit(change: dict[str, object], word: str) -> None:
    good = Voucher(digest(b"\1" * 32), 5, digest(b"\2" * 32)).to_json()
    with pytest.raises(InvalidInput, match=word):
        Voucher.from_json({**good, **change})


def test_names_what_is_missing() -> None:
    with pytest.raises(InvalidInput, match="lacks receipt_head"):
        Voucher.from_json({"lane_id": "0x" + "00" * 32, "cumulative": "1"})
