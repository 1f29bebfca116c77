"""Taking money home: claims on a final epoch, by anyone for anyone, and the validators' share by stake."""

from __future__ import annotations

from dataclasses import dataclass

from headwater.errors import Refused
from headwater.protocol.payout import Claim, claim_for
from headwater.protocol.sumtree import PayoutTree
from headwater.service.epochs import LEDGER, CommittedEpoch, Epochs
from headwater.service.workbench import Workbench
from headwater.types import Address, Wei, hex0x


@dataclass(frozen=True, slots=True)
class PayoutRow:
    """What one account may have."""

    account: Address
    cumulative_wei: Wei
    claimed_wei: Wei


class Claims:
    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._epochs = Epochs(bench)

    def final(self) -> CommittedEpoch:
        """The newest epoch that is final. Raises Refused while there is none."""
        for committed in reversed(self._epochs.committed()):
            known, is_final = self._bench.call(LEDGER, "statusOf", committed.values())
            if known and is_final:
                return committed
        raise Refused(
            "no epoch is final yet", "wait for the challenge window (or `headwater chain advance` on a devnet)"
        )

    def rows(self, committed: CommittedEpoch) -> tuple[PayoutRow, ...]:
        """Every account of an epoch's payout tree, with what it has taken so far."""
        payouts = self._epochs.payouts(committed.epoch)
        return tuple(
            PayoutRow(a, w, self._claimed(a)) for a, w in sorted(payouts.items(), key=lambda kv: int(kv[0], 16))
        )

    def claim(self, wallet: str, account: Address) -> Wei:
        """Pay out what `account` is owed, from `wallet`'s gas; the amount that moved now."""
        committed = self.final()
        claim = self.claim_of(committed, account)
        before = self._claimed(account)
        if claim.cumulative == before:
            return Wei(0)
        intent = f"claim {committed.epoch.epoch_id} {hex0x(committed.epoch.digest())} {account}"
        if account == self._bench.contract_address("Staking"):
            self._distribute(wallet, committed, claim, intent)
        else:
            self._bench.send(wallet, LEDGER, "claim", *claim.values(), intent=intent)
        return Wei(self._claimed(account) - before)

    def withdraw_validator_credit(self, wallet: str, account: Address) -> Wei:
        """A validator's part of the fees, out of Staking to the validator."""
        owed = Wei(self._bench.call("Staking", "creditOf", account))
        if owed:
            block = self._bench.chain.block().number
            intent = f"withdraw credit {account} {block}"
            self._bench.send(wallet, "Staking", "withdrawCredit", account, intent=intent)
        return owed

    def claim_of(self, committed: CommittedEpoch, account: Address) -> Claim:
        """Everything that a claim needs. Raises NotFound if the account has no payout."""
        payouts = self._epochs.payouts(committed.epoch)
        tree = PayoutTree(self._bench.chain_id, self._bench.contract_address(LEDGER), payouts)
        return claim_for(tree, committed.epoch, committed.committed_at, committed.signers_digest, account)

    def _claimed(self, account: Address) -> Wei:
        return Wei(self._bench.call(LEDGER, "accountOf", account)[0])

    def _distribute(self, wallet: str, committed: CommittedEpoch, claim: Claim, intent: str) -> None:
        proof = [(n.hash, n.sum) for n in claim.proof]
        self._bench.send(
            wallet,
            "Staking",
            "distribute",
            committed.values(),
            committed.proposer,
            list(committed.votes),
            claim.cumulative,
            claim.index,
            proof,
            intent=intent,
        )
