"""A lane's receipts: the provider's next one, and the user's check of it.

In: where a lane stands, what the engine did, the price. Out: the receipt to sign; or, on the other side, the word
that a received one is right in every member. Both sides compute every number by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from headwater.errors import VerificationFailed
from headwater.protocol.completion import Completion, InferenceRequest, InferenceResponse
from headwater.protocol.license import Disclosure
from headwater.protocol.model import price_wei
from headwater.protocol.receipt import Receipt
from headwater.protocol.signatures import require_signer
from headwater.protocol.typed_data import Domain
from headwater.protocol.voucher import request_digest, request_id, response_digest, sampling_seed
from headwater.types import ZERO_DIGEST, Address, Digest, Signature, Wei


@dataclass(frozen=True, slots=True)
class LanePosition:
    """Where a lane stands after its last receipt."""

    sequence: int = 0
    head: Digest = ZERO_DIGEST
    cumulative_wei: Wei = field(default=Wei(0))

    def after(self, receipt: Receipt) -> LanePosition:
        return LanePosition(receipt.sequence, receipt.digest(), receipt.cumulative)


@dataclass(frozen=True, slots=True)
class LaneTerms:
    """What the lane's opening fixed on chain."""

    lane_id: Digest
    user: Address
    provider: Address
    session_key: Address
    disclosure: Disclosure
    allocated_wei: Wei


@dataclass(frozen=True, slots=True)
class Tariff:
    """A model version's price as it stood when the request came."""

    model_id: Digest
    version: int
    price_version: int
    price_per_thousand_tokens_wei: Wei

    def price_of(self, prompt_tokens: int, output_tokens: int) -> Wei:
        return price_wei(self.price_per_thousand_tokens_wei, prompt_tokens + output_tokens)


def response_of(completion: Completion) -> InferenceResponse:
    return InferenceResponse(completion.text, completion.output_ids, completion.finish_reason)


def next_receipt(
    terms: LaneTerms,
    position: LanePosition,
    tariff: Tariff,
    request: InferenceRequest,
    user_nonce: Digest,
    completion: Completion,
    issued_at: int,
) -> Receipt:
    """The lane's next receipt for one completion. Raises VerificationFailed if the engine used another seed."""
    salted = request_digest(request.digest(), user_nonce)
    seed = sampling_seed(salted, user_nonce)
    if completion.seed != seed:
        raise VerificationFailed("the engine did not sample with the request's seed", "refuse the answer")
    price = tariff.price_of(len(completion.prompt_ids), len(completion.output_ids))
    return Receipt(
        request_id=request_id(terms.lane_id, user_nonce),
        lane_id=terms.lane_id,
        sequence=position.sequence + 1,
        previous_receipt=position.head,
        user=terms.user,
        provider=terms.provider,
        disclosure=terms.disclosure.value,
        model_id=tariff.model_id,
        version=tariff.version,
        price_version=tariff.price_version,
        prompt_tokens=len(completion.prompt_ids),
        output_tokens=len(completion.output_ids),
        price=price,
        cumulative=Wei(position.cumulative_wei + price),
        request_digest=salted,
        response_digest=response_digest(response_of(completion).digest(), user_nonce),
        weights_digest=completion.weights_digest,
        seed=seed,
        issued_at=issued_at,
    )


@dataclass(frozen=True, slots=True)
class ExpectedReceipt:
    """What the user knows before a receipt arrives."""

    terms: LaneTerms
    position: LanePosition
    tariff: Tariff
    request: InferenceRequest
    user_nonce: Digest
    adapter_digest: Digest


def check_receipt(
    receipt: Receipt,
    signature: Signature,
    signer: Address,
    escrow: Domain,
    text: InferenceResponse,
    wanted: ExpectedReceipt,
) -> None:
    """Raise BadSignature or VerificationFailed naming the first member that is not as it must be.

    `signer`: the provider's hot key that the chain lists. `text`: the answer as it arrived.
    """
    require_signer(receipt.signing_digest(escrow), signature, signer, "the receipt")
    terms, position, tariff, nonce = wanted.terms, wanted.position, wanted.tariff, wanted.user_nonce
    salted = request_digest(wanted.request.digest(), nonce)
    price = tariff.price_of(receipt.prompt_tokens, receipt.output_tokens)
    for member, value in (
        ("request_id", request_id(terms.lane_id, nonce)),
        ("lane_id", terms.lane_id),
        ("sequence", position.sequence + 1),
        ("previous_receipt", position.head),
        ("user", terms.user),
        ("provider", terms.provider),
        ("disclosure", terms.disclosure.value),
        ("model_id", tariff.model_id),
        ("version", tariff.version),
        ("price_version", tariff.price_version),
        ("output_tokens", len(text.output_ids)),
        ("price", price),
        ("cumulative", position.cumulative_wei + price),
        ("request_digest", salted),
        ("response_digest", response_digest(text.digest(), nonce)),
        ("weights_digest", wanted.adapter_digest),
        ("seed", sampling_seed(salted, nonce)),
    ):
        if getattr(receipt, member) != value:
            raise VerificationFailed(
                f"the receipt's {member} is not what this request and lane give",
                "do not pay it: keep the receipt as evidence and close the lane",
                member=member,
            )
