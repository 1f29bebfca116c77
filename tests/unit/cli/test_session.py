"""Output: what a name says is shown as it is, never taken for markup."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from headwater.cli.session import Session, Shown, table
from headwater.config import Config

HOSTILE = "[bold]x[/red] [link=http://evil.example]"


def session(tmp_path: Path, **options: Any) -> tuple[Session, io.StringIO]:
    out = io.StringIO()
    return Session(Config(tmp_path), False, Console(file=out, width=200), **options), out


def test_cells_titles_text_and_progress_are_shown_as_they_are(tmp_path: Path) -> None:
    """A Datanet may be called what its owner likes."""
    made, out = session(tmp_path)
    made.say(HOSTILE)
    made.show(Shown({}, HOSTILE, table(HOSTILE, ("name",), [(HOSTILE,)])))
    assert out.getvalue().count(HOSTILE) == 4


def test_with_json_progress_goes_to_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = Session(Config(tmp_path), True)
    made.say("half way")
    made.show(Shown({"done": True}, "words for people"))
    said = capsys.readouterr()
    assert (said.out.strip(), said.err.strip()) == ('{\n "done": true\n}', "half way")
