"""From recomputed receipts to a signed verdict, and from verdicts to strikes.

In: for each drawn receipt its error in ppm, or that its content was never delivered. Out: the `Verdict` to sign and,
with every validator's findings and stake, the strike list. Votes never slash.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from headwater.protocol.epoch import EpochBundle, StrikeLeaf, Verdict, VerdictFinding, leaves_tree
from headwater.settlement.epochs import proposal_of
from headwater.settlement.strikes import WeightedFinding, strike_list
from headwater.types import Address, Digest


@dataclass(frozen=True, slots=True)
class SignableVerdict:
    verdict: Verdict
    findings: tuple[VerdictFinding, ...]


def verdict_of(
    bundle: EpochBundle,
    validator: Address,
    validator_set_id: int,
    sealed_hash: Digest,
    preimage: Digest,
    findings: Sequence[VerdictFinding],
) -> SignableVerdict:
    """The verdict over `findings`, in the receipts' order."""
    verdict = Verdict(
        epoch_id=bundle.epoch_id,
        attempt=bundle.attempt,
        validator=validator,
        validator_set_id=validator_set_id,
        proposal_digest=proposal_of(bundle).digest(),
        sealed_hash=sealed_hash,
        preimage=preimage,
        findings_root=leaves_tree(findings).root,
        findings_count=len(findings),
    )
    return SignableVerdict(verdict, tuple(findings))


def strikes_of(
    bundle: EpochBundle,
    verdicts: Sequence[SignableVerdict],
    stake_wei: Mapping[Address, int],
    revoked: Collection[tuple[Digest, int]] = (),
) -> tuple[StrikeLeaf, ...]:
    """Receipts to refund: of all verdicts weighed by stake, and of versions that were revoked too long ago."""
    words: dict[Digest, list[WeightedFinding]] = {}
    for signed in verdicts:
        stake = stake_wei[signed.verdict.validator]
        for finding in signed.findings:
            word = WeightedFinding(stake, finding.error_ppm, finding.undelivered)
            words.setdefault(finding.receipt_digest, []).append(word)
    return strike_list(bundle.receipts, words, revoked)
