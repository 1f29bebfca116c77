"""Golden vectors: sample values of every struct and tree, with what each implementation must compute from them.

In: nothing. Out: plain JSON objects, one a file in `tests/conformance/vectors/`. Python, Solidity and JavaScript are
held against the same files; `scripts/build_vectors` writes them and a test compares.
"""

from __future__ import annotations

from typing import Any

from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils import keccak

from headwater.protocol import attribution, contribution, epoch, model, signed_types, snapshot, sumtree
from headwater.protocol.merkle import MerkleTree
from headwater.protocol.shares import largest_remainder
from headwater.protocol.typed_data import Domain, TypedStruct, signable
from headwater.types import Address, Ppm, Wei, address, digest, hex0x

CHAIN_ID = 31337
CONTRACT = address("0x5FbDB2315678afecb367f032d93F642f64180aa3")
KEY = keccak(text="headwater vectors")

LEAVES: tuple[type[TypedStruct], ...] = (
    contribution.RecordCommitment,
    snapshot.Snapshot,
    snapshot.SnapshotEntry,
    model.ModelVersion,
    model.PriceVersion,
    attribution.IndexRow,
    attribution.RowScore,
    attribution.OwnerShare,
    epoch.LaneRow,
    epoch.ReceiptLeaf,
    epoch.AttributionLeaf,
    epoch.StrikeLeaf,
    epoch.PartLeaf,
    epoch.VerdictFinding,
    epoch.Proposal,
    sumtree.PayoutLeaf,
)


def sample(cls: type[TypedStruct]) -> TypedStruct:
    """A value whose every member differs, made from the member's name."""
    values: list[Any] = []
    for name, _, kind in cls.members():
        word = keccak(text=f"{cls.__name__}.{name}")
        if kind == "bytes32":
            values.append(digest(word))
        elif kind == "address":
            values.append(address(word[:20]))
        elif kind == "bool":
            values.append(bool(word[0] & 1))
        else:
            bits = min(int(kind.removeprefix("uint")), 128)
            values.append(int.from_bytes(word, "big") % (1 << min(bits, 48 if bits <= 64 else bits)))
    return cls(*values)


def struct_vectors() -> list[dict[str, Any]]:
    """Type string, type hash, struct hash of every struct; domain, digest and a signature where one is signed."""
    key = Account.from_key(KEY)
    out = []
    for cls in (*signed_types.SIGNED_TYPES, *LEAVES):
        value = sample(cls)
        row: dict[str, Any] = {
            "type": cls.__name__,
            "type_string": cls.type_string(),
            "type_hash": hex0x(cls.type_hash()),
            "json": value.to_json(),
            "struct_hash": hex0x(value.digest()),
        }
        if cls in signed_types.SIGNED_TYPES:
            domain = Domain(signable(cls.__name__)[1], CHAIN_ID, CONTRACT)
            signed = key.sign_message(encode_typed_data(full_message=value.wallet_payload(domain)))
            row |= {
                "contract": domain.contract,
                "domain_separator": hex0x(domain.separator()),
                "signing_digest": hex0x(value.signing_digest(domain)),
                "signer": key.address,
                "signature": hex0x(bytes(signed.signature)),
            }
        out.append(row)
    return out


def merkle_vectors() -> list[dict[str, Any]]:
    """Roots and every proof for trees of some sizes; leaf i has the struct hash keccak('leaf i')."""
    out = []
    for size in (0, 1, 2, 3, 4, 5, 7, 8, 9, 17):
        tree = MerkleTree([keccak(text=f"leaf {i}") for i in range(size)])
        proofs = [[hex0x(s) for s in tree.proof(i)] for i in range(size)]
        out.append({"size": size, "root": hex0x(tree.root), "proofs": proofs})
    return out


def sumtree_vectors() -> list[dict[str, Any]]:
    out = []
    for size in (1, 2, 3, 5, 8, 9):
        payouts = {_account(i): Wei((i + 1) * 10**17 + i) for i in range(size)}
        tree = sumtree.PayoutTree(CHAIN_ID, CONTRACT, payouts)
        out.append(
            {
                "chain_id": CHAIN_ID,
                "ledger": CONTRACT,
                "payouts": [[a, str(tree.cumulative_of(a))] for a in tree.accounts],
                "root": hex0x(tree.root),
                "total": str(tree.total),
                "proofs": [[s.to_json() for s in tree.proof(a)] for a in tree.accounts],
            }
        )
    return out


def ppm_vectors() -> list[dict[str, Any]]:
    out = []
    for weights in ((1, 1, 1), (5, 0, 3, 2), (1, 2, 4, 8, 16, 31), (10**30, 1), (7,)):
        shares: dict[Address, Ppm] = largest_remainder({_account(i): w for i, w in enumerate(weights)})
        out.append({"weights": [[_account(i), str(w)] for i, w in enumerate(weights)], "ppm": shares})
    return out


ALL = {"structs": struct_vectors, "merkle": merkle_vectors, "sumtree": sumtree_vectors, "ppm": ppm_vectors}


def _account(i: int) -> Address:
    return address(keccak(text=f"account {i}")[:20])
