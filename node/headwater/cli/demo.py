"""`headwater demo`: the whole story on one machine, told by public commands only.

In: a home of its own, perhaps a seed. Out: the story on the screen (stderr where stdout carries JSON), one object
with every figure, exit 0 only if every check held. Run again after any interruption, it goes on where it was.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headwater.cli.demo_stage import Stage
from headwater.cli.demo_story import Plan, tell
from headwater.cli.session import Session, Shown, command
from headwater.errors import VerificationFailed


def attach(app: typer.Typer) -> None:
    @command(app, "demo")
    def demo(
        session: Session,
        seed: Annotated[str, typer.Option(help="Fixes wallets, salts, keys, nonces and block times.")] = "",
        quick: Annotated[
            bool, typer.Option("--quick", help="Small sizes: mechanics only, its scores mean nothing.")
        ] = False,
        counterfactual: Annotated[
            bool,
            typer.Option("--counterfactual", help="Also retrain without the top contributor, and without another."),
        ] = False,
    ) -> Shown:
        """Tell the whole story: contributions, training, paid answers, attribution, payouts, proofs."""
        home = session.config.home if _was_given(session) else Path.cwd() / "build" / "demo"
        plan = Plan(quick=quick, counterfactual=counterfactual)
        with Stage(home, seed, session.as_json, quick) as stage:
            story = tell(stage, plan)
        if not story.checks_held:
            failed = ", ".join(name for name, held in story.checks.items() if not held)
            raise VerificationFailed(f"these checks of the demo did not hold: {failed}", "read the story above")
        if quick:
            stage.say("\n--quick tests mechanics only: the scores above mean nothing.")
        return Shown(
            story.to_json(), f"\nEvery check held. The node's state is in {home}: `headwater up --home {home}`."
        )


def _was_given(session: Session) -> bool:
    """Whether the person named a home; the default home is never used for a demo."""
    return session.config.home != (Path.home() / ".headwater").absolute()
