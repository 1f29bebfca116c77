"""What every `ContentStore` promises: run against the embedded store and both clients of a daemon."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from headwater.content.car import Block
from headwater.content.cid import DAG_PB, RAW, block_cid
from headwater.content.dagpb import DIRECTORY, FILE, Link, Node, encode_node
from headwater.content.store import ContentStore
from headwater.content.unixfs import CHUNK_BYTES, cid_of
from headwater.errors import Conflict, CorruptContent, InvalidInput, MissingContent, NotFound
from headwater.types import Cid

LONG = os.urandom(2 * CHUNK_BYTES + 7)
ABSENT = cid_of(b"never put")


@pytest.mark.parametrize("content", [b"", b"x", bytes(CHUNK_BYTES), LONG], ids=["empty", "byte", "chunk", "long"])
def test_bytes_come_back(store: ContentStore, content: bytes) -> None:
    cid = store.put(content)
    assert cid == cid_of(content)
    assert store.get(cid) == content
    assert b"".join(store.stream(cid)) == content
    assert store.has(cid)
    assert list(store.roots()) == [cid]


def test_a_folder_comes_back(store: ContentStore, tmp_path: Path) -> None:
    cid = store.put({"weights": LONG, "config": b"{}", "more": {"deep": b"d"}})
    assert list(store.entries(cid)) == ["config", "more", "weights"]
    assert store.get_file(cid, "config") == b"{}"
    assert store.get_file(cid, "more/deep") == b"d"
    assert store.get(store.entries(cid)["weights"]) == LONG
    store.save(cid, tmp_path / "saved")
    assert store.put(tmp_path / "saved") == cid
    store.save(store.entries(cid)["config"], tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"{}"


def test_the_same_content_again_is_the_same_cid(store: ContentStore) -> None:
    assert store.put(b"twice") == store.put(b"twice")
    assert len(list(store.roots())) == 1


def test_many_threads_put_and_read_the_same_content(store: ContentStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        cids = list(pool.map(store.put, [LONG] * 8))
        assert set(cids) == {cid_of(LONG)}
        assert all(content == LONG for content in pool.map(store.get, cids))


def test_missing_content_says_what_was_tried_and_what_to_do(store: ContentStore) -> None:
    assert not store.has(ABSENT)
    with pytest.raises(MissingContent, match=ABSENT) as caught:
        store.get(ABSENT)
    assert caught.value.details["cid"] == ABSENT
    assert caught.value.details["tried"]
    assert "put" in caught.value.next_step
    with pytest.raises(MissingContent):
        store.hold(ABSENT)
    assert list(store.roots()) == []


@pytest.mark.parametrize("text", ["", "../x", "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD", ABSENT.upper()])
def test_what_is_no_cid_is_refused(store: ContentStore, text: str) -> None:
    for method in (store.get, store.has, store.delete, store.blocks, store.stream, store.hold, store.entries):
        with pytest.raises(InvalidInput):
            method(Cid(text))


def test_a_file_is_no_folder_and_a_folder_no_file(store: ContentStore) -> None:
    file, long_file, folder = store.put(b"x"), store.put(LONG), store.put({"a": b"x"})
    with pytest.raises(InvalidInput, match="is a folder"):
        store.get(folder)
    for cid in (file, long_file):
        with pytest.raises(InvalidInput, match="is a file"):
            store.entries(cid)
    with pytest.raises(NotFound, match="has no 'b'"):
        store.get_file(folder, "b")


def test_limits_are_kept_before_memory_is_used(store: ContentStore, tmp_path: Path) -> None:
    cid = store.put(LONG)
    with pytest.raises(InvalidInput, match="more than the limit"):
        store.get(cid, max_bytes=len(LONG) - 1)
    with pytest.raises(InvalidInput, match="larger than the limit"):
        store.save(cid, tmp_path / "out", max_bytes=len(LONG) - 1)
    assert list(tmp_path.glob("*out*")) + list(tmp_path.glob(".saving*")) == []


def test_saving_never_replaces(store: ContentStore, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    with pytest.raises(Conflict, match="is there already"):
        store.save(store.put(b"x"), tmp_path / "there")
    assert (tmp_path / "there").read_text() == "mine"
    with pytest.raises(NotFound, match="there is no folder"):
        store.save(store.put(b"x"), tmp_path / "absent" / "file")


def test_blocks_move_to_another_store(store: ContentStore, tmp_path: Path) -> None:
    cid = store.put({"a": LONG, "b": LONG, "c": b""})
    blocks = list(store.blocks(cid))
    assert len({block.cid for block in blocks}) == len(blocks) == 1 + 1 + 3 + 1
    store.delete(cid)
    assert store.put_blocks(cid, reversed(blocks)) == cid
    assert store.get_file(cid, "b") == LONG


def test_a_dag_that_is_not_whole_leaves_nothing(store: ContentStore) -> None:
    content = b"".join(bytes([i]) * CHUNK_BYTES for i in (1, 2, 3))
    cid = store.put(content)
    good = list(store.blocks(cid))
    store.delete(cid)
    wrong = Block(good[1].cid, bytes(CHUNK_BYTES))
    stray = Block(block_cid(RAW, b"stray"), b"stray")
    for blocks, error in [
        (good[:-1], MissingContent),
        ([], MissingContent),
        ([good[0], wrong, *good[2:]], CorruptContent),
        ([*good, stray], InvalidInput),
    ]:
        with pytest.raises(error):
            store.put_blocks(cid, blocks)
        assert list(store.roots()) == []


def test_a_node_that_lies_about_sizes_is_corrupt(store: ContentStore) -> None:
    leaf = Block(block_cid(RAW, b"four"), b"four")
    for stated in (3, 5):
        node = encode_node(Node(FILE, (Link(leaf.cid, "", 4),), (stated,)))
        root = Block(block_cid(DAG_PB, node), node)
        cid = store.put_blocks(root.cid, [root, leaf])
        with pytest.raises(CorruptContent, match="another length"):
            store.get(cid)


@pytest.mark.parametrize("names", [["../x"], ["/etc/x"], [".."], [""], ["a", "a"], ["b", "a"]], ids=str)
def test_a_folder_with_hostile_names_is_corrupt_and_never_written(
    store: ContentStore, tmp_path: Path, names: list[str]
) -> None:
    leaf = Block(block_cid(RAW, b"x"), b"x")
    node = encode_node(Node(DIRECTORY, tuple(Link(leaf.cid, name, 1) for name in names)))
    root = Block(block_cid(DAG_PB, node), node)
    store.put_blocks(root.cid, [root, leaf])
    with pytest.raises(CorruptContent, match="malformed"):
        store.entries(root.cid)
    with pytest.raises(CorruptContent, match="malformed"):
        store.save(root.cid, tmp_path / "out")
    assert not list(tmp_path.rglob("x"))


def test_a_file_nested_to_exhaust_readers_is_corrupt(store: ContentStore) -> None:
    blocks = [Block(block_cid(RAW, b"x"), b"x")]
    for _ in range(8):
        node = encode_node(Node(FILE, (Link(blocks[-1].cid, "", 1),), (1,)))
        blocks.append(Block(block_cid(DAG_PB, node), node))
    store.put_blocks(blocks[-1].cid, blocks)
    with pytest.raises(CorruptContent, match="nested more than 6"):
        store.get(blocks[-1].cid)


def test_deleting_keeps_what_others_share(store: ContentStore) -> None:
    folder, file = store.put({"a": LONG, "b": b"b"}), store.put(LONG)
    assert store.delete(folder)
    assert not store.delete(folder)
    assert list(store.roots()) == [file]
    assert store.get(file) == LONG


def test_one_file_of_a_folder_can_be_held_for_itself(store: ContentStore) -> None:
    folder = store.put({"a": LONG, "b": b"b"})
    file = store.entries(folder)["a"]
    store.hold(file)
    store.hold(file)
    store.delete(folder)
    assert list(store.roots()) == [file]
    assert store.get(file) == LONG
