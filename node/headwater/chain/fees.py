"""What a transaction may cost: from the chain's state alone, so that a seeded run signs the same bytes twice.

In: base fee, estimated gas. Out: limits in gas and wei. Pure. Fees after EIP-1559: the base fee rises by at most
1/8 a block, so twice of it holds for five full blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from headwater.types import Wei

TIP_WEI: Final = Wei(10**8)
_GAS_MARGIN_PERCENT: Final = 120
_BUMP_NUMERATOR, _BUMP_DENOMINATOR = 9, 8
"""Nodes replace a transaction for 10 % more; an eighth is above that, also after rounding."""


@dataclass(frozen=True, slots=True)
class Fees:
    """Per unit of gas: at most `max_fee_wei`, of which up to `tip_wei` for whoever makes the block."""

    max_fee_wei: Wei
    tip_wei: Wei


def fees_at(base_fee_wei: int, tip_wei: int = TIP_WEI) -> Fees:
    return Fees(Wei(2 * base_fee_wei + tip_wei), Wei(tip_wei))


def bumped(fees: Fees, base_fee_wei: int) -> Fees:
    """An eighth more of both, and enough for the base fee of now."""
    return Fees(Wei(max(_more(fees.max_fee_wei), 2 * base_fee_wei + _more(fees.tip_wei))), Wei(_more(fees.tip_wei)))


def gas_limit(estimated: int) -> int:
    """A fixed fifth above the estimate: state may have moved when the transaction runs."""
    return estimated * _GAS_MARGIN_PERCENT // 100


def _more(amount: int) -> int:
    return -(-amount * _BUMP_NUMERATOR // _BUMP_DENOMINATOR)
