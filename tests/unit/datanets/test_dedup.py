"""Copies by case, white space or compatibility characters are copies; the first one leads."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headwater.datanets.dedup import answer_key, clusters, content_key, normalised
from headwater.protocol.contribution import Record
from headwater.testing import examples

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.text(
    "\u0399\u03a5\u03aa\u0391\u0301\u0308\u0345\u0331"
)
spaces = st.text(" \t\n\r\u00a0\u2003\u3000", min_size=1, max_size=3)
words = st.lists(st.text("abcxyzäöß0129.", min_size=1, max_size=6), min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Poisoning by IRON", "poisoning by iron"),
        ("a  b\t\nc ", " a b c"),
        ("\ufb01ne", "fine"),
        ("Ｔ36．0", "T36.0"),
        ("Straße", "STRASSE"),
        ("é", "e\u0301"),
        ("½ dose", "1⁄2 dose"),
        ("㎒", "mhz"),
    ],
    ids=["case", "space", "ligature", "full width", "sharp s", "accent", "fraction", "unit"],
)
def test_what_reads_alike_is_alike(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


def test_what_says_something_else_is_something_else() -> None:
    assert normalised("T36.0X1A") != normalised("T36.0X2A")
    assert content_key(Record("ab", "c")) != content_key(Record("a", "bc"))


@given(texts)
@example("\u03aa\u0301")
def test_a_normalised_copy_is_a_copy(text: str) -> None:
    """Idempotence: or a contributor could be paid for the normal form of somebody's record."""
    assert normalised(normalised(text)) == normalised(text)


@given(words, st.lists(spaces, min_size=6, max_size=6))
def test_white_space_of_any_kind_and_length_does_not_count(parts: list[str], gaps: list[str]) -> None:
    spread = gaps[-1] + "".join(p + g for p, g in zip(parts, gaps, strict=False))
    assert normalised(spread) == normalised(" ".join(parts))


@given(texts, st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_the_unicode_form_does_not_count(text: str, form: str) -> None:
    assert normalised(unicodedata.normalize(form, text)) == normalised(text)  # type: ignore[arg-type]


def test_the_first_commitment_of_a_content_leads_its_cluster() -> None:
    names = [examples.word(f"record {i}") for i in range(4)]
    rows = [Record("a", "b"), Record("x", "y"), Record(" A", "B "), Record("a", "c")]
    assert clusters(zip(names, rows, strict=True)) == {
        names[0]: names[0],
        names[1]: names[1],
        names[2]: names[0],
        names[3]: names[3],
    }


@given(st.lists(st.sampled_from("abc"), max_size=12))
def test_every_cluster_has_one_leader_and_it_comes_first(letters: list[str]) -> None:
    names = [examples.word(f"record {i}") for i in range(len(letters))]
    found = clusters((n, Record(letter, "answer")) for n, letter in zip(names, letters, strict=True))
    assert len(set(found.values())) == len(set(letters))
    assert all(names.index(leader) <= names.index(name) for name, leader in found.items())


def test_the_answer_alone_groups_a_compositional_split() -> None:
    assert answer_key(Record("one", "T36 ")) == answer_key(Record("two", "t36"))
    assert answer_key(Record("one", "T36")) != answer_key(Record("one", "T37"))
