"""What validators found, signed and weighed by stake."""

from __future__ import annotations

import pytest

from headwater.protocol.epoch import TOLERANCE_PPM, VerdictFinding, leaves_tree
from headwater.settlement.epochs import proposal_of
from headwater.testing import examples
from headwater.validator.verdicts import SignableVerdict, strikes_of, verdict_of

TERMS = examples.lane()
BUNDLE = examples.bundle(examples.receipts_of(TERMS, 3), [examples.fresh_row(TERMS)])
NAMES = [s.receipt.digest() for s in BUNDLE.receipts]
STAKE = {examples.account("ann"): 40, examples.account("ben"): 35, examples.account("cid"): 25}


def verdict(who: str, *findings: VerdictFinding) -> SignableVerdict:
    return verdict_of(BUNDLE, examples.account(who), 3, examples.word("sealed"), examples.word("preimage"), findings)


def undelivered(index: int) -> VerdictFinding:
    return VerdictFinding(NAMES[index], 0, True)


def fine(index: int) -> VerdictFinding:
    return VerdictFinding(NAMES[index], TOLERANCE_PPM, False)


def test_a_verdict_is_bound_to_the_frozen_proposal_and_its_findings() -> None:
    made = verdict("ann", fine(0), undelivered(2)).verdict
    assert made.proposal_digest == proposal_of(BUNDLE).digest()
    assert (made.findings_count, made.findings_root) == (2, leaves_tree((fine(0), undelivered(2))).root)
    assert (made.validator, made.validator_set_id) == (examples.account("ann"), 3)
    assert made != verdict("ann", fine(0), undelivered(1)).verdict


def test_findings_of_all_validators_count_by_their_stake() -> None:
    """40 of 75 who drew the receipt say it never came; the third did not draw it."""
    words = [verdict("ann", undelivered(1)), verdict("ben", fine(1)), verdict("cid", fine(0))]
    assert [s.receipt_digest for s in strikes_of(BUNDLE, words, STAKE)] == [NAMES[1]]


def test_a_minority_of_the_stake_strikes_nothing() -> None:
    words = [verdict("ann", fine(1)), verdict("ben", undelivered(1)), verdict("cid", fine(1))]
    assert strikes_of(BUNDLE, words, STAKE) == ()


def test_the_order_of_the_verdicts_does_not_matter() -> None:
    words = [verdict("ann", undelivered(1)), verdict("ben", undelivered(0)), verdict("cid", fine(0))]
    assert strikes_of(BUNDLE, words, STAKE) == strikes_of(BUNDLE, words[::-1], STAKE)


def test_a_verdict_of_somebody_without_a_known_stake_is_a_defect() -> None:
    with pytest.raises(KeyError):
        strikes_of(BUNDLE, [verdict("stranger", fine(0))], STAKE)
