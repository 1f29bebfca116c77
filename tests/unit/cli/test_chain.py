"""`chain`: where it stands, time that passes on the embedded one, and what is said when none answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headwater.chain.embedded import EmbeddedChain, Genesis
from headwater.clock import ManualClock
from headwater.testing.chains import AdvancingWaiter, served

START = 1_767_225_600


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """An embedded chain behind its RPC, where the home looks for one."""
    folder = tmp_path / "chain"
    folder.mkdir()
    clock = ManualClock(START)
    chain = EmbeddedChain(folder, Genesis(31337, {}, START), clock, AdvancingWaiter(clock))
    try:
        with served(chain) as server:
            made = server.url.rsplit(":", 1)[1]
            monkeypatch.setenv("HEADWATER_RPC_PORT", made)
            yield int(made)
    finally:
        chain.close()


def test_status_says_where_the_chain_stands(run: Any, port: int) -> None:
    told = run("chain", "status", "--json").json
    assert (told["chain_id"], told["height"], told["time"]) == (31337, 0, START)
    assert (told["rpc_url"], told["embedded"]) == (f"http://127.0.0.1:{port}", True)
    assert told["hash"] in run("chain", "status").out


def test_advance_lets_time_pass(run: Any, port: int) -> None:
    told = run("chain", "advance", "3600", "--json").json
    assert told["advanced_seconds"] == 3_600
    assert told["time"] >= START + 3_600
    assert run("chain", "status", "--json").json["time"] == told["time"]


@pytest.mark.parametrize("seconds", ["-1", "0"])
def test_time_does_not_run_backwards(run: Any, port: int, seconds: str) -> None:
    before = run("chain", "status", "--json").json["time"]
    run("chain", "advance", "--json", "--", seconds)
    assert run("chain", "status", "--json").json["time"] >= before


def test_another_chains_id_is_refused(run: Any, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_CHAIN_ID", "1")
    done = run("chain", "status", "--json")
    assert done.code != 0 and "1" in done.error["cause"]


@pytest.mark.parametrize("verb", [("status",), ("advance", "5")])
def test_no_chain_is_told_with_the_next_step(run: Any, verb: tuple[str, ...]) -> None:
    done = run("chain", *verb, "--json")
    assert (done.code, done.error["code"]) == (7, "unavailable")
