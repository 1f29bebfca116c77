"""Values to bytes and back, and what is refused on the way."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi import encode
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from headwater.chain.abi import ContractAbi, plain_json, shown
from headwater.errors import InvalidInput, NotFound

ALICE = "0xb8C72E9bB2FdE9A8a5D2e6d0A8F4C2D1D2A0c0a1".lower()


def parameter(kind: str, name: str = "", **more: Any) -> dict[str, Any]:
    return {"type": kind, "name": name, **more}


POINT = parameter("tuple", "point", components=[parameter("int64", "x"), parameter("bytes", "note")])
SHAPE = [
    parameter(
        "tuple", "shape", components=[POINT, {**POINT, "type": "tuple[]", "name": "more"}, parameter("bool", "on")]
    )
]
ABI = ContractAbi(
    "Sample",
    (
        {"type": "function", "name": "echo", "inputs": SHAPE, "outputs": SHAPE},
        {"type": "function", "name": "over", "inputs": [parameter("uint8")], "outputs": []},
        {"type": "function", "name": "over", "inputs": [parameter("string")], "outputs": []},
        {"type": "function", "name": "over", "inputs": [parameter("bool"), parameter("bool")], "outputs": []},
        {
            "type": "event",
            "name": "Happened",
            "inputs": [
                parameter("string", "title", indexed=True),
                parameter("uint256", "amount", indexed=False),
                parameter("address", "who", indexed=True),
            ],
        },
        {"type": "error", "name": "Bad", "inputs": [parameter("bytes", "what"), parameter("uint256")]},
    ),
)
points = st.fixed_dictionaries({"x": st.integers(-(2**63), 2**63 - 1), "note": st.binary(max_size=70)})
shapes = st.fixed_dictionaries({"point": points, "more": st.lists(points, max_size=3), "on": st.booleans()})


def in_field_order(shape: dict[str, Any]) -> tuple[Any, ...]:
    point, *more = ((p["x"], p["note"]) for p in (shape["point"], *shape["more"]))
    return point, more, shape["on"]


@given(shapes)
def test_structs_come_back_by_name_from_names_or_tuples(shape: dict[str, Any]) -> None:
    """Round trip: decode(encode(value)) = value, and a tuple in field order encodes alike."""
    data = ABI.encode_call("echo", [shape])
    assert ABI.decode_result("echo", 1, data[4:]) == shape
    assert ABI.encode_call("echo", [in_field_order(shape)]) == data


def test_the_order_of_a_dicts_keys_does_not_matter() -> None:
    one = {"point": {"x": 1, "note": b""}, "more": [], "on": True}
    other = {"on": True, "more": [], "point": {"note": b"", "x": 1}}
    assert ABI.encode_call("echo", [one]) == ABI.encode_call("echo", [other])


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ({"point": {"x": 1}, "more": [], "on": True}, "missing or unknown fields: note"),
        ({"point": {"x": 1, "note": b"", "y": 2}, "more": [], "on": True}, "missing or unknown fields: y"),
        (({"x": 1, "note": b""}, []), "a struct of 3 fields got 2"),
        ({"point": {"x": 2**63, "note": b""}, "more": [], "on": True}, "does not take these values"),
        ({"point": {"x": "1", "note": b""}, "more": [], "on": True}, "does not take these values"),
        ({"point": 5, "more": [], "on": True}, "5 is no tuple"),
        ({"point": {"x": 1, "note": b""}, "more": True, "on": True}, r"True is no tuple\[\]"),
    ],
)
def test_values_that_do_not_fit_are_refused(shape: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        ABI.encode_call("echo", [shape])


def test_functions_are_found_by_name_count_or_signature() -> None:
    assert ABI.encode_call("over(string)", [""])[:4] == keccak(text="over(string)")[:4]
    assert ABI.encode_call("over", [True, True])[:4] == keccak(text="over(bool,bool)")[:4]
    with pytest.raises(InvalidInput, match=r"several functions over"):
        ABI.encode_call("over", [1])
    with pytest.raises(InvalidInput, match="takes 1 arguments, not 2"):
        ABI.encode_call("echo", [1, 2])
    with pytest.raises(NotFound, match="has no function nothing"):
        ABI.encode_call("nothing", [])


def log_of(title: str, amount: int, who: str) -> tuple[list[bytes], bytes]:
    signature = keccak(text="Happened(string,uint256,address)")
    return [signature, keccak(text=title), encode(["address"], [who])], encode(["uint256"], [amount])


def test_a_log_decodes_in_declaration_order_with_indexed_text_as_digest() -> None:
    name, args = ABI.decode_log(*log_of("title", 5, ALICE)) or ("", {})
    assert name == "Happened"
    assert list(args) == ["title", "amount", "who"]
    assert args["title"] == keccak(text="title")
    assert args["amount"] == 5
    assert args["who"].lower() == ALICE


def test_an_undeclared_event_is_not_decoded() -> None:
    assert ABI.decode_log([keccak(text="Other()")], b"") is None
    assert ABI.decode_log([], b"") is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t, d: (t[:2], d), "has 2 topics instead of 3"),
        (lambda t, d: ([*t, t[1]], d), "has 4 topics instead of 3"),
        (lambda t, d: (t, d[:31]), "cannot be decoded"),
        (lambda t, d: ([*t[:2], b"\xff" * 32], d), "cannot be decoded"),  # dirt before an address
    ],
)
def test_a_log_that_does_not_fit_its_declaration_is_refused(change: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        ABI.decode_log(*change(*log_of("title", 5, ALICE)))


@given(st.binary(max_size=200), st.binary(max_size=400))
def test_decoding_any_bytes_raises_nothing_but_invalid_input(topic: bytes, data: bytes) -> None:
    topics = [keccak(text="Happened(string,uint256,address)"), keccak(topic), bytes(12) + keccak(data)[:20]]
    for decode in (lambda: ABI.decode_log(topics, data), lambda: ABI.decode_result("echo", 1, data)):
        try:
            decode()
        except InvalidInput:
            continue
    ABI.decode_error(keccak(text="Bad(bytes,uint256)")[:4] + data)
    ABI.decode_error(data)


def test_filters_hash_text_and_leave_out_trailing_wildcards() -> None:
    signature = keccak(text="Happened(string,uint256,address)")
    assert ABI.event_topics("Happened", {}) == [signature]
    assert ABI.event_topics("Happened", {"title": "t"}) == [signature, keccak(text="t")]
    assert ABI.event_topics("Happened", {"who": ALICE}) == [signature, None, encode(["address"], [ALICE])]


def test_an_error_is_shown_with_its_values() -> None:
    data = keccak(text="Bad(bytes,uint256)")[:4] + encode(["bytes", "uint256"], [b"\xab\xcd", 7])
    error = ABI.decode_error(data)
    assert error is not None
    assert str(error) == "Bad(what=0xabcd, arg1=7)"


def test_json_of_values_keeps_every_digit() -> None:
    assert plain_json({"a": [b"\1", 2**53, 2**53 - 1, True, "x"]}) == {
        "a": ["0x01", "9007199254740992", 9007199254740991, True, "x"]
    }
    assert shown({"a": [b"\1", (1, False)]}) == "{a: [0x01, [1, False]]}"
