"""A sealed record opens with its key alone, as itself alone, and never again once the key is destroyed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.content.encryption import OVERHEAD_BYTES, open_record, seal_record
from headwater.errors import ErasedContent, InvalidInput, NotFound, VerificationFailed
from headwater.signing.entropy import SeededEntropy, SystemEntropy
from headwater.testing.content_fakes import MemoryKeys
from headwater.types import Digest

HERE, ELSEWHERE = Digest(b"\x0a" * 32), Digest(b"\x0b" * 32)
ONE, TWO, NET = Digest(b"\x01" * 32), Digest(b"\x02" * 32), Digest(b"\x03" * 32)
RECORD = b'{"prompt":"Poisoning by heparin","answer":"T45.511A"}'


@given(st.binary(max_size=500), st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_every_record_comes_back(record: bytes, datanet_id: bytes, commitment: bytes) -> None:
    keys = MemoryKeys()
    blob = seal_record(record, Digest(datanet_id), Digest(commitment), keys, SystemEntropy())
    assert len(blob) == len(record) + OVERHEAD_BYTES
    assert open_record(blob, Digest(datanet_id), Digest(commitment), keys) == record


@given(st.integers(0, OVERHEAD_BYTES + len(RECORD) - 1), st.integers(1, 255))
def test_no_changed_byte_opens(at: int, change: int) -> None:
    keys = MemoryKeys()
    blob = bytearray(seal_record(RECORD, HERE, ONE, keys, SystemEntropy()))
    blob[at] ^= change
    with pytest.raises((VerificationFailed, InvalidInput)):
        open_record(bytes(blob), HERE, ONE, keys)


def test_the_same_record_under_two_commitments_shows_nothing_in_common() -> None:
    keys = MemoryKeys()
    one, two = (seal_record(RECORD, HERE, commitment, keys, SystemEntropy()) for commitment in (ONE, TWO))
    assert one[69:] != two[69:]
    assert RECORD not in one


def test_a_blob_does_not_open_as_another_record_or_in_another_datanet() -> None:
    keys = MemoryKeys()
    blob = seal_record(RECORD, HERE, ONE, keys, SystemEntropy())
    seal_record(RECORD, HERE, TWO, keys, SystemEntropy())
    for datanet_id, commitment in ((ELSEWHERE, ONE), (HERE, TWO)):
        with pytest.raises(InvalidInput, match="another commitment"):
            open_record(blob, datanet_id, commitment, keys)
    forged = blob[:37] + TWO + blob[69:]
    with pytest.raises(VerificationFailed):
        open_record(forged, HERE, TWO, keys)


def test_destroying_the_key_is_erasure() -> None:
    keys = MemoryKeys()
    blob = seal_record(RECORD, HERE, ONE, keys, SystemEntropy())
    keys.destroy(ONE)
    keys.destroy(ONE)
    with pytest.raises(ErasedContent):
        open_record(blob, HERE, ONE, keys)
    with pytest.raises(ErasedContent):
        seal_record(RECORD, HERE, ONE, keys, SystemEntropy())
    with pytest.raises(NotFound):
        open_record(seal_record(RECORD, HERE, TWO, MemoryKeys(), SystemEntropy()), HERE, TWO, keys)


def test_a_second_sealing_keeps_the_first_key_and_never_its_nonce() -> None:
    """Property of the derived nonce: the same bytes give the same blob, other bytes another nonce."""
    keys = MemoryKeys()
    first = seal_record(RECORD, HERE, ONE, keys, SystemEntropy())
    assert seal_record(RECORD, HERE, ONE, keys, SystemEntropy()) == first
    other = seal_record(b"other", HERE, ONE, keys, SystemEntropy())
    assert other[69:81] != first[69:81]
    assert open_record(other, HERE, ONE, keys) == b"other"
    assert open_record(first, HERE, ONE, keys) == RECORD


def test_one_key_under_two_headers_encrypts_differently() -> None:
    """Even if a broken source of randomness gave two records one key, their ciphertexts have nothing in common."""

    class Constant:
        def draw(self, label: str, size: int) -> bytes:
            return bytes(size)

    keys = MemoryKeys()
    one, two = (seal_record(RECORD, NET, commitment, keys, Constant()) for commitment in (ONE, TWO))
    assert one[69:81] != two[69:81]
    assert one[81:] != two[81:]


def test_a_seed_makes_blobs_repeatable() -> None:
    blobs = {seal_record(RECORD, HERE, ONE, MemoryKeys(), SeededEntropy("demo")) for _ in range(2)}
    assert len(blobs) == 1
    assert seal_record(RECORD, HERE, ONE, MemoryKeys(), SeededEntropy("other")) not in blobs


@pytest.mark.parametrize("blob", [b"", b"plain text", b"HWSR\x02" + bytes(200), b"HWSR\x01"])
def test_what_is_no_sealed_record_is_refused(blob: bytes) -> None:
    with pytest.raises(InvalidInput, match="not a sealed record"):
        open_record(blob, HERE, ONE, MemoryKeys())
