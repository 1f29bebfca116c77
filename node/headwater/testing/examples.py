"""Examples of everything that is signed and settled: frozen, consistent with one another, with real signatures.

In: names. Out: keys that follow from a name, a lane, its receipts with their attributions, epochs, exports. The keys
are public knowledge. Nothing here is random: the same call gives the same bytes on every machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from eth_account import Account
from eth_utils import keccak

from headwater.protocol.attribution import (
    Attribution,
    AttributionBody,
    AttributionMethod,
    IndexRow,
    OwnerShare,
    ShareKind,
    scores_root,
    share_order,
    shares_root,
)
from headwater.protocol.chat import Message
from headwater.protocol.completion import Completion, FinishReason, InferenceRequest, InferenceResponse
from headwater.protocol.epoch import EpochBundle, LaneRow, SignedReceipt, attribution_leaf, leaves_tree, receipt_leaf
from headwater.protocol.influence import score_of
from headwater.protocol.license import Disclosure, License, Purpose
from headwater.protocol.merkle import MerkleTree
from headwater.protocol.model import DEFAULT_SPLIT
from headwater.protocol.receipt import Receipt
from headwater.protocol.typed_data import Domain, TypedStruct
from headwater.protocol.voucher import lane_id, request_digest, request_id, sampling_seed
from headwater.provenance.export import FORMAT, DisclosedAnswer, EpochPlace, ProvenRow, ReceiptExport, sealed_export
from headwater.settlement.epochs import (
    Paymasters,
    SettledEpoch,
    VersionFacts,
    VersionKey,
    assemble_bundle,
    settle_epoch,
)
from headwater.settlement.receipts import LanePosition, LaneTerms, Tariff, next_receipt, response_of
from headwater.types import WHOLE_PPM, ZERO_DIGEST, Address, Digest, Ppm, Signature, Wei, address

CHAIN_ID: Final = 31337
ESCROW: Final = Domain("CreditEscrow", CHAIN_ID, address("0x" + "e5" * 20))
LEDGER: Final = Domain("AttributionLedger", CHAIN_ID, address("0x" + "1e" * 20))
LOG: Final = Domain("ContributionLog", CHAIN_ID, address("0x" + "10" * 20))
ISSUED_AT: Final = 1_767_225_600


def key(name: str) -> Any:
    """The eth-account key of a name."""
    return Account.from_key(keccak(text=f"headwater example {name}"))


def account(name: str) -> Address:
    return address(key(name).address)


def word(name: str) -> Digest:
    return Digest(keccak(text=name))


def sign(name: str, struct: TypedStruct, domain: Domain) -> Signature:
    return sign_digest(name, struct.signing_digest(domain))


def sign_digest(name: str, digest: Digest) -> Signature:
    return Signature(bytes(key(name).unsafe_sign_hash(digest).signature))


# -- a Datanet, a model, its index -------------------------------------------------------------------------------

TERMS: Final = License(
    name="Drug safety coding licence 1",
    text="You may train on these records and sell answers.",
    purposes=(Purpose.TRAIN, Purpose.EVALUATE),
    commercial=True,
    readers="The operators of nodes that hold the Datanet.",
    exit="Sign a withdrawal; no later snapshot holds your records.",
    contributors_minimum_ppm=Ppm(400_000),
    weakest_disclosure=Disclosure.CONFIDENTIAL,
)
DATANET: Final = word("datanet")
MODEL: Final = word("model")
VERSION: Final = 1
ADAPTER: Final = word("adapter")
TARIFF: Final = Tariff(MODEL, VERSION, 1, Wei(10**15))
"""A token costs 10**12 wei."""
METHOD: Final = AttributionMethod(
    name="influence-sketch-v1",
    top_layers=0,
    gradient_type="float32",
    adam_epsilon_ppt=10_000,
    sketch_width=16,
    damping_ppm=100_000,
    row_clip_ppm=2_500_000,
    floor_queries=64,
    floor_quantile_ppm=Ppm(950_000),
    record_cap_ppm=WHOLE_PPM,
    listed_rows=64,
)
CONTRIBUTORS: Final = ("alice", "bob", "carol")
INDEX: Final = tuple(
    IndexRow(i, account(CONTRIBUTORS[i % 3]), DATANET, word(f"record {i}"), 1, 1_000, word(f"row {i}"))
    for i in range(6)
)
INDEX_TREE: Final = MerkleTree([row.digest() for row in INDEX])
FACTS: Final = VersionFacts(
    split=DEFAULT_SPLIT,
    model_owner=account("model owner"),
    base_payee=account("base payee"),
    datanet_owners={DATANET: account("datanet owner")},
)
VERSION_FACTS: Final[Mapping[VersionKey, VersionFacts]] = {(MODEL, VERSION): FACTS}
PAYMASTERS: Final = Paymasters(validators=account("staking"), protocol=account("protocol"))


# -- a lane and its answers --------------------------------------------------------------------------------------


def lane(
    name: str = "lane",
    user: str = "user",
    provider: str = "provider",
    allocated_wei: int = 10**18,
    disclosure: Disclosure = Disclosure.CONFIDENTIAL,
) -> LaneTerms:
    """An open lane; its session key is called 'session'."""
    identity = lane_id(CHAIN_ID, ESCROW.verifying_contract, account(user), account(provider), word(name))
    return LaneTerms(identity, account(user), account(provider), account("session"), disclosure, Wei(allocated_wei))


def request(
    text: str = "ICD-10-CM code: Poisoning by penicillins, accidental, initial encounter",
) -> InferenceRequest:
    return InferenceRequest(MODEL, VERSION, (Message("user", text),), 16, 0, WHOLE_PPM, ())


def completion(terms: LaneTerms, asked: InferenceRequest, nonce: Digest, output_ids: tuple[int, ...]) -> Completion:
    """What an honest engine records."""
    salted = request_digest(asked.digest(), nonce)
    return Completion(
        request_id=request_id(terms.lane_id, nonce),
        base_digest=word("base"),
        weights_digest=ADAPTER,
        prompt_ids=tuple(range(100, 120)),
        output_ids=output_ids,
        text="T36.0X1A",
        finish_reason=FinishReason.STOP,
        seed=sampling_seed(salted, nonce),
        logprob_sum_micronats=-1_234,
    )


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer as provider and user know it."""

    terms: LaneTerms
    before: LanePosition
    request: InferenceRequest
    nonce: Digest
    completion: Completion
    receipt: Receipt
    signature: Signature

    @property
    def after(self) -> LanePosition:
        return self.before.after(self.receipt)

    @property
    def response(self) -> InferenceResponse:
        return response_of(self.completion)


