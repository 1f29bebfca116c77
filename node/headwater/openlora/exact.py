"""The plain engine: one request a forward pass, unmerged adapters, float32 by default. The others' yardstick.

In: a `BaseModel`. Out: the `Engine` seam. One thread does all the numerical work: it takes the running requests in
turn, one prompt chunk or one token each, every request with its own keys and values. Nothing is ever computed for two
requests together, so a request's tokens depend on the request alone; speed is the other engines' business.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from types import TracebackType

import torch

from headwater.errors import BadAdapter, Conflict, HeadwaterError, InvalidInput, Unavailable, UnknownModel
from headwater.openlora.adapters import LoadedAdapter, resident
from headwater.openlora.decoding import Decoding
from headwater.openlora.engine import CompletionSink, EngineDescription, EngineLoad, GenerationRequest
from headwater.openlora.generation import Generation
from headwater.openlora.lora_ops import ResidentAdapter, attach
from headwater.openlora.models import BaseModel
from headwater.openlora.scheduler import FairQueue
from headwater.protocol.completion import Completion, FinishReason
from headwater.types import Digest, hex0x


@dataclass(frozen=True, slots=True)
class ExactLimits:
    max_running: int = 8
    max_waiting: int = 256
    kv_budget_bytes: int = 2 * 1024**3
    prefill_chunk_tokens: int = 256
    """Longest piece of a prompt between two turns: bounds how long others wait and a cancellation takes."""


@dataclass(slots=True, eq=False)
class _Work:
    request: GenerationRequest
    adapter: ResidentAdapter | None
    generation: Generation
    kv_bytes: int
    decoding: Decoding


class ExactEngine:
    """See `headwater.openlora.engine.Engine`. Its thread starts with it and ends with `close`."""

    def __init__(
        self, base: BaseModel, sink: CompletionSink | None = None, limits: ExactLimits | None = None
    ) -> None:
        self._base = base
        self._sink = sink
        self._limits = limits or ExactLimits()
        self._structure = base.structure()
        self._switch = attach(self._structure)
        self._vocabulary = base.tokenizer.vocabulary_size
        self._changed = threading.Condition()
        self._adapters: dict[Digest, ResidentAdapter] = {}
        self._waiting: FairQueue[_Work] = FairQueue()
        self._running: list[_Work] = []
        self._in_flight: set[Digest] = set()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="openlora-exact", daemon=True)
        self._thread.start()

    def __enter__(self) -> ExactEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Adapters

    def register(self, adapter: LoadedAdapter) -> Digest:
        if adapter.manifest.base_digest != self._base.digest:
            raise BadAdapter(
                f"the adapter was trained on the base {hex0x(adapter.manifest.base_digest)}, "
                f"not on {hex0x(self._base.digest)}",
                "serve it on its own base",
            )
        placed = resident(adapter, self._base.device, self._base.dtype)
        if unknown := sorted(placed.pairs.keys() - self._base.linear_shapes().keys()):
            raise BadAdapter(f"the base has no linear layer {unknown[0]!r}", "pass adapters through the gate first")
        with self._changed:
            self._adapters.setdefault(placed.digest, placed)
        return placed.digest

    def unregister(self, digest: Digest) -> None:
        with self._changed:
            if self._adapters.pop(digest, None) is None:
                raise self._unknown(digest)

    def resident(self) -> tuple[Digest, ...]:
        with self._changed:
            return tuple(self._adapters)

    def describe(self) -> EngineDescription:
        base, place = self._base, self._base.placement
        return EngineDescription(
            engine="exact",
            base_name=base.name,
            base_digest=base.digest,
            dtype=str(place.dtype).removeprefix("torch."),
            device=str(place.device),
            threads=place.threads,
            context_tokens=base.context_tokens,
            reasons=place.reasons,
        )

    def load(self) -> EngineLoad:
        with self._changed:
            return EngineLoad(len(self._running), len(self._waiting), self._kv_bytes())

    # Requests

    def submit(self, request: GenerationRequest) -> Generation:
        tokens = len(request.prompt_ids) + request.max_tokens
        kv_bytes = tokens * self._base.kv_bytes_per_token()
        self._check_fits(request, tokens, kv_bytes)
        with self._changed:
            if self._closed:
                raise Unavailable("the engine is closed", "start it again")
            if request.request_id in self._in_flight:
                raise Conflict(f"the request {hex0x(request.request_id)} is in flight", "use a fresh nonce")
            if len(self._waiting) >= self._limits.max_waiting:
                raise Unavailable(f"{len(self._waiting)} requests are waiting already", "try again in a moment")
            adapter = self._adapters.get(request.adapter) if request.adapter is not None else None
            if request.adapter is not None and adapter is None:
                raise self._unknown(request.adapter)
            generation = Generation(request.request_id, self._wake)
            decoding = Decoding(request, adapter, self._base, self._limits.prefill_chunk_tokens)
            self._in_flight.add(request.request_id)
            self._waiting.push(request.tenant, _Work(request, adapter, generation, kv_bytes, decoding))
            self._changed.notify_all()
        return generation

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _check_fits(self, request: GenerationRequest, tokens: int, kv_bytes: int) -> None:
        if tokens > self._base.context_tokens:
            raise InvalidInput(
                f"the prompt has {len(request.prompt_ids):,} tokens and {request.max_tokens:,} more are asked for; "
                f"the model holds {self._base.context_tokens:,}",
                "shorten the prompt or lower max_tokens",
                context_tokens=self._base.context_tokens,
            )
        if kv_bytes > self._limits.kv_budget_bytes:
            raise InvalidInput(
                f"the request needs {kv_bytes:,} bytes of keys and values, this engine has "
                f"{self._limits.kv_budget_bytes:,}",
                "shorten the prompt or lower max_tokens",
            )
        if not all(0 <= i < self._vocabulary for i in (*request.prompt_ids, *request.stop_ids)):
            raise InvalidInput("a token id is outside the model's vocabulary", "use the base's own tokenizer")

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _kv_bytes(self) -> int:
        return sum(work.kv_bytes for work in self._running)

    @staticmethod
    def _unknown(digest: Digest) -> UnknownModel:
        return UnknownModel(f"the adapter {hex0x(digest)} is not registered here", "register it first")

    # The engine's thread

    def _work(self) -> None:
        torch.set_num_threads(self._base.placement.threads)
        try:
            with torch.inference_mode():
                while self._wait_for_work():
                    for work in list(self._running):
                        self._turn(work)
        finally:
            self._end_everything()

    def _wait_for_work(self) -> bool:
        """Admit who fits; False when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._running or len(self._waiting) > 0)
            cancelled = self._waiting.take_out(lambda work: work.generation.cancelled)
            while not self._closed and (work := self._waiting.pop(self._fits)) is not None:
                self._running.append(work)
        for work in cancelled:
            self._end(work, FinishReason.CANCELLED)
        return not self._closed

    def _fits(self, work: _Work) -> bool:
        has_room = len(self._running) < self._limits.max_running
        return has_room and self._kv_bytes() + work.kv_bytes <= self._limits.kv_budget_bytes

    def _turn(self, work: _Work) -> None:
        if work.generation.cancelled:
            self._end(work, FinishReason.CANCELLED)
            return
        try:
            event = work.decoding.step(self._structure, self._switch)
        except HeadwaterError as error:
            self._end(work, FinishReason.ERROR, error)
            return
        except (RuntimeError, MemoryError) as error:  # torch: out of memory, a kernel that failed
            failure = Unavailable(f"the model failed on this request: {error}", "try again, or report this")
            failure.__cause__ = error
            self._end(work, FinishReason.ERROR, failure)
            return
        if event is not None:
            work.generation.push(event)
        if work.decoding.finish is not None:
            self._end(work, work.decoding.finish)

    def _end(self, work: _Work, reason: FinishReason, error: HeadwaterError | None = None) -> None:
        completion = work.decoding.completion(reason)
        error = self._record(completion) or error
        with self._changed:
            self._running = [other for other in self._running if other is not work]
            self._in_flight.discard(work.request.request_id)
        work.generation.end(completion, error)

    def _record(self, completion: Completion) -> HeadwaterError | None:
        if self._sink is None:
            return None
        try:
            self._sink(completion)
        except HeadwaterError as error:
            return error
        except OSError as error:
            return Unavailable(
                f"the record of the answer could not be kept: {error}", "check the disk, then ask again"
            )
        return None

    def _end_everything(self) -> None:
        """On closing, and if this thread dies of a defect: nobody may wait for ever."""
        with self._changed:
            self._closed = True
            left = self._running + self._waiting.take_out(lambda _: True)
        closed = Unavailable("the engine was closed while it answered", "ask again when it is back")
        for work in left:
            self._end(work, FinishReason.CANCELLED, closed)
