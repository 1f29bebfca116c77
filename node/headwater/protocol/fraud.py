"""Evidence: what one transaction shows to the court, and which of its functions takes it.

In: leaves, proofs and signatures of a committed epoch. Out: one frozen dataclass a fault; its fields, in order, are
the function's arguments after the committed epoch, as `contracts/disputes` declares them. Pure: who finds a fault is
the validator's prosecutor; who checks it, the contract.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

from headwater.protocol.attribution import Attribution, IndexRow, OwnerShare, RowScore
from headwater.protocol.epoch import AttributionLeaf, Epoch, LaneRow, PartLeaf, ReceiptLeaf, StrikeLeaf
from headwater.protocol.influence import Listing
from headwater.protocol.neighbours import NO_GAP, Gap, SumGap
from headwater.protocol.receipt import Receipt
from headwater.protocol.sumtree import SumNode
from headwater.types import ZERO_ADDRESS, ZERO_DIGEST, Address, Digest, Ppm, Wei


@dataclass(frozen=True, slots=True)
class Evidence:
    """Base of all evidence. `takes_epoch`: whether the committed epoch goes first."""

    contract: ClassVar[str]
    function: ClassVar[str]
    takes_epoch: ClassVar[bool] = True

    def arguments(self) -> tuple[Any, ...]:
        """The function's arguments after the committed epoch."""
        return tuple(getattr(self, f.name) for f in fields(self))


# -- where leaves stand ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReceiptAt:
    receipt: Receipt
    signature_digest: Digest
    index: int
    proof: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class AttributionAt:
    attribution: Attribution
    signature_digest: Digest
    index: int
    proof: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class LanePlace:
    """A lane's row in a table; or, not listed, the gap where it would stand (then only its id counts in `row`)."""

    listed: bool
    row: LaneRow
    left: LaneRow
    right: LaneRow
    gap: Gap


@dataclass(frozen=True, slots=True)
class PayoutPair:
    account: Address
    cumulative: Wei


@dataclass(frozen=True, slots=True)
class PayoutPlace:
    listed: bool
    cumulative: Wei
    left: PayoutPair
    right: PayoutPair
    gap: SumGap


@dataclass(frozen=True, slots=True)
class PartEdge:
    left: PartLeaf
    right: PartLeaf
    gap: SumGap


@dataclass(frozen=True, slots=True)
class StrikePlace:
    struck: bool
    left: StrikeLeaf
    right: StrikeLeaf
    gap: Gap


@dataclass(frozen=True, slots=True)
class Division:
    """What a part follows from: see `contracts/disputes/PartDivision.sol`."""

    receipt: ReceiptAt
    attribution: AttributionAt
    shares: tuple[OwnerShare, ...]
    end_leaf: Digest
    place: Gap


@dataclass(frozen=True, slots=True)
class ScoreAt:
    score: RowScore
    index: int
    proof: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class RowAt:
    row: IndexRow
    proof: tuple[Digest, ...]
    packed: bytes


NO_RECEIPT_LEAF = ReceiptLeaf(ZERO_DIGEST, 0, ZERO_DIGEST, ZERO_DIGEST)
NO_LANE = LaneRow(ZERO_DIGEST, ZERO_ADDRESS, ZERO_ADDRESS, 0, ZERO_DIGEST, Wei(0), Wei(0))
NO_PART = PartLeaf(ZERO_ADDRESS, 0, 0, Wei(0))
NO_PAYOUT = PayoutPair(ZERO_ADDRESS, Wei(0))
NO_STRIKE = StrikeLeaf(0, ZERO_DIGEST, 0, False)
NOT_STRUCK = StrikePlace(False, NO_STRIKE, NO_STRIKE, NO_GAP)
NO_SCORE = RowScore(0, 0, 0, 0, ZERO_ADDRESS, ZERO_DIGEST)
NO_EPOCH = Epoch(
    0,
    0,
    0,
    ZERO_DIGEST,
    ZERO_DIGEST,
    ZERO_DIGEST,
    ZERO_DIGEST,
    ZERO_DIGEST,
    ZERO_DIGEST,
    ZERO_DIGEST,
    ZERO_DIGEST,
    Wei(0),
)
"""Stands for the epoch before the first."""
NO_ATTRIBUTION = AttributionAt(
    Attribution(
        ZERO_DIGEST,
        ZERO_ADDRESS,
        ZERO_DIGEST,
        0,
        ZERO_DIGEST,
        ZERO_DIGEST,
        ZERO_DIGEST,
        0,
        ZERO_DIGEST,
        ZERO_DIGEST,
        ZERO_DIGEST,
        Ppm(0),
        Ppm(0),
        Ppm(0),
    ),
    ZERO_DIGEST,
    0,
    (),
)