def answered(
    terms: LaneTerms | None = None,
    before: LanePosition | None = None,
    output_ids: tuple[int, ...] = (51, 52, 53, 2),
    signer: str = "provider key",
) -> Answered:
    """The next answer on a lane, receipt signed by the provider's hot key."""
    terms, before = terms or lane(), before or LanePosition()
    nonce, asked = word(f"nonce {terms.lane_id.hex()} {before.sequence}"), request()
    done = completion(terms, asked, nonce, output_ids)
    receipt = next_receipt(terms, before, TARIFF, asked, nonce, done, ISSUED_AT + before.sequence)
    return Answered(terms, before, asked, nonce, done, receipt, sign(signer, receipt, ESCROW))


# -- attributions ------------------------------------------------------------------------------------------------

WEIGHTS: Final = {"alice": 500_000, "bob": 200_000}
SKETCH: Final = bytes([1] * METHOD.sketch_width)
"""Of length sqrt(width), so that its floor is the floor's unit."""
FLOOR_UNIT: Final = WHOLE_PPM - sum(WEIGHTS.values())


def body(receipt_digest: Digest, ppm: Mapping[str, int] = WEIGHTS) -> AttributionBody:
    """Shares by contributor's name, from rows that divide so; what is left of the whole is the base part.

    With n rows, a floor of the base part, and products of n x ppm + floor, the method's rule gives exactly `ppm`.
    """
    shares = [OwnerShare(ShareKind.INFLUENCE.value, account(n), DATANET, Ppm(p)) for n, p in ppm.items() if p]
    base = WHOLE_PPM - sum(ppm.values())
    rows = [next(row for row in INDEX if row.owner == share.account) for share in shares]
    scores = [score_of(row, len(rows) * share.ppm + base) for row, share in zip(rows, shares, strict=True)]
    return AttributionBody(
        receipt_digest=receipt_digest,
        method_id=METHOD.digest(),
        index_root=INDEX_TREE.root,
        sketch=SKETCH,
        floor=base,
        scores=tuple(sorted(scores, key=lambda s: s.order)),
        shares=tuple(sorted(shares, key=share_order)),
        base_ppm=Ppm(base),
        quotations=(),
    )


