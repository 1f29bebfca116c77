"""Who taught an answer, in integers: the method, the index's rows, the public body, and what the provider signs.

In: scores that are exact integers. Out: leaves and roots that one dot product can settle. How a gradient becomes a
sketch is the room `attribution/`; this page only fixes the shapes.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from headwater.errors import InvalidInput
from headwater.protocol.codec import Account, Bytes32, Document, PpmShare, Uint8, Uint32, Uint64
from headwater.protocol.merkle import merkle_root
from headwater.protocol.typed_data import TypedStruct, signed_by_contract
from headwater.types import WHOLE_PPM, Digest, address_bytes


@dataclass(frozen=True, slots=True)
class AttributionMethod(Document):
    """Everything that turns a gradient into shares; its digest is the registered method id."""

    name: str
    """'influence-sketch-v1'."""
    top_layers: Uint32
    """Gradients of the LoRA tensors in this many last decoder layers; 0 = all."""
    gradient_type: str
    """'float32' or 'float64'; nothing narrower ever enters this path."""
    adam_epsilon_ppt: Uint64
    """Added to the root of Adam's second moment, in parts per trillion."""
    sketch_width: Uint32
    damping_ppm: Uint64
    """lambda = damping x mean eigenvalue of the covariance, in ppm of that mean."""
    row_clip_ppm: Uint64
    """int4 range in ppm of a row's root mean square."""
    floor_queries: Uint32
    """Random queries that the noise floor is taken from."""
    floor_quantile_ppm: PpmShare
    record_cap_ppm: PpmShare
    """No record counts for more than this part of an answer's positive influence."""
    listed_rows: Uint32
    """At most this many rows are listed in an attribution."""


@dataclass(frozen=True, slots=True)
class IndexRow(TypedStruct):
    """Leaf of the index root: one record's int4 sketch, whose it is, and by what its score is divided."""

    position: Uint32
    owner: Account
    datanet_id: Bytes32
    cluster: Bytes32
    divisor: Uint32
    """Different rows in the record's cluster, which share one record's weight; 0 for a copy, which never counts."""
    scale: Uint64
    row_digest: Bytes32
    """keccak-256 of the packed int4 row."""


class ShareKind(enum.Enum):
    """Why somebody is paid; the number is the one in leaves."""

    INFLUENCE = 0
    RETRIEVAL = 1


@dataclass(frozen=True, slots=True)
class RowScore(TypedStruct):
    """Leaf of the scores root: a listed index row, its exact dot product, and what else its share follows from."""

    position: Uint32
    product: Uint32
    """Dot product with the public sketch; above the floor, so never negative."""
    scale: Uint64
    divisor: Uint32
    owner: Account
    datanet_id: Bytes32

    @property
    def score(self) -> int:
        return self.product * self.scale

    @property
    def mass(self) -> int:
        """Its score, with its cluster counted once; listed rows stand by falling mass, then position."""
        return self.score // self.divisor

    @property
    def order(self) -> tuple[int, int]:
        return -self.mass, self.position

    def excess(self, floor: int) -> int:
        """What stands above the floor, with the cluster counted once."""
        return (self.product - floor) * self.scale // self.divisor


@dataclass(frozen=True, slots=True)
class OwnerShare(TypedStruct):
    """Leaf of the shares root: what one account earns by its records in one Datanet."""

    kind: Uint8
    account: Account
    datanet_id: Bytes32
    ppm: PpmShare


@dataclass(frozen=True, slots=True)
class Quotation(Document):
    """A verbatim span of the answer that also stands in a record; shown, never paid."""

    position: Uint32
    output_start: Uint32
    token_count: Uint32


@dataclass(frozen=True, slots=True)
class AttributionBody(Document):
    """The public part of an attribution: a stranger recomputes everything below the sketch from it and the index."""

    receipt_digest: Bytes32
    method_id: Bytes32
    index_root: Bytes32
    sketch: bytes
    """int8, `sketch_width` of them, two's complement."""
    floor: Uint32
    """The dot product that noise reaches with a query of the sketch's length."""
    scores: tuple[RowScore, ...]
    """Rows above the floor, most mass first, then lower position first; at most `listed_rows`."""
    shares: tuple[OwnerShare, ...]
    """Ascending by (kind, account, datanet_id); ppm above zero."""
    base_ppm: PpmShare
    quotations: tuple[Quotation, ...]

    def __post_init__(self) -> None:
        Document.__post_init__(self)
        if sum(s.ppm for s in self.shares) + self.base_ppm != WHOLE_PPM:
            raise InvalidInput("the attribution's shares and base part are not 1,000,000 ppm", "compute them again")
        if list(self.shares) != sorted(self.shares, key=share_order) or any(s.ppm == 0 for s in self.shares):
            raise InvalidInput("the attribution's shares are out of order or empty", "sort them and drop zeros")
        if any(s.divisor == 0 for s in self.scores):
            raise InvalidInput("the attribution lists a copy", "list rows with a divisor only")
        if [s.order for s in self.scores] != sorted(s.order for s in self.scores):
            raise InvalidInput("the attribution's scores are out of order", "sort by falling mass, then position")

    def ppm_of(self, kind: ShareKind) -> int:
        return sum(s.ppm for s in self.shares if s.kind == kind.value)


@signed_by_contract("CreditEscrow")
@dataclass(frozen=True, slots=True)
class Attribution(TypedStruct):
    """What the provider signs beside its receipt; a receipt enters an epoch only with it."""

    receipt_digest: Bytes32
    provider: Account
    model_id: Bytes32
    version: Uint32
    method_id: Bytes32
    index_root: Bytes32
    sketch_digest: Bytes32
    """keccak-256 of the int8 sketch."""
    floor: Uint32
    scores_root: Bytes32
    shares_root: Bytes32
    body_digest: Bytes32
    """sha2-256 of the canonical body."""
    influence_ppm: PpmShare
    retrieval_ppm: PpmShare
    base_ppm: PpmShare


def share_order(share: OwnerShare) -> tuple[int, bytes, bytes]:
    return share.kind, address_bytes(share.account), share.datanet_id


def index_root(rows: Sequence[IndexRow]) -> Digest:
    return merkle_root([r.digest() for r in rows])


def scores_root(body: AttributionBody) -> Digest:
    return merkle_root([s.digest() for s in body.scores])


def shares_root(body: AttributionBody) -> Digest:
    return merkle_root([s.digest() for s in body.shares])
