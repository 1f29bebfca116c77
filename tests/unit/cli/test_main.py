"""The tree of commands: what is unknown or malformed is told like every other error, with its exit code."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from headwater.cli.main import NOUNS, VERBS

WRONG = {
    "an unknown noun": (("modl",), "No such command 'modl'"),
    "an unknown verb": (("model", "trian"), "Did you mean 'train'?"),
    "an unknown option": (("config", "show", "--colour"), "No such option: --colour"),
    "a missing argument": (("datanet", "show"), "Missing argument"),
    "a missing option": (("lane", "open", "--user", "u"), "Missing option '--provider'"),
    "a number that is none": (("chain", "advance", "soon"), "Invalid value for"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_call_says_what_is_wrong_and_where_help_is(run: Any, case: str) -> None:
    arguments, words = WRONG[case]
    done = run(*arguments)
    assert (done.code, done.out) == (2, "")
    assert words in done.err and "--help" in done.err and "Traceback" not in done.err


@pytest.mark.parametrize("case", WRONG)
def test_with_json_a_wrong_call_is_one_object_on_stdout(run: Any, case: str) -> None:
    arguments, words = WRONG[case]
    done = run(*arguments, "--json")
    assert (done.code, done.err) == (2, "")
    assert done.error["code"] == "invalid_input"
    assert words in done.error["cause"] and "--help" in done.error["next_step"]


@pytest.mark.parametrize("noun", NOUNS)
def test_a_noun_alone_prints_its_verbs(run: Any, noun: str) -> None:
    done = run(noun)
    assert done.code == 2
    assert "Usage" in done.out + done.err and "error:" not in done.err


@pytest.mark.parametrize("name", (*NOUNS, *VERBS))
def test_every_command_has_help(run: Any, name: str) -> None:
    assert run(name, "--help").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("chain", "status"), 7, "unavailable"),
        (("model", "list"), 7, "unavailable"),
        (("model", "train", "0x" + "11" * 32), 7, "unavailable"),
        (("wallet", "list", "--home", "/dev/null"), 2, "invalid_input"),
        (("wallet", "export", "nobody", "/tmp/x"), 4, "not_found"),
    ],
)
def test_errors_of_commands_have_their_code_for_people_and_programs(
    run: Any, arguments: tuple[str, ...], code: int, words: str
) -> None:
    shown, told = run(*arguments), run(*arguments, "--json")
    assert shown.code == told.code == code
    assert shown.err.startswith("error: ") and "\n  next: " in shown.err
    assert told.error["code"] == words
    assert told.error["cause"] in shown.err and told.error["next_step"] in shown.err


def test_most_nouns_start_without_the_model_library() -> None:
    """It takes ten seconds to load on a busy machine; a look at one's wallets must not wait for it."""
    quick = [n for n in (*NOUNS, "up", "serve", "version") if n not in ("assets", "bench")]
    script = f"import sys\nfor n in {quick}: __import__('headwater.cli.' + n)\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)