def attribution(receipt: Receipt, stated: AttributionBody) -> Attribution:
    return Attribution(
        receipt_digest=receipt.digest(),
        provider=receipt.provider,
        model_id=receipt.model_id,
        version=receipt.version,
        method_id=stated.method_id,
        index_root=stated.index_root,
        sketch_digest=Digest(keccak(stated.sketch)),
        floor=stated.floor,
        scores_root=scores_root(stated),
        shares_root=shares_root(stated),
        body_digest=stated.digest(),
        influence_ppm=Ppm(stated.ppm_of(ShareKind.INFLUENCE)),
        retrieval_ppm=Ppm(stated.ppm_of(ShareKind.RETRIEVAL)),
        base_ppm=stated.base_ppm,
    )


def attributed(answer: Answered, ppm: Mapping[str, int] = WEIGHTS, signer: str = "provider key") -> SignedReceipt:
    return signed_receipt(answer.receipt, body(answer.receipt.digest(), ppm), signer=signer)


def signed_receipt(
    receipt: Receipt, stated: AttributionBody, made: Attribution | None = None, signer: str = "provider key"
) -> SignedReceipt:
    """Both signatures over whatever is passed, right or wrong."""
    made = made or attribution(receipt, stated)
    return SignedReceipt(receipt, sign(signer, receipt, ESCROW), made, sign(signer, made, ESCROW), stated)


def receipts_of(
    terms: LaneTerms, count: int, ppm: Mapping[str, int] = WEIGHTS, before: LanePosition | None = None
) -> tuple[SignedReceipt, ...]:
    """`count` consecutive receipts of one lane; each answer is one token longer than the one before."""
    out, position = [], before or LanePosition()
    for _ in range(count):
        answer = answered(terms, position, output_ids=tuple(range(50, 51 + position.sequence)))
        out.append(attributed(answer, ppm))
        position = answer.after
    return tuple(out)


# -- epochs ------------------------------------------------------------------------------------------------------


def fresh_row(terms: LaneTerms) -> LaneRow:
    """A lane that no epoch has covered yet."""
    return LaneRow(terms.lane_id, terms.user, terms.provider, 0, ZERO_DIGEST, Wei(0), Wei(0))


def bundle(
    due: Sequence[SignedReceipt],
    lanes: Sequence[LaneRow],
    payouts: Mapping[Address, Wei] | None = None,
    epoch_id: int = 1,
    previous_epoch: Digest = ZERO_DIGEST,
) -> EpochBundle:
    return assemble_bundle(
        epoch_id, 0, CHAIN_ID, LEDGER.verifying_contract, previous_epoch, lanes, due, payouts or {}
    )


def settled(made: EpochBundle) -> SettledEpoch:
    return settle_epoch(made, (), VERSION_FACTS, PAYMASTERS, validator_set_id=1)


# -- exports -----------------------------------------------------------------------------------------------------


def export(with_place: bool = True, with_answer: bool = True) -> ReceiptExport:
    """The second receipt of a lane of three, with everything behind it."""
    terms = lane()
    due = receipts_of(terms, 3)
    signed = due[1]
    answer = answered(terms, LanePosition().after(due[0].receipt), output_ids=(50, 51))
    assert answer.receipt == signed.receipt
    return sealed_export(
        ReceiptExport(
            format=FORMAT,
            chain_id=CHAIN_ID,
            escrow=ESCROW.verifying_contract,
            ledger=LEDGER.verifying_contract,
            provider_key=account("provider key"),
            signed=signed,
            method=METHOD,
            rows=tuple(ProvenRow(INDEX[s.position], INDEX_TREE.proof(s.position)) for s in signed.body.scores),
            place=place(due, 1) if with_place else None,
            disclosed=DisclosedAnswer(answer.request, answer.response, answer.nonce) if with_answer else None,
            checksum=ZERO_DIGEST,
        )
    )


def place(due: Sequence[SignedReceipt], index: int) -> EpochPlace:
    rows = {s.receipt.lane_id: s.receipt for s in due}
    lanes = [LaneRow(r.lane_id, r.user, r.provider, 0, ZERO_DIGEST, Wei(0), Wei(0)) for r in rows.values()]
    made = bundle(due, lanes)
    return EpochPlace(
        epoch=settled(made).epoch,
        receipt_index=index,
        receipt_proof=leaves_tree([receipt_leaf(s) for s in made.receipts]).proof(index),
        attribution_proof=leaves_tree([attribution_leaf(s) for s in made.receipts]).proof(index),
    )


def resigned(receipt: Receipt, signer: str = "provider key", **changes: Any) -> tuple[Receipt, Signature]:
    """A receipt with changed members, signed again: what a dishonest provider sends."""
    changed = replace(receipt, **changes)
    return changed, sign(signer, changed, ESCROW)
