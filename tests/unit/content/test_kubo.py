"""A daemon that lies, cuts short, hangs or is not there: nothing wrong is ever returned, and every call ends."""

from __future__ import annotations

import os
import resource
import socket
from pathlib import Path

import pytest

from headwater.content.factory import open_store
from headwater.content.ipfshttpclient_store import IpfsHttpClientStore
from headwater.content.kubo import KuboStore, find_daemon
from headwater.content.store import LocalStore
from headwater.content.unixfs import CHUNK_BYTES, cid_of
from headwater.errors import (
    CorruptContent,
    DiskFull,
    InvalidInput,
    MissingContent,
    Refused,
    Unavailable,
    VerificationFailed,
)
from headwater.testing.kubo_front import KuboFront

LONG = os.urandom(2 * CHUNK_BYTES + 7)


@pytest.fixture
def kubo(front: KuboFront, tmp_path: Path) -> KuboStore:
    return KuboStore(front.url, tmp_path / "spool", deadline_seconds=5)


def test_content_goes_as_one_archive_and_leaves_no_spool(kubo: KuboStore, front: KuboFront, tmp_path: Path) -> None:
    cid = kubo.put({"a": LONG, "b": b"b"})
    assert front.calls == ["dag/import", "pin/ls"]
    assert front.store.get_file(cid, "a") == LONG
    assert list((tmp_path / "spool").iterdir()) == []


@pytest.mark.parametrize("fault", ["wrong_bytes", "cut_short"])
def test_wrong_or_truncated_bytes_after_a_200_are_corrupt(kubo: KuboStore, front: KuboFront, fault: str) -> None:
    cid = kubo.put(LONG)
    setattr(front.faults, fault, True)
    with pytest.raises(CorruptContent, match=front.url) as caught:
        kubo.get(cid)
    assert caught.value.details["tried"] == [f"the daemon at {front.url}"]
    with pytest.raises(CorruptContent):
        list(kubo.stream(cid))


@pytest.mark.parametrize(("fault", "value"), [("wrong_root", True), ("pin_error", "no room"), ("forget_pins", True)])
def test_an_import_that_is_not_pinned_under_our_root_fails(
    kubo: KuboStore, front: KuboFront, fault: str, value: object
) -> None:
    setattr(front.faults, fault, value)
    with pytest.raises(VerificationFailed, match=cid_of(LONG)) as caught:
        kubo.put(LONG)
    assert fault != "pin_error" or "no room" in str(caught.value)


def test_a_pin_that_is_acknowledged_and_forgotten_fails(kubo: KuboStore, front: KuboFront) -> None:
    folder = kubo.put({"a": LONG})
    front.faults.forget_pins = True
    with pytest.raises(VerificationFailed, match="does not list it as pinned"):
        kubo.hold(cid_of(LONG))
    assert list(kubo.roots()) == [folder]


def test_a_daemon_that_hangs_meets_the_deadline(front: KuboFront, tmp_path: Path) -> None:
    kubo = KuboStore(front.url, tmp_path / "spool", deadline_seconds=0.2)
    cid = front.store.put(LONG)
    front.faults.hang = True
    with pytest.raises(MissingContent, match="in time"):
        kubo.get(cid)
    with pytest.raises(Unavailable, match="did not finish dag/import within"):
        kubo.put(b"x")
    with pytest.raises(Unavailable, match="did not finish pin/ls within"):
        list(kubo.roots())


def test_an_answer_that_drips_meets_the_same_deadline(front: KuboFront, tmp_path: Path) -> None:
    kubo = KuboStore(front.url, tmp_path / "spool", deadline_seconds=0.2)
    cid = front.store.put(b"thirty bytes: 1.5 s of dripping")
    front.faults.drip = True
    with pytest.raises(MissingContent, match="in time"):
        kubo.get(cid)


def test_a_list_that_breaks_off_is_not_a_shorter_list(kubo: KuboStore, front: KuboFront) -> None:
    kubo.put(b"one")
    kubo.put(b"two")
    front.faults.dropped = True
    with pytest.raises(Unavailable, match="failed pin/ls"):
        list(kubo.roots())


