"""The seam `Engine`: what every way of generating tokens offers, and the words it is spoken in.

In: a `GenerationRequest`, token ids already. Out: a `Generation`, which hands out one `TokenEvent` a token and ends
in exactly one `Completion`. Engines know digests, not names, prices or people. The plain engine is in `exact`; a
batched or a remote one implements the same Protocol and passes the same contract tests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from headwater.errors import InvalidInput
from headwater.openlora.adapters import LoadedAdapter
from headwater.openlora.generation import Generation
from headwater.openlora.sampling import GREEDY, MAX_TOP_LOGPROBS, SamplingParameters
from headwater.protocol.completion import Completion
from headwater.types import ZERO_DIGEST, Digest

MAX_STOP_STRINGS: Final = 16
MAX_STOP_LENGTH: Final = 256

CompletionSink: TypeAlias = Callable[[Completion], None]
"""Receives each request's one record, on the engine's thread, before its reader sees the end. What it raises (an
error of the tree, or OSError) fails that request alone."""


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One answer to be generated. Raises InvalidInput for values that no engine can serve."""

    request_id: Digest
    prompt_ids: tuple[int, ...]
    adapter: Digest | None
    """Digest of a registered adapter; None = the base alone."""
    max_tokens: int
    seed: Digest
    sampling: SamplingParameters = GREEDY
    stop: tuple[str, ...] = ()
    """The text ends before the first of these; the tokens that spelled it stay in the record."""
    stop_ids: tuple[int, ...] = ()
    """Tokens that end the answer, beside the tokenizer's end mark."""
    logprobs: bool = False
    top_logprobs: int = 0
    tenant: str = ""
    """Whose turn this counts against when requests wait."""

    def __post_init__(self) -> None:
        if not self.prompt_ids:
            raise InvalidInput("the prompt has no tokens", "send a message")
        if isinstance(self.max_tokens, bool) or not isinstance(self.max_tokens, int) or self.max_tokens < 1:
            raise InvalidInput(f"max_tokens is {self.max_tokens!r}", "ask for at least one token")
        for name in ("request_id", "seed"):
            if len(getattr(self, name)) != 32:
                raise InvalidInput(f"{name} has {len(getattr(self, name))} bytes", "pass 32 bytes")
        if self.adapter is not None and (len(self.adapter) != 32 or self.adapter == ZERO_DIGEST):
            raise InvalidInput("the adapter's digest is not a digest", "pass None for the base alone")
        if len(self.stop) > MAX_STOP_STRINGS or any(not 0 < len(s) <= MAX_STOP_LENGTH for s in self.stop):
            raise InvalidInput(
                "a stop string is empty, too long, or there are too many",
                f"pass at most {MAX_STOP_STRINGS} of 1 to {MAX_STOP_LENGTH} characters",
            )
        if not 0 <= self.top_logprobs <= MAX_TOP_LOGPROBS or (self.top_logprobs and not self.logprobs):
            raise InvalidInput(
                f"top_logprobs is {self.top_logprobs}", f"ask for 0 to {MAX_TOP_LOGPROBS}, together with logprobs"
            )


@dataclass(frozen=True, slots=True)
class EngineDescription:
    """What an engine runs on, and why: printed at start and shown by the API."""

    engine: str
    base_name: str
    base_digest: Digest
    dtype: str
    device: str
    threads: int
    context_tokens: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EngineLoad:
    """How busy an engine is now."""

    running: int
    waiting: int
    kv_bytes: int
    """Keys and values reserved for running requests, to their longest possible end."""


class Engine(Protocol):
    """Generates answers from one base and any of its registered adapters. All methods may be called from any thread.

    A request that is accepted ends in exactly one Completion, also when it is cancelled, fails, or the engine closes.
    """

    def submit(self, request: GenerationRequest) -> Generation:
        """Accept a request; returns at once. Raises UnknownModel for an adapter that is not registered, InvalidInput
        for a prompt that does not fit, Conflict for a request id in flight, Unavailable when full or closed."""
        ...

    def register(self, adapter: LoadedAdapter) -> Digest:
        """Make an adapter, which has passed the gate, servable. Idempotent. Returns the digest computed from the
        tensors. Raises BadAdapter if it does not fit the base."""
        ...

    def unregister(self, digest: Digest) -> None:
        """Accept no more requests for it; those in flight keep its tensors to their end. Raises UnknownModel."""
        ...

    def resident(self) -> tuple[Digest, ...]:
        """Digests of the registered adapters whose tensors are loaded."""
        ...

    def describe(self) -> EngineDescription: ...

    def load(self) -> EngineLoad: ...

    def close(self) -> None:
        """Cancel what runs, wait for the engine's thread. Idempotent."""
        ...
