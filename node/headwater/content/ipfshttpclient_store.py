"""The same store over the Python client `ipfshttpclient` (extra `[ipfs]`), for who runs that client already.

In: the daemon's multiaddr. Out: a `ContentStore`. The package is imported when a store is made, not before. Does not
rely on the client's `add`, whose options fix CIDs of version 0: content goes as an archive, like everywhere here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO, Final

from headwater.content.kubo import SLOWEST_UPLOAD
from headwater.content.remote import DEFAULT_DEADLINE_SECONDS, DaemonRefused, DeadlinePassed, RemoteStore
from headwater.errors import HeadwaterError, Unavailable
from headwater.types import Cid

_CHUNK_BYTES: Final = 1 << 20


class IpfsHttpClientStore(RemoteStore):
    """A `ContentStore` in a Kubo daemon. `address`: its RPC as a multiaddr, such as /ip4/127.0.0.1/tcp/5001.

    Raises Unavailable if the extra is not installed.
    """

    def __init__(self, address: str, spool: Path, deadline_seconds: float = DEFAULT_DEADLINE_SECONDS) -> None:
        super().__init__(_ClientDaemon(address, deadline_seconds), spool)


class _ClientDaemon:
    """A `Daemon`."""

    def __init__(self, address: str, deadline_seconds: float) -> None:
        try:
            import ipfshttpclient
        except ImportError:
            raise Unavailable(
                "the package ipfshttpclient is not installed", "install the extra: pip install 'headwater[ipfs]'"
            ) from None
        self._errors = ipfshttpclient.exceptions
        self._deadline_seconds = deadline_seconds
        # `Client` instead of `connect`: the latter warns about every daemon from 0.9 on.
        self._client = ipfshttpclient.Client(address, chunk_size=_CHUNK_BYTES, timeout=deadline_seconds)
        self.address = address

    def import_car(self, car: BinaryIO, car_bytes: int) -> list[tuple[str, str]]:
        seconds = self._deadline_seconds + car_bytes / SLOWEST_UPLOAD
        try:
            root = self._client.dag.imprt(car, opts={"pin-roots": "true"}, timeout=seconds)["Root"]
            return [(root["Cid"]["/"], root.get("PinErrorMsg", ""))]
        except self._errors.Error as error:
            raise self._translated("dag/import", error) from None

    def block(self, cid: Cid, offline: bool) -> bytes:
        try:
            return bytes(self._client.block.get(cid, offline=offline))
        except self._errors.Error as error:
            raise self._translated("block/get", error) from None

    def has_block(self, cid: Cid) -> bool:
        try:
            self._client.block.stat(cid, offline=True)
        except self._errors.ErrorResponse:
            return False
        except self._errors.Error as error:
            raise self._translated("block/stat", error) from None
        return True

    def pin(self, cid: Cid) -> None:
        try:
            self._client.pin.add(cid)
        except self._errors.Error as error:
            raise self._translated("pin/add", error) from None

    def unpin(self, cid: Cid) -> bool:
        try:
            self._client.pin.rm(cid)
        except self._errors.Error as error:
            return self._unless_unpinned("pin/rm", error)
        return True

    def pins(self, cid: Cid | None = None) -> list[str]:
        try:
            return list(self._client.pin.ls(*([cid] if cid else []), type="recursive")["Keys"])
        except self._errors.Error as error:
            if cid and not self._unless_unpinned("pin/ls", error):
                return []
            raise self._translated("pin/ls", error) from None

    def _unless_unpinned(self, command: str, error: Any) -> bool:
        """False if the error says 'not pinned'; raises it otherwise."""
        if "not pinned" in str(error):
            return False
        raise self._translated(command, error)

    def _translated(self, command: str, error: Any) -> HeadwaterError:
        cause, words = f"the daemon at {self.address} failed {command}", str(error)
        if isinstance(error, self._errors.TimeoutError):
            return DeadlinePassed(f"{cause}: no answer in {self._deadline_seconds:.0f} seconds", "look at its load")
        if isinstance(error, self._errors.ErrorResponse):
            return DaemonRefused(f"{cause}: {words}", "see the daemon's log", message=words)
        return Unavailable(f"{cause}: {words}", "start the daemon (`ipfs daemon`, see ipfs/README.md)")
