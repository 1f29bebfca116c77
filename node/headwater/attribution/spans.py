"""Quotation: which spans of an answer also stand, word for word, in a record. Shown beside the shares, never paid.

In: the records' token ids, then an answer's. Out: maximal verbatim spans, each with the first record that holds it.
A suffix array over all records (prefix doubling, Manber and Myers 1993) answers in microseconds a token whatever the
Datanet's size. It says who *said* it, not who *taught* it: attribution is another question with another answer.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headwater.errors import InvalidInput
from headwater.protocol.attribution import Quotation
from headwater.types import WHOLE_PPM, Ppm

MIN_TOKENS: Final = 5
"""Shorter spans are shared by chance."""


class SpanIndex:
    """All suffixes of all records, sorted. Records are numbered as in the attribution index."""

    def __init__(self, records: Sequence[Sequence[int]]) -> None:
        """Raises InvalidInput without records."""
        if not records:
            raise InvalidInput("there are no records to quote from", "pass at least one")
        self._shift = len(records)  # tokens start above the separators, one of its own for each record
        parts = [np.array([*(t + self._shift for t in r), i], np.int64) for i, r in enumerate(records)]
        self._text = np.concatenate(parts)
        self._record = np.repeat(np.arange(len(records)), [len(p) for p in parts])
        self._order = _suffix_array(self._text)

    def quotations(self, answer: Sequence[int], min_tokens: int = MIN_TOKENS) -> tuple[Quotation, ...]:
        """Spans of at least `min_tokens` tokens that no longer span contains, by start."""
        out: list[Quotation] = []
        end = 0
        for start in range(len(answer)):
            first, last, length = self._longest(answer, start)
            if length >= min_tokens and start + length > end:
                position = int(self._record[self._order[first:last]].min())
                out.append(Quotation(position, start, length))
            end = max(end, start + length)
        return tuple(out)

    def _longest(self, answer: Sequence[int], start: int) -> tuple[int, int, int]:
        """(first, last + 1) suffixes that share the longest prefix with answer[start:], and its length."""
        first, last, length = 0, len(self._order), 0
        while start + length < len(answer):
            wanted, depth = answer[start + length] + self._shift, length

            def token(suffix: np.int64, depth: int = depth) -> int:
                return int(self._text[suffix + depth])

            # The suffixes in [first, last) share `length` tokens and none is a separator, so depth stays in range.
            low = bisect_left(self._order, wanted, first, last, key=token)
            high = bisect_right(self._order, wanted, low, last, key=token)
            if low == high:
                break
            first, last, length = low, high, length + 1
        return first, last, length


def quotation_ppm(quotations: Sequence[Quotation], answer_tokens: int) -> Ppm:
    """The part of the answer's tokens that some span covers."""
    covered = {i for q in quotations for i in range(q.output_start, q.output_start + q.token_count)}
    return Ppm(len(covered) * WHOLE_PPM // answer_tokens) if answer_tokens else Ppm(0)


def _suffix_array(text: NDArray[np.int64]) -> NDArray[np.int64]:
    """Starting positions of all suffixes in order; ranks double their length each round."""
    _, rank = np.unique(text, return_inverse=True)
    n, length = len(text), 1
    while True:
        following = np.full(n, -1, np.int64)
        following[: n - length] = rank[length:]
        order = np.lexsort((following, rank))
        changed = (np.diff(rank[order]) != 0) | (np.diff(following[order]) != 0)
        rank = np.empty(n, np.int64)
        rank[order] = np.concatenate([[0], np.cumsum(changed)])
        length *= 2
        if length >= n or rank.max() == n - 1:
            return order.astype(np.int64)
