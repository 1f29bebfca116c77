"""A model version as it stands on chain: what it is made of, what it costs, who is paid, and who vouches for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from headwater.errors import InvalidInput
from headwater.protocol.codec import Bytes32, Document, Flag, PpmShare, Uint8, Uint32, Uint64, WeiAmount
from headwater.protocol.typed_data import TypedStruct, signed_by_contract
from headwater.types import WHOLE_PPM, ZERO_DIGEST, Ppm, Wei

TOKENS_PER_PRICE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Adapter(Document):
    """What is served on top of a base: its digest names both the tensors and how they are applied."""

    base_digest: Bytes32
    rank: Uint32
    alpha: Uint32
    use_rslora: bool
    target_modules: tuple[str, ...]
    tensors_digest: Bytes32


@dataclass(frozen=True, slots=True)
class PriceSplit(TypedStruct):
    """How a price is divided, in ppm; the parts add up to 1,000,000."""

    contributors_ppm: PpmShare
    model_owner_ppm: PpmShare
    datanet_owners_ppm: PpmShare
    provider_ppm: PpmShare
    validators_ppm: PpmShare
    protocol_ppm: PpmShare

    def __post_init__(self) -> None:
        Document.__post_init__(self)
        total = sum(self.values())
        if total != WHOLE_PPM:
            raise InvalidInput(f"the price split adds up to {total:,} ppm", "make it 1,000,000")


DEFAULT_SPLIT: Final = PriceSplit(Ppm(500_000), Ppm(150_000), Ppm(50_000), Ppm(220_000), Ppm(50_000), Ppm(30_000))


@dataclass(frozen=True, slots=True)
class PriceVersion(TypedStruct):
    """One entry of a model version's append-only price list."""

    model_id: Bytes32
    version: Uint32
    price_version: Uint32
    price_per_thousand_tokens_wei: WeiAmount
    effective_at: Uint64


@dataclass(frozen=True, slots=True)
class ModelVersion(TypedStruct):
    """Everything that a version commits to (PROTOCOL.md §2.3). Zero certificate = uncertified."""

    model_id: Bytes32
    version: Uint32
    parent_model_id: Bytes32
    parent_version: Uint32
    base_digest: Bytes32
    snapshots_root: Bytes32
    """Merkle root over the snapshot ids, ascending."""
    data_split: Uint8
    recipe_digest: Bytes32
    step_chain_digest: Bytes32
    adapter_digest: Bytes32
    checkpoint_digest: Bytes32
    method_id: Bytes32
    index_root: Bytes32
    index_rows: Uint32
    floor_unit: Uint64
    """The noise floor of a query of length sqrt(width): an attribution's floor follows from it and its sketch."""
    record_cap_ppm: PpmShare
    """The method's; on chain, so that a contract can repeat the method's division."""
    listed_rows: Uint32
    """The method's."""
    certificate_digest: Bytes32
    evaluation_digest: Bytes32


@signed_by_contract("ModelRegistry")
@dataclass(frozen=True, slots=True)
class VersionVerdict(TypedStruct):
    """One validator's word on one version, after recomputing what the draw named (PROTOCOL.md §2.4)."""

    model_id: Bytes32
    version: Uint32
    version_digest: Bytes32
    """`ModelVersion.digest()`."""
    validator_set_id: Uint64
    sealed_hash: Bytes32
    """Hash of the block after the registration."""
    preimage: Bytes32
    """Next preimage of the validator's registered version-draw chain."""
    findings_digest: Bytes32
    accepted: Flag


def price_wei(price_per_thousand_tokens_wei: int, tokens: int) -> Wei:
    """Price of an answer, rounded down; `tokens` = prompt + output."""
    return Wei(price_per_thousand_tokens_wei * tokens // TOKENS_PER_PRICE)


def is_certified(version: ModelVersion) -> bool:
    return version.certificate_digest != ZERO_DIGEST
