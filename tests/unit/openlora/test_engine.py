"""The contract of the `Engine` seam: every engine passes these, whatever it is made of."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from headwater.errors import BadAdapter, Conflict, InvalidInput, Unavailable, UnknownModel, VerificationFailed
from headwater.openlora.adapters import LoadedAdapter
from headwater.openlora.engine import EngineLoad, GenerationRequest
from headwater.openlora.exact import ExactEngine
from headwater.openlora.models import BaseModel
from headwater.openlora.registry import Registry
from headwater.openlora.sampling import SamplingParameters
from headwater.openlora.tensors import digest_of
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


class TestRecords:
    def test_one_completion_a_request_says_what_was_done(
        self, make_engine: EngineMaker, request_for: RequestMaker, base: BaseModel, adapters: list[LoadedAdapter]
    ) -> None:
        kept: list[Completion] = []
        engine = make_engine(kept.append)
        digest = engine.register(adapters[0])
        request = request_for("what?", adapter=digest, seed=Digest(b"\x05" * 32), sampling=WARM)
        generation = engine.submit(request)
        events = list(generation)
        done = generation.result()
        assert kept == [done]
        assert done.request_id == request.request_id
        assert done.base_digest == base.digest
        assert done.weights_digest == adapters[0].digest
        assert done.prompt_ids == request.prompt_ids
        assert done.output_ids == tuple(e.token_id for e in events)
        assert done.text == "".join(e.text for e in events)
        assert done.seed == request.seed
        assert done.logprob_sum_micronats < 0
        assert Completion.from_bytes(done.canonical_bytes()) == done

    def test_the_base_alone_has_the_zero_digest(self, engine: ExactEngine, request_for: RequestMaker) -> None:
        assert engine.submit(request_for()).result().weights_digest == ZERO_DIGEST

    def test_the_record_is_kept_before_the_reader_sees_the_end(
        self, make_engine: EngineMaker, request_for: RequestMaker
    ) -> None:
        order: list[str] = []
        engine = make_engine(lambda _: order.append("kept"))
        list(engine.submit(request_for()))
        order.append("read")
        assert order == ["kept", "read"]

    def test_a_record_that_cannot_be_kept_fails_that_request_alone(
        self, make_engine: EngineMaker, request_for: RequestMaker
    ) -> None:
        failing = [True]

        def sink(_: Completion) -> None:
            if failing.pop() if failing else False:
                raise OSError(28, "No space left on device")

        engine = make_engine(sink)
        with pytest.raises(Unavailable, match=r"could not be kept.*No space left"):
            list(engine.submit(request_for()))
        assert engine.submit(request_for()).result().finish_reason in (FinishReason.STOP, FinishReason.LENGTH)

    def test_cancelled_failed_closed_and_finished_requests_have_one_record_each(
        self, make_engine: EngineMaker, request_for: RequestMaker
    ) -> None:
        kept: list[Completion] = []
        engine = make_engine(kept.append, max_running=1)
        cancelled, waiting = engine.submit(endless(request_for)), engine.submit(endless(request_for))
        next(iter(cancelled))
        waiting.cancel()
        assert waiting.result().output_ids == ()
        cancelled.cancel()
        cancelled.result()
        finished = engine.submit(request_for())
        finished.result()
        closed = engine.submit(endless(request_for))
        next(iter(closed))
        engine.close()
        with pytest.raises(Unavailable, match="closed while it answered"):
            closed.result()
        generations = [waiting, cancelled, finished, closed]
        assert [c.request_id for c in kept] == [g.request_id for g in generations]
        assert [c.finish_reason for c in kept][:2] == [FinishReason.CANCELLED] * 2
        assert kept[3].finish_reason == FinishReason.CANCELLED

    @pytest.mark.parametrize("damage", ["overflow", "shape"])
    def test_what_breaks_one_request_fails_it_alone_with_one_record(
        self, make_engine: EngineMaker, request_for: RequestMaker, adapters: list[LoadedAdapter], damage: str
    ) -> None:
        """Neither adapter would pass the gate; the engine must survive them all the same."""
        kept: list[Completion] = []
        engine = make_engine(kept.append)
        change = (lambda t: t * 1e38) if damage == "overflow" else (lambda t: t[..., :-1])
        tensors = {name: change(tensor).contiguous() for name, tensor in adapters[0].tensors.items()}
        manifest = replace(adapters[0].manifest, tensors_digest=digest_of(tensors))
        digest = engine.register(LoadedAdapter(manifest, tensors))
        good = engine.submit(endless(request_for))
        events = iter(good)
        next(events)
        bad = engine.submit(request_for(adapter=digest))
        with pytest.raises((VerificationFailed, Unavailable)):
            bad.result()
        assert bad.completion is not None
        assert bad.completion.finish_reason == FinishReason.ERROR
        next(events)
        good.cancel()
        good.result()
        assert [c.request_id for c in kept] == [bad.request_id, good.request_id]


class TestDeterminism:
    def test_the_same_request_and_seed_give_the_same_tokens_whatever_else_runs(
        self, engine: ExactEngine, request_for: RequestMaker, adapters: list[LoadedAdapter]
    ) -> None:
        digests = [engine.register(a) for a in adapters]
        request = request_for("tell me", max_tokens=24, adapter=digests[0], sampling=WARM)
        alone = engine.submit(request).result()
        others = [
            engine.submit(request_for("x" * n, max_tokens=30, adapter=digests[n % 4], sampling=WARM))
            for n in range(1, 6)
        ]
        together = engine.submit(request).result()
        assert together == alone
        for other in others:
            other.result()

    def test_another_seed_gives_other_tokens(self, engine: ExactEngine, request_for: RequestMaker) -> None:
        hot = SamplingParameters(temperature_ppm=2_000_000)
        outputs = {
            engine.submit(request_for(seed=Digest(bytes([n]) * 32), sampling=hot)).result().output_ids
            for n in range(4)
        }
        assert len(outputs) == 4

    def test_a_prompt_in_chunks_is_the_prompt_at_once(
        self, make_engine: EngineMaker, request_for: RequestMaker, adapters: list[LoadedAdapter]
    ) -> None:
        request = request_for("a prompt of some length " * 4, adapter=adapters[0].digest)
        outputs = []
        for chunk in (1, 7, 256):
            engine = make_engine(prefill_chunk_tokens=chunk)
            engine.register(adapters[0])
            outputs.append(engine.submit(request).result().output_ids)
        assert outputs[0] == outputs[1] == outputs[2]

    def test_base_requests_do_not_notice_adapters(
        self, engine: ExactEngine, request_for: RequestMaker, adapters: list[LoadedAdapter]
    ) -> None:
        request = request_for(max_tokens=20, logprobs=True, top_logprobs=3)
        before = list(engine.submit(request))
        digests = [engine.register(a) for a in adapters]
        others = [engine.submit(request_for(adapter=d, max_tokens=40)) for d in digests]
        assert list(engine.submit(request)) == before
        assert others[0].result().output_ids != tuple(e.token_id for e in before)


class TestText:
    def test_streamed_text_is_the_final_text_also_across_characters(
        self, engine: ExactEngine, request_for: RequestMaker
    ) -> None:
        """The tiny model babbles bytes: half characters, broken ones, and whole ones of several tokens."""
        hot = SamplingParameters(temperature_ppm=2_000_000)
        broken = 0
        for n in range(8):
            generation = engine.submit(request_for("€😀", max_tokens=60, seed=Digest(bytes([n]) * 32), sampling=hot))
            pieces = [event.text for event in generation]
            done = generation.result()
            assert "".join(pieces) == done.text
            broken += pieces.count("")
        assert broken > 0

    def test_a_stop_string_ends_the_text_before_it_and_its_tokens_are_recorded(
        self, engine: ExactEngine, request_for: RequestMaker, base: BaseModel
    ) -> None:
        whole = engine.submit(request_for(max_tokens=30)).result()
        stop = whole.text[5:8]
        generation = engine.submit(request_for(max_tokens=30, stop=(stop,)))
        pieces = [event.text for event in generation]
        done = generation.result()
        assert done.finish_reason == FinishReason.STOP
        assert done.text == "".join(pieces) == whole.text[: whole.text.index(stop)]
        assert stop in base.tokenizer.decode(done.output_ids)
        assert whole.output_ids[: len(done.output_ids)] == done.output_ids

    def test_a_stop_token_and_the_limit_end_the_answer(self, engine: ExactEngine, request_for: RequestMaker) -> None:
        whole = engine.submit(request_for(max_tokens=10)).result()
        assert (whole.finish_reason, len(whole.output_ids)) == (FinishReason.LENGTH, 10)
        third = whole.output_ids[2]
        done = engine.submit(request_for(max_tokens=10, stop_ids=(third,))).result()
        assert done.finish_reason == FinishReason.STOP
        assert done.output_ids == whole.output_ids[: whole.output_ids.index(third) + 1]

    def test_logprobs_are_given_when_asked_for_and_sum_up_always(
        self, engine: ExactEngine, request_for: RequestMaker
    ) -> None:
        generation = engine.submit(request_for(logprobs=True, top_logprobs=2, sampling=WARM))
        events = list(generation)
        assert all(len(e.top) == 2 and e.logprob is not None for e in events)
        total = sum(e.logprob or 0.0 for e in events)
        assert generation.result().logprob_sum_micronats == round(total * 1e6)
        silent = engine.submit(request_for(sampling=WARM))
        assert all(e.logprob is None and e.top == () for e in silent)
        assert silent.result().logprob_sum_micronats == generation.result().logprob_sum_micronats


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
