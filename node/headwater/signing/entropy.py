"""Randomness as a seam: from the operating system, or from a seed so that a demo can be repeated.

In: a label that names the one thing drawn, and a size. Out: bytes. Everything random that ends up hashed or signed
(wallet keys, salts, content keys, nonces) is drawn here.
"""

from __future__ import annotations

import secrets
from typing import Final, Protocol

from eth_utils import keccak

_DOMAIN: Final = b"headwater entropy"


class Entropy(Protocol):
    def draw(self, label: str, size: int) -> bytes:
        """`size` bytes for the one thing that `label` names. Two things must never share a label."""
        ...


class SystemEntropy:
    """From the operating system; the label is ignored and every draw is fresh."""

    def draw(self, label: str, size: int) -> bytes:
        return secrets.token_bytes(size)


class SeededEntropy:
    """For demo homes and tests only: the same seed and label give the same bytes, in every process.

    Counter mode over keccak-256 of (domain, keccak(seed), keccak(label), counter). A command that runs again after a
    kill draws what it drew before. Whoever knows the seed knows every key.
    """

    def __init__(self, seed: str) -> None:
        self._seed = keccak(text=seed)

    def draw(self, label: str, size: int) -> bytes:
        prefix = _DOMAIN + self._seed + keccak(text=label)
        blocks = (keccak(prefix + i.to_bytes(8, "big")) for i in range(-(-size // 32)))
        return b"".join(blocks)[:size]


def entropy_for(seed: str) -> Entropy:
    """`Config.seed` as an Entropy: empty = the operating system."""
    return SeededEntropy(seed) if seed else SystemEntropy()
