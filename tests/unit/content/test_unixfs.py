"""Any bytes and any folder become one tree of blocks; its CIDs are judged in tests/conformance/content."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.content import unixfs
from headwater.content.dagpb import decode_node
from headwater.content.reading import reachable, read_file, resolve
from headwater.content.unixfs import CHUNK_BYTES, MAX_FOLDER_BYTES, Tree, build, build_file, cid_of
from headwater.errors import InvalidInput, NotFound
from headwater.types import Cid

names = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
    lambda name: name not in (".", "..")
)
folders = st.recursive(st.binary(max_size=50), lambda inner: st.dictionaries(names, inner, max_size=5), max_leaves=10)


def blocks_of(source: unixfs.Source) -> tuple[Tree, dict[Cid, bytes]]:
    blocks: dict[Cid, bytes] = {}
    tree = build(source, lambda cid, block: blocks.update({cid: bytes(block)}))
    return tree, blocks


@given(st.lists(st.binary(min_size=1, max_size=3), max_size=40), st.integers(2, 5))
def test_a_file_of_any_shape_reads_back(chunks: list[bytes], links: int) -> None:
    """Property: whatever the number of chunks and the width, the tree holds the file in order, at the least depth."""
    blocks: dict[Cid, bytes] = {}
    tree = build_file(iter(chunks), lambda cid, block: blocks.update({cid: bytes(block)}), links)
    depth = 0
    while links**depth < max(len(chunks), 1):
        depth += 1
    if depth <= 6:
        assert read_file(blocks.__getitem__, tree.cid, 1 << 20) == b"".join(chunks)
    assert set(reachable(blocks.__getitem__, tree.cid)) == set(blocks)
    cid, found = tree.cid, 0
    while cid.startswith("bafy"):
        cid, found = decode_node(blocks[cid]).links[0].cid, found + 1
    assert found == depth


@given(folders)
def test_sizes_are_those_of_content_and_blocks(source: unixfs.Source) -> None:
    tree, blocks = blocks_of(source)
    assert tree.cid in blocks
    assert tree.tree_bytes >= sum(len(block) for block in blocks.values())
    if isinstance(source, bytes):
        assert tree.content_bytes == len(source)


@given(st.dictionaries(names, st.binary(max_size=20), max_size=6), st.randoms())
def test_the_order_of_names_does_not_matter(entries: dict[str, bytes], random: object) -> None:
    turned: dict[str, unixfs.Source] = dict(reversed(entries.items()))
    assert cid_of(dict(entries)) == cid_of(turned)


def test_bytes_a_file_and_a_folder_on_disk_are_the_same_as_in_memory(tmp_path: Path) -> None:
    content = os.urandom(CHUNK_BYTES + 1)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file").write_bytes(content)
    assert cid_of(tmp_path / "sub" / "file") == cid_of(content)
    assert cid_of(tmp_path) == cid_of({"sub": {"file": content}}) == cid_of({"sub": tmp_path / "sub"})


def test_the_root_comes_last_and_nothing_is_held_back() -> None:
    order: list[Cid] = []
    tree = build({"a": bytes(CHUNK_BYTES + 1)}, lambda cid, block: order.append(cid))
    assert order[-1] == tree.cid
    assert len(order) == 4


def test_names_lead_to_files() -> None:
    tree, blocks = blocks_of({"a": {"b": b"found"}})
    assert resolve(blocks.__getitem__, tree.cid, "a/b") == cid_of(b"found")
    with pytest.raises(NotFound, match="has no 'c'"):
        resolve(blocks.__getitem__, tree.cid, "a/c")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0b", "x" * 256, "\ud800"])
def test_a_name_that_could_escape_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        cid_of({name: b""})


def test_folders_nested_too_deep_are_refused() -> None:
    nested: unixfs.Source = b"x"
    for _ in range(32):
        nested = {"a": nested}
    assert cid_of(nested)
    with pytest.raises(InvalidInput, match="nested more than 32"):
        cid_of({"a": nested})


def test_a_folder_too_long_for_one_block_is_refused() -> None:
    fits = {f"{i:06}": b"" for i in range(MAX_FOLDER_BYTES // 51)}
    assert cid_of(fits)
    with pytest.raises(InvalidInput, match="too long for one block"):
        cid_of(fits | {f"more-{i}": b"" for i in range(400)})


def test_links_special_files_and_absent_paths_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to("/etc/hostname")
    with pytest.raises(InvalidInput, match="symbolic link"):
        cid_of(tmp_path / "folder")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidInput, match="neither a file nor a folder"):
        cid_of(tmp_path / "pipe")
    with pytest.raises(NotFound, match="there is no file"):
        cid_of(tmp_path / "absent")
