"""The embedded store on a bad day: damaged, truncated, full, killed, shared between processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from headwater.content.store import LocalStore
from headwater.content.unixfs import CHUNK_BYTES, cid_of
from headwater.errors import CorruptContent, HeadwaterError, MissingContent
from headwater.types import Cid

LONG = b"".join(bytes([i]) * CHUNK_BYTES for i in range(3)) + b"end"


def pack(store: LocalStore, cid: Cid) -> Path:
    return store.folder / "packs" / f"{cid}.car"


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))


def test_another_store_on_the_same_folder_sees_everything(local: LocalStore) -> None:
    cid = local.put(LONG)
    other = LocalStore(local.folder)
    assert other.get(cid) == LONG
    new = other.put(b"new")
    assert local.get(new) == b"new"
    other.delete(cid)
    with pytest.raises(MissingContent):
        local.get(cid)


def test_a_blob_changed_on_disk_is_never_returned(local: LocalStore) -> None:
    """Wherever one bit of the pack flips, a read returns the right bytes or an error that names what is wrong."""
    cid = local.put(LONG)
    size = pack(local, cid).stat().st_size
    places = [*range(120), *range(120, size, CHUNK_BYTES // 3), *range(size - 260, size)]
    seen = set()
    for at in places:
        flip(pack(local, cid), at)
        try:
            assert local.get(cid) == LONG
        except HeadwaterError as error:
            assert isinstance(error, CorruptContent | MissingContent)
            assert "put the original again" in error.next_step or "another source" in error.next_step
            seen.add(type(error))
        flip(pack(local, cid), at)
    assert CorruptContent in seen
    assert local.get(cid) == LONG


def test_a_truncated_blob_says_so(local: LocalStore) -> None:
    cid = local.put(LONG)
    os.truncate(pack(local, cid), CHUNK_BYTES + 1000)
    with pytest.raises(CorruptContent, match="ends inside the block") as caught:
        local.get(cid)
    assert str(pack(local, cid)) in str(caught.value)
    assert "put the original again" in caught.value.next_step


def test_putting_again_heals(local: LocalStore) -> None:
    cid = local.put(LONG)
    flip(pack(local, cid), 2 * CHUNK_BYTES)
    with pytest.raises(CorruptContent, match="are not the block"):
        local.get(cid)
    local.put(LONG)
    assert local.get(cid) == LONG


def test_a_good_copy_in_another_pack_is_found(local: LocalStore) -> None:
    cid, folder = local.put(LONG), local.put({"a": LONG})
    flip(pack(local, cid), 2 * CHUNK_BYTES)
    assert local.get(cid) == LONG
    local.delete(folder)
    with pytest.raises(CorruptContent):
        local.get(cid)


def test_a_missing_blob_is_missing(local: LocalStore) -> None:
    cid = local.put(LONG)
    pack(local, cid).unlink()
    assert not local.has(cid)
    with pytest.raises(MissingContent):
        local.get(cid)


def run(code: str, folder: Path) -> subprocess.Popen[str]:
    """A process of its own with `store` open on the folder, running `code`."""
    head = (
        "import os, resource, signal, sys\nfrom pathlib import Path\nfrom headwater.content.store import LocalStore\n"
        "from headwater.errors import *\nstore = LocalStore(Path(sys.argv[1]))\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", head + code, str(folder)], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )


def test_a_full_disk_leaves_nothing_and_says_what_to_do(local: LocalStore) -> None:
    """The file size limit of a process fails a write as a full disk does, in the middle of it."""
    kept = local.put(b"kept")
    code = """
resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, 2 << 20))
try:
    store.put(os.urandom(5 << 20))
except DiskFull as error:
    print("DiskFull:", error.next_step)
print(store.get(store.put(b"small")))
"""
    child = run(code, local.folder)
    out, _ = child.communicate(timeout=60)
    assert out.startswith("DiskFull: free space")
    assert "b'small'" in out
    assert set(local.roots()) == {kept, cid_of(b"small")}
    assert list((local.folder / "scratch").iterdir()) == []


def test_a_put_is_flushed_then_renamed_then_its_name_is_flushed(local: LocalStore) -> None:
    """The order is the promise: bytes on the disk before the name, the name on the disk before the answer."""
    code = """
order, fsync = [], os.fsync
def flushed(handle):
    order.append("folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "file")
    fsync(handle)
os.fsync = flushed
sys.addaudithook(lambda event, args: event == "os.rename" and order.append("rename"))
store.put(os.urandom(2 << 20))
print(order)
"""
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc to tell a folder's handle from a file's")
    out, _ = run(code, local.folder).communicate(timeout=60)
    assert out == "['file', 'rename', 'folder']\n"


def test_a_killed_put_leaves_nothing_half_visible(local: LocalStore) -> None:
    kept = local.put(b"kept")
    code = """
class Slow(dict):
    def __getitem__(self, name):
        if name == "b":
            print("half", flush=True)
            signal.pause()
        return dict.__getitem__(self, name)
store.put(Slow(a=os.urandom(3 << 20), b=b'never'))
"""
    child = run(code, local.folder)
    assert child.stdout
    assert child.stdout.readline() == "half\n"
    assert list((local.folder / "scratch").iterdir()) != []
    LocalStore(local.folder)
    assert list((local.folder / "scratch").iterdir()) != [], "another's work in progress must stay"
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert list(local.roots()) == [kept]
    assert LocalStore(local.folder).get(kept) == b"kept"
    assert list((local.folder / "scratch").iterdir()) == [], "what a killed writer left is removed at the next start"


def test_two_processes_put_the_same_content(local: LocalStore) -> None:
    code = "sys.stdin.readline()\nfor i in range(20): store.put(bytes([i]) * 100_000)\n"
    children = [run(code, local.folder) for _ in range(2)]
    for child in children:
        assert child.stdin
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        child.communicate(timeout=60)
        assert child.returncode == 0
    assert [local.get(cid_of(bytes([i]) * 100_000)) for i in range(20)] == [bytes([i]) * 100_000 for i in range(20)]
    assert len(list(local.roots())) == 20
