"""The contract of the `Engine` seam: every engine passes these, whatever it is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from headwater.errors import Unavailable, VerificationFailed
from headwater.openlora.adapters import LoadedAdapter
from headwater.openlora.engine import GenerationRequest
from headwater.openlora.exact import ExactEngine
from headwater.openlora.models import BaseModel
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
