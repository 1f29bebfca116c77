"""The way of events from the engine to its readers, blocking and in asyncio."""

from __future__ import annotations

import asyncio
import threading

import pytest

from headwater.errors import Refused, Unavailable
from headwater.openlora.generation import Generation, TokenEvent
from headwater.protocol.completion import Completion, FinishReason
from headwater.types import ZERO_DIGEST, Digest

ID = Digest(b"\x01" * 32)
DONE = Completion(ID, ZERO_DIGEST, ZERO_DIGEST, (1,), (2, 3), "ab", FinishReason.STOP, ZERO_DIGEST, -5)
EVENTS = [TokenEvent(0, 2, "a"), TokenEvent(1, 3, "b")]


def started() -> Generation:
    return Generation(ID, lambda: None)


def feed(generation: Generation, error: Refused | None = None) -> threading.Thread:
    def run() -> None:
        for event in EVENTS:
            generation.push(event)
        generation.end(DONE, error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


async def collect(generation: Generation) -> list[TokenEvent]:
    return [event async for event in generation]


def test_every_reader_gets_every_event_in_order() -> None:
    generation = started()
    feed(generation).join()
    assert list(generation) == list(generation) == EVENTS
    assert generation.result() == generation.completion == DONE


async def test_asyncio_readers_are_woken_from_the_engines_thread() -> None:
    generation = started()
    readers = [asyncio.create_task(collect(generation)) for _ in range(3)]
    await asyncio.sleep(0)
    thread = feed(generation)
    assert await asyncio.gather(*readers) == [EVENTS] * 3
    thread.join()
    assert generation._wakers == []


async def test_a_failure_comes_after_the_events_that_preceded_it() -> None:
    generation, seen = started(), []
    feed(generation, Refused("the disk is gone", "mend it")).join()
    with pytest.raises(Refused):
        async for event in generation:
            seen.append(event)
    assert seen == EVENTS
    with pytest.raises(Refused):
        list(generation)
    with pytest.raises(Refused):
        generation.result()
    assert generation.completion == DONE


def test_a_readers_closed_loop_does_not_disturb_the_engine() -> None:
    generation = started()

    async def leave_in_the_middle() -> None:
        reader = aiter(generation)
        generation.push(EVENTS[0])
        assert await anext(reader) == EVENTS[0]
        generation._wakers.append(generation._wakers[0])  # as if the loop died before the reader could sign off

    asyncio.run(leave_in_the_middle())
    generation.push(EVENTS[1])
    generation.end(DONE)
    assert list(generation) == EVENTS


def test_waiting_has_an_end() -> None:
    with pytest.raises(Unavailable, match=r"after 0\.01 seconds"):
        started().result(timeout_seconds=0.01)


def test_a_second_end_is_a_defect() -> None:
    generation = started()
    generation.end(DONE)
    with pytest.raises(AssertionError, match="exactly one completion"):
        generation.end(DONE)


def test_cancelling_tells_the_engine() -> None:
    told = threading.Event()
    generation = Generation(ID, told.set)
    assert not generation.cancelled
    generation.cancel()
    assert generation.cancelled
    assert told.is_set()
