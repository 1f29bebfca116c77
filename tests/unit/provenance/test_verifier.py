"""Every changed byte is refused and the broken link named; what only a chain can say stays unsaid."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import InvalidInput, VerificationFailed
from headwater.protocol.canonical import canonical_json
from headwater.protocol.signatures import CURVE_ORDER
from headwater.provenance.export import ReceiptExport, sealed_export
from headwater.provenance.verifier import ANCHORED, CONSISTENT, read_export, verify_export
from headwater.testing import examples
from headwater.types import Digest, Signature

FULL = examples.export()
FILES = {
    "place and answer": FULL.canonical_bytes() + b"\n",
    "place": examples.export(with_answer=False).canonical_bytes() + b"\n",
    "answer": examples.export(with_place=False).canonical_bytes() + b"\n",
    "neither": examples.export(with_place=False, with_answer=False).canonical_bytes() + b"\n",
}
assert FULL.place is not None
EPOCH = FULL.place.epoch


def broken(data: bytes) -> str:
    """The link at which verification stops."""
    with pytest.raises(VerificationFailed, match="broken link") as raised:
        verify_export(data)
    link = raised.value.details["link"]
    assert isinstance(link, str) and link in raised.value.cause
    return link


def written(export: ReceiptExport) -> bytes:
    """A dishonest file: changed, and sealed again."""
    return sealed_export(export).canonical_bytes()


# -- files that hold ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_an_honest_file_is_consistent_without_a_chain(name: str) -> None:
    found = verify_export(FILES[name])
    assert (found.summary, found.is_anchored) == (CONSISTENT, False)
    assert ("receipt in epoch" in found.links) == ("place" in name)
    assert ("response" in found.links) == ("answer" in name)


def test_with_the_epochs_digest_it_is_verified() -> None:
    found = verify_export(FILES["place"], lambda epoch_id: EPOCH.digest() if epoch_id == EPOCH.epoch_id else None)
    assert (found.summary, found.is_anchored, found.links[-1]) == (ANCHORED, True, "epoch on chain")


@pytest.mark.parametrize("trusted", [None, examples.word("another epoch")])
def test_an_epoch_that_the_reader_does_not_trust_breaks_the_last_link(trusted: Digest | None) -> None:
    with pytest.raises(VerificationFailed, match="epoch on chain"):
        verify_export(FILES["place"], lambda _: trusted)


def test_without_a_place_no_trusted_root_makes_it_verified() -> None:
    assert not verify_export(FILES["answer"], lambda _: EPOCH.digest()).is_anchored


# -- files that were damaged -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
@given(data=st.data())
def test_every_changed_byte_is_refused_with_a_link(name: str, data: st.DataObject) -> None:
    raw = bytearray(FILES[name])
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    broken(bytes(raw))


@pytest.mark.parametrize("name", FILES)
def test_a_changed_bit_anywhere_is_refused(name: str) -> None:
    """Every 29th byte in turn, so that each run visits the whole file."""
    for place in range(0, len(FILES[name]), 29):
        raw = bytearray(FILES[name])
        raw[place] ^= 1
        broken(bytes(raw))


@given(st.sampled_from(list(FILES.values())), st.data())
def test_a_byte_more_or_less_is_refused(raw: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(raw) - 2))
    assert broken(raw[:place] + raw[place + 1 :])
    assert broken(raw[:place] + bytes([data.draw(st.integers(0, 255))]) + raw[place:])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"\xef\xbb\xbf" + FILES["neither"],
        b" " + FILES["neither"],
        FILES["neither"] + b"\n",
        FILES["neither"].replace(b"\n", b"\r\n"),
        FILES["neither"].replace(b',"', b', "', 1),
        FILES["neither"].replace(b"0x", b"0X", 1),
        FILES["neither"].replace(b'"chain_id":31337', b'"chain_id":31337,"chain_id":31337', 1),
        FILES["neither"].replace(b'"chain_id":31337', b'"chain_id":31337.0', 1),
        FILES["neither"].replace(b'"chain_id":31337', b'"chain_id":"31337"', 1),
        FILES["neither"].replace(b'"chain_id":31337', b'"chain_id":-31337', 1),
        FILES["neither"].replace(b'"checksum":"0x', b'"checksum":"0x ', 1),
        FILES["neither"].replace(b"headwater-receipt-v1", b"headwater-receipt-v2"),
        b"[" * 200_000,
    ],
)
def test_what_is_no_canonical_export_breaks_the_file(data: bytes) -> None:
    assert broken(data) == "file"


def test_addresses_in_another_case_are_no_canonical_file() -> None:
    key = examples.account("provider key").encode()
    assert broken(FILES["neither"].replace(key, key.lower())) == "file"


# -- files that lie ----------------------------------------------------------------------------------------------


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to every text and number of a JSON value."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if children is None:
        if value is not None:
            yield path
        return
    for name, child in children:
        yield from leaves(child, (*path, name))


def bent(value: Any) -> Any:
    """Another value of the same shape."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if len(value) == 42 and value.startswith("0x"):
        return examples.account("thief")
    if value.startswith("0x"):
        return value[:-2] + f"{(int(value[-2:], 16) ^ 1):02x}"
    return str(int(value) + 1) if value.isdigit() else value + "!"


CHAIN_ONLY = {("ledger",)} | {
    ("place", "epoch", name) for name in EPOCH.to_json() if name not in ("receipts_root", "attributions_root")
}
"""What a file may state wrongly if its checksum is made anew: only the chain knows better."""
BODY = FULL.to_json()
PATHS = [p for p in leaves(BODY) if p != ("checksum",)]


