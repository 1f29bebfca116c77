"""Both ends of a paid answer without chain, model or keystore: a provider that says its lines, a user who checks.

In: the lane of `examples`. Out: what `ChatApi` asks of an `Inference`, and `Proxy` of a `Paying`, with real receipts
and real signatures. Prices, positions and vouchers are computed by the real functions; only the text is scripted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from headwater.errors import HeadwaterError, NotFound, Unavailable, UnknownModel
from headwater.openlora.generation import Generation, TokenEvent
from headwater.protocol.completion import Completion, FinishReason, InferenceRequest, InferenceResponse
from headwater.protocol.model import ModelVersion
from headwater.protocol.receipt import Receipt
from headwater.protocol.voucher import Voucher, request_digest, request_id, sampling_seed
from headwater.service.inference import LaneOrder, MissedAnswer, Order, Paid, Running, SignedAnswer
from headwater.service.paying import Prepared, SignedVoucher
from headwater.service.pending_requests import PendingRequest
from headwater.service.pool import ServedModel, identity_of
from headwater.settlement.receipts import (
    ExpectedReceipt,
    LanePosition,
    LaneTerms,
    check_receipt,
    next_receipt,
    response_of,
)
from headwater.settlement.vouchers import check_voucher, voucher_for
from headwater.testing import examples, vectors
from headwater.types import ZERO_DIGEST, Digest, Signature, hex0x

TUNED = "owner/drug-codes"
BASE = "SmolLM2-135M-Instruct"
PIECES = ("T36", ".0X", "1A")


def served_models() -> tuple[ServedModel, ...]:
    """The free base and one uncertified version, as `Pool.models` lists them."""
    sample = vectors.sample(ModelVersion)
    assert isinstance(sample, ModelVersion)
    version = replace(
        sample,
        model_id=examples.MODEL,
        version=examples.VERSION,
        adapter_digest=examples.ADAPTER,
        certificate_digest=ZERO_DIGEST,
    )
    return ServedModel(BASE, None, False), ServedModel(TUNED, version, False)


@dataclass
class ScriptedPool:
    """Names and nothing else."""

    def models(self) -> tuple[ServedModel, ...]:
        return served_models()

    def resolve(self, name: str) -> ServedModel:
        found = next((m for m in served_models() if m.name == name), None)
        if found is None:
            raise UnknownModel(f"the model {name!r} does not exist", "see /v1/models", param="model")
        return found


@dataclass
class ScriptedLanes:
    """The provider's books for one lane."""

    terms_of: LaneTerms
    position: LanePosition = field(default_factory=LanePosition)
    vouchers: list[Voucher] = field(default_factory=list)

    def terms(self, lane_id: Digest) -> LaneTerms:
        if lane_id != self.terms_of.lane_id:
            raise NotFound(f"no lane {hex0x(lane_id)} is on this chain", "open one with `headwater lane open`")
        return self.terms_of

    def accept_voucher(self, terms: LaneTerms, voucher: Voucher, signature: Signature) -> None:
        check_voucher(voucher, signature, examples.ESCROW, terms, self.position)
        self.vouchers.append(voucher)


