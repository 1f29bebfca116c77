"""The contract of the `Engine` seam, second half: cancelling, adapters coming and going, admission."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from headwater.errors import BadAdapter, Conflict, InvalidInput, Unavailable, UnknownModel
from headwater.openlora.adapters import LoadedAdapter
from headwater.openlora.engine import EngineLoad, GenerationRequest
from headwater.openlora.exact import ExactEngine
from headwater.openlora.models import BaseModel
from headwater.openlora.registry import Registry
from headwater.openlora.sampling import SamplingParameters
from headwater.protocol.completion import Completion, FinishReason
from headwater.types import ZERO_DIGEST, Digest

RequestMaker = Callable[..., GenerationRequest]
EngineMaker = Callable[..., ExactEngine]
WARM = SamplingParameters(temperature_ppm=1_000_000, top_p_ppm=950_000)
LONG = 3000
"""More tokens than any test waits for: such a request is running until it is cancelled."""


def endless(request_for: RequestMaker, **options: Any) -> GenerationRequest:
    """A request that the tiny model will not end by itself (at this seed it draws no end mark for long)."""
    return request_for("go on", max_tokens=LONG, **options)


class TestCancellation:
    def test_cancelling_ends_within_a_step_and_frees_the_state(
        self, engine: ExactEngine, request_for: RequestMaker
    ) -> None:
        generation = engine.submit(endless(request_for))
        next(iter(generation))
        assert engine.load().running == 1
        assert engine.load().kv_bytes > 0
        state = weakref.ref(engine._running[0].decoding)
        generation.cancel()
        done = generation.result()
        assert done.finish_reason == FinishReason.CANCELLED
        assert 1 <= len(done.output_ids) < LONG
        assert done.text == "".join(e.text for e in generation)
        engine.submit(request_for(max_tokens=1)).result()
        gc.collect()
        assert state() is None
        assert engine.load() == EngineLoad(0, 0, 0)

    def test_cancelling_after_the_end_changes_nothing(self, engine: ExactEngine, request_for: RequestMaker) -> None:
        generation = engine.submit(request_for())
        done = generation.result()
        generation.cancel()
        assert generation.result() == done

    async def test_a_reader_in_asyncio_cancels(self, engine: ExactEngine, request_for: RequestMaker) -> None:
        generation = engine.submit(endless(request_for))
        async for event in generation:
            if event.index == 3:
                generation.cancel()
        assert generation.result().finish_reason == FinishReason.CANCELLED

    async def test_many_readers_stream_side_by_side(
        self, engine: ExactEngine, request_for: RequestMaker, adapters: list[LoadedAdapter]
    ) -> None:
        digests = [engine.register(a) for a in adapters]

        async def read(number: int) -> bool:
            generation = engine.submit(request_for(adapter=digests[number % 4], tenant=str(number % 3)))
            text = "".join([event.text async for event in generation])
            done = generation.result()
            return done.text == text and done.weights_digest == digests[number % 4]

        assert all(await asyncio.gather(*(read(n) for n in range(24))))


class TestAdapters:
    def test_registering_is_idempotent_and_listed(self, engine: ExactEngine, adapters: list[LoadedAdapter]) -> None:
        assert engine.register(adapters[0]) == engine.register(adapters[0]) == adapters[0].digest
        assert engine.resident() == (adapters[0].digest,)
        engine.unregister(adapters[0].digest)
        assert engine.resident() == ()
        with pytest.raises(UnknownModel):
            engine.unregister(adapters[0].digest)

    def test_an_adapter_of_another_base_is_refused(self, engine: ExactEngine, adapters: list[LoadedAdapter]) -> None:
        stranger = LoadedAdapter(replace(adapters[0].manifest, base_digest=ZERO_DIGEST), adapters[0].tensors)
        with pytest.raises(BadAdapter, match="trained on the base"):
            engine.register(stranger)

    def test_an_unknown_adapter_is_an_unknown_model_never_the_base(
        self, engine: ExactEngine, request_for: RequestMaker, adapters: list[LoadedAdapter]
    ) -> None:
        with pytest.raises(UnknownModel):
            engine.submit(request_for(adapter=adapters[0].digest))
        assert engine.load() == EngineLoad(0, 0, 0)

    def test_a_request_in_flight_keeps_its_adapter_when_the_alias_moves_on(
        self, engine: ExactEngine, request_for: RequestMaker, adapters: list[LoadedAdapter]
    ) -> None:
        names = Registry("tiny")
        old, new = engine.register(adapters[0]), engine.register(adapters[1])
        pin = names.publish("ada/drugs", old)
        names.switch("default", pin)
        request = request_for(max_tokens=300, adapter=names.resolve("default").adapter)
        expected = engine.submit(request).result()
        running = engine.submit(request)
        next(iter(running))
        names.switch("default", names.publish("ada/drugs", new))
        engine.unregister(old)
        later = engine.submit(request_for(max_tokens=300, adapter=names.resolve("default").adapter))
        assert running.result() == expected
        assert running.result().weights_digest == old
        assert later.result().weights_digest == new
        assert later.result().output_ids != expected.output_ids


class TestAdmission:
    def test_bad_requests_are_refused_before_they_wait(
        self, make_engine: EngineMaker, request_for: RequestMaker, base: BaseModel
    ) -> None:
        engine = make_engine()
        with pytest.raises(InvalidInput, match=r"the model holds 4,096"):
            engine.submit(request_for("x" * 4090, max_tokens=7))
        for ids in ((base.tokenizer.vocabulary_size,), (-1,)):
            with pytest.raises(InvalidInput, match="outside the model's vocabulary"):
                engine.submit(request_for(prompt_ids=ids))
        small = make_engine(kv_budget_bytes=1000)
        with pytest.raises(InvalidInput, match="bytes of keys and values"):
            small.submit(request_for(max_tokens=100))
        assert engine.load() == small.load() == EngineLoad(0, 0, 0)

    def test_the_same_request_id_twice_in_flight_conflicts(
        self, engine: ExactEngine, request_for: RequestMaker
    ) -> None:
        request = endless(request_for)
        generation = engine.submit(request)
        with pytest.raises(Conflict):
            engine.submit(request)
        generation.cancel()
        generation.result()
        again = engine.submit(request)
        again.cancel()
        again.result()

    def test_a_full_engine_says_so_and_recovers(self, make_engine: EngineMaker, request_for: RequestMaker) -> None:
        engine = make_engine(max_running=1, max_waiting=1)
        running = engine.submit(endless(request_for))
        next(iter(running))
        waiting = engine.submit(request_for())
        with pytest.raises(Unavailable, match="1 requests are waiting"):
            engine.submit(request_for())
        running.cancel()
        assert waiting.result().finish_reason == FinishReason.LENGTH

    def test_memory_for_keys_and_values_is_not_overbooked(
        self, make_engine: EngineMaker, request_for: RequestMaker, base: BaseModel
    ) -> None:
        one = (len(base.tokenizer.encode("go on")) + LONG) * base.kv_bytes_per_token()
        engine = make_engine(kv_budget_bytes=2 * one)
        generations = [engine.submit(endless(request_for)) for _ in range(3)]
        for generation in generations[:2]:
            next(iter(generation))
        assert engine.load() == EngineLoad(2, 1, 2 * one)
        for generation in generations:
            generation.cancel()
            generation.result()

    def test_tenants_take_turns(self, make_engine: EngineMaker, request_for: RequestMaker) -> None:
        order: list[Digest] = []
        engine = make_engine(lambda completion: order.append(completion.request_id), max_running=1)
        first = engine.submit(endless(request_for))
        next(iter(first))
        flood = [engine.submit(request_for(max_tokens=2, tenant="flood")) for _ in range(5)]
        single = engine.submit(request_for(max_tokens=2, tenant="single"))
        first.cancel()
        for generation in (*flood, single):
            generation.result()
        assert order.index(single.request_id) == 2  # the first, one of the flood, then it

    def test_a_closed_engine_refuses_and_closing_again_is_harmless(
        self, engine: ExactEngine, request_for: RequestMaker
    ) -> None:
        engine.close()
        engine.close()
        with pytest.raises(Unavailable, match="closed"):
            engine.submit(request_for())

    def test_requests_from_many_threads_all_end(self, engine: ExactEngine, request_for: RequestMaker) -> None:
        requests = [request_for(max_tokens=3) for _ in range(40)]
        ended: list[Completion] = []
        threads = [threading.Thread(target=lambda r=r: ended.append(engine.submit(r).result())) for r in requests]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {c.request_id for c in ended} == {r.request_id for r in requests}


class TestRequests:
    @pytest.mark.parametrize(
        "values",
        [
            {"prompt_ids": ()},
            {"max_tokens": 0},
            {"max_tokens": True},
            {"seed": b"short"},
            {"request_id": b""},
            {"adapter": ZERO_DIGEST},
            {"adapter": b"short"},
            {"stop": ("",)},
            {"stop": ("x",) * 17},
            {"stop": ("x" * 257,)},
            {"top_logprobs": 3},
            {"logprobs": True, "top_logprobs": 21},
        ],
    )
    def test_values_that_no_engine_can_serve_are_refused(
        self, request_for: RequestMaker, values: dict[str, Any]
    ) -> None:
        with pytest.raises(InvalidInput):
            request_for(**values)

    def test_an_engine_says_what_it_runs_on(self, engine: ExactEngine, base: BaseModel) -> None:
        description = engine.describe()
        assert (description.base_digest, description.dtype, description.device) == (base.digest, "float32", "cpu")
        assert description.context_tokens == 4096
        assert description.reasons
