"""The transaction manager: an intent is carried out once, whatever crashes in between.

In: an intent key, a signer, what to call. Out: the receipt. The nonce is assigned and the signed bytes are stored in
one database transaction before anything is sent (`OutboxStore`), so that after a crash the very same bytes are sent
again, and the same bytes have one effect on any chain. Holds no key; knows no contract by name.

States of an intent: signed -> broadcast -> mined -> final, or reverted. Until it is final a reorganisation may drop
it; `resume` sends it again then. Idea: Chainlink's broadcaster and confirmer (saved attempt first).
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from headwater.chain.client import POLL_SECONDS, Chain
from headwater.chain.contracts import Contract
from headwater.chain.fees import bumped, fees_at, gas_limit
from headwater.chain.signed import Unsigned, hash_of, parse_signed
from headwater.chain.transport import InsufficientFunds, NonceTooLow, Underpriced
from headwater.chain.values import TransactionReceipt
from headwater.chain.waiting import SystemWaiter, Waiter
from headwater.errors import Conflict, TransactionReverted, Unavailable
from headwater.signing.signer import Signer
from headwater.storage.outbox import BROADCAST, FINAL, MINED, REVERTED, SIGNED, OutboxRow, Sign
from headwater.types import Address, Wei, digest

STUCK_SECONDS: Final = 60
MAX_BUMPS: Final = 4
NOTHING: Final = Wei(0)


class OutboxStore(Protocol):
    """Where signed transactions are kept: `storage.outbox.Outbox`.

    Every method returns after its change is on disk.
    """

    def reserve(self, intent_key: str, sender: Address, sign: Sign, first_nonce: int) -> OutboxRow:
        """Sign with the sender's next nonce and store, in one transaction; a stored intent comes back as it is.

        Raises Conflict if another sender holds the intent.
        """
        ...

    def mark(self, intent_key: str, state: str, block_number: int | None = None) -> None: ...

    def get(self, intent_key: str) -> OutboxRow | None: ...

    def pending(self, sender: Address) -> Sequence[OutboxRow]:
        """All that is signed, broadcast or mined but not final, in order of nonce."""
        ...

    def add_attempt(self, intent_key: str, raw: bytes, tx_hash: str) -> None:
        """Keep a further signed form of the intent, with the same nonce and a higher fee."""
        ...

    def attempts(self, intent_key: str) -> Sequence[tuple[bytes, str]]:
        """Those further forms as (raw, hash), oldest first; without the row's own."""
        ...


class TransactionSigner(Protocol):
    """One account that signs transactions."""

    @property
    def address(self) -> Address: ...

    def sign_transaction(self, transaction: Mapping[str, Any]) -> bytes:
        """The raw signed transaction; deterministic (RFC 6979) where the key allows it."""
        ...


@dataclass(frozen=True, slots=True)
class WalletSigner:
    """A wallet of the signer process as a TransactionSigner."""

    signer: Signer
    name: str

    @property
    def address(self) -> Address:
        return self.signer.address(self.name)

    def sign_transaction(self, transaction: Mapping[str, Any]) -> bytes:
        return self.signer.sign_transaction(self.name, transaction)


