"""A paid answer from the order to the signed receipt; and a free one from the base.

In: an order that names a model, a lane, the user's nonce and the newest voucher. Out: a running generation, then its
receipt, chained to the lane's last one. Before the first token: the lane is open, its credit covers the dearest
answer that the order allows, and no more than the configured amount is unvouchered. The receipt is on disk, and in
the signing log, before anybody sees it.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass

from headwater.errors import InvalidInput, NotFound, Refused, Unavailable
from headwater.openlora.generation import Generation
from headwater.protocol.chat import Message
from headwater.protocol.completion import Completion, InferenceRequest, InferenceResponse
from headwater.protocol.receipt import Receipt
from headwater.protocol.voucher import Voucher, request_digest, request_id, sampling_seed
from headwater.service.lanes import ESCROW, Lanes
from headwater.service.pool import Pool, ServedModel, identity_of
from headwater.service.receipt_rows import PrivateAnswer, ReceiptRows
from headwater.service.under_way import UnderWay
from headwater.service.workbench import Workbench
from headwater.settlement.receipts import LanePosition, LaneTerms, Tariff, next_receipt, response_of
from headwater.settlement.vouchers import require_credit, require_vouchered
from headwater.types import Address, Digest, Ppm, Signature, Wei, digest


@dataclass(frozen=True, slots=True)
class LaneOrder:
    """How an answer is paid: by whom it is known, and the proof that what came before is paid."""

    lane_id: Digest
    user_nonce: Digest
    voucher: Voucher
    voucher_signature: Signature


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody asks for."""

    model: str
    messages: tuple[Message, ...]
    max_tokens: int
    temperature_ppm: int
    top_p_ppm: Ppm
    stop: tuple[str, ...]
    lane: LaneOrder | None


@dataclass(frozen=True, slots=True)
class Paid:
    """What a paid answer needs beside its tokens."""

    terms: LaneTerms
    tariff: Tariff
    user_nonce: Digest


@dataclass(frozen=True, slots=True)
class Running:
    """An answer under way."""

    request_id: Digest
    served: ServedModel
    request: InferenceRequest
    generation: Generation
    paid: Paid | None


@dataclass(frozen=True, slots=True)
class SignedAnswer:
    """A finished answer; a free one has no receipt."""

    completion: Completion
    receipt: Receipt | None
    signature: Signature | None


@dataclass(frozen=True, slots=True)
class MissedAnswer:
    """What a user needs to check and pay an answer whose end never arrived."""

    receipt: Receipt
    signature: Signature
    response: InferenceResponse


