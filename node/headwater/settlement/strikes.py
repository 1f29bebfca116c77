"""From validators' findings to the receipts that are refunded (PROTOCOL.md §6.3).

In: for each receipt the findings of the validators that drew it, with their stake. Out: the strike list in the
receipts' order. A strike refunds a user; it never slashes anybody.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from headwater.protocol.epoch import TOLERANCE_PPM, SignedReceipt, StrikeLeaf
from headwater.types import Digest


@dataclass(frozen=True, slots=True)
class WeightedFinding:
    """One validator's word on one receipt, with its stake in the set."""

    stake_wei: int
    error_ppm: int
    undelivered: bool

    @property
    def is_bad(self) -> bool:
        return self.undelivered or self.error_ppm > TOLERANCE_PPM


def strike_list(
    receipts: Sequence[SignedReceipt],
    findings: Mapping[Digest, Sequence[WeightedFinding]],
    revoked: Collection[tuple[Digest, int]] = (),
) -> tuple[StrikeLeaf, ...]:
    """Struck: bad for more than half of the drawn stake; excess error takes the provider's whole version along.

    `revoked`: versions (model id, version) whose grace is over; their receipts are struck whatever was found.
    """
    guilty: set[tuple[str, Digest, int]] = set()
    direct: dict[Digest, StrikeLeaf] = {}
    for position, signed in enumerate(receipts):
        name, words = signed.receipt.digest(), findings.get(signed.receipt.digest(), ())
        bad = sum(w.stake_wei for w in words if w.is_bad)
        if 2 * bad <= sum(w.stake_wei for w in words):
            continue
        wrong = sum(w.stake_wei for w in words if w.is_bad and not w.undelivered)
        is_undelivered = 2 * wrong <= bad
        direct[name] = StrikeLeaf(position, name, max(w.error_ppm for w in words), is_undelivered)
        if not is_undelivered:
            guilty.add(_provider_version(signed))
    return tuple(
        direct.get(s.receipt.digest(), StrikeLeaf(position, s.receipt.digest(), 0, False))
        for position, s in enumerate(receipts)
        if s.receipt.digest() in direct
        or _provider_version(s) in guilty
        or (s.receipt.model_id, s.receipt.version) in revoked
    )


def _provider_version(signed: SignedReceipt) -> tuple[str, Digest, int]:
    return signed.receipt.provider, signed.receipt.model_id, signed.receipt.version
