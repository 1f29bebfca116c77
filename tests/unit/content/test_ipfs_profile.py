"""`ipfs/apply_profile` hardens a repository's configuration, whole or not at all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

IPFS = Path(__file__).parents[3] / "ipfs"
FRESH: dict[str, Any] = {
    "Identity": {"PeerID": "12D3KooW", "PrivKey": "secret"},
    "Addresses": {
        "API": "/ip4/0.0.0.0/tcp/5001",
        "Swarm": ["/ip4/0.0.0.0/tcp/4001"],
        "Gateway": "/ip4/127.0.0.1/tcp/8080",
    },
    "Bootstrap": ["auto"],
    "DNS": {"Resolvers": {".": "auto"}},
    "Datastore": {"Spec": {"mounts": [{"child": {"type": "flatfs", "sync": True}}]}},
    "Swarm": {"ConnMgr": {"HighWater": 96}},
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "config").write_text(json.dumps(FRESH))
    return tmp_path


def apply(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(IPFS / "apply_profile"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


def config_of(repository: Path) -> Any:
    return json.loads((repository / "config").read_text())


def test_the_profile_is_written_over_what_was_there_and_nothing_else_changes(repository: Path) -> None:
    done = apply(repository)
    assert done.returncode == 0, done.stderr
    config = config_of(repository)
    assert config["Addresses"]["API"] == "/ip4/127.0.0.1/tcp/5001"
    assert config["Addresses"]["Gateway"] == config["Bootstrap"] == []
    assert config["DNS"]["Resolvers"] == {}
    assert config["Identity"] == FRESH["Identity"]
    assert config["Datastore"]["Spec"] == FRESH["Datastore"]["Spec"]
    assert config["Swarm"]["ConnMgr"] == {"HighWater": 96}
    assert "auto" not in (repository / "config").read_text()
    assert 'Bootstrap: ["auto"] -> []' in done.stdout
    assert (repository / "config").stat().st_mode & 0o077 == 0


def test_check_tells_a_difference_and_changes_nothing(repository: Path) -> None:
    assert apply(repository, "--check").returncode == 1
    assert config_of(repository) == FRESH
    apply(repository)
    done = apply(repository, "--check")
    assert (done.returncode, done.stdout) == (0, "nothing to change\n")


def test_the_token_opens_only_what_the_node_uses_and_is_not_printed(repository: Path, tmp_path: Path) -> None:
    done = apply(repository, "--token-file", tmp_path / "token")
    token = (tmp_path / "token").read_text().strip()
    user = config_of(repository)["API"]["Authorizations"]["headwater"]
    assert user["AuthSecret"] == f"bearer:{token}"
    assert "/api/v0/dag/import" in user["AllowedPaths"]
    assert not any(path.startswith("/api/v0/config") or path == "/api/v0" for path in user["AllowedPaths"])
    assert token not in done.stdout
    assert (tmp_path / "token").stat().st_mode & 0o077 == 0
    apply(repository, "--token-file", tmp_path / "token")
    assert config_of(repository)["API"]["Authorizations"]["headwater"] == user


@pytest.mark.parametrize(
    ("spoil", "cause"),
    [
        (lambda r: (r / "config").unlink(), "ipfs init"),
        (lambda r: (r / "api").write_text("/ip4/127.0.0.1/tcp/5001"), "stop it first"),
        (lambda r: (r / "config").write_text(json.dumps(FRESH).replace("true", "false")), "sync = false"),
    ],
)
def test_a_repository_that_must_not_be_changed_is_refused(repository: Path, spoil: Any, cause: str) -> None:
    spoil(repository)
    before = (repository / "config").read_text() if (repository / "config").exists() else None
    done = apply(repository)
    assert done.returncode == 1
    assert cause in done.stderr
    assert before == ((repository / "config").read_text() if before else None)


def test_the_import_settings_are_those_of_our_builder() -> None:
    from headwater.content.unixfs import CHUNK_BYTES, MAX_LINKS

    settings = json.loads((IPFS / "profile.json").read_text())["Import"]
    assert settings["UnixFSChunker"] == f"size-{CHUNK_BYTES}"
    assert settings["UnixFSFileMaxLinks"] == MAX_LINKS
    assert (settings["CidVersion"], settings["UnixFSRawLeaves"]) == (1, True)
