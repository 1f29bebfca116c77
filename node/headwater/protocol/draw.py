"""Which receipts, rows and steps a validator must recompute: fixed by a block hash and a preimage, chosen by nobody.

In: a sealed hash, the next preimage of the validator's registered hash chain. Out: distinct numbers below a bound.
A hash chain is keccak applied n times to a secret; the registered anchor is its end, and each draw reveals one step
back, so a preimage is fixed before the hash that it is mixed with.
"""

from __future__ import annotations

from collections.abc import Iterator

from eth_utils import keccak

from headwater.errors import InvalidInput
from headwater.types import Digest


def preimage_at(secret: Digest, length: int, position: int) -> Digest:
    """The preimage for draw number `position` (0, 1, ...) of a chain of `length` steps.

    keccak applied `position + 1` times to it gives the anchor. Raises InvalidInput when the chain is used up.
    """
    if not 0 <= position < length:
        raise InvalidInput(f"the draw chain of {length} steps has no step {position}", "register a new validator key")
    return iterate(secret, length - 1 - position)


def anchor_of(secret: Digest, length: int) -> Digest:
    """What is registered: keccak applied `length` times to the secret."""
    return iterate(secret, length)


def iterate(value: Digest, times: int) -> Digest:
    for _ in range(times):
        value = Digest(keccak(value))
    return value


def is_preimage(preimage: Digest, position: int, anchor: Digest) -> bool:
    return iterate(preimage, position + 1) == anchor


def draw_seed(sealed_hash: Digest, preimage: Digest, purpose: str) -> Digest:
    return Digest(keccak(b"headwater draw" + sealed_hash + preimage + purpose.encode()))


def draw_distinct(seed: Digest, bound: int, count: int) -> tuple[int, ...]:
    """`min(count, bound)` distinct numbers in [0, bound), ascending; sparse Fisher–Yates over keccak words."""
    swapped: dict[int, int] = {}
    words = _words(seed)
    chosen = []
    for i in range(min(count, bound)):
        j = i + next(words) % (bound - i)  # 256-bit words: the bias is below 2**-200
        chosen.append(swapped.get(j, j))
        swapped[j] = swapped.get(i, i)
    return tuple(sorted(chosen))


def _words(seed: Digest) -> Iterator[int]:
    counter = 0
    while True:
        yield int.from_bytes(keccak(seed + counter.to_bytes(8, "big")), "big")
        counter += 1
