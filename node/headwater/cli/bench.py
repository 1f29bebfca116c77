"""`headwater bench`: measurements that anybody can repeat."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.bench import BENCHMARKS, run_benchmark
from headwater.cli.session import Session, Shown, table


def build() -> typer.Typer:
    from headwater.cli.session import command

    group = typer.Typer(help="Measure; figures, hardware and versions are printed together.", no_args_is_help=True)

    @command(group, "list")
    def list_all(session: Session) -> Shown:
        """List the benchmarks."""
        rows = [(b.name, b.what) for b in BENCHMARKS.values()]
        return Shown({"benchmarks": dict(rows)}, table=table("Benchmarks", ("name", "what it measures"), rows))

    for entry in BENCHMARKS.values():

        def run(
            session: Session,
            quick: Annotated[bool, typer.Option("--quick", help="Correctness only; small sizes.")] = False,
            name: Annotated[str, typer.Option(hidden=True)] = entry.name,
        ) -> Shown:
            result = run_benchmark(name, quick)
            return Shown(result, "\n".join(f"{k:<32} {v}" for k, v in result.items()))

        run.__doc__ = entry.what
        command(group, entry.name)(run)
    return group


app = build()
