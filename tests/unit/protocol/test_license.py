"""A licence states text, purposes and who reads; what contradicts itself is refused."""

from dataclasses import replace

import pytest

from headwater.errors import InvalidInput
from headwater.protocol.license import Disclosure, License, Purpose
from headwater.testing.examples import TERMS
from headwater.types import WHOLE_PPM, Ppm


def test_a_licence_survives_its_bytes_and_keeps_its_digest() -> None:
    again = License.from_bytes(TERMS.canonical_bytes())
    assert (again, again.digest()) == (TERMS, TERMS.digest())


@pytest.mark.parametrize("member", ["name", "text", "readers", "exit"])
def test_each_word_is_in_the_digest(member: str) -> None:
    assert replace(TERMS, **{member: "other"}).digest() != TERMS.digest()  # type: ignore[arg-type]


@pytest.mark.parametrize("changes", [{"text": ""}, {"text": " \n"}, {"purposes": ()}])
def test_text_and_a_purpose_are_needed(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidInput, match="text and at least one purpose"):
        replace(TERMS, **changes)  # type: ignore[arg-type]


def test_a_purpose_twice_is_refused() -> None:
    with pytest.raises(InvalidInput, match="twice"):
        replace(TERMS, purposes=(Purpose.TRAIN, Purpose.TRAIN))


def test_contributors_cannot_be_promised_more_than_the_whole() -> None:
    assert replace(TERMS, contributors_minimum_ppm=WHOLE_PPM).contributors_minimum_ppm == WHOLE_PPM
    with pytest.raises(InvalidInput, match="more than the whole"):
        replace(TERMS, contributors_minimum_ppm=Ppm(WHOLE_PPM + 1))


def test_the_numbers_of_disclosures_are_the_ones_on_chain() -> None:
    assert [(d.name, d.value) for d in Disclosure] == [("CONFIDENTIAL", 0), ("PUBLIC", 1), ("NONE", 2)]


def test_an_unknown_purpose_is_refused_by_name() -> None:
    raw = TERMS.to_json() | {"purposes": ["train", "resell"]}
    with pytest.raises(InvalidInput, match=r"purposes\[1\] must be one of"):
        License.from_json(raw)
