"""`headwater`: one entry, one noun a sub-command.

Exit codes: 0 done · 1 a proof does not hold · 2 bad input · 3 consistent, not fully checked · 4 not found ·
5 conflict · 6 refused by the rules · 7 something needed does not answer · 10 other.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException
from typer.main import get_command, get_group

from headwater.cli.session import tell
from headwater.errors import InvalidInput, Refused

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


class LazyGroup(TyperGroup):
    """Imports a noun's module when it is named: most commands need no model library, and start at once."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*NOUNS, *VERBS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in NOUNS:
            noun = get_group(import_module(f"headwater.cli.{cmd_name}").app)
            noun.name = cmd_name
            return noun
        if cmd_name not in VERBS:
            return None
        single = typer.Typer(add_completion=False)
        import_module(f"headwater.cli.{cmd_name}").attach(single)
        return get_command(single)


def build() -> Any:
    """The whole command tree, as typer's own kind of command; each module of this room holds one noun or verb."""
    app = typer.Typer(
        name="headwater",
        cls=LazyGroup,
        help="Models whose knowledge has owners: a node, its contracts, and the way to pay.",
        epilog=__doc__.split("\n\n", 1)[1].strip() if __doc__ else None,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    app.callback()(lambda: None)
    return get_command(app)


def run() -> None:
    """Entry point of the console script."""
    # Before any numerical library loads: its idle threads must sleep, or two busy programs slow each other tenfold.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """Carry out one command; its exit code. A wrong call is told like any other error, as JSON if that was asked."""
    try:
        return int(build()(list(arguments), standalone_mode=False) or 0)
    except TyperException as error:
        cause = error.format_message().rstrip(".")
        if not cause:  # a noun without a verb: its help has been printed
            return InvalidInput.exit_code
        tell(InvalidInput(cause, f"see `headwater {_where(arguments)}--help`"), "--json" in arguments)
        return InvalidInput.exit_code
    except typer.Abort:
        tell(Refused("it was stopped before its end", "run it again: what was done is kept"), "--json" in arguments)
        return Refused.exit_code


def _where(arguments: Sequence[str]) -> str:
    """The noun and verb of a call that go before `--help`, as far as they are known."""
    noun = arguments[0] if arguments and arguments[0] in (*NOUNS, *VERBS) else ""
    return f"{noun} " if noun else ""