class ScriptedInference:
    """Answers every order with `pieces`. `refuses`: raised at the start; `fails`: raised while generating."""

    def __init__(self, pieces: Sequence[str] = PIECES) -> None:
        self.pool = ScriptedPool()
        self.lanes = ScriptedLanes(examples.lane())
        self.pieces = pieces
        self.refuses: HeadwaterError | None = None
        self.fails: HeadwaterError | None = None
        self.bend: Callable[[SignedAnswer], SignedAnswer] = lambda answer: answer
        self.orders: list[Order] = []
        self.given: dict[Digest, MissedAnswer] = {}
        self.abandoned: list[Digest] = []
        self.busy = False
        self.cancelled: list[Digest] = []

    def start(self, order: Order) -> Running:
        self.orders.append(order)
        if self.refuses is not None:
            raise self.refuses
        served = self.pool.resolve(order.model)
        request = _request(served, order)
        if served.version is None or order.lane is None:
            name, seed, paid = examples.word(f"free {len(self.orders)}"), ZERO_DIGEST, None
        else:
            terms, nonce = self.lanes.terms(order.lane.lane_id), order.lane.user_nonce
            self.lanes.accept_voucher(terms, order.lane.voucher, order.lane.voucher_signature)
            name = request_id(terms.lane_id, nonce)
            seed = sampling_seed(request_digest(request.digest(), nonce), nonce)
            paid = Paid(terms, examples.TARIFF, nonce)
        return Running(name, served, request, self._generation(name, seed), paid)

    def finish(self, running: Running) -> SignedAnswer:
        completion = running.generation.result()
        if running.paid is None:
            return SignedAnswer(completion, None, None)
        paid, position = running.paid, self.lanes.position
        receipt = next_receipt(
            paid.terms, position, paid.tariff, running.request, paid.user_nonce, completion, examples.ISSUED_AT
        )
        self.lanes.position = position.after(receipt)
        signature = examples.sign("provider key", receipt, examples.ESCROW)
        self.given[paid.user_nonce] = MissedAnswer(receipt, signature, response_of(completion))
        return self.bend(SignedAnswer(completion, receipt, signature))

    def abandon(self, running: Running) -> None:
        self.abandoned.append(running.request_id)
        running.generation.cancel()

    def missed(self, lane_id: Digest, user_nonce: Digest) -> MissedAnswer:
        if self.busy:
            raise Unavailable("that answer is still being made", "ask again in a few seconds")
        if user_nonce not in self.given:
            raise NotFound("no answer was given for this nonce", "ask anew")
        return self.given[user_nonce]

    def _generation(self, name: Digest, seed: Digest) -> Generation:
        generation = Generation(name, lambda: self.cancelled.append(name))
        for index, piece in enumerate(self.pieces):
            generation.push(TokenEvent(index, 51 + index, piece))
        generation.end(
            Completion(
                request_id=name,
                base_digest=examples.word("base"),
                weights_digest=examples.ADAPTER,
                prompt_ids=tuple(range(20)),
                output_ids=tuple(range(51, 51 + len(self.pieces))),
                text="".join(self.pieces),
                finish_reason=FinishReason.STOP,
                seed=seed,
                logprob_sum_micronats=0,
            ),
            self.fails,
        )
        return generation


class ScriptedPaying:
    """The user's books for the same lane."""

    def __init__(self) -> None:
        self.terms = examples.lane()
        self.position = LanePosition()
        self.paid: list[Voucher] = []
        self.asked = 0
        self.pending: PendingRequest | None = None

    def missed(self) -> PendingRequest | None:
        return self.pending

    def forget(self, pending: PendingRequest) -> None:
        self.pending = None

    def prepare(self, order: Order) -> Prepared:
        served = ScriptedPool().resolve(order.model)
        if served.version is None:
            return Prepared(None, None)
        self.asked += 1
        nonce, tariff = examples.word(f"nonce {self.asked}"), examples.TARIFF
        self.pending = PendingRequest(
            self.terms.lane_id,
            _request(served, order),
            nonce,
            examples.ADAPTER,
            tariff.price_version,
            tariff.price_per_thousand_tokens_wei,
        )
        return self.recall(self.pending)

    def recall(self, pending: PendingRequest) -> Prepared:
        nonce, voucher = pending.user_nonce, voucher_for(self.terms, self.position)
        lane_order = LaneOrder(self.terms.lane_id, nonce, voucher, examples.sign("session", voucher, examples.ESCROW))
        expected = ExpectedReceipt(
            self.terms, self.position, pending.tariff, pending.request, nonce, pending.adapter_digest
        )
        return Prepared(lane_order, expected)

    def settle(
        self, prepared: Prepared, receipt: Receipt, signature: Signature, response: InferenceResponse
    ) -> SignedVoucher:
        assert prepared.expected is not None
        signer = examples.account("provider key")
        check_receipt(receipt, signature, signer, examples.ESCROW, response, prepared.expected)
        self.position, self.pending = prepared.expected.position.after(receipt), None
        voucher = voucher_for(self.terms, self.position)
        self.paid.append(voucher)
        return SignedVoucher(voucher, examples.sign("session", voucher, examples.ESCROW))


def _request(served: ServedModel, order: Order) -> InferenceRequest:
    model_id, version = identity_of(served)
    return InferenceRequest(
        model_id, version, order.messages, order.max_tokens, order.temperature_ppm, order.top_p_ppm, order.stop
    )
