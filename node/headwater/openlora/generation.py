"""One answer on its way from the engine's thread to its reader.

In: token events, then the end, from the engine. Out: the same events, in order, to any number of readers, blocking
(`for event in generation`) or in asyncio (`async for`); cancellation the other way. Holds at most one event for each
token asked for, so a slow reader costs little and never holds up the engine.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from headwater.errors import HeadwaterError, Unavailable
from headwater.protocol.completion import Completion
from headwater.types import Digest


@dataclass(frozen=True, slots=True)
class TokenEvent:
    """One generated token. The texts of all events joined are the completion's text."""

    index: int
    token_id: int
    text: str
    """What became certain with this token: may be empty (half a character, a possible stop string) or several
    tokens' worth."""
    logprob: float | None = None
    """Natural logarithm, under the model itself (temperature 1, nothing filtered); None unless asked for."""
    top: tuple[tuple[int, float], ...] = ()
    """Most probable tokens and their log-probabilities, best first."""


class Generation:
    """Handle of a submitted request. Safe to use from several threads and loops."""

    def __init__(self, request_id: Digest, on_cancel: Callable[[], None]) -> None:
        self.request_id = request_id
        self._on_cancel = on_cancel
        self._changed = threading.Condition()
        self._events: list[TokenEvent] = []
        self._completion: Completion | None = None
        self._error: HeadwaterError | None = None
        self._wakers: list[Callable[[], None]] = []
        self._cancelled = False

    # The engine's side

    def push(self, event: TokenEvent) -> None:
        with self._changed:
            self._events.append(event)
            self._wake()

    def end(self, completion: Completion, error: HeadwaterError | None = None) -> None:
        """Close the stream; a second call is a defect of the engine."""
        with self._changed:
            assert self._completion is None, "a request has exactly one completion"
            self._completion, self._error = completion, error
            self._wake()

    @property
    def cancelled(self) -> bool:
        return self._cancelled

    def _wake(self) -> None:
        self._changed.notify_all()
        for waker in self._wakers:
            waker()

    # The reader's side

    def cancel(self) -> None:
        """Ask for the end; the engine obeys within one step. Harmless after the end."""
        self._cancelled = True
        self._on_cancel()

    @property
    def completion(self) -> Completion | None:
        """The record, once the engine has written it."""
        return self._completion

    def result(self, timeout_seconds: float | None = None) -> Completion:
        """Wait for the record. Raises what failed the request; Unavailable if it lasts longer than the timeout."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._completion is not None, timeout_seconds):
                raise Unavailable(
                    f"the answer is not there after {timeout_seconds} seconds", "wait longer, or cancel"
                )
        return self._finished()

    def __iter__(self) -> Iterator[TokenEvent]:
        """Events until the end. Raises what failed the request, after the events that preceded it."""
        seen = 0
        while True:
            with self._changed:
                while len(self._events) == seen and self._completion is None:
                    self._changed.wait()
                fresh = self._events[seen:]
            if not fresh:
                self._finished()
                return
            seen += len(fresh)
            yield from fresh

    async def __aiter__(self) -> AsyncIterator[TokenEvent]:
        """The same in asyncio."""
        loop, signal, seen = asyncio.get_running_loop(), asyncio.Event(), 0

        def waker() -> None:
            with suppress(RuntimeError):  # the reader's loop is closed: nobody is left to wake
                loop.call_soon_threadsafe(signal.set)

        with self._changed:
            self._wakers.append(waker)
        try:
            while True:
                signal.clear()
                with self._changed:
                    fresh, done = self._events[seen:], self._completion is not None
                seen += len(fresh)
                for event in fresh:
                    yield event
                if not fresh and done:
                    self._finished()
                    return
                if not fresh:
                    await signal.wait()
        finally:
            with self._changed:
                self._wakers.remove(waker)

    def _finished(self) -> Completion:
        if self._error is not None:
            raise self._error
        assert self._completion is not None
        return self._completion
