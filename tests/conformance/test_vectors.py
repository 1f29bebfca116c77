"""The golden vectors are what this code computes, and what an independent EIP-712 implementation computes too."""

import json
from pathlib import Path

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data

from headwater.protocol.signatures import recover
from headwater.protocol.signed_types import SIGNED_TYPES
from headwater.protocol.typed_data import Domain, signable
from headwater.testing import vectors
from headwater.types import digest

FOLDER = Path(__file__).parent / "vectors"


@pytest.mark.parametrize("name", sorted(vectors.ALL))
def test_committed_vectors_equal_recomputed_ones(name: str) -> None:
    assert json.loads((FOLDER / f"{name}.json").read_text("utf-8")) == vectors.ALL[name]()


@pytest.mark.parametrize("cls", [*SIGNED_TYPES, *vectors.LEAVES], ids=lambda c: c.__name__)
def test_struct_hash_equals_eth_accounts(cls: type) -> None:
    value = vectors.sample(cls)
    domain = Domain("CreditEscrow", vectors.CHAIN_ID, vectors.CONTRACT)
    message = encode_typed_data(full_message=value.wallet_payload(domain))
    assert message.body == value.digest()
    assert message.header == domain.separator()


def test_signed_vectors_recover_to_their_signer() -> None:
    rows = [r for r in json.loads((FOLDER / "structs.json").read_text("utf-8")) if "signature" in r]
    assert len(rows) == len(SIGNED_TYPES)
    for row in rows:
        cls, contract = signable(row["type"])
        value = cls.from_json(row["json"])
        domain = Domain(contract, vectors.CHAIN_ID, vectors.CONTRACT)
        assert recover(value.signing_digest(domain), bytes.fromhex(row["signature"][2:])) == row["signer"]
        assert row["signer"] == Account.from_key(vectors.KEY).address


def test_type_hashes_are_pairwise_distinct() -> None:
    hashes = {digest(c.type_hash()) for c in (*SIGNED_TYPES, *vectors.LEAVES)}
    assert len(hashes) == len(SIGNED_TYPES) + len(vectors.LEAVES)
