"""What the protocol's transactions cost, beside what others published: the page docs/GAS.md.

In: `gas.json` of this package, which tests hold equal to tests/gas/snapshot.json (measured on py-evm, exact). Out:
rows, and the page as Markdown. The published figures are those that the design was drawn from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final


@dataclass(frozen=True, slots=True)
class Compared:
    """A figure's aim and what is known of others. Empty: none."""

    aim: int | None = None
    published: str = ""


FEES: Final = "21,000 a transaction"
COMPARED: Final[Mapping[str, Compared]] = {
    "propose": Compared(65_000),
    "commit, one signer": Compared(52_000, "OCR: one report a round instead of one transaction a node"),
    "commit, each further signer": Compared(7_000, "EIP-712 hash and ecrecover: 6,000 to 8,000 quoted"),
    "settle, a new payee of 500": Compared(None, "24,946 a new holder (GasliteDrop, 1,000 recipients)"),
    "settle, a repeated payee of 500": Compared(10_500, "8,622 plain push to known holders, measured"),
    "claim at depth 17, repeated": Compared(
        68_000, "91,650 first claim (Uniswap, 100,000 leaves); 63,140 naive repeat"
    ),
    "anchor, one signed batch": Compared(32_000, "30,486 chained event, measured without storage"),
}


def figures() -> dict[str, int]:
    """Name -> gas of a whole transaction, in the steady state."""
    return dict(json.loads((files("headwater.bench") / "gas.json").read_text("utf-8")))


def rows() -> list[tuple[str, str, str, str]]:
    """Name, gas, aim (with what is missing), published."""
    made = []
    for name, gas in figures().items():
        compared = COMPARED.get(name, Compared())
        over = "" if compared.aim is None or gas <= compared.aim else f" (missed by {gas - compared.aim:,})"
        aim = "" if compared.aim is None else f"{compared.aim:,}{over}"
        made.append((name, f"{gas:,}", aim, compared.published))
    return made


def page() -> str:
    """docs/GAS.md."""
    lines = "".join(f"| {' | '.join(row)} |\n" for row in rows())
    return (
        "# What transactions cost\n\n"
        f"Gas of whole transactions ({FEES} included) on py-evm under Prague's rules, exact to the unit, in the "
        "steady state: the ring has gone round, accounts and keys are known. Measured by `tests/gas/measure.py`; "
        "`tests/contracts/test_gas.py` fails on any change and says why an aim is missed. "
        "`headwater contracts gas --page` writes this page.\n\n"
        "| transaction | gas | aim | published by others |\n| --- | --- | --- | --- |\n" + lines
    )
