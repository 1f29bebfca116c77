"""`receipt verify` without node, chain or network: 3 = consistent, 0 = under a trusted root, 1 = which link broke."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from headwater.testing import examples
from headwater.types import hex0x

EXPORT = examples.export()
FILE = EXPORT.canonical_bytes() + b"\n"


@pytest.fixture
def verify(run: Any, tmp_path: Path) -> Any:
    def call(data: bytes, *options: str) -> Any:
        file = tmp_path / "receipt.json"
        file.write_bytes(data)
        return run("receipt", "verify", str(file), *options, "--json")

    return call


def root() -> str:
    assert EXPORT.place is not None
    return f"{EXPORT.place.epoch.epoch_id}:{hex0x(EXPORT.place.epoch.digest())}"


def test_without_a_root_a_good_file_is_consistent_and_exits_3(verify: Any) -> None:
    done = verify(FILE)
    assert (done.code, done.json["anchored"]) == (3, False)
    assert "consistent" in done.json["summary"] and "chain not checked" in done.json["summary"]


def test_under_the_root_that_one_trusts_it_is_verified_and_exits_0(verify: Any) -> None:
    done = verify(FILE, "--root", root())
    assert (done.code, done.json["anchored"]) == (0, True)
    assert len(done.json["links"]) > 3


def test_a_person_reads_every_link_that_holds(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "receipt.json"
    file.write_bytes(FILE)
    done = run("receipt", "verify", str(file), "--root", root())
    assert done.out.count("  ok  ") > 3


def test_under_another_root_or_epoch_it_exits_1(verify: Any) -> None:
    number, _, digest = root().partition(":")
    for other in (f"{number}:{hex0x(examples.word('other'))}", f"{int(number) + 1}:{digest}"):
        done = verify(FILE, "--root", other)
        assert (done.code, done.error["code"]) == (1, "verification_failed")
        assert "broken link" in done.error["cause"]


def test_a_changed_byte_names_the_broken_link_and_exits_1(verify: Any) -> None:
    changed = re.sub(rb'"price":"\d+"', b'"price":"1"', FILE)
    assert changed != FILE
    done = verify(changed)
    assert done.code == 1 and done.error["cause"].startswith("broken link: ")
    assert done.error["link"]


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b"[1]", FILE + b" "])
def test_what_is_no_export_exits_1(verify: Any, data: bytes) -> None:
    assert verify(data).code == 1


@pytest.mark.parametrize("text", ["x", "1", "1:0x12", ":0x" + "11" * 32, "-1:0x" + "11" * 32, "1:"])
def test_a_root_that_is_none_is_bad_input(verify: Any, text: str) -> None:
    assert verify(FILE, "--root", text).code == 2


def test_a_chain_that_does_not_answer_is_not_a_broken_receipt(verify: Any) -> None:
    done = verify(FILE, "--rpc", "http://127.0.0.1:9")
    assert (done.code, done.error["code"]) == (7, "unavailable")


def test_a_file_that_is_not_there_is_told(run: Any, tmp_path: Path) -> None:
    assert run("receipt", "verify", str(tmp_path / "none"), "--json").error["code"] == "not_found"
