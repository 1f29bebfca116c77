"""Paying over a lane: the voucher that answers a receipt, and what a provider accepts before serving more.

In: a lane's terms and position, what the chain has allocated. Out: the voucher to sign; or the word that one is
good; or how much credit is missing, in wei.
"""

from __future__ import annotations

from headwater.errors import NotEnoughCredit, Refused, VerificationFailed
from headwater.protocol.signatures import require_signer
from headwater.protocol.typed_data import Domain
from headwater.protocol.voucher import Voucher
from headwater.settlement.receipts import LanePosition, LaneTerms
from headwater.types import WEI_PER_CREDIT, Signature


def voucher_for(terms: LaneTerms, position: LanePosition) -> Voucher:
    """What the session key signs after checking the receipt that led to `position`."""
    return Voucher(terms.lane_id, position.cumulative_wei, position.head)


def check_voucher(
    voucher: Voucher, signature: Signature, escrow: Domain, terms: LaneTerms, known: LanePosition
) -> None:
    """The provider's check. Raises BadSignature, VerificationFailed or NotEnoughCredit.

    `known`: the lane's position by the provider's own books; a voucher must name one of its receipts, and the
    caller compares it with the newest.
    """
    if voucher.lane_id != terms.lane_id:
        raise VerificationFailed("the voucher names another lane", "sign one for this lane")
    require_signer(voucher.signing_digest(escrow), signature, terms.session_key, "the voucher")
    if voucher.cumulative > known.cumulative_wei:
        raise VerificationFailed(
            f"the voucher pays {voucher.cumulative} wei, the lane's receipts add up to {known.cumulative_wei}",
            "sign exactly what the receipts add up to",
        )
    if voucher.cumulative > terms.allocated_wei:
        raise _missing(voucher.cumulative - terms.allocated_wei)


def require_credit(terms: LaneTerms, known: LanePosition, worst_price_wei: int) -> None:
    """Raise NotEnoughCredit unless the lane's allocation covers the dearest answer that the request allows."""
    missing = known.cumulative_wei + worst_price_wei - terms.allocated_wei
    if missing > 0:
        raise _missing(missing)


def require_vouchered(known: LanePosition, vouchered_wei: int, limit_wei: int) -> None:
    """Raise Refused when more than `limit_wei` of served answers have no voucher yet."""
    unpaid = known.cumulative_wei - vouchered_wei
    if unpaid > limit_wei:
        raise Refused(
            f"{unpaid} wei of answers on this lane have no voucher, the provider's limit is {limit_wei}",
            "send the voucher for the last receipt first",
            unpaid_wei=str(unpaid),
        )


def _missing(wei: int) -> NotEnoughCredit:
    return NotEnoughCredit(
        f"the lane lacks {wei} wei ({wei / WEI_PER_CREDIT:.6f} credits)",
        "top the lane up with `headwater lane open --top-up`, or ask for fewer tokens",
        missing_wei=str(wei),
    )
