"""Which paid answers are being made, and which nobody wants any more: no receipt is signed for one of the latter.

In: request ids, from many threads. Out: one word on each, on which provider and user can rely: what was given up
before its receipt was being signed will never have one. Nothing is kept over a restart, because no answer is either.
"""

from __future__ import annotations

import threading

from headwater.errors import Refused
from headwater.types import Digest


class UnderWay:
    """running -> signing -> ended; or given up, which only signing survives."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[Digest] = set()
        self._signing: set[Digest] = set()
        self._given_up: set[Digest] = set()

    def begin(self, request_id: Digest) -> None:
        """Raises Refused for a request that was given up before it arrived."""
        with self._lock:
            self._require_wanted(request_id)
            self._running.add(request_id)

    def begin_signing(self, request_id: Digest) -> None:
        """Raises Refused for a request that was given up."""
        with self._lock:
            self._require_wanted(request_id)
            self._signing.add(request_id)

    def end(self, request_id: Digest) -> None:
        with self._lock:
            self._running.discard(request_id)
            self._signing.discard(request_id)

    def give_up(self, request_id: Digest) -> None:
        """Its user has gone, or was told that there is no answer."""
        with self._lock:
            self._given_up.add(request_id)
            self._running.discard(request_id)

    def is_busy(self, request_id: Digest) -> bool:
        """Whether a receipt may still appear."""
        with self._lock:
            return request_id in self._running or request_id in self._signing

    def _require_wanted(self, request_id: Digest) -> None:
        if request_id in self._given_up:
            raise Refused("the reader of this answer has gone", "ask anew, with a fresh nonce")
