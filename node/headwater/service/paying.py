"""The user's half of a paid answer: a fresh nonce before it, the receipt's check and the voucher after it.

In: orders for one lane. Out: lane orders to send; vouchers for receipts that are right in every member. What is asked
is written down first: a receipt that a crash or a broken connection lost is fetched before the lane goes on, for the
provider's next one would name it. The user's books are a database of their own, so that user and provider may share
a home without sharing a page.
"""

from __future__ import annotations

from dataclasses import dataclass

from headwater.errors import Refused
from headwater.protocol.codec import Document
from headwater.protocol.completion import InferenceRequest, InferenceResponse
from headwater.protocol.receipt import Receipt
from headwater.protocol.signatures import recover
from headwater.protocol.voucher import Voucher
from headwater.service.inference import LaneOrder, Order
from headwater.service.lanes import ESCROW, Lanes
from headwater.service.pending_requests import PendingRequest, PendingRequests
from headwater.service.receipt_rows import PrivateAnswer, ReceiptRows
from headwater.service.version_catalogue import VersionCatalogue
from headwater.service.workbench import Workbench
from headwater.settlement.receipts import ExpectedReceipt, LanePosition, LaneTerms, check_receipt
from headwater.settlement.vouchers import voucher_for
from headwater.types import Address, Digest, Signature, Wei, digest, hex0x


@dataclass(frozen=True, slots=True)
class SignedVoucher(Document):
    """A voucher as it is handed over."""

    voucher: Voucher
    signature: Signature


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the user knows before the answer. `order` None: a free answer of the base."""

    order: LaneOrder | None
    expected: ExpectedReceipt | None


class Paying:
    """One lane's session key at work."""

    def __init__(self, bench: Workbench, lane_id: Digest, catalogue: VersionCatalogue) -> None:
        self._bench = bench
        self._lanes = Lanes(bench)
        self._receipts = ReceiptRows(bench.database, bench.home.path)
        self._pending = PendingRequests(bench.database, bench.home.path)
        self._lane_id = lane_id
        self._catalogue = catalogue
        self._key = self._lanes.session_key_name(lane_id)

    def prepare(self, order: Order) -> Prepared:
        """Draw the nonce and the newest voucher. Raises UnknownModel, NotFound, Refused (lane closed).

        `missed` must have been dealt with before.
        """
        version = self._catalogue.find(order.model)
        if version is None:
            return Prepared(None, None)
        terms = self._lanes.open_terms(self._lane_id)
        position = self._lanes.position(self._lane_id)
        given_up = self._pending.given_up(self._lane_id)
        label = f"user nonce {hex0x(self._lane_id)} {position.sequence + 1} {hex0x(position.head)} {given_up}"
        nonce = digest(self._bench.entropy.draw(label, 32))
        request = InferenceRequest(
            version.model_id,
            version.version,
            order.messages,
            order.max_tokens,
            order.temperature_ppm,
            order.top_p_ppm,
            order.stop,
        )
        price_wei, price_version, _ = self._bench.call("ModelRegistry", "quote", version.model_id, version.version)
        pending = PendingRequest(self._lane_id, request, nonce, version.adapter_digest, price_version, Wei(price_wei))
        self._lanes.remember(self._lane_id, "user")
        self._pending.keep(pending)
        return self._prepared(pending, terms, position)

    def missed(self) -> PendingRequest | None:
        """What was asked before and has no receipt here; None if nothing is missing."""
        pending = self._pending.get(self._lane_id)
        if pending is not None and self._receipts.get(pending.request_id) is not None:
            self._pending.drop(pending)
            return None
        return pending

    def recall(self, pending: PendingRequest) -> Prepared:
        """The former request as it was prepared, to check the receipt that has been fetched for it."""
        return self._prepared(pending, self._lanes.open_terms(self._lane_id), self._lanes.position(self._lane_id))

    def forget(self, pending: PendingRequest) -> None:
        """The provider has no receipt for it and is not making one: nothing is owed."""
        self._pending.give_up(pending)

    def _prepared(self, pending: PendingRequest, terms: LaneTerms, position: LanePosition) -> Prepared:
        voucher = self._sign(voucher_for(terms, position))
        expected = ExpectedReceipt(
            terms, position, pending.tariff, pending.request, pending.user_nonce, pending.adapter_digest
        )
        order = LaneOrder(self._lane_id, pending.user_nonce, voucher.voucher, voucher.signature)
        return Prepared(order, expected)

    def settle(
        self, prepared: Prepared, receipt: Receipt, signature: Signature, response: InferenceResponse
    ) -> SignedVoucher:
        """Check, keep, pay. Raises BadSignature or VerificationFailed naming the member that is wrong."""
        assert prepared.expected is not None
        terms = prepared.expected.terms
        escrow = self._bench.domain(ESCROW)
        signer = self._provider_key(terms, receipt, signature)
        check_receipt(receipt, signature, signer, escrow, response, prepared.expected)
        private = PrivateAnswer(prepared.expected.request, response, prepared.expected.user_nonce, ())
        self._receipts.draft(receipt, private)
        self._receipts.signed(receipt, signature)
        voucher = self._sign(voucher_for(terms, prepared.expected.position.after(receipt)))
        self.missed()  # its receipt is here: drops it
        return voucher

    def _provider_key(self, terms: LaneTerms, receipt: Receipt, signature: Signature) -> Address:
        """The key that signed, once the chain has said that it is the provider's."""
        key = recover(receipt.signing_digest(self._bench.domain(ESCROW)), signature)
        if not self._bench.call("Staking", "isProviderKey", terms.provider, key):
            raise Refused(
                f"the receipt is signed by {key}, which is no key of {terms.provider}", "do not pay; close the lane"
            )
        return key

    def _sign(self, voucher: Voucher) -> SignedVoucher:
        signature = self._bench.signer.sign_typed(self._key, voucher, self._bench.domain(ESCROW))
        self._lanes.keep_voucher(voucher, signature)
        return SignedVoucher(voucher, signature)
