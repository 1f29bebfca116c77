"""What a check is worth: how likely sampling catches a fraud, and whether a claim is worth its gas."""

from __future__ import annotations

from dataclasses import dataclass


def probability_caught(receipts: int, fraudulent: int, drawn: int) -> float:
    """Chance that `drawn` distinct receipts out of `receipts` hold at least one of `fraudulent` (hypergeometric)."""
    if fraudulent <= 0 or drawn <= 0:
        return 0.0
    missed = 1.0
    for i in range(min(drawn, receipts)):
        honest_left = receipts - fraudulent - i
        if honest_left <= 0:
            return 1.0
        missed *= honest_left / (receipts - i)
    return 1.0 - missed


@dataclass(frozen=True, slots=True)
class ClaimWorth:
    """What a claim brings (credit wei) and what it costs (native wei): two currencies, shown side by side."""

    amount_wei: int
    gas: int
    gas_price_wei: int

    @property
    def cost_native_wei(self) -> int:
        return self.gas * self.gas_price_wei