# -- two signatures that exclude each other --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TwoReceipts(Evidence):
    contract: ClassVar[str] = "EpochDisputes"
    function: ClassVar[str] = "proveTwoReceipts"
    takes_epoch: ClassVar[bool] = False
    one: Receipt
    one_signature: bytes
    other: Receipt
    other_signature: bytes


@dataclass(frozen=True, slots=True)
class TwoAttributions(Evidence):
    contract: ClassVar[str] = "EpochDisputes"
    function: ClassVar[str] = "proveTwoAttributions"
    takes_epoch: ClassVar[bool] = False
    one: Attribution
    one_signature: bytes
    other: Attribution
    other_signature: bytes


@dataclass(frozen=True, slots=True)
class TwoEpochs(Evidence):
    contract: ClassVar[str] = "EpochDisputes"
    function: ClassVar[str] = "proveTwoEpochs"
    takes_epoch: ClassVar[bool] = False
    one: Epoch
    one_signature: bytes
    other: Epoch
    other_signature: bytes


# -- one receipt or attribution --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReceiptSignature(Evidence):
    contract: ClassVar[str] = "ReceiptProofs"
    function: ClassVar[str] = "proveReceiptSignature"
    receipt: Receipt
    signature: bytes
    index: int
    proof: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class AttributionSignature(Evidence):
    contract: ClassVar[str] = "ReceiptProofs"
    function: ClassVar[str] = "proveAttributionSignature"
    attribution: Attribution
    signature: bytes
    index: int
    proof: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class WrongReceiptLeaf(Evidence):
    contract: ClassVar[str] = "ReceiptProofs"
    function: ClassVar[str] = "proveReceiptLeaf"
    leaf: ReceiptLeaf
    index: int
    proof: tuple[Digest, ...]
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class WrongTerms(Evidence):
    contract: ClassVar[str] = "ReceiptProofs"
    function: ClassVar[str] = "proveTerms"
    receipt: ReceiptAt


@dataclass(frozen=True, slots=True)
class ForeignAttribution(Evidence):
    contract: ClassVar[str] = "ReceiptProofs"
    function: ClassVar[str] = "proveForeignAttribution"
    receipt: ReceiptAt
    attribution: AttributionAt


@dataclass(frozen=True, slots=True)
class WrongAttributionLeaf(Evidence):
    contract: ClassVar[str] = "ReceiptProofs"
    function: ClassVar[str] = "proveAttributionLeaf"
    receipt_leaf: ReceiptLeaf
    receipt_proof: tuple[Digest, ...]
    attribution_leaf: AttributionLeaf
    attribution_proof: tuple[Digest, ...]
    index: int


@dataclass(frozen=True, slots=True)
class UnequalCounts(Evidence):
    contract: ClassVar[str] = "ReceiptProofs"
    function: ClassVar[str] = "proveUnequalCounts"
    end_leaf: Digest
    end: Gap
    beyond_leaf: Digest
    beyond_index: int
    beyond_proof: tuple[Digest, ...]
    receipts_end: bool


# -- the receipts' order and the lane table --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReceiptOrder(Evidence):
    contract: ClassVar[str] = "LaneProofs"
    function: ClassVar[str] = "proveReceiptOrder"
    left: ReceiptLeaf
    right: ReceiptLeaf
    gap: Gap


@dataclass(frozen=True, slots=True)
class ReceiptChain(Evidence):
    contract: ClassVar[str] = "LaneProofs"
    function: ClassVar[str] = "proveReceiptChain"
    left: Receipt
    right: Receipt
    signature_digests: tuple[Digest, Digest]
    gap: Gap


@dataclass(frozen=True, slots=True)
class LaneStart(Evidence):
    contract: ClassVar[str] = "LaneProofs"
    function: ClassVar[str] = "proveLaneStart"
    previous: Epoch
    first: Receipt
    signature_digest: Digest
    left_leaf: ReceiptLeaf
    gap: Gap
    before: LanePlace


@dataclass(frozen=True, slots=True)
class LaneEnd(Evidence):
    contract: ClassVar[str] = "LaneProofs"
    function: ClassVar[str] = "proveLaneEnd"
    last: Receipt
    signature_digest: Digest
    right_leaf: ReceiptLeaf
    gap: Gap
    now: LanePlace


@dataclass(frozen=True, slots=True)
class LaneIdle(Evidence):
    contract: ClassVar[str] = "LaneProofs"
    function: ClassVar[str] = "proveLaneIdle"
    previous: Epoch
    left: ReceiptLeaf
    right: ReceiptLeaf
    gap: Gap
    before: LanePlace
    now: LanePlace


@dataclass(frozen=True, slots=True)
class LaneBack(Evidence):
    contract: ClassVar[str] = "LaneProofs"
    function: ClassVar[str] = "proveLaneBack"
    previous: Epoch
    before: LanePlace
    now: LanePlace


