"""The terms under which a Datanet's records may be used, as its owner states them and contributors sign them."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from headwater.errors import InvalidInput
from headwater.protocol.codec import Document, PpmShare
from headwater.types import WHOLE_PPM


class Disclosure(enum.Enum):
    """Who may see the prompts and answers of a lane (PROTOCOL.md §3.6); the number is the one on chain."""

    CONFIDENTIAL = 0
    PUBLIC = 1
    NONE = 2


class Purpose(enum.Enum):
    TRAIN = "train"
    EVALUATE = "evaluate"
    RETRIEVE = "retrieve"
    QUOTE = "quote"


@dataclass(frozen=True, slots=True)
class License(Document):
    """A Datanet's licence manifest; `digest()` is on chain and in every Contribution."""

    name: str
    """A human name, e.g. an SPDX identifier or 'Drug safety coding licence 1'."""
    text: str
    """The whole licence text."""
    purposes: tuple[Purpose, ...]
    commercial: bool
    readers: str
    """Who can read the records, in one sentence."""
    exit: str
    """How to leave, in one sentence."""
    contributors_minimum_ppm: PpmShare
    """Least part of a price that goes to contributors."""
    weakest_disclosure: Disclosure
    """The weakest lane disclosure under which models trained on these records may answer."""

    def __post_init__(self) -> None:
        Document.__post_init__(self)
        if not self.text.strip() or not self.purposes:
            raise InvalidInput("a licence needs its text and at least one purpose", "state both")
        if len(set(self.purposes)) != len(self.purposes):
            raise InvalidInput("a licence names a purpose twice", "name each once")
        if self.contributors_minimum_ppm > WHOLE_PPM:
            raise InvalidInput("a licence promises contributors more than the whole price", "at most 1,000,000 ppm")
