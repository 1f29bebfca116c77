"""A real Kubo core judges our CIDs, pins what we built, and is read by us."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headwater.content.car import Block
from headwater.content.cid import cid_bytes
from headwater.content.reading import reachable
from headwater.content.store import LocalStore
from headwater.content.unixfs import CHUNK_BYTES
from headwater.testing.content_fakes import formula_chunks
from headwater.types import Cid

pytestmark = pytest.mark.slow
VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text("utf-8"))


def write(path: Path, content: Any) -> Path:
    """Bytes by formula if `content` is a number; a file or a folder of files otherwise."""
    if isinstance(content, dict):
        path.mkdir()
        for name, child in content.items():
            write(path / name, child)
    elif isinstance(content, str):
        path.write_text(content, "utf-8")
    else:
        with path.open("wb") as file:
            file.writelines(formula_chunks(content))
    return path


def block_path(repository: Path, cid: Cid) -> Path:
    """Where Kubo keeps a block: by its multihash, two letters from the end naming the folder."""
    key = base64.b32encode(cid_bytes(cid)[2:]).decode().rstrip("=")
    return repository / "blocks" / key[-3:-1] / f"{key}.data"


def place_blocks(repository: Path, blocks: Iterator[Block]) -> None:
    """Write blocks into a stopped repository, which is what importing an archive does."""
    for block in blocks:
        path = block_path(repository, block.cid)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(block.data)
    (repository / "blocks" / "SHARDING").write_text("/repo/flatfs/shard/v1/next-to-last/2\n")


def test_the_vectors_are_what_the_core_says(kubo_core: Callable[[Path], Any], tmp_path: Path) -> None:
    core = kubo_core(tmp_path / "kubo" / "repository")
    for number, vector in enumerate(VECTORS["files"]):
        path = write(tmp_path / f"file-{number}", vector["bytes"])
        assert core.ask("hash", str(path)) == vector["cid"], vector["bytes"]
        path.unlink()
    for number, vector in enumerate(VECTORS["folders"]):
        assert core.ask("hash", str(write(tmp_path / f"folder-{number}", vector["entries"]))) == vector["cid"]


def test_the_core_pins_and_reads_what_we_built(kubo_core: Callable[[Path], Any], tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    content = b"".join(formula_chunks(3 * CHUNK_BYTES + 5))
    cid = store.put({"weights": content, "config": b"{}"})
    repository = tmp_path / "kubo" / "repository"
    kubo_core(repository).stop()
    place_blocks(repository, store.blocks(cid))
    core = kubo_core(repository)
    assert core.ask("pin", cid) == 0
    assert cid in core.ask("ls")
    assert core.ask("get", cid, str(tmp_path / "out")) == 0
    assert (tmp_path / "out" / "weights").read_bytes() == content
    assert core.ask("unpin", cid) == 0
    assert cid not in core.ask("ls")


def test_we_read_what_the_core_added(kubo_core: Callable[[Path], Any], tmp_path: Path) -> None:
    repository = tmp_path / "kubo" / "repository"
    core = kubo_core(repository)
    path = write(tmp_path / "file", 2 * CHUNK_BYTES + 1)
    cid = Cid(core.ask("add", str(path)))
    core.stop()

    def read(block: Cid) -> bytes:
        return block_path(repository, block).read_bytes()

    store = LocalStore(tmp_path / "store")
    assert store.put_blocks(cid, ((found, read(found)) for found in reachable(read, cid))) == cid
    assert store.get(cid) == path.read_bytes()


def test_the_core_runs_on_a_repository_that_was_hardened(kubo_core: Callable[[Path], Any], tmp_path: Path) -> None:
    repository = tmp_path / "kubo" / "repository"
    kubo_core(repository).stop()
    script = Path(__file__).parents[3] / "ipfs" / "apply_profile"
    assert subprocess.run([sys.executable, script, repository, "--token-file", tmp_path / "token"]).returncode == 0
    core = kubo_core(repository)
    vector = VECTORS["files"][4]
    assert core.ask("add", str(write(tmp_path / "file", vector["bytes"]))) == vector["cid"]
    assert vector["cid"] in core.ask("ls")