class Inference:
    """The provider's side of PROTOCOL.md §3."""

    def __init__(self, bench: Workbench, pool: Pool, provider: Address, hot_key: str) -> None:
        self.pool = pool
        self.lanes = Lanes(bench)
        self.receipts = ReceiptRows(bench.database, bench.home.path)
        self._bench = bench
        self._provider = provider
        self._hot_key = hot_key
        self._lane_locks: defaultdict[Digest, threading.Lock] = defaultdict(threading.Lock)
        self._under_way = UnderWay()

    def start(self, order: Order) -> Running:
        """Check everything that can be checked before the first token, then generate.

        Raises UnknownModel, Refused, NotEnoughCredit (with `missing_wei`), BadSignature, InvalidInput.
        """
        served = self.pool.resolve(order.model)
        model_id, version = identity_of(served)
        request = InferenceRequest(
            model_id,
            version,
            order.messages,
            order.max_tokens,
            order.temperature_ppm,
            order.top_p_ppm,
            order.stop,
        )
        if served.version is None:
            return self._start_free(served, request)
        if order.lane is None:
            raise Refused(
                f"answers of {served.name} are paid, and this request names no lane",
                "open a lane with `headwater lane open` and ask through `headwater proxy`",
            )
        return self._start_paid(served, request, order.lane)

    def finish(self, running: Running) -> SignedAnswer:
        """Wait for the engine's record, then assign the lane's next sequence number and sign."""
        try:
            return self._finish(running)
        finally:
            self._under_way.end(running.request_id)

    def abandon(self, running: Running) -> None:
        """Nobody reads the answer any more. If its receipt is not being signed yet, there will be none."""
        running.generation.cancel()
        self._under_way.give_up(running.request_id)

    def missed(self, lane_id: Digest, user_nonce: Digest) -> MissedAnswer:
        """A signed answer that its user has not received. Who knows the nonce is who asked.

        Raises Unavailable while the answer is under way; NotFound if there is none, and from then on there never
        will be one for this nonce.
        """
        name = request_id(lane_id, user_nonce)
        if self._under_way.is_busy(name):
            raise Unavailable("that answer is still being made", "ask again in a few seconds")
        row = self.receipts.get(name)
        if row is None:
            self._under_way.give_up(name)
            raise NotFound("no answer was given for this nonce", "nothing is owed for it: ask anew")
        if row.signature is None:
            raise Unavailable("that answer's receipt is not signed yet", "ask again in a few seconds")
        return MissedAnswer(row.receipt, row.signature, self.receipts.private(name).response)

    def _finish(self, running: Running) -> SignedAnswer:
        completion = running.generation.result()
        if running.paid is None:
            return SignedAnswer(completion, None, None)
        paid = running.paid
        with self._lane_locks[paid.terms.lane_id]:
            self._under_way.begin_signing(running.request_id)
            position = self.lanes.position(paid.terms.lane_id)
            receipt = next_receipt(
                paid.terms,
                position,
                paid.tariff,
                running.request,
                paid.user_nonce,
                completion,
                self._bench.chain_time(),
            )
            signature = self._sign_and_keep(receipt, running, completion)
        return SignedAnswer(completion, receipt, signature)

    def _sign_and_keep(self, receipt: Receipt, running: Running, completion: Completion) -> Signature:
        """Draft on disk, then the signature in the signing log, then both: a crash between any two is repaired."""
        assert running.paid is not None
        private = PrivateAnswer(
            running.request, response_of(completion), running.paid.user_nonce, completion.prompt_ids
        )
        self.receipts.draft(receipt, private)
        signature = self._bench.signer.sign_typed(self._hot_key, receipt, self._bench.domain(ESCROW))
        self.receipts.signed(receipt, signature)
        return signature

    def repair(self) -> int:
        """After a crash: sign every draft that is left; the signing log gives the same signature again."""
        drafts = self.receipts.drafts()
        for receipt in drafts:
            signature = self._bench.signer.sign_typed(self._hot_key, receipt, self._bench.domain(ESCROW))
            self.receipts.signed(receipt, signature)
        return len(drafts)

    def _start_free(self, served: ServedModel, request: InferenceRequest) -> Running:
        nonce = digest(self._bench.entropy.draw(f"free request {self._bench.unique()}", 32))
        name = request_id(digest(bytes(32)), nonce)
        seed = sampling_seed(request_digest(request.digest(), nonce), nonce)
        return Running(name, served, request, self.pool.generate(served, request, name, seed, "base"), None)

    def _start_paid(self, served: ServedModel, request: InferenceRequest, order: LaneOrder) -> Running:
        terms = self.lanes.open_terms(order.lane_id)
        if terms.provider != self._provider:
            raise Refused(f"the lane pays {terms.provider}, not this provider", "open a lane to this provider")
        self.lanes.remember(order.lane_id, "provider")
        self.lanes.accept_voucher(terms, order.voucher, order.voucher_signature)
        position = self.lanes.position(order.lane_id)
        require_vouchered(position, self.lanes.vouchered(order.lane_id), self._bench.config.max_unvouchered_wei)
        tariff = self.tariff(served)
        self._require_affordable(terms, position, tariff, request)
        name = request_id(order.lane_id, order.user_nonce)
        if self.receipts.get(name) is not None:
            raise InvalidInput("this lane has used this nonce before", "draw a fresh nonce for each request")
        seed = sampling_seed(request_digest(request.digest(), order.user_nonce), order.user_nonce)
        self._under_way.begin(name)
        try:
            generation = self.pool.generate(served, request, name, seed, terms.user)
        except BaseException:
            self._under_way.end(name)
            raise
        return Running(name, served, request, generation, Paid(terms, tariff, order.user_nonce))

    def _require_affordable(
        self, terms: LaneTerms, position: LanePosition, tariff: Tariff, request: InferenceRequest
    ) -> None:
        prompt_tokens = len(self.pool.prompt_ids(request))
        require_credit(terms, position, tariff.price_of(prompt_tokens, request.max_tokens))

    def tariff(self, served: ServedModel) -> Tariff:
        """The price in force now, from the registry."""
        model_id, version = identity_of(served)
        price, price_version, _ = self._bench.call("ModelRegistry", "quote", model_id, version)
        return Tariff(model_id, version, price_version, Wei(price))
