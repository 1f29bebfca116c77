"""Arguments that cannot work are refused before any node, chain or wallet is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

ID = "0x" + "11" * 32
REGISTER = ("--owner", "w", "--train-job", "t", "--evaluation-job", "e")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("model", "train", ID, "--set", "epochs"), "is not name=number"),
        (("model", "train", ID, "--set", "epochs=x"), "is not name=number"),
        (("model", "train", ID, "--set", "epochs=-1"), "is not name=number"),
        (("model", "train", ID, "--data-split", "mine"), "no data split is called 'mine'"),
        (("model", "register", "no-slash", *REGISTER), "cannot be a name"),
        (("model", "register", "<script>/x", *REGISTER), "cannot be a name"),
        (("model", "register", "o/m", *REGISTER, "--price", "1e3"), "is not an amount of credits"),
        (("model", "register", "o/m", *REGISTER, "--price", "0.0000000000000000001"), "more than 18 decimals"),
        (("model", "register", "o/m", *REGISTER, "--price", "9" * 30), "beyond what the chain can hold"),
        (("lane", "open", "--user", "u", "--provider", "p", "--disclosure", "all"), "disclosure 'all' is unknown"),
        (("lane", "open", "--user", "u", "--provider", "p", "--credits", "-1"), "is not an amount of credits"),
        (("validator", "run"), "only single rounds are offered"),
        (("receipt", "verify", "x", "--root", "1:0x", "--rpc", "http://127.0.0.1:1"), "say the same"),
        (("serve",), "no rpc_url is set"),
    ],
)
def test_what_cannot_work_is_refused_at_once(run: Any, arguments: tuple[str, ...], words: str) -> None:
    done = run(*arguments, "--json")
    assert (done.code, done.error["code"]) == (2, "invalid_input")
    assert words in done.error["cause"]


CREATE = ("datanet", "create", "Plants", "--owner", "w", "--license-name", "L")


def test_a_licence_must_be_a_text_that_is_there(run: Any, tmp_path: Path) -> None:
    assert run(*CREATE, "--license-file", str(tmp_path / "none"), "--json").error["code"] == "not_found"
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    assert "is not UTF-8" in run(*CREATE, "--license-file", str(binary), "--json").error["cause"]
    good = tmp_path / "licence"
    good.write_text("You may.", "utf-8")
    odd = run(*CREATE, "--license-file", str(good), "--weakest-disclosure", "all", "--json")
    assert odd.code == 2 and "'all' is unknown" in odd.error["cause"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("r.txt", b"", "does not end in"),
        ("r.csv", b"", "no records"),
        ("r.csv", b"prompt\nx\n", ""),
        ("r.jsonl", b'{"prompt": "a"}\n', "line 1"),
        ("r.jsonl", b'{"prompt": "a", "prompt": "b", "answer": "c"}\n', "line 1"),
        ("r.jsonl", b'{"prompt": "\xff", "answer": "c"}\n', "not UTF-8"),
        ("r.json", b"{}", ""),
    ],
)
def test_records_are_read_before_the_node_is_asked(
    run: Any, tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    done = run("datanet", "contribute", ID, str(file), "--wallet", "w", "--yes", "--json")
    assert done.code == 2 and words in done.error["cause"]


def test_a_file_of_records_must_be_there(run: Any, tmp_path: Path) -> None:
    done = run("datanet", "contribute", ID, str(tmp_path / "gone.csv"), "--wallet", "w", "--json")
    assert (done.code, done.error["code"]) == (4, "not_found")