def lie(path: tuple[Any, ...]) -> tuple[bytes, bool]:
    """The file with one value changed and the checksum made anew; and whether any document can hold that value."""
    changed = json.loads(FULL.canonical_bytes())
    at = changed
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = bent(at[path[-1]])
    try:
        return written(ReceiptExport.from_json(changed)), True
    except InvalidInput:
        return canonical_json(changed), False


@pytest.mark.parametrize("path", PATHS, ids=lambda p: ".".join(map(str, p)))
def test_every_single_lie_is_found_unless_only_the_chain_knows(path: tuple[Any, ...]) -> None:
    """Found by what it is about: the checksum, which anybody can make, catches none of them."""
    data, is_possible = lie(path)
    if path not in CHAIN_ONLY:
        link = broken(data)
        assert link != "checksum"
        assert (link == "file") == (path == ("format",) or not is_possible)
        return
    assert not verify_export(data).is_anchored
    if path[0] == "place":
        with pytest.raises(VerificationFailed, match="epoch on chain"):
            verify_export(data, lambda _: EPOCH.digest())


def signed_with(**members: Any) -> bytes:
    return written(replace(FULL, signed=replace(FULL.signed, **members)))


def other_body(**members: Any) -> bytes:
    """A body that the provider changed afterwards; its attribution is left as it was."""
    return signed_with(body=replace(FULL.signed.body, **members))


def test_lies_break_the_link_that_they_are_about() -> None:
    receipt, attribution, body = FULL.signed.receipt, FULL.signed.attribution, FULL.signed.body
    disclosed = FULL.disclosed
    assert disclosed is not None and FULL.place is not None

    def attributed(**members: Any) -> bytes:
        """An attribution that the provider itself signed wrongly."""
        made = replace(attribution, **members)
        return signed_with(
            attribution=made, attribution_signature=examples.sign("provider key", made, examples.ESCROW)
        )

    def told(**members: Any) -> bytes:
        return written(replace(FULL, disclosed=replace(disclosed, **members)))

    lies = {
        "receipt signature": signed_with(receipt=replace(receipt, price=1)),
        "attribution signature": signed_with(attribution=replace(attribution, base_ppm=1)),
        "attribution of this receipt": attributed(receipt_digest=examples.word("another receipt")),
        "attribution body": other_body(quotations=(), scores=body.scores[:1]),
        "attribution method": written(replace(FULL, method=replace(FULL.method, damping_ppm=1))),
        "sketch": attributed(sketch_digest=examples.word("another sketch")),
        "scores": attributed(scores_root=examples.word("other scores")),
        "shares": attributed(influence_ppm=1),
        "index rows": written(replace(FULL, rows=tuple(reversed(FULL.rows)))),
        "request id": told(user_nonce=examples.word("another nonce")),
        "request": told(request=examples.request("something else")),
        "response": told(response=replace(disclosed.response, text="T99.9X9A")),
        "receipt in epoch": written(replace(FULL, place=replace(FULL.place, receipt_index=0))),
        "attribution in epoch": written(replace(FULL, place=replace(FULL.place, attribution_proof=()))),
        "checksum": replace(FULL, checksum=examples.word("another")).canonical_bytes(),
    }
    assert {link: broken(data) for link, data in lies.items()} == {link: link for link in lies}


def signed_otherwise(receipt: dict[str, Any], sketch_width: int) -> bytes:
    """What a provider signed wrongly from the start, all of it consistent with itself but for one thing."""
    assert FULL.disclosed is not None
    method = replace(FULL.method, sketch_width=sketch_width)
    changed = replace(FULL.signed.receipt, **receipt)
    body = replace(FULL.signed.body, receipt_digest=changed.digest(), method_id=method.digest())
    return written(replace(FULL, signed=examples.signed_receipt(changed, body), method=method, place=None))


def test_a_sketch_of_another_width_than_its_methods_is_found() -> None:
    assert broken(signed_otherwise({}, sketch_width=17)) == "sketch"


def test_a_seed_that_the_request_does_not_give_is_found() -> None:
    """The provider could have answered until its own records led."""
    assert (
        broken(signed_otherwise({"seed": examples.word("chosen")}, examples.METHOD.sketch_width)) == "sampling seed"
    )


def test_a_row_may_neither_be_left_out_nor_borrowed_from_another_place() -> None:
    assert broken(written(replace(FULL, rows=FULL.rows[:-1]))) == "index rows"
    assert broken(written(replace(FULL, rows=()))) == "index rows"
    swapped = replace(FULL.rows[0], proof=FULL.rows[1].proof)
    assert broken(written(replace(FULL, rows=(swapped, *FULL.rows[1:])))) == "index rows"


def test_the_key_of_another_provider_does_not_verify() -> None:
    assert broken(written(replace(FULL, provider_key=examples.account("thief")))) == "receipt signature"


def test_a_malleable_signature_is_not_the_same_file() -> None:
    raw = FULL.signed.receipt_signature
    s = CURVE_ORDER - int.from_bytes(raw[32:64], "big")
    twin = Signature(raw[:32] + s.to_bytes(32, "big") + bytes([55 - raw[64]]))
    assert broken(signed_with(receipt_signature=twin)) == "receipt signature"


@pytest.mark.parametrize("member", ["chain_id", "escrow"])
def test_signatures_hold_for_one_chain_and_one_escrow(member: str) -> None:
    value: Any = 1 if member == "chain_id" else examples.account("another escrow")
    assert broken(written(replace(FULL, **{member: value}))) == "receipt signature"


def test_reading_does_not_need_the_last_line_end() -> None:
    assert read_export(FILES["place"][:-1]) == read_export(FILES["place"])
