"""Lane ids, request ids, salted digests and seeds: each binds all of its parts, in their order."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest
from eth_abi import encode
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st

from headwater.protocol.voucher import (
    Voucher,
    lane_id,
    request_digest,
    request_id,
    response_digest,
    sampling_seed,
)
from headwater.testing import examples
from headwater.types import Address, Digest, Wei, address, digest

accounts = st.binary(min_size=20, max_size=20).map(address)
digests = st.binary(min_size=32, max_size=32).map(digest)


@given(st.integers(1, 2**53), accounts, accounts, accounts, digests)
def test_a_lane_id_is_what_solidity_computes(
    chain: int, escrow: Address, user: Address, provider: Address, nonce: Digest
) -> None:
    """keccak(abi.encode(block.chainid, address(this), user, provider, nonce))."""
    words = encode(["uint256", "address", "address", "address", "bytes32"], [chain, escrow, user, provider, nonce])
    assert lane_id(chain, escrow, user, provider, nonce) == keccak(words)


def test_no_part_of_a_lane_can_change_places_with_another() -> None:
    escrow, user, provider = (examples.account(n) for n in ("escrow", "user", "provider"))
    ids = {lane_id(1, *order, examples.word("n")) for order in permutations((escrow, user, provider))}
    assert len(ids) == 6
    assert lane_id(2, escrow, user, provider, examples.word("n")) not in ids


@pytest.mark.parametrize("function", [request_id, request_digest, response_digest, sampling_seed])
@given(one=digests, two=digests, other=digests)
def test_both_parts_and_their_order_are_bound(
    function: Callable[[Digest, Digest], Digest], one: Digest, two: Digest, other: Digest
) -> None:
    made = function(one, two)
    for a, b in ((other, two), (one, other), (two, one)):
        assert (function(a, b) == made) == ((a, b) == (one, two))


def test_one_pair_has_another_digest_for_each_purpose() -> None:
    """A request's digest can never stand for a response's, nor for a seed."""
    a, b = examples.word("a"), examples.word("b")
    functions: list[Any] = [request_id, request_digest, response_digest, sampling_seed]
    assert len({f(a, b) for f in functions}) == 4


@given(st.permutations([examples.word("lane"), examples.word("head")]), st.integers(0, 2**128 - 1))
def test_each_arrangement_of_a_vouchers_members_is_its_own_voucher(words: list[Digest], cumulative: int) -> None:
    right = Voucher(examples.word("lane"), Wei(cumulative), examples.word("head"))
    made = Voucher(words[0], Wei(cumulative), words[1])
    same = made.signing_digest(examples.ESCROW) == right.signing_digest(examples.ESCROW)
    assert same == (made == right)


@given(st.integers(0, 2**128 - 1), st.integers(0, 2**128 - 1))
def test_two_sums_are_two_vouchers(one: int, other: int) -> None:
    a, b = (Voucher(examples.word("lane"), Wei(w), examples.word("head")) for w in (one, other))
    assert (a.digest() == b.digest()) == (one == other)
