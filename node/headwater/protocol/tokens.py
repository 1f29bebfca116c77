"""A prompt and its answer as token ids, with the place where the answer begins."""

from __future__ import annotations

from dataclasses import dataclass

from headwater.errors import InvalidInput
from headwater.protocol.codec import Document, Uint32


@dataclass(frozen=True, slots=True)
class LabelledTokens(Document):
    """`ids[answer_start:]` is the answer with its end mark: the tokens that carry loss."""

    ids: tuple[Uint32, ...]
    answer_start: Uint32

    def __post_init__(self) -> None:
        Document.__post_init__(self)
        if not 0 < self.answer_start < len(self.ids):
            raise InvalidInput("the example has no prompt or no answer", "give both at least one token")
