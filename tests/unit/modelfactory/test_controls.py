"""The expert's rule answers every code from the right drug, and knows when it is not its domain."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path

import pytest

from headwater.modelfactory.controls import PoisoningRule, rule_for
from headwater.modelfactory.data import Example
from headwater.modelfactory.samples import sample_rows
from headwater.types import Digest

RULE = PoisoningRule()


def example(prompt: str, answer: str) -> Example:
    return Example(Digest(hashlib.sha256(prompt.encode()).digest()), prompt, answer)


def test_given_any_record_of_the_drug_the_rule_is_right_for_all_codes(assets_dir: Path) -> None:
    rows = sample_rows("icd10-poisonings", assets_dir)
    drugs: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        drugs.setdefault(RULE.subject(row.prompt), []).append((row.prompt, row.answer))
    assert 50 < len(drugs) < 70
    for records in drugs.values():
        for (prompt, answer), (_, other) in itertools.product(records, records):
            assert RULE.answer(prompt, other) == answer


@pytest.mark.parametrize(
    ("answers", "found"),
    [(("T36.0X1A", "T50.996S"), True), (("T36.0X1A", "S52.001A"), False), (("T35.0X1A",), False), ((), False)],
)
def test_the_rule_is_of_its_domain_alone(answers: tuple[str, ...], found: bool) -> None:
    examples = [example(f"q{i}", a) for i, a in enumerate(answers)]
    assert (rule_for(examples) is not None) == found
