"""The receipts of an epoch that are struck."""

from __future__ import annotations

from sqlalchemy import select

from headwater.protocol.canonical import parse_json
from headwater.protocol.epoch import EpochBundle, Verdict, VerdictFinding
from headwater.service.registry_facts import revoked_versions
from headwater.service.workbench import Workbench
from headwater.storage.schema import verdicts
from headwater.types import Digest
from headwater.validator.verdicts import SignableVerdict, strikes_of


def strikes_in(bench: Workbench, bundle: EpochBundle) -> frozenset[Digest]:
    """Receipt digests that are refunded: by stored verdicts weighed by stake, or for a version's revocation."""
    where = (verdicts.c.epoch_id == bundle.epoch_id) & (verdicts.c.attempt == bundle.attempt)
    rows = bench.database.read(lambda c: c.execute(select(verdicts).where(where)).all())
    found = [
        SignableVerdict(
            Verdict.from_bytes(r.document), tuple(VerdictFinding.from_json(f) for f in parse_json(r.findings))
        )
        for r in rows
    ]
    stake = {
        v.verdict.validator: bench.call("Staking", "weightOf", v.verdict.validator_set_id, v.verdict.validator)
        for v in found
    }
    return frozenset(s.receipt_digest for s in strikes_of(bundle, found, stake, revoked_versions(bench, bundle)))
