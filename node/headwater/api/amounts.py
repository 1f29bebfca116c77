"""Amounts as people write and read them: credits with up to 18 decimals, exactly."""

from __future__ import annotations

from typing import Final

from headwater.errors import InvalidInput
from headwater.types import WEI_PER_CREDIT

DECIMALS: Final = 18
MAX_DIGITS: Final = 30
"""Of the whole credits: more than any contract of ours can hold."""


def credits_to_wei(text: str) -> int:
    """'1.5' credits -> wei, exactly. Raises InvalidInput."""
    whole, _, fraction = text.partition(".")
    if not _is_digits(whole) or (fraction and not _is_digits(fraction)):
        raise InvalidInput(f"{text[:80]!r} is not an amount of credits", "write digits, e.g. 2.5")
    if len(whole) > MAX_DIGITS:
        raise InvalidInput(f"an amount of {len(whole)} digits is beyond all credits", "write a smaller one")
    if len(fraction) > DECIMALS:
        raise InvalidInput(f"{text[:80]!r} has more than {DECIMALS} decimals", "round it")
    return int(whole) * WEI_PER_CREDIT + int(fraction.ljust(DECIMALS, "0"))


def in_credits(wei: int) -> str:
    """Wei as credits, exactly, without trailing zeros."""
    whole, rest = divmod(wei, WEI_PER_CREDIT)
    return f"{whole}.{rest:0{DECIMALS}d}".rstrip("0").rstrip(".")


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()
