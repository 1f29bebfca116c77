"""BM25, the control that needs no gradients: which records look most like the question and its answer.

In: texts and their owners, then a query. Out: float scores and a ranking, to stand beside the attribution so that a
reader sees what plain word overlap would have said. Never paid. Formula: Robertson and Zaragoza 2009, with
idf = ln(1 + (n - df + 0.5) / (df + 0.5)).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headwater.errors import InvalidInput
from headwater.types import Address, address_bytes

K1: Final = 1.2
B: Final = 0.75
_WORD: Final = re.compile(r"\w+")


def words(text: str) -> list[str]:
    """Lower-case runs of letters and digits."""
    return _WORD.findall(text.casefold())


class Bm25:
    """An inverted index over the records' words."""

    def __init__(self, documents: Sequence[Sequence[str]]) -> None:
        """`documents`: each record as words. Raises InvalidInput without records."""
        if not documents:
            raise InvalidInput("there are no records to rank", "pass at least one")
        lengths = np.array([len(d) for d in documents], np.float64)
        self._size = len(documents)
        self._norm = K1 * (1 - B + B * lengths / max(float(lengths.mean()), 1.0))
        postings: dict[str, list[tuple[int, int]]] = {}
        for i, document in enumerate(documents):
            for word, count in Counter(document).items():
                postings.setdefault(word, []).append((i, count))
        self._postings = {w: np.array(p, np.int64).T for w, p in postings.items()}

    def scores(self, query: Sequence[str]) -> NDArray[np.float64]:
        """One score a record, [n], >= 0. A word that occurs twice in the query counts twice."""
        out = np.zeros(self._size)
        for word in query:
            if word not in self._postings:
                continue
            records, counts = self._postings[word]
            idf = np.log1p((self._size - len(records) + 0.5) / (len(records) + 0.5))
            out[records] += idf * counts * (K1 + 1) / (counts + self._norm[records])
        return out

    def ranking(self, query: Sequence[str], limit: int) -> tuple[tuple[int, float], ...]:
        """(record, score) of the best `limit` records with a score above zero, best first, then lower number."""
        scores = self.scores(query)
        best = sorted(np.flatnonzero(scores > 0).tolist(), key=lambda i: (-scores[i], i))[:limit]
        return tuple((i, float(scores[i])) for i in best)


def owner_ranking(
    ranking: Sequence[tuple[int, float]], owners: Sequence[Address]
) -> tuple[tuple[Address, float], ...]:
    """Sums of a record ranking by owner, best first, then lower address."""
    sums: dict[Address, float] = {}
    for record, score in ranking:
        sums[owners[record]] = sums.get(owners[record], 0.0) + score
    return tuple(sorted(sums.items(), key=lambda item: (-item[1], address_bytes(item[0]))))
