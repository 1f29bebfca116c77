"""A validator's round on a sealed epoch: check the bundle, recompute what was drawn, sign what holds.

In: a home with the validator's hot key. Out: a signed verdict and, if nothing can be proved wrong, the signed epoch.
Answers of confidential lanes are read from the provider's books where both share a home; `Deliveries` is the seam for
providers elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from sqlalchemy import insert

from headwater.attribution.query import Attributor
from headwater.attribution.verify import verify_attribution
from headwater.errors import CorruptContent, NotFound, Refused
from headwater.protocol.canonical import canonical_json
from headwater.protocol.epoch import EpochBundle, SignedReceipt, VerdictFinding
from headwater.protocol.voucher import request_digest, response_digest
from headwater.service.accounts import Accounts
from headwater.service.attributing import VersionAttributor, answer_tokens
from headwater.service.epochs import LEDGER, CurrentAttempt, Epochs
from headwater.service.lanes import ESCROW
from headwater.service.model_rows import ModelRows
from headwater.service.receipt_rows import PrivateAnswer, ReceiptRows
from headwater.service.registry_facts import MODELS, paymasters, revoked_versions, version_facts
from headwater.service.workbench import Workbench
from headwater.settlement.economics import probability_caught
from headwater.settlement.epochs import settle_epoch
from headwater.storage.schema import verdicts
from headwater.types import ZERO_DIGEST, Address, Digest, address, digest, hex0x
from headwater.validator.duties import BundleFacts, check_bundle, drawn_receipts
from headwater.validator.rules import LaneFacts, VersionCommitment
from headwater.validator.verdicts import SignableVerdict, strikes_of, verdict_of

EMBEDDED_SAMPLE: Final = 20
SAMPLE: Final = 300


class Deliveries(Protocol):
    """Where a validator gets the private side of a drawn receipt."""

    def private(self, request_id: Digest) -> PrivateAnswer:
        """Raises NotFound: then the receipt counts as undelivered."""
        ...


@dataclass(frozen=True, slots=True)
class Round:
    """What a validator did in one round."""

    epoch_id: int
    attempt: int
    drawn: int
    receipts: int
    strikes: int
    largest_error_ppm: int
    epoch_digest: Digest
    chance_one_fraud_caught: float

    def to_json(self) -> dict[str, Any]:
        return {
            "epoch_id": self.epoch_id,
            "attempt": self.attempt,
            "receipts": self.receipts,
            "drawn": self.drawn,
            "strikes": self.strikes,
            "largest_error_ppm": self.largest_error_ppm,
            "epoch_digest": hex0x(self.epoch_digest),
            "chance_one_fraud_caught": round(self.chance_one_fraud_caught, 6),
        }


Say = Callable[[str], None]


class Validating:
    def __init__(self, bench: Workbench, base_folder: Path) -> None:
        self._bench = bench
        self._epochs = Epochs(bench)
        self._models = ModelRows(bench.database)
        self._deliveries: Deliveries = ReceiptRows(bench.database, bench.home.path)
        self._base_folder = base_folder
        self._open: dict[tuple[Digest, int], VersionAttributor] = {}

    def run_once(self, hot_key: str, say: Say) -> Round:
        """Verify the sealed epoch and sign. Raises Refused without one, VerificationFailed for a provable fault."""
        now = self._epochs.current()
        if now.phase != "sealed":
            raise Refused(
                f"epoch {now.epoch_id} is {now.phase}, there is nothing to verify", "propose and seal it first"
            )
        bundle = self._epochs.bundle(now.epoch_id, now.attempt)
        last = self._epochs.last_committed()
        before = () if last is None else self._epochs.bundle_of(last.epoch).lanes
        check_bundle(bundle, self._bench.domain(ESCROW), before, self._facts(bundle, now))
        say(f"  {len(bundle.receipts)} receipts, as they were frozen; nothing in the bundle can be proved wrong")
        preimage = Accounts(self._bench).preimage(hot_key, "epoch", self._draw_position(now))
        sample = EMBEDDED_SAMPLE if self._bench.config.is_embedded_chain else SAMPLE
        drawn = drawn_receipts(now.sealed_hash, preimage, len(bundle.receipts), sample)
        findings = [self._finding(bundle.receipts[i], say) for i in drawn]
        key = self._bench.address(hot_key)
        verdict = verdict_of(bundle, key, now.validator_set_id, now.sealed_hash, preimage, findings)
        self._keep_verdict(hot_key, verdict)
        return self._sign_epoch(hot_key, bundle, now, verdict)

    def _sign_epoch(self, hot_key: str, bundle: EpochBundle, now: CurrentAttempt, verdict: SignableVerdict) -> Round:
        key = verdict.verdict.validator
        stake = {key: self._bench.call("Staking", "weightOf", now.validator_set_id, key)}
        strikes = strikes_of(bundle, [verdict], stake, revoked_versions(self._bench, bundle))
        facts = version_facts(self._bench, bundle.receipts)
        settled = settle_epoch(bundle, strikes, facts, paymasters(self._bench), now.validator_set_id)
        signature = self._bench.signer.sign_typed(hot_key, settled.epoch, self._bench.domain(LEDGER))
        self._epochs.keep_signed(settled.epoch, key, signature, settled.payouts)
        errors = [f.error_ppm for f in verdict.findings]
        return Round(
            epoch_id=now.epoch_id,
            attempt=now.attempt,
            drawn=len(verdict.findings),
            receipts=len(bundle.receipts),
            strikes=len(strikes),
            largest_error_ppm=max(errors, default=0),
            epoch_digest=settled.epoch.digest(),
            chance_one_fraud_caught=probability_caught(len(bundle.receipts), 1, len(verdict.findings)),
        )

    def _finding(self, signed: SignedReceipt, say: Say) -> VerdictFinding:
        """Recompute one drawn attribution from the delivered answer."""
        name = signed.receipt.digest()
        try:
            private = self._deliveries.private(signed.receipt.request_id)
        except (NotFound, CorruptContent):
            say(f"  receipt {hex0x(name)[:12]}: not delivered")
            return VerdictFinding(name, 0, True)
        if not _is_of(private, signed):
            say(f"  receipt {hex0x(name)[:12]}: what was delivered is not what was signed")
            return VerdictFinding(name, 0, True)
        found = verify_attribution(self._attributor(signed), answer_tokens(private), signed.body)
        problem = "".join(f"; {f.message}" for f in found.findings)
        say(f"  receipt {hex0x(name)[:12]}: recomputed, {found.error_ppm} ppm apart{problem}")
        return VerdictFinding(name, found.error_ppm, False)

    def _attributor(self, signed: SignedReceipt) -> Attributor:
        key = (signed.receipt.model_id, signed.receipt.version)
        if key not in self._open:
            self._open = {key: VersionAttributor(self._base_folder, self._models.get(*key))}
        return self._open[key].attributor

    def _facts(self, bundle: EpochBundle, now: CurrentAttempt) -> BundleFacts:
        call = self._bench.call
        receipts = [s.receipt for s in bundle.receipts]
        versions = {(r.model_id, r.version) for r in receipts}
        prices = {(r.model_id, r.version, r.price_version) for r in receipts}
        on_chain = {key: call(MODELS, "versionOf", *key) for key in versions}
        last = self._epochs.last_committed()
        return BundleFacts(
            ledger=self._bench.domain(LEDGER),
            proposal_digest=now.proposal_digest,
            previous_epoch=ZERO_DIGEST if last is None else last.epoch.digest(),
            previous_payout_root=ZERO_DIGEST if last is None else last.epoch.payout_root,
            lanes={row.lane_id: _lane_facts(call(ESCROW, "laneOf", row.lane_id)) for row in bundle.lanes},
            price_per_thousand_tokens_wei={
                key: call(MODELS, "priceAt", *key)["perThousandTokensWei"] for key in prices
            },
            versions={
                key: VersionCommitment(
                    adapter_digest=digest(facts["adapterDigest"]),
                    method_id=digest(facts["methodId"]),
                    index_root=digest(facts["indexRoot"]),
                    index_rows=facts["indexRows"],
                    floor_unit=facts["floorUnit"],
                    record_cap_ppm=facts["recordCapPpm"],
                    listed_rows=facts["listedRows"],
                )
                for key, facts in on_chain.items()
            },
            is_provider_key=lambda provider, key: bool(call("Staking", "isProviderKey", provider, key)),
        )

    def _draw_position(self, now: CurrentAttempt) -> int:
        """How many proposals came before this one: the number of the draw, for every validator alike."""
        events = self._bench.events(LEDGER, "EpochProposed")
        return next(
            i
            for i, event in reversed(list(enumerate(events)))
            if digest(event.args["proposalDigest"]) == now.proposal_digest
        )

    def _keep_verdict(self, hot_key: str, signable: SignableVerdict) -> None:
        verdict = signable.verdict
        signature = self._bench.signer.sign_typed(hot_key, verdict, self._bench.domain(LEDGER))
        values: Mapping[str, Any] = {
            "epoch_id": verdict.epoch_id,
            "attempt": verdict.attempt,
            "validator": _text(verdict.validator),
            "document": verdict.json_text(),
            "findings": canonical_json([f.to_json() for f in signable.findings]).decode(),
            "signature": hex0x(signature),
        }
        self._bench.database.write(lambda c: c.execute(insert(verdicts).prefix_with("OR REPLACE").values(values)))


def _is_of(private: PrivateAnswer, signed: SignedReceipt) -> bool:
    """Whether delivered content is what the receipt's salted digests name."""
    receipt, nonce = signed.receipt, private.user_nonce
    return (
        request_digest(private.request.digest(), nonce) == receipt.request_digest
        and response_digest(private.response.digest(), nonce) == receipt.response_digest
        and len(private.prompt_ids) == receipt.prompt_tokens
    )


def _lane_facts(lane: Mapping[str, Any]) -> LaneFacts:
    return LaneFacts(address(lane["user"]), address(lane["provider"]), lane["disclosure"], lane["redeemed"])


def _text(account: Address) -> str:
    return str(account)
