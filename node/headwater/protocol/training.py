"""What a training commits to: its chain of steps, and the checkpoint that attribution looks through.

In: each step's records, loss and, where one is kept, state digest. Out: a hash chain whose last digest stands in the
model version, and a checkpoint's digest beside it; a validator replays segments of the chain. It starts from the
recipe and the records, so a chain belongs to one training only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from headwater.errors import VerificationFailed
from headwater.protocol.codec import Bytes32, Document, Uint32, Uint64
from headwater.types import Digest

MICRONATS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class TrainingStep(Document):
    """One optimiser step."""

    previous: Bytes32
    """Digest of the step before; of the chain's start for the first."""
    step: Uint32
    """From 1."""
    record_ids: tuple[Bytes32, ...]
    tokens: Uint32
    """All tokens of the batch without padding."""
    loss_micronats: Uint64
    """Mean loss an answer token before the update, rounded to a millionth of a nat."""
    state_digest: Bytes32
    """Digest of adapter and both Adam moments after the update, at the checkpoint and the last step; else zero."""


@dataclass(frozen=True, slots=True)
class Checkpoint(Document):
    """What a checkpoint digest covers: where in the training, and every tensor that the next step depends on."""

    step: Uint32
    """Completed optimiser steps."""
    adapter_digest: Bytes32
    first_moment_digest: Bytes32
    second_moment_digest: Bytes32


def chain_start(recipe_digest: Digest, examples_digest: Digest) -> Digest:
    return Digest(sha256(b"headwater training steps" + recipe_digest + examples_digest).digest())


def quantise_loss(loss: float) -> int:
    return round(loss * MICRONATS)


def verify_steps(steps: Sequence[TrainingStep], start: Digest) -> Digest:
    """The chain's digest. Raises VerificationFailed naming the first broken link."""
    previous = start
    for number, step in enumerate(steps, 1):
        if step.previous != previous or step.step != number:
            raise VerificationFailed(
                f"training step {number} does not follow from the one before it", "fetch the steps again"
            )
        previous = step.digest()
    return previous
