"""Kubo's RPC, over the standard library's HTTP client.

In: where the daemon is, a token; CIDs and archives. Out: what the daemon says, within a deadline a call, unverified
(`remote.RemoteStore` verifies). Of its commands it uses dag/import, block/get, block/stat, pin/*.
Source: https://docs.ipfs.tech/reference/kubo/rpc/.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import urlencode, urlsplit

from headwater.content.car import MAX_BLOCK_BYTES
from headwater.content.remote import DEFAULT_DEADLINE_SECONDS, DaemonRefused, DeadlinePassed, RemoteStore
from headwater.errors import InvalidInput, Refused, Unavailable
from headwater.types import Cid

SLOWEST_UPLOAD: Final = 1 << 20
"""Bytes a second; an upload's deadline grows by its size over this."""

_MAX_JSON_BYTES: Final = 64 << 20
_BOUNDARY: Final = "headwater-7d3c1b9a5f"
_PART_HEAD: Final = (
    f"--{_BOUNDARY}\r\n"
    'Content-Disposition: form-data; name="file"; filename="content.car"\r\n'
    "Content-Type: application/vnd.ipld.car\r\n\r\n"
).encode()
_PART_END: Final = f"\r\n--{_BOUNDARY}--\r\n".encode()
_MULTIADDR: Final = re.compile(r"/(?:ip4|ip6|dns|dns4|dns6)/([^/]+)/tcp/(\d+)(/http|/https|/tls/http)?")
_START: Final = "start one (`ipfs daemon`, see ipfs/README.md) or set `store_url` to its RPC address"


class KuboStore(RemoteStore):
    """A `ContentStore` in a Kubo daemon. `url`: http(s)://host:port; `token`: for an API with `Authorizations`."""

    def __init__(
        self, url: str, spool: Path, token: str = "", deadline_seconds: float = DEFAULT_DEADLINE_SECONDS
    ) -> None:
        super().__init__(KuboRpc(url, token, deadline_seconds), spool)


def find_daemon(url: str, ipfs_path: Path | None) -> str:
    """Where the daemon's RPC is: `url` (http://, https:// or a multiaddr) if given, else what the running daemon
    wrote into its repository (`api` in `ipfs_path`). Raises Unavailable if neither says, InvalidInput."""
    text = url
    if not text:
        try:
            text = (ipfs_path / "api").read_text("utf-8").strip() if ipfs_path else ""
        except FileNotFoundError:
            text = ""
    if not text:
        looked = f"{ipfs_path / 'api'} does not exist" if ipfs_path else "no repository is named"
        raise Unavailable(f"no address of a Kubo daemon is configured, and {looked}", _START)
    if match := _MULTIADDR.fullmatch(text):
        host = f"[{match[1]}]" if ":" in match[1] else match[1]
        return f"{'https' if match[3] in ('/https', '/tls/http') else 'http'}://{host}:{match[2]}"
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise InvalidInput(f"{text[:200]!r} is not the address of a Kubo daemon's RPC", "pass http://host:port")
    return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True, slots=True)
