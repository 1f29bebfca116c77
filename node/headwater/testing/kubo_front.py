"""A small HTTP front that answers as Kubo's RPC does, over a `LocalStore`; with faults to order.

In: a store. Out: a server on a free loopback port that real clients (`KuboStore`, ipfshttpclient, kubo-rpc-client)
use: version, id, add, cat, block/get|stat, dag/import|export, pin/add|ls|rm. It judges clients, not Kubo.
Source: https://docs.ipfs.tech/reference/kubo/rpc/ and the sources of Kubo's commands for what is not said there.
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, BinaryIO, ClassVar, Self
from urllib.parse import parse_qs, urlsplit

from headwater.content.car import read_car, write_car
from headwater.content.store import LocalStore
from headwater.errors import HeadwaterError
from headwater.types import Cid


@dataclass(slots=True)
class Faults:
    """What goes wrong from now on; all off at first. Each is something that a real daemon or its host has done."""

    wrong_bytes: bool = False
    """Blocks come with one bit changed."""
    cut_short: bool = False
    """A 200, half of the block, and the error in a trailer only."""
    dropped: bool = False
    """The connection closes in the middle of an answer whose length was announced."""
    endless: bool = False
    """Blocks come with three megabytes more."""
    drip: bool = False
    """Answers come byte by byte, each well within a read's timeout."""
    hang: bool = False
    """No answer until the front is closed."""
    wrong_root: bool = False
    """dag/import acknowledges another root."""
    pin_error: str = ""
    """dag/import stores the blocks and reports this instead of a pin."""
    forget_pins: bool = False
    """Pins are acknowledged and not kept."""
    not_kubo: bool = False
    """Every answer is a web page."""


