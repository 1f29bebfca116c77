"""A whole EVM chain in one SQLite file: what one machine needs instead of a network.

In: signed transactions, requests to let time pass. Out: blocks that are fsync'd before anyone hears of them, state,
receipts, logs by index. One node at a time; no peers, no reorganisations, no keys. Rules of the Prague fork
(EIP-1559, EIP-4844 fields in the header, EIP-7623, EIP-7702) by py-evm; its gaps are closed in `vm`, and what stays
different is listed there.
"""

from __future__ import annotations

from headwater.chain.embedded.genesis import Genesis
from headwater.chain.embedded.node import EmbeddedChain

__all__ = ["EmbeddedChain", "Genesis"]
