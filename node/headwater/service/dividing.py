"""How the prices of one committed epoch were divided, from its public bundle: the figures behind its payout root."""

from __future__ import annotations

from dataclasses import replace

from headwater.protocol.shares import ROLES, Part
from headwater.service.epochs import CommittedEpoch, Epochs
from headwater.service.registry_facts import paymasters, version_facts
from headwater.service.strike_rows import strikes_in
from headwater.service.workbench import Workbench
from headwater.settlement.epochs import divide_receipt
from headwater.types import Wei


def divided(bench: Workbench, epochs: Epochs, committed: CommittedEpoch) -> tuple[Part, ...]:
    """All parts, merged by account and role, in the order of the roles."""
    bundle = epochs.bundle_of(committed.epoch)
    facts, masters = version_facts(bench, bundle.receipts), paymasters(bench)
    struck = strikes_in(bench, bundle)
    sums: dict[tuple[str, str], Part] = {}
    for signed in bundle.receipts:
        key = (signed.receipt.model_id, signed.receipt.version)
        receipt = divide_receipt(signed, facts[key], masters, signed.receipt.digest() in struck)
        for part in receipt.parts:
            before = sums.get((part.account, part.role))
            wei = part.wei + (before.wei if before else 0)
            sums[part.account, part.role] = replace(before or part, wei=Wei(wei))
    return tuple(sorted(sums.values(), key=lambda p: (ROLES.index(p.role), p.account)))
