"""Text, bytes and digests of a CID are one thing, and nothing else is a CID."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.content.cid import (
    DAG_PB,
    RAW,
    cid_bytes,
    cid_from_bytes,
    cid_of_digest,
    codec_of_cid,
    digest_of_cid,
    make_cid,
    parse_cid,
)
from headwater.errors import InvalidInput

HELLO_WORLD = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
"""From Kubo's own tests: the raw CID of b"hello world"."""


def test_known_cid() -> None:
    digest = hashlib.sha256(b"hello world").digest()
    assert cid_of_digest(digest) == HELLO_WORLD
    assert digest_of_cid(HELLO_WORLD) == digest
    assert codec_of_cid(HELLO_WORLD) == RAW


@given(st.sampled_from([RAW, DAG_PB]), st.binary(min_size=32, max_size=32))
def test_every_form_leads_back(codec: int, digest: bytes) -> None:
    cid = make_cid(codec, digest)
    assert parse_cid(cid) == cid_from_bytes(cid_bytes(cid)) == cid
    assert (codec_of_cid(cid), digest_of_cid(cid)) == (codec, digest)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "not a CID"),
        ("../../etc/passwd", "not a CID"),
        (HELLO_WORLD[:-1], "not a CID"),
        (HELLO_WORLD + "a", "not a CID"),
        ("z" + HELLO_WORLD[1:], "not a CID"),
        (HELLO_WORLD.upper(), "not a CID"),
        (HELLO_WORLD[:20] + "1" + HELLO_WORLD[21:], "outside base32"),
        (HELLO_WORLD[:20] + "Ä" + HELLO_WORLD[21:], "outside base32"),
        (HELLO_WORLD[:20] + HELLO_WORLD[20:].upper(), "not the canonical text"),
        (HELLO_WORLD[:-1] + "f", "not the canonical text"),
        ("Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD", "version 0"),
        ("bafyrei" + HELLO_WORLD[7:], "codec 0x71"),
        ("bafkrgq" + HELLO_WORLD[7:], "sha2-256"),
    ],
)
def test_wrong_text_is_refused(text: str, cause: str) -> None:
    with pytest.raises(InvalidInput, match=cause):
        parse_cid(text)


@given(st.binary(max_size=40))
def test_arbitrary_bytes_are_refused_or_a_cid(value: bytes) -> None:
    try:
        cid = cid_from_bytes(value)
    except InvalidInput:
        return
    assert cid_bytes(cid) == value
