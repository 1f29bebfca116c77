"""One answer in, its attribution out: the room's front door, for providers and validators alike.

In: a `GradientModel` and the index fitted on it; then prompt and answer as tokens. Out: the public int8 sketch and
the `AttributionBody`. One forward and one backward pass an answer, always alone and unpadded, so that who recomputes
it does the same arithmetic. Not safe for concurrent calls: one thread an `Attributor`.
"""

from __future__ import annotations

from collections.abc import Sequence

from headwater.attribution.features import GradientModel
from headwater.attribution.index import AttributionIndex
from headwater.attribution.score import Scorer, SoftInverse
from headwater.attribution.shares import attribution_body
from headwater.errors import VerificationFailed
from headwater.protocol.attribution import AttributionBody, Quotation
from headwater.protocol.tokens import LabelledTokens
from headwater.types import Digest, hex0x


class Attributor:
    """Holds model, sketch, Cholesky factor and scorer of one model version."""

    def __init__(self, model: GradientModel, index: AttributionIndex) -> None:
        """Raises VerificationFailed for an index of another base, checkpoint or method."""
        require_same_model(model, index)
        self.model, self.index = model, index
        self.scorer = Scorer(index)
        self._inverse = SoftInverse(index)
        self._sketch = model.sketch_of(index.head.sketch_seed)

    def sketch(self, tokens: LabelledTokens) -> bytes:
        """The public sketch of one answer: `sketch_width` int8. Raises InvalidInput for tokens that do not fit."""
        return self._inverse.query(self.model.features([tokens], self._sketch)[0])

    def attribute(
        self, tokens: LabelledTokens, receipt_digest: Digest, quotations: Sequence[Quotation] = ()
    ) -> AttributionBody:
        """Prompt and answer (its tokens from `answer_start` on) to the body that the provider signs."""
        return attribution_body(self.scorer, self.sketch(tokens), receipt_digest, quotations)


def require_same_model(model: GradientModel, index: AttributionIndex) -> None:
    """Raises VerificationFailed, naming what differs."""
    head, checkpoint = index.head, model.checkpoint
    for name, own, fitted in (
        ("base", checkpoint.adapter.base_digest, head.base_digest),
        ("checkpoint", checkpoint.digest, head.checkpoint_digest),
        ("method", model.method.digest(), head.method.digest()),
    ):
        if own != fitted:
            raise VerificationFailed(
                f"the index was fitted on another {name}: {hex0x(fitted)}, not {hex0x(own)}",
                "use the model version that the index belongs to",
            )
    if checkpoint.adam_beta2_ppm != head.adam_beta2_ppm:
        raise VerificationFailed(
            f"the index was fitted with beta2 = {head.adam_beta2_ppm} ppm, not {checkpoint.adam_beta2_ppm}",
            "pass the recipe of the index's model version",
        )