def test_a_block_too_long_for_the_network_is_not_read_to_its_end(kubo: KuboStore, front: KuboFront) -> None:
    cid = kubo.put(b"short")
    front.faults.endless = True
    with pytest.raises(Unavailable, match="longer than 2097152 bytes"):
        kubo.get(cid)


def test_what_is_not_kubo_is_said_to_be_none(kubo: KuboStore, front: KuboFront) -> None:
    front.faults.not_kubo = True
    with pytest.raises(Unavailable, match="does not answer dag/import as Kubo's RPC does"):
        kubo.put(b"x")


def test_no_daemon_is_unavailable_not_missing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    kubo = KuboStore(f"http://127.0.0.1:{port}", tmp_path / "spool")
    for call in (kubo.has, kubo.get, kubo.delete):
        with pytest.raises(Unavailable, match=str(port)) as caught:
            call(cid_of(b"x"))
        assert "ipfs daemon" in caught.value.next_step


def test_the_token_is_sent_and_its_lack_is_told(tmp_path: Path) -> None:
    with KuboFront(LocalStore(tmp_path / "daemon"), token="secret") as front:
        cid = KuboStore(front.url, tmp_path / "spool", token="secret").put(b"x")
        with pytest.raises(Refused, match="refuses block/get") as caught:
            KuboStore(front.url, tmp_path / "spool").get(cid)
        assert "token" in caught.value.next_step


def test_a_full_spool_is_a_full_disk(front: KuboFront, tmp_path: Path) -> None:
    """A file size limit on this process fails a write in the middle, as a full disk does."""
    kubo = KuboStore(front.url, tmp_path / "spool")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        with pytest.raises(DiskFull, match="spool"):
            kubo.put(LONG)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert front.calls == []
    assert list((tmp_path / "spool").iterdir()) == []


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("http://127.0.0.1:5001", "http://127.0.0.1:5001"),
        ("http://127.0.0.1:5001/", "http://127.0.0.1:5001"),
        ("https://kubo.example:443", "https://kubo.example:443"),
        ("/ip4/127.0.0.1/tcp/5001", "http://127.0.0.1:5001"),
        ("/ip6/::1/tcp/5001", "http://[::1]:5001"),
        ("/dns4/kubo/tcp/443/https", "https://kubo:443"),
    ],
)
def test_the_daemon_is_found_by_configuration_then_by_its_repository(given: str, url: str, tmp_path: Path) -> None:
    assert find_daemon(given, None) == url
    (tmp_path / "api").write_text(given + "\n")
    assert find_daemon("", tmp_path) == url
    assert find_daemon("http://other:1", tmp_path) == "http://other:1"


def test_no_address_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="api does not exist"):
        find_daemon("", tmp_path)
    with pytest.raises(Unavailable, match="no repository is named"):
        find_daemon("", None)


@pytest.mark.parametrize(
    "text", ["ftp://x:1", "127.0.0.1:5001", "/unix/run/ipfs", "http://h:1/api", "http://h:1?x=y", "http://"]
)
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="not the address"):
        find_daemon(text, None)


def test_the_configuration_names_the_store(front: KuboFront, tmp_path: Path) -> None:
    assert isinstance(open_store("", tmp_path / "content"), LocalStore)
    kubo = open_store(f"kubo:{front.url}", tmp_path / "content")
    assert isinstance(kubo, KuboStore)
    assert kubo.get(kubo.put(b"x")) == b"x"
    (tmp_path / "api").write_text(front.multiaddr)
    assert open_store("kubo:", tmp_path / "content", ipfs_path=tmp_path).get(cid_of(b"x")) == b"x"
    with pytest.raises(InvalidInput, match="names no store"):
        open_store("s3://bucket", tmp_path)
    pytest.importorskip("ipfshttpclient", reason="the extra [ipfs] is not installed")
    assert isinstance(open_store(f"ipfshttpclient:{front.multiaddr}", tmp_path / "content"), IpfsHttpClientStore)
