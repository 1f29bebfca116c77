"""Code in the documents runs: every block that follows `<!-- runnable -->`, and its output where one is shown.

A block of ```sh or ```python is run in an empty folder with this environment's commands on the PATH and a home of its
own. A block of ```text directly after it is what it prints, to the letter.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
MARK = "<!-- runnable -->"
BLOCK = re.compile(
    re.escape(MARK) + r"\n+```(?P<language>\w+)\n(?P<code>.*?)```(?:\n+```text\n(?P<output>.*?)```)?", re.DOTALL
)
SECONDS = 60


@dataclass(frozen=True)
class Snippet:
    place: str
    language: str
    code: str
    output: str | None


def snippets() -> list[Snippet]:
    found = []
    for page in PAGES:
        text = page.read_text("utf-8")
        for match in BLOCK.finditer(text):
            line = text[: match.start()].count("\n") + 1
            place = f"{page.relative_to(ROOT)}:{line}"
            found.append(Snippet(place, match["language"], match["code"], match["output"]))
    return found


SNIPPETS = snippets()


def test_every_mark_is_followed_by_a_block_that_is_run() -> None:
    marks = sum(line == MARK for page in PAGES for line in page.read_text("utf-8").splitlines())
    assert marks == len(SNIPPETS) > 0
    assert {s.language for s in SNIPPETS} <= {"sh", "python"}


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda s: s.place)
def test_snippet_runs_and_prints_what_the_page_shows(snippet: Snippet, tmp_path: Path) -> None:
    command = [sys.executable, "-"] if snippet.language == "python" else ["sh", "-eu"]
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HEADWATER_HOME": str(tmp_path / "home"),
    }
    done = subprocess.run(
        command, input=snippet.code, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == 0, done.stderr
    if snippet.output is not None:
        assert done.stdout == snippet.output
