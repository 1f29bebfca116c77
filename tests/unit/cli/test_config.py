"""`config show` and `config check`: every source in its order, no secret on the screen, the first clash by name."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from headwater.config import SECRET, Config

SECRETS = {"token": "a-very-secret-token", "seed": "a-very-secret-seed"}


def test_show_names_every_setting_and_hides_secrets(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {f.name for f in fields(Config) if f.metadata == SECRET} == SECRETS.keys()
    for name, value in SECRETS.items():
        monkeypatch.setenv(f"HEADWATER_{name.upper()}", value)
    shown, told = run("config", "show"), run("config", "show", "--json")
    assert told.json.keys() == {f.name for f in fields(Config)}
    assert {told.json[name] for name in SECRETS} == {"(set)"}
    for value in SECRETS.values():
        assert value not in shown.out + shown.err + told.out + told.err


def test_a_secret_that_is_not_set_says_so(run: Any) -> None:
    assert run("config", "show", "--json").json["token"] == "(not set)"


def test_the_environment_goes_before_the_file_and_the_file_before_defaults(
    run: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.mkdir(mode=0o700)
    (home / "headwater.toml").write_text("chain_id = 5\nproxy_port = 6\n", "utf-8")
    monkeypatch.setenv("HEADWATER_CHAIN_ID", "7")
    shown = run("config", "show", "--json").json
    assert (shown["chain_id"], shown["proxy_port"], shown["host"]) == (7, 6, "127.0.0.1")


def test_the_home_of_the_command_line_goes_before_the_environments(run: Any, tmp_path: Path) -> None:
    other = tmp_path / "other"
    assert run("config", "show", "--json", "--home", str(other)).json["home"] == str(other)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("colour = 1", "unknown setting 'colour'"),
        ("chain_id = 'x'", "whole number"),
        ("host = 5", "must be text"),
        ("= 1", "is not TOML"),
    ],
)
def test_a_setting_that_is_wrong_stops_every_command(run: Any, home: Path, text: str, words: str) -> None:
    home.mkdir(mode=0o700)
    (home / "headwater.toml").write_text(text, "utf-8")
    for command in (("config", "check"), ("wallet", "list")):
        done = run(*command)
        assert done.code == 2 and words in done.err


def test_check_passes_what_can_work(run: Any) -> None:
    assert run("config", "check", "--json").json == {"ok": True}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"api_port": "65536"}, "api_port = 65536 is not a port"),
        ({"rpc_port": "-1"}, "rpc_port = -1 is not a port"),
        ({"api_port": "9"}, "two servers share a port"),
        ({"keystore_kdf": "md5"}, "keystore_kdf = 'md5' is unknown"),
        ({"device": "abacus"}, "device = 'abacus' is unknown"),
        ({"seed": "1", "rpc_url": "http://127.0.0.1:1"}, "a seeded home needs the embedded chain"),
    ],
)
def test_check_names_the_first_that_cannot(
    run: Any, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], words: str
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"HEADWATER_{name.upper()}", value)
    done = run("config", "check", "--json")
    assert (done.code, done.error["code"]) == (2, "invalid_input")
    assert words in done.error["cause"]


def test_any_free_port_may_be_asked_for_more_than_once(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RPC_PORT", "API_PORT", "PROXY_PORT"):
        monkeypatch.setenv(f"HEADWATER_{name}", "0")
    assert run("config", "check").code == 0
