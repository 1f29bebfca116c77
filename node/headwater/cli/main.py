"""`headwater`: one entry, one noun a sub-command.

Exit codes: 0 done · 1 a proof does not hold · 2 bad input · 3 consistent, not fully checked · 4 not found ·
5 conflict · 6 refused by the rules · 7 something needed does not answer · 10 other.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

import typer

NOUNS: Final = (
    "assets",
    "wallet",
    "datanet",
    "model",
    "provider",
    "validator",
    "lane",
    "chain",
    "receipt",
    "epoch",
    "payout",
    "contracts",
    "config",
    "bench",
)
VERBS: Final = ("up", "demo", "serve", "proxy", "chat", "version")


def build() -> typer.Typer:
    """The whole command tree; each module of this room holds one noun or verb."""
    app = typer.Typer(
        name="headwater",
        help="Models whose knowledge has owners: a node, its contracts, and the way to pay.",
        epilog=__doc__.split("\n\n", 1)[1].strip() if __doc__ else None,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    for noun in NOUNS:
        app.add_typer(import_module(f"headwater.cli.{noun}").app, name=noun)
    for verb in VERBS:
        import_module(f"headwater.cli.{verb}").attach(app)
    return app


def run() -> None:
    """Entry point of the console script."""
    build()()