class KuboFront:
    """`with KuboFront(store) as front:` serves `front.url` until the block ends. `token`: asked of every call."""

    def __init__(self, store: LocalStore, token: str = "") -> None:
        self.store = store
        self.token = token
        self.faults = Faults()
        self.calls: list[str] = []
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        host, port = self._server.server_address[:2]
        self.url = f"http://{host!s}:{port}"
        self.multiaddr = f"/ip4/{host!s}/tcp/{port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Refused(Exception):
    """Becomes Kubo's 500 with a message."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    front: ClassVar[KuboFront]

    def do_POST(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        command = url.path.removeprefix("/api/v0/")
        self.front.calls.append(command)
        body = self._body()
        if self.front.faults.hang:
            self.front.closing.wait()
            self.close_connection = True
        elif self.front.token and self.headers.get("Authorization") != f"Bearer {self.front.token}":
            self._answer(403, b"403 Forbidden\n", "text/plain")
        elif self.front.faults.not_kubo or command not in _COMMANDS:
            self._answer(404, b"<html>404 page not found</html>", "text/html")
        else:
            self._run(command, query, body)

    def do_GET(self) -> None:
        self._answer(405, b"405 - Method Not Allowed\n", "text/plain")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: tests read answers, not logs."""

    def _run(self, command: str, query: dict[str, str], body: bytes) -> None:
        try:
            answer = _COMMANDS[command](self.front, query, body)
        except (_Refused, HeadwaterError) as error:
            message = json.dumps({"Message": str(error), "Code": 0, "Type": "error"})
            return self._answer(500, message.encode(), "application/json")
        if isinstance(answer, bytes):
            if self.front.faults.cut_short:
                return self._cut_short(answer)
            return self._answer(200, answer, "application/octet-stream")
        lines = b"".join(json.dumps(line).encode() + b"\n" for line in answer)
        return self._answer(200, lines, "application/json", {"X-Chunked-Output": "1"})

    def _answer(self, status: int, body: bytes, kind: str, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(more or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.front.faults.dropped:
            body, self.close_connection = body[: len(body) // 2 + 1], True
        if self.front.faults.drip:
            self._drip(body)
        else:
            self.wfile.write(body)

    def _drip(self, body: bytes) -> None:
        for byte in body:
            try:
                self.wfile.write(bytes([byte]))
            except ConnectionError:
                break
            if self.front.closing.wait(0.05):
                break
        self.close_connection = True

    def _cut_short(self, body: bytes) -> None:
        half = body[: len(body) // 2]
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Trailer", "X-Stream-Error")
        self.end_headers()
        self.wfile.write(b"%x\r\n%s\r\n0\r\nX-Stream-Error: block was lost\r\n\r\n" % (len(half), half))

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)


def _handler_of(front: KuboFront) -> type[_Handler]:
    return type("_FrontHandler", (_Handler,), {"front": front})


def _first_file(body: bytes) -> bytes:
    """The content of the first file in a multipart body, whatever the client's boundary."""
    boundary = body.split(b"\r\n", 1)[0]
    part = body.split(b"\r\n\r\n", 1)[1]
    return part[: part.index(b"\r\n" + boundary)]


_Answer = bytes | list[dict[str, Any]]


def _version(front: KuboFront, query: dict[str, str], body: bytes) -> _Answer:
    return [{"Version": "0.40.0", "Commit": "", "Repo": "18", "System": "headwater/front", "Golang": ""}]


def _id(front: KuboFront, query: dict[str, str], body: bytes) -> _Answer:
    return [
        {"ID": "12D3KooWFront", "PublicKey": "", "Addresses": [], "AgentVersion": "headwater-front", "Protocols": []}
    ]


def _add(front: KuboFront, query: dict[str, str], body: bytes) -> _Answer:
    content = _first_file(body)
    cid = front.store.put(content)
    return [{"Name": str(cid), "Hash": str(cid), "Size": str(len(content))}]


def _cat(front: KuboFront, query: dict[str, str], body: bytes) -> _Answer:
    cid, _, path = query["arg"].removeprefix("/ipfs/").partition("/")
    return front.store.get_file(Cid(cid), path) if path else front.store.get(Cid(cid))


def _block_get(front: KuboFront, query: dict[str, str], body: bytes) -> _Answer:
    data = _block(front, query["arg"]) + bytes(3 << 20 if front.faults.endless else 0)
    return bytes([data[0] ^ 1]) + data[1:] if front.faults.wrong_bytes and data else data


def _block_stat(front: KuboFront, query: dict[str, str], body: bytes) -> _Answer:
    return [{"Key": query["arg"], "Size": len(_block(front, query["arg"]))}]


def _block(front: KuboFront, cid: str) -> bytes:
    try:
        return next(front.store.blocks(Cid(cid))).data
    except HeadwaterError:
        raise _Refused(f"block was not found locally (offline): ipld: could not find {cid}") from None


def _dag_import(front: KuboFront, query: dict[str, str], body: bytes) -> _Answer:
    roots, blocks = read_car(io.BytesIO(_first_file(body)))
    if len(roots) != 1:
        raise _Refused("the front takes archives of one root")
    front.store.put_blocks(roots[0], blocks)
    if front.faults.pin_error or front.faults.forget_pins:
        front.store.delete(roots[0])
    root = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku" if front.faults.wrong_root else roots[0]
    return [{"Root": {"Cid": {"/": str(root)}, "PinErrorMsg": front.faults.pin_error}}]


def _dag_export(front: KuboFront, query: dict[str, str], body: bytes) -> _Answer:
    out: BinaryIO = io.BytesIO()
    write_car(out, [Cid(query["arg"])], front.store.blocks(Cid(query["arg"])))
    out.seek(0)
    return out.read()


def _pin_add(front: KuboFront, query: dict[str, str], body: bytes) -> _Answer:
    try:
        if not front.faults.forget_pins:
            front.store.hold(Cid(query["arg"]))
    except HeadwaterError:
        raise _Refused(f"pin: block was not found locally (offline): ipld: could not find {query['arg']}") from None
    return [{"Pins": [query["arg"]]}]


def _pin_rm(front: KuboFront, query: dict[str, str], body: bytes) -> _Answer:
    if not front.store.delete(Cid(query["arg"])):
        raise _Refused("not pinned or pinned indirectly")
    return [{"Pins": [query["arg"]]}]


def _pin_ls(front: KuboFront, query: dict[str, str], body: bytes) -> _Answer:
    pins: Iterator[Cid] | list[Cid] = front.store.roots()
    if "arg" in query:
        pins = [cid for cid in pins if cid == query["arg"]]
        if not pins:
            raise _Refused(f"path '{query['arg']}' is not pinned")
    if query.get("stream") == "true":
        return [{"Cid": str(cid), "Type": "recursive"} for cid in pins]
    return [{"Keys": {str(cid): {"Type": "recursive"} for cid in pins}}]


_COMMANDS: dict[str, Callable[[KuboFront, dict[str, str], bytes], _Answer]] = {
    "version": _version,
    "id": _id,
    "add": _add,
    "cat": _cat,
    "block/get": _block_get,
    "block/stat": _block_stat,
    "dag/import": _dag_import,
    "dag/export": _dag_export,
    "pin/add": _pin_add,
    "pin/rm": _pin_rm,
    "pin/ls": _pin_ls,
}
