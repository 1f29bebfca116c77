"""From exact scores to who is paid: the rows that count, and the public body.

In: an index with its scorer, and a public sketch. Out: an `AttributionBody`. Only rows whose dot product with the
sketch is above the noise floor count; copies never do. Of these the method's `listed_rows` rows of most mass are
listed. How they are divided stands in `protocol.influence`: a contract and a reader without an index repeat it.
"""

from __future__ import annotations

from collections.abc import Sequence

from headwater.attribution.score import Scorer
from headwater.protocol.attribution import AttributionBody, Quotation, RowScore
from headwater.protocol.influence import divide, score_of
from headwater.types import Digest


def attribution_body(
    scorer: Scorer, sketch: bytes, receipt_digest: Digest, quotations: Sequence[Quotation] = ()
) -> AttributionBody:
    """The public body of one answer's attribution. Raises InvalidInput for a malformed sketch."""
    index = scorer.index
    floor = scorer.floor(sketch)
    listed = listed_rows(scorer, sketch, floor)
    division = divide(listed, floor, index.method.record_cap_ppm)
    return AttributionBody(
        receipt_digest=receipt_digest,
        method_id=index.method.digest(),
        index_root=index.root,
        sketch=sketch,
        floor=floor,
        scores=listed,
        shares=division.shares,
        base_ppm=division.base_ppm,
        quotations=tuple(quotations),
    )


def listed_rows(scorer: Scorer, sketch: bytes, floor: int) -> tuple[RowScore, ...]:
    """The rows of most mass above the floor, most first, then lower position first."""
    products, leaves = scorer.products(sketch), scorer.index.leaves
    candidates = ((products > floor) & (scorer.index.divisors > 0)).nonzero()[0].tolist()
    rows = [score_of(leaves[i], int(products[i])) for i in candidates]
    return tuple(sorted(rows, key=lambda r: r.order)[: scorer.index.method.listed_rows])
