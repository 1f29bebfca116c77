"""What goes back to users although nobody was struck (PROTOCOL.md §5, §6.6): by the chain's own numbers, no choice.

In: what the registry and the escrow say, the epoch's number, the ledger's R. Out: whether a receipt of a revoked
version is refunded, and what a closed lane gets back. Pure; proposers and validators compute the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from headwater.errors import VerificationFailed
from headwater.protocol.epoch import LaneRow
from headwater.types import Wei


def is_past_grace(epoch_id: int, since_epoch: int, refund_after_epochs: int) -> bool:
    """Whether `epoch_id` comes more than R epochs after `since_epoch`; 0 = that never began."""
    return since_epoch != 0 and epoch_id > since_epoch + refund_after_epochs


@dataclass(frozen=True, slots=True)
class LaneClosing:
    """A lane as the escrow holds it, once nothing about it can change."""

    redeemed_wei: int
    closed_in_epoch: int
    """`CreditEscrow.laneOf(...).closedInEpoch`; 0 while vouchers may still come."""


def refunded_row(row: LaneRow, lane: LaneClosing, epoch_id: int, refund_after_epochs: int) -> LaneRow:
    """The lane's row after this epoch's refund: what was redeemed and R epochs after its close still is not covered.

    Counted from the close, because only then what was redeemed stands still: a refund can be checked at any later
    time. Raises VerificationFailed if more is covered and refunded than was redeemed.
    """
    settled = row.covered + row.refunded
    if settled > lane.redeemed_wei:
        raise VerificationFailed(
            f"lane 0x{row.lane_id.hex()[:12]} is covered and refunded above what its vouchers redeemed",
            "do not sign this epoch; prove the fault on chain",
        )
    if not is_past_grace(epoch_id, lane.closed_in_epoch, refund_after_epochs):
        return row
    return replace(row, refunded=Wei(row.refunded + lane.redeemed_wei - settled))