@dataclass(frozen=True, slots=True)
class LaneOrder(Evidence):
    contract: ClassVar[str] = "LaneProofs"
    function: ClassVar[str] = "proveLaneOrder"
    left: LaneRow
    right: LaneRow
    gap: Gap


@dataclass(frozen=True, slots=True)
class WrongLaneRow(Evidence):
    contract: ClassVar[str] = "LaneProofs"
    function: ClassVar[str] = "proveLaneRow"
    row: LaneRow
    index: int
    proof: tuple[Digest, ...]


# -- payouts and parts -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PayoutBack(Evidence):
    contract: ClassVar[str] = "PayoutProofs"
    function: ClassVar[str] = "provePayoutBack"
    previous: Epoch
    account: Address
    before: PayoutPlace
    now: PayoutPlace


@dataclass(frozen=True, slots=True)
class PayoutOrder(Evidence):
    contract: ClassVar[str] = "PayoutProofs"
    function: ClassVar[str] = "provePayoutOrder"
    left: PayoutPair
    right: PayoutPair
    gap: SumGap


@dataclass(frozen=True, slots=True)
class PayoutTotal(Evidence):
    contract: ClassVar[str] = "PayoutProofs"
    function: ClassVar[str] = "provePayoutTotal"
    payout: PayoutPair
    index: int
    proof: tuple[SumNode, ...]


@dataclass(frozen=True, slots=True)
class PartsTotal(Evidence):
    contract: ClassVar[str] = "PayoutProofs"
    function: ClassVar[str] = "provePartsTotal"
    previous: Epoch
    gap: PartEdge


@dataclass(frozen=True, slots=True)
class PartOrder(Evidence):
    contract: ClassVar[str] = "PayoutProofs"
    function: ClassVar[str] = "provePartOrder"
    edge: PartEdge


@dataclass(frozen=True, slots=True)
class PayoutSum(Evidence):
    contract: ClassVar[str] = "PayoutProofs"
    function: ClassVar[str] = "provePayoutSum"
    previous: Epoch
    account: Address
    before: PayoutPlace
    now: PayoutPlace
    lower: PartEdge
    upper: PartEdge


@dataclass(frozen=True, slots=True)
class WrongPart(Evidence):
    contract: ClassVar[str] = "PayoutProofs"
    function: ClassVar[str] = "provePart"
    part: PartLeaf
    index: int
    proof: tuple[SumNode, ...]
    division: Division
    strike: StrikePlace


@dataclass(frozen=True, slots=True)
class PartBeyond(Evidence):
    contract: ClassVar[str] = "PayoutProofs"
    function: ClassVar[str] = "provePartBeyond"
    part: PartLeaf
    index: int
    proof: tuple[SumNode, ...]
    last: ReceiptLeaf
    end: Gap


@dataclass(frozen=True, slots=True)
class PartMissing(Evidence):
    contract: ClassVar[str] = "PayoutProofs"
    function: ClassVar[str] = "provePartMissing"
    slot: int
    division: Division
    strike: StrikePlace
    edge: PartEdge


# -- attributions ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WrongShares(Evidence):
    contract: ClassVar[str] = "AttributionProofs"
    function: ClassVar[str] = "proveShares"
    attribution: AttributionAt
    listing: Listing


@dataclass(frozen=True, slots=True)
class WrongFloor(Evidence):
    contract: ClassVar[str] = "AttributionProofs"
    function: ClassVar[str] = "proveFloor"
    attribution: AttributionAt
    sketch: bytes


@dataclass(frozen=True, slots=True)
class WronglyListed(Evidence):
    contract: ClassVar[str] = "AttributionProofs"
    function: ClassVar[str] = "proveListed"
    attribution: AttributionAt
    listed: ScoreAt


@dataclass(frozen=True, slots=True)
class ListOrder(Evidence):
    contract: ClassVar[str] = "AttributionProofs"
    function: ClassVar[str] = "proveListOrder"
    attribution: AttributionAt
    left: RowScore
    right: RowScore
    gap: Gap


@dataclass(frozen=True, slots=True)
class WrongRow(Evidence):
    contract: ClassVar[str] = "AttributionProofs"
    function: ClassVar[str] = "proveRow"
    attribution: AttributionAt
    listed: ScoreAt
    row: RowAt


@dataclass(frozen=True, slots=True)
class WrongProduct(Evidence):
    contract: ClassVar[str] = "AttributionProofs"
    function: ClassVar[str] = "proveProduct"
    attribution: AttributionAt
    listed: ScoreAt
    sketch: bytes
    row: RowAt


@dataclass(frozen=True, slots=True)
class OmittedRow(Evidence):
    contract: ClassVar[str] = "AttributionProofs"
    function: ClassVar[str] = "proveOmitted"
    attribution: AttributionAt
    sketch: bytes
    row: RowAt
    left: RowScore
    right: RowScore
    gap: Gap
