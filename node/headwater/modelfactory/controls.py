"""Rules that an expert would write instead of training: the ceiling, where somebody has programmed the domain.

In: a question and the nearest record's answer. Out: an answer without any model. A rule belongs to one domain and
says itself whether it applies; for other data there is none, and the report says so. Add one by appending to
`RULES` whatever satisfies `RuleControl`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Protocol

from headwater.modelfactory.data import Example


class RuleControl(Protocol):
    """One domain's rule."""

    @property
    def name(self) -> str: ...

    def applies(self, examples: Sequence[Example]) -> bool:
        """Whether these training records are of the rule's domain."""
        ...

    def subject(self, prompt: str) -> str:
        """What the nearest record is searched by: the question without the words that the rule reads itself."""
        ...

    def answer(self, prompt: str, nearest_answer: str) -> str:
        """The rule's answer, given the answer of the record with the nearest subject."""
        ...


class PoisoningRule:
    """ICD-10-CM T36 to T50: the drug's stem from the nearest record, intent and encounter by word match.

    Written by reading the code book: six characters of drug (the sixth or seventh is the intent, with an X after it
    where the drug has only five), then the encounter.
    """

    name: Final = "icd10-poisonings"

    _CODE: Final = re.compile(r"T(?:3[6-9]|4[0-9]|50)\.[0-9A-Z]{4}")
    _KIND: Final = re.compile(r"(Poisoning by|Adverse effect of|Underdosing of)\s+")
    _INTENTS: Final = (
        ("accidental", "1"),
        ("intentional self-harm", "2"),
        ("assault", "3"),
        ("undetermined", "4"),
        ("adverse effect", "5"),
        ("underdosing", "6"),
    )
    _ENCOUNTERS: Final = (("initial encounter", "A"), ("subsequent encounter", "D"), ("sequela", "S"))
    _TAIL: Final = re.compile(
        r"(?:, (?:accidental \(unintentional\)|intentional self-harm|assault|undetermined))?"
        r"(?:, (?:initial encounter|subsequent encounter|sequela))?$"
    )

    def applies(self, examples: Sequence[Example]) -> bool:
        return bool(examples) and all(self._CODE.fullmatch(e.answer.strip()) for e in examples)

    def subject(self, prompt: str) -> str:
        kind = self._KIND.search(prompt)
        return self._TAIL.sub("", prompt[kind.end() :] if kind else prompt)

    def answer(self, prompt: str, nearest_answer: str) -> str:
        text = prompt.lower()
        intent = next((digit for words, digit in self._INTENTS if words in text), "1")
        encounter = next((letter for words, letter in self._ENCOUNTERS if words in text), "A")
        code = nearest_answer.strip()
        if code[6] == "X":
            return f"{code[:5]}{intent}X{encounter}"
        return f"{code[:6]}{intent}{encounter}"


RULES: Final[tuple[RuleControl, ...]] = (PoisoningRule(),)


def rule_for(examples: Sequence[Example], rules: Sequence[RuleControl] = RULES) -> RuleControl | None:
    """The first rule whose domain these records are of, or None."""
    return next((rule for rule in rules if rule.applies(examples)), None)
