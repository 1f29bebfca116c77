"""What every command has in common: `--home`, `--json`, configuration, output, errors with a next step.

In: a function `(session, **options) -> Shown`. Out: a typer command with the two options added. The function's
docstring is the help. Exit codes are those of `headwater.errors`; 0 = done.
"""

from __future__ import annotations

import inspect
import json as jsonlib
import os
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from headwater.config import Config, load_config
from headwater.errors import HeadwaterError


@dataclass(frozen=True, slots=True)
class Shown:
    """A command's result: the same facts for programs and for people."""

    data: Mapping[str, Any]
    text: str = ""
    table: Table | None = None
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class Session:
    """One invocation: its configuration and where it writes."""

    config: Config
    as_json: bool
    console: Console = field(default_factory=lambda: Console(soft_wrap=True))

    def say(self, line: str) -> None:
        """Something for people to read meanwhile; goes to stderr where stdout carries JSON."""
        if self.as_json:
            print(line, file=sys.stderr)
        else:
            self.console.print(line, highlight=False, markup=False)

    def show(self, shown: Shown) -> None:
        if self.as_json:
            print(jsonlib.dumps(shown.data, indent=1, default=str), flush=True)
            return
        if shown.text:
            self.console.print(shown.text, highlight=False, markup=False)
        if shown.table is not None:
            self.console.print(shown.table)


HOME = Annotated[Path | None, typer.Option("--home", help="Folder of the node's state (default ~/.headwater).")]
JSON = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Body = Callable[..., Shown]


def command(app: typer.Typer, name: str) -> Callable[[Body], Body]:
    """Register `body` as the command `name` of `app`."""

    def register(body: Body) -> Body:
        hints = typing.get_type_hints(body, include_extras=True)
        own = [
            p.replace(annotation=hints[p.name], kind=inspect.Parameter.KEYWORD_ONLY)
            for p in list(inspect.signature(body).parameters.values())[1:]
        ]
        common = [
            inspect.Parameter("home", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=HOME),
            inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=JSON),
        ]

        def run(**options: Any) -> None:
            as_json = bool(options.pop("json"))
            try:
                session = Session(load_config({"home": options.pop("home")}, os.environ), as_json)
                shown = body(session, **options)
            except HeadwaterError as error:
                fail(error, as_json)
            session.show(shown)
            if shown.exit_code:
                raise typer.Exit(shown.exit_code)

        run.__signature__ = inspect.Signature(own + common)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in own + common}
        app.command(name, help=inspect.getdoc(body))(run)
        return body

    return register


def fail(error: HeadwaterError, as_json: bool) -> NoReturn:
    """Print cause and next step, and leave with the error's exit code."""
    tell(error, as_json)
    raise typer.Exit(error.exit_code)


def tell(error: HeadwaterError, as_json: bool) -> None:
    """Cause and next step: for people on stderr, for programs as the one object on stdout."""
    if as_json:
        print(jsonlib.dumps({"error": error.to_json()}, indent=1, default=str), flush=True)
    else:
        print(f"error: {error.cause}\n  next: {error.next_step}", file=sys.stderr)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A table whose cells are shown as they are."""
    out = Table(title=Text(title), title_justify="left")
    for column in columns:
        out.add_column(column, overflow="fold")
    for row in rows:
        out.add_row(*(Text(str(cell)) for cell in row))
    return out