class KuboRpc:
    """A `Daemon`. One connection a call: nothing to keep alive, to share between threads, or to close."""

    address: str
    token: str = ""
    deadline_seconds: float = DEFAULT_DEADLINE_SECONDS

    def import_car(self, car: BinaryIO, car_bytes: int) -> list[tuple[str, str]]:
        answer = self._json_lines(
            "dag/import",
            {"pin-roots": "true", "stats": "false"},
            deadline_seconds=self.deadline_seconds + car_bytes / SLOWEST_UPLOAD,
            body=car,
            body_bytes=car_bytes,
        )
        roots = [line["Root"] for line in answer if isinstance(line.get("Root"), dict)]
        try:
            return [(str(root["Cid"]["/"]), str(root.get("PinErrorMsg", ""))) for root in roots]
        except (KeyError, TypeError):
            raise self._nonsense("dag/import") from None

    def block(self, cid: Cid, offline: bool) -> bytes:
        return self._post("block/get", {"arg": cid, **_offline(offline)}, max_bytes=MAX_BLOCK_BYTES)

    def has_block(self, cid: Cid) -> bool:
        try:
            self._post("block/stat", {"arg": cid, **_offline(True)})
        except DaemonRefused:
            return False
        return True

    def pin(self, cid: Cid) -> None:
        self._post("pin/add", {"arg": cid, "recursive": "true"})

    def unpin(self, cid: Cid) -> bool:
        try:
            self._post("pin/rm", {"arg": cid, "recursive": "true"})
        except DaemonRefused as error:
            if "not pinned" in str(error.details["message"]):
                return False
            raise
        return True

    def pins(self, cid: Cid | None = None) -> list[str]:
        params = {"type": "recursive", "stream": "true"} | ({"arg": cid} if cid else {})
        try:
            return [str(line["Cid"]) for line in self._json_lines("pin/ls", params)]
        except DaemonRefused as error:
            if cid and "not pinned" in str(error.details["message"]):
                return []
            raise
        except KeyError:
            raise self._nonsense("pin/ls") from None

    def _json_lines(self, command: str, params: Mapping[str, str], **options: Any) -> list[dict[str, Any]]:
        try:
            lines = [json.loads(line) for line in self._post(command, params, **options).splitlines() if line.strip()]
        except ValueError:
            raise self._nonsense(command) from None
        if not all(isinstance(line, dict) for line in lines):
            raise self._nonsense(command)
        return lines

    def _post(
        self,
        command: str,
        params: Mapping[str, str],
        *,
        deadline_seconds: float = 0,
        max_bytes: int = _MAX_JSON_BYTES,
        body: BinaryIO | None = None,
        body_bytes: int = 0,
    ) -> bytes:
        """One call. Kubo reports some errors in a trailer after a 200, so a 200 alone proves nothing."""
        seconds = deadline_seconds or self.deadline_seconds
        # The daemon is told the deadline too, so that it does not go on searching for what nobody waits for.
        query = urlencode({**params, "timeout": f"{seconds * 1000:.0f}ms"})
        connection = self._connection(seconds)
        try:
            connection.connect()
            connection.putrequest("POST", f"/api/v0/{command}?{query}")
            for name, value in self._headers(body, body_bytes).items():
                connection.putheader(name, value)
            connection.endheaders()
            status, data = _exchange(connection, body, time.monotonic() + seconds, max_bytes)
        except TimeoutError:
            raise DeadlinePassed(
                f"the daemon at {self.address} did not finish {command} within {seconds:.0f} seconds",
                "look at its load and its peers, or allow more time",
            ) from None
        except (OSError, http.client.HTTPException) as error:
            why = str(error) or type(error).__name__
            raise Unavailable(f"the daemon at {self.address} failed {command}: {why}", _START) from None
        finally:
            connection.close()
        return self._accept(command, status, data)

    def _accept(self, command: str, status: int, data: bytes) -> bytes:
        if status == 200:
            return data
        if status in (401, 403):
            raise Refused(f"the daemon at {self.address} refuses {command}", "set the token that its API asks for")
        try:
            message = str(json.loads(data)["Message"])
        except (ValueError, KeyError, TypeError):
            raise self._nonsense(command) from None
        raise DaemonRefused(
            f"the daemon at {self.address} refused {command}: {message}", "see the daemon's log", message=message
        )

    def _nonsense(self, command: str) -> Unavailable:
        return Unavailable(
            f"{self.address} does not answer {command} as Kubo's RPC does", "check the address: it is Addresses.API"
        )

    def _connection(self, seconds: float) -> http.client.HTTPConnection:
        parts = urlsplit(self.address)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        return kind(parts.hostname or "", parts.port, timeout=seconds)

    def _headers(self, body: BinaryIO | None, body_bytes: int) -> dict[str, str]:
        headers = {"User-Agent": "headwater", "Connection": "close", "Content-Length": "0"}
        if body is not None:
            headers["Content-Type"] = f"multipart/form-data; boundary={_BOUNDARY}"
            headers["Content-Length"] = str(len(_PART_HEAD) + body_bytes + len(_PART_END))
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return headers


def _offline(offline: bool) -> dict[str, str]:
    return {"offline": "true"} if offline else {}


def _left(ends: float) -> float:
    left = ends - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _parts(body: BinaryIO) -> Iterator[bytes]:
    yield _PART_HEAD
    while chunk := body.read(1 << 20):
        yield chunk
    yield _PART_END


def _exchange(
    connection: http.client.HTTPConnection, body: BinaryIO | None, ends: float, max_bytes: int
) -> tuple[int, bytes]:
    """Send the body, if any, and return status and answer. Raises TimeoutError when `ends` (monotonic) has passed."""
    sock = connection.sock
    if body is not None:
        _send(connection, sock, body, ends)
    sock.settimeout(_left(ends))
    response = connection.getresponse()
    parts, size = [], 0
    while chunk := response.read1(1 << 16):
        size += len(chunk)
        if size > max_bytes:
            raise http.client.HTTPException(f"the answer is longer than {max_bytes} bytes")
        parts.append(chunk)
        sock.settimeout(_left(ends))
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    return response.status, b"".join(parts)


def _send(connection: http.client.HTTPConnection, sock: socket.socket, body: BinaryIO, ends: float) -> None:
    for chunk in _parts(body):
        sock.settimeout(_left(ends))
        try:
            connection.send(chunk)
        except (BrokenPipeError, ConnectionResetError):
            return  # a daemon that refuses early has said why: the answer is still to be read
