"""A lane between a user and a provider, and the voucher with which the user's session key pays over it."""

from __future__ import annotations

from dataclasses import dataclass

from eth_utils import keccak

from headwater.protocol.codec import Bytes32, WeiAmount
from headwater.protocol.typed_data import TypedStruct, signed_by_contract
from headwater.types import Address, Digest, address_bytes


@signed_by_contract("CreditEscrow")
@dataclass(frozen=True, slots=True)
class Voucher(TypedStruct):
    """'Up to here I owe': the newest voucher of a lane supersedes all before it."""

    lane_id: Bytes32
    cumulative: WeiAmount
    receipt_head: Bytes32
    """Digest of the last receipt that this voucher pays."""


def lane_id(chain_id: int, escrow: Address, user: Address, provider: Address, lane_nonce: Digest) -> Digest:
    """keccak(abi.encode(chainid, escrow, user, provider, nonce)); never reused, since its nonce is not."""
    return Digest(
        keccak(
            chain_id.to_bytes(32, "big")
            + bytes(12)
            + address_bytes(escrow)
            + bytes(12)
            + address_bytes(user)
            + bytes(12)
            + address_bytes(provider)
            + lane_nonce
        )
    )


def request_id(lane: Digest, user_nonce: Digest) -> Digest:
    """The request's public name, known to both sides before the first token."""
    return Digest(keccak(lane + user_nonce))


def request_digest(request_document_digest: Digest, user_nonce: Digest) -> Digest:
    """Salted with the user's nonce, which stays between user, provider and drawn validators."""
    return Digest(keccak(b"headwater request" + user_nonce + request_document_digest))


def response_digest(response_document_digest: Digest, user_nonce: Digest) -> Digest:
    return Digest(keccak(b"headwater response" + user_nonce + response_document_digest))


def sampling_seed(salted_request_digest: Digest, user_nonce: Digest) -> Digest:
    """H(request digest, user nonce): a provider cannot answer again until its own records lead."""
    return Digest(keccak(b"headwater seed" + salted_request_digest + user_nonce))
