"""The sample rows are the code book's, complete, and each answer stands once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from headwater.errors import NotFound
from headwater.modelfactory.samples import icd_rows, sample_rows


def test_the_poisoning_codes_are_the_996_of_the_reference(assets_dir: Path) -> None:
    rows = sample_rows("icd10-poisonings", assets_dir)
    assert len(rows) == len({r.answer for r in rows}) == len({r.prompt for r in rows}) == 996
    assert Counter(r.category for r in rows) == {"T36": 198, "T37": 144, "T38": 234, "T39": 162, "T40": 258}
    assert all(r.answer.startswith(r.category) and len(r.answer) == 8 for r in rows)
    by_code = {r.answer: r.prompt for r in rows}
    assert by_code["T36.0X1A"] == (
        "ICD-10-CM code: Poisoning by penicillins, accidental (unintentional), initial encounter"
    )
    assert by_code["T36.91XD"] == by_code["T36.91XA"].replace("initial", "subsequent")


def test_the_fracture_codes_are_the_2796_of_the_reference(assets_dir: Path) -> None:
    rows = sample_rows("icd10-fractures", assets_dir)
    assert len(rows) == len({r.answer for r in rows}) == 2_796
    assert {r.category for r in rows} == {"S52"}
    assert not any("\t" in r.prompt for r in rows)


def test_the_weaknesses_have_a_sentence_and_a_name(assets_dir: Path) -> None:
    rows = sample_rows("cwe", assets_dir)
    assert len(rows) > 900
    assert all(r.prompt.endswith(".") and r.answer and r.category for r in rows)


def test_unknown_names_are_refused(assets_dir: Path) -> None:
    with pytest.raises(NotFound, match="icd10-poisonings"):
        sample_rows("icd11", assets_dir)
    with pytest.raises(NotFound, match="Q99X"):
        icd_rows(assets_dir, ("T36", "Q99X"))
