"""What a model can do on records it never saw, beside the controls, each with its interval."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from headwater.errors import InvalidInput
from headwater.protocol.codec import Bytes32, Document, PpmShare, Uint32
from headwater.protocol.snapshot import DataSplit
from headwater.types import WHOLE_PPM


class Contender(enum.Enum):
    """Who answered the held-out questions."""

    BASE = "base"
    BASE_RETRIEVAL = "base_retrieval"
    NEAREST = "nearest"
    RULE = "rule"
    TUNED = "tuned"


class Finding(enum.Enum):
    """What the intervals say, in one word."""

    USEFUL = "useful"
    """Tuned beats base, retrieval and nearest neighbour beyond the intervals."""
    RETRIEVE_INSTEAD = "retrieve_instead"
    """A look-up does at least as well: do not fine-tune for this."""
    NO_GAIN = "no_gain"
    """Tuned is not better than base beyond the intervals."""
    UNDECIDED = "undecided"
    """The intervals overlap: hold out more records."""


@dataclass(frozen=True, slots=True)
class Score(Document):
    """Exact matches of one contender; 95 % Wilson interval (Wilson 1927), rounded outwards."""

    contender: Contender
    correct: Uint32
    total: Uint32
    value_ppm: PpmShare
    low_ppm: PpmShare
    high_ppm: PpmShare

    def __post_init__(self) -> None:
        Document.__post_init__(self)
        if not 0 <= self.low_ppm <= self.value_ppm <= self.high_ppm <= WHOLE_PPM or self.correct > self.total:
            raise InvalidInput(f"the score of {self.contender.value} contradicts itself", "compute it again")


@dataclass(frozen=True, slots=True)
class EvaluationReport(Document):
    """Everything an evaluation claims; its digest is on chain with the version."""

    snapshot_ids: tuple[Bytes32, ...]
    data_split: DataSplit
    base_digest: Bytes32
    adapter_digest: Bytes32
    recipe_digest: Bytes32
    held_out_count: Uint32
    """Records on the held-out side of the split."""
    evaluated_count: Uint32
    """How many of them were asked, in the split's order."""
    scores: tuple[Score, ...]
    finding: Finding
    unused_snapshot_ids: tuple[Bytes32, ...]
    """Sealed snapshots of the same Datanets that were not used: a reader can see whether seals were shopped for."""
    answers_digest: Bytes32
    """sha2-256 of the canonical list of all answers, so that a drawn part can be replayed."""

    def score_of(self, contender: Contender) -> Score | None:
        return next((s for s in self.scores if s.contender is contender), None)