class TransactionManager:
    """Carries out intents on one chain. Thread-safe; several processes may share the outbox.

    `stuck_seconds`: how long a transaction may wait for a block before its fee is raised.
    """

    def __init__(
        self,
        chain: Chain,
        outbox: OutboxStore,
        waiter: Waiter | None = None,
        stuck_seconds: int = STUCK_SECONDS,
    ) -> None:
        self.chain = chain
        self._outbox = outbox
        self._waiter = waiter or SystemWaiter()
        self._stuck_seconds = stuck_seconds
        self._guard = threading.Lock()
        self._senders: dict[Address, threading.RLock] = defaultdict(threading.RLock)

    def call(
        self,
        signer: TransactionSigner,
        intent_key: str,
        contract: Contract,
        function: str,
        *args: Any,
        value_wei: Wei = NOTHING,
    ) -> TransactionReceipt:
        """Call a contract by transaction, once; the receipt when it is mined. See `execute`."""
        data = contract.abi.encode_call(function, args)
        return self.execute(signer, intent_key, contract.address, data, value_wei)

    def transfer(self, signer: TransactionSigner, intent_key: str, to: Address, value_wei: Wei) -> TransactionReceipt:
        """Send native coin, once. See `execute`."""
        return self.execute(signer, intent_key, to, b"", value_wei)

    def execute(
        self,
        signer: TransactionSigner,
        intent_key: str,
        to: Address | None,
        data: bytes = b"",
        value_wei: Wei = NOTHING,
    ) -> TransactionReceipt:
        """Carry out an intent and wait for its block; an intent carried out before answers with its first receipt.

        The key must name this one effect for ever ("claim:epoch 7:0x…"). Raises TransactionReverted (before anything
        is signed where the chain says so at once, else after it is mined), InsufficientFunds with `missing_wei`,
        Conflict (the key was used for another call, or its nonce by another program), Unavailable; after Unavailable
        the intent stands and may be repeated.
        """
        self.submit(signer, intent_key, to, data, value_wei)
        return self.finish(signer, intent_key)

    def submit(
        self,
        signer: TransactionSigner,
        intent_key: str,
        to: Address | None,
        data: bytes = b"",
        value_wei: Wei = NOTHING,
    ) -> OutboxRow:
        """Like `execute`, without waiting for the block."""
        with self._of(signer.address):
            row = self._outbox.get(intent_key) or self._reserve(signer, intent_key, to, data, value_wei)
            _check_same(row, signer.address, to, data)
            if row.state == SIGNED:
                self._broadcast(signer)
            return row

    def finish(self, signer: TransactionSigner, intent_key: str) -> TransactionReceipt:
        """Wait until a stored intent is mined; raise its fee while it is stuck. Raises as `execute`."""
        for _ in range(MAX_BUMPS + 1):
            row = self._row(intent_key)
            receipt = self._await_any(row, self._stuck_seconds)
            if receipt is not None:
                return self._settle(row, receipt)
            self._check_nonce(row)
            self.bump(signer, intent_key)
        raise Unavailable(
            f"the intent {intent_key!r} is in no block after {MAX_BUMPS} raises of its fee",
            "look whether the chain makes blocks, then repeat: it is not lost",
        )

    def bump(self, signer: TransactionSigner, intent_key: str) -> None:
        """Send a stored intent again under the same nonce, for an eighth more. At most one form can be mined."""
        with self._of(signer.address):
            row = self._row(intent_key)
            last, _ = self._forms(row)[-1]
            unsigned, nonce = parse_signed(last)
            unsigned = unsigned.with_fees(bumped(unsigned.fees, self.chain.block().base_fee_wei))
            raw = signer.sign_transaction(unsigned.dictionary(nonce))
            self._outbox.add_attempt(intent_key, raw, hash_of(raw))
            self._send(row, raw)

    def resume(self, signer: TransactionSigner) -> None:
        """After a start, and now and then: send again what is in no block, settle what is.

        Raises as `execute`; an intent that cannot go on keeps those behind it waiting, for they have later nonces.
        """
        with self._of(signer.address):
            self._broadcast(signer)
            for row in self._outbox.pending(signer.address):
                if receipt := self._mined(row):
                    self._record(row, receipt)

    # One step each.

    def _of(self, sender: Address) -> threading.RLock:
        """One at a time from nonce to broadcast, or a node would see the later nonce first."""
        with self._guard:
            return self._senders[sender]

    def _row(self, intent_key: str) -> OutboxRow:
        row = self._outbox.get(intent_key)
        if row is None:
            raise Conflict(f"the intent {intent_key!r} was never submitted", "submit it first")
        return row

    def _reserve(
        self, signer: TransactionSigner, intent_key: str, to: Address | None, data: bytes, value_wei: Wei
    ) -> OutboxRow:
        sender = signer.address
        gas = gas_limit(self.chain.estimate_gas(sender, to, data, value_wei))
        fees = fees_at(self.chain.block().base_fee_wei)
        unsigned = Unsigned(self.chain.chain_id, to, data, value_wei, gas, fees)
        missing = unsigned.cost_wei() - self.chain.balance(sender)
        if missing > 0:
            raise InsufficientFunds(
                f"the account {sender} has {missing} wei of native coin too little for this",
                "send it some with `headwater wallet fund`",
                missing_wei=missing,
            )

        def sign(nonce: int) -> tuple[bytes, str]:
            raw = signer.sign_transaction(unsigned.dictionary(nonce))
            return raw, hash_of(raw)

        return self._outbox.reserve(intent_key, sender, sign, self.chain.nonce(sender))

    def _broadcast(self, signer: TransactionSigner) -> None:
        """Send what this account has signed and no block holds, lowest nonce first."""
        for row in self._outbox.pending(signer.address):
            if self._mined(row) is not None:
                continue
            try:
                self._send(row, self._forms(row)[-1][0])
            except Underpriced:
                self.bump(signer, row.intent_key)

    def _send(self, row: OutboxRow, raw: bytes) -> None:
        try:
            self.chain.send_raw(raw)
        except NonceTooLow:
            self._check_nonce(row)
        self._outbox.mark(row.intent_key, BROADCAST)

    def _check_nonce(self, row: OutboxRow) -> None:
        """Raises Conflict if another program used the nonce, so that no form of this intent can be mined."""
        if self.chain.nonce(row.sender) <= row.nonce or self._mined(row) is not None:
            return
        self._outbox.mark(row.intent_key, REVERTED)
        raise _lost(row)

    def _forms(self, row: OutboxRow) -> list[tuple[bytes, str]]:
        return [(row.raw, row.tx_hash), *self._outbox.attempts(row.intent_key)]

    def _mined(self, row: OutboxRow) -> TransactionReceipt | None:
        """The receipt of whichever form was mined."""
        for _, tx_hash in self._forms(row):
            if receipt := self.chain.receipt(digest(tx_hash)):
                return receipt
        return None

    def _await_any(self, row: OutboxRow, seconds: int) -> TransactionReceipt | None:
        for _ in range(int(seconds / POLL_SECONDS)):
            if receipt := self._mined(row):
                return receipt
            if row.state == REVERTED:
                raise _lost(row)
            self._waiter.wait(POLL_SECONDS)
        return None

    def _settle(self, row: OutboxRow, receipt: TransactionReceipt) -> TransactionReceipt:
        self._record(row, receipt)
        if not receipt.succeeded:
            reason = self.chain.why_reverted(receipt)
            raise TransactionReverted(reason.cause, reason.next_step, **dict(reason.details))
        return receipt

    def _record(self, row: OutboxRow, receipt: TransactionReceipt) -> None:
        if not receipt.succeeded:
            state = REVERTED
        elif self.chain.block("finalized").number >= receipt.block_number:
            state = FINAL
        else:
            state = MINED
        if (row.state, row.block_number) != (state, receipt.block_number):
            self._outbox.mark(row.intent_key, state, receipt.block_number)


def _check_same(row: OutboxRow, sender: Address, to: Address | None, data: bytes) -> None:
    """The stored call must be to the same function; its arguments may carry another time."""
    stored, _ = parse_signed(row.raw)
    if (row.sender, stored.to, stored.data[:4]) != (sender, to, data[:4]):
        raise Conflict(
            f"the intent key {row.intent_key!r} stands for another transaction", "give every effect its own key"
        )


def _lost(row: OutboxRow) -> Conflict:
    return Conflict(
        f"another program used nonce {row.nonce} of {row.sender}, so {row.intent_key!r} was not carried out",
        "use this key in one node only, and submit it under a new intent key",
        nonce=row.nonce,
    )
