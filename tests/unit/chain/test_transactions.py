"""One intent, one effect: whatever crashes, replaces or gets in between."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from headwater.chain.client import RpcChain
from headwater.chain.contracts import Contract
from headwater.chain.fees import Fees, bumped, fees_at, gas_limit
from headwater.chain.signed import hash_of, parse_signed
from headwater.chain.transactions import TransactionManager
from headwater.chain.transport import InsufficientFunds, Underpriced
from headwater.errors import Conflict, InvalidInput, TransactionReverted, Unavailable
from headwater.storage.database import Database
from headwater.storage.outbox import BROADCAST, FINAL, MINED, REVERTED, SIGNED, Outbox
from headwater.testing.chains import LocalSigner, ShortWaiter
from headwater.types import Wei, digest

PAYEES = [LocalSigner(f"payee {n}").address for n in range(2)]


class Crash(BaseException):
    """The process died here."""


class Dying:
    """Stands before a chain or an outbox and dies at the n-th of the calls that change something."""

    def __init__(self, inner: Any, fuse: Fuse, names: tuple[str, ...]) -> None:
        self._inner, self._fuse, self._names = inner, fuse, names

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name not in self._names:
            return method

        def wrapped(*args: Any, **more: Any) -> Any:
            self._fuse.burn()  # died before it was done
            result = method(*args, **more)
            self._fuse.burn()  # died after it was done, before anyone knew
            return result

        return wrapped


class Fuse:
    def __init__(self, length: int | None) -> None:
        self._left = length
        self.burnt = 0

    def burn(self) -> None:
        self.burnt += 1
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise Crash


def dying_manager(chain: RpcChain, outbox: Outbox, fuse: Fuse) -> TransactionManager:
    return TransactionManager(
        Dying(chain, fuse, ("send_raw",)), Dying(outbox, fuse, ("reserve", "mark", "add_attempt")), ShortWaiter()
    )


# -- once, whatever happens -------------------------------------------------------------------------------------


@pytest.fixture
def on_embedded(embedded_url: str) -> RpcChain:
    return RpcChain(embedded_url, 31337, {}, ShortWaiter())


def pay_all(manager: TransactionManager, signer: LocalSigner) -> None:
    manager.resume(signer)
    for number, payee in enumerate(PAYEES):
        manager.transfer(signer, f"pay {number}", payee, Wei(100))


def test_every_crash_point_leaves_each_payment_made_once(
    on_embedded: RpcChain, database: Database, clock: Any, tmp_path: Any
) -> None:
    """All points of one crash, and each followed by a second crash soon after the restart."""
    payers = (LocalSigner(f"payer {n}") for n in itertools.count())
    rich = LocalSigner("alice")
    outbox = Outbox(database, clock)
    bank = TransactionManager(on_embedded, outbox, ShortWaiter())

    def run(*lengths: int) -> int:
        """Crash after so many steps, once each, then finish; how many steps the last run took."""
        payer = next(payers)
        bank.transfer(rich, f"fund {payer.address}", payer.address, Wei(10**18))
        before = [on_embedded.balance(payee) for payee in PAYEES]
        keyed = Keyed(outbox, payer.address)
        for length in lengths:
            with pytest.raises(Crash):
                pay_all(dying_manager(on_embedded, keyed, Fuse(length)), payer)
        fuse = Fuse(None)
        pay_all(dying_manager(on_embedded, keyed, fuse), payer)
        assert [on_embedded.balance(payee) for payee in PAYEES] == [b + 100 for b in before]
        assert on_embedded.nonce(payer.address) == len(PAYEES)
        assert list(outbox.pending(payer.address)) == []
        return fuse.burnt

    steps = run()
    assert steps >= 2 * 2 * 3  # reserve, send and mark, for two payments, with two points each
    for first in range(steps):
        run(first)
    for first in range(0, steps, 2):
        run(first, 1)


class Keyed:
    """One outbox for many runs: keys get the payer's address in front."""

    def __init__(self, inner: Outbox, prefix: str) -> None:
        self._inner, self._prefix = inner, prefix

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name == "pending":
            return method
        return lambda key, *args, **more: method(
            key if key.startswith(self._prefix) else f"{self._prefix} {key}", *args, **more
        )


def test_the_naive_way_pays_twice(on_embedded: RpcChain, outbox: Outbox) -> None:
    """The control: send first, store afterwards. The test above would find it."""
    payer, payee = LocalSigner("alice"), PAYEES[0]
    before = on_embedded.balance(payee)
    for crashes in (True, False):
        manager = TransactionManager(on_embedded, outbox, ShortWaiter())
        # A new key after the crash is what "no record of the first" amounts to.
        manager.transfer(payer, f"forgotten {crashes}", payee, Wei(100))
    assert on_embedded.balance(payee) == before + 200


def test_the_same_intent_again_is_the_same_transaction(
    manager: TransactionManager, chain: RpcChain, alice: LocalSigner, bob: LocalSigner
) -> None:
    first = manager.transfer(alice, "rent", bob.address, Wei(7))
    nonce = chain.nonce(alice.address)
    assert manager.transfer(alice, "rent", bob.address, Wei(7)) == first
    assert chain.nonce(alice.address) == nonce


def test_a_key_stands_for_one_call_by_one_sender(
    manager: TransactionManager, probe: Contract, alice: LocalSigner, bob: LocalSigner
) -> None:
    manager.call(alice, "key", probe, "store", 1, 2, "")
    with pytest.raises(Conflict, match="stands for another transaction"):
        manager.call(alice, "key", probe, "refundable", 1)
    with pytest.raises(Conflict, match="stands for another transaction"):
        manager.call(bob, "key", probe, "store", 1, 2, "")
    with pytest.raises(Conflict, match="never submitted"):
        manager.finish(alice, "unknown")


def test_signed_bytes_are_stored_before_they_are_sent(
    on_embedded: RpcChain, outbox: Outbox, alice: LocalSigner, bob: LocalSigner
) -> None:
    class Watching:
        def __getattr__(self, name: str) -> Any:
            return getattr(on_embedded, name)

        def send_raw(self, raw: bytes) -> Any:
            row = outbox.get("watched")
            assert row is not None
            assert (row.raw, row.state, row.tx_hash) == (raw, SIGNED, hash_of(raw))
            return on_embedded.send_raw(raw)

    TransactionManager(Watching(), outbox, ShortWaiter()).transfer(alice, "watched", bob.address, Wei(1))  # type: ignore[arg-type]


# -- refused ----------------------------------------------------------------------------------------------------


def test_what_would_revert_is_refused_before_it_is_signed(
    manager: TransactionManager, outbox: Outbox, probe: Contract, alice: LocalSigner
) -> None:
    with pytest.raises(TransactionReverted, match=r"Probe refused: LaneOverdrawn\(laneId=0x00.*, missing=5\)"):
        manager.call(alice, "overdraw", probe, "overdraw", bytes(32), 5)
    assert outbox.get("overdraw") is None


def test_what_reverts_when_mined_is_named_and_stays_reverted(
    on_embedded: RpcChain, manager: TransactionManager, outbox: Outbox, probe: Contract, alice: LocalSigner
) -> None:
    """It ran through when it was estimated; then the chain moved."""

    class Hopeful:
        def __getattr__(self, name: str) -> Any:
            return getattr(manager.chain, name)

        def estimate_gas(self, *_: Any) -> int:
            return 100_000

    hopeful = TransactionManager(Hopeful(), outbox, ShortWaiter())  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises(TransactionReverted, match=r"Late\(now_=\d+, deadline=9999999999\)") as error:
            hopeful.call(alice, "too early", probe, "notBefore", 9_999_999_999)
    assert error.value.details["error"] == "Late"
    row = outbox.get("too early")
    assert row is not None
    assert (row.state, row.block_number is not None) == (REVERTED, True)


def test_an_account_without_coin_learns_how_much_is_missing(
    manager: TransactionManager, outbox: Outbox, chain: RpcChain, alice: LocalSigner, probe: Contract
) -> None:
    poor = LocalSigner("nobody gave me anything")
    with pytest.raises(InsufficientFunds) as error:
        manager.call(poor, "poor", probe, "store", 1, 1, "")
    missing = error.value.details["missing_wei"]
    assert outbox.get("poor") is None
    manager.transfer(alice, "help", poor.address, Wei(missing + 10**15))  # type: ignore[operator]
    assert manager.call(poor, "poor", probe, "store", 1, 1, "").succeeded


def test_a_nonce_used_by_another_program_is_named(
    manager: TransactionManager, outbox: Outbox, chain: RpcChain, alice: LocalSigner, bob: LocalSigner
) -> None:
    """The chain has nonce 0 from elsewhere while the outbox holds another transaction with it."""
    unsent = Dying(chain, Fuse(0), ("send_raw",))
    with pytest.raises(Crash):
        TransactionManager(unsent, outbox, ShortWaiter()).transfer(alice, "mine", bob.address, Wei(1))
    row = outbox.get("mine")
    assert row is not None
    theirs = parse_signed(row.raw)[0].with_fees(Fees(Wei(4 * 10**9), Wei(2 * 10**8)))
    chain.wait(chain.send_raw(alice.sign_transaction(theirs.dictionary(row.nonce))))
    for _ in range(2):
        with pytest.raises(Conflict, match="another program used nonce"):
            manager.transfer(alice, "mine", bob.address, Wei(1))
    assert manager.transfer(alice, "mine again", bob.address, Wei(1)).succeeded


# -- stuck ------------------------------------------------------------------------------------------------------


class Deaf:
    """A chain that says yes to every transaction and passes on only the one of that number."""

    def __init__(self, inner: RpcChain, listens_to: int) -> None:
        self._inner = inner
        self.heard: list[bytes] = []
        self._listens_to = listens_to

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def send_raw(self, raw: bytes) -> Any:
        self.heard.append(raw)
        if len(self.heard) == self._listens_to:
            self._inner.send_raw(raw)
        return digest(hash_of(raw))


class Counting(ShortWaiter):
    waited = 0.0

    def wait(self, seconds: float) -> None:
        self.waited += seconds


def test_a_stuck_transaction_is_sent_again_for_an_eighth_more(
    on_embedded: RpcChain, outbox: Outbox, alice: LocalSigner, bob: LocalSigner
) -> None:
    deaf, waiter = Deaf(on_embedded, listens_to=3), Counting()
    got = on_embedded.balance(bob.address)
    receipt = TransactionManager(deaf, outbox, waiter, stuck_seconds=5).transfer(alice, "stuck", bob.address, Wei(1))  # type: ignore[arg-type]
    forms = [parse_signed(raw) for raw in deaf.heard]
    assert {nonce for _, nonce in forms} == {0}
    caps = [unsigned.fees.max_fee_wei for unsigned, _ in forms]
    tips = [unsigned.fees.tip_wei for unsigned, _ in forms]
    assert all(after * 8 >= before * 9 for before, after in itertools.pairwise(caps))
    assert tips == [100_000_000, 112_500_000, 126_562_500]
    assert receipt.transaction_hash == digest(hash_of(deaf.heard[2]))
    assert waiter.waited == 2 * 5
    assert on_embedded.balance(bob.address) == got + 1
    assert outbox.attempts("stuck") == [(raw, hash_of(raw)) for raw in deaf.heard[1:]]


def test_an_earlier_form_may_be_the_one_that_is_mined(
    on_embedded: RpcChain, outbox: Outbox, alice: LocalSigner, bob: LocalSigner
) -> None:
    deaf = Deaf(on_embedded, listens_to=99)
    manager = TransactionManager(deaf, outbox, Counting())  # type: ignore[arg-type]
    manager.submit(alice, "late", bob.address, b"", Wei(1))
    manager.bump(alice, "late")
    manager.bump(alice, "late")
    on_embedded.send_raw(deaf.heard[1])
    assert manager.finish(alice, "late").transaction_hash == digest(hash_of(deaf.heard[1]))
    row = outbox.get("late")
    assert row is not None
    assert row.state == FINAL


def test_a_chain_without_blocks_is_named_and_the_intent_stands(
    on_embedded: RpcChain, outbox: Outbox, alice: LocalSigner, bob: LocalSigner
) -> None:
    deaf = TransactionManager(Deaf(on_embedded, listens_to=99), outbox, Counting(), 1)  # type: ignore[arg-type]
    with pytest.raises(Unavailable, match="in no block after 4 raises"):
        deaf.transfer(alice, "patience", bob.address, Wei(1))
    manager = TransactionManager(on_embedded, outbox, ShortWaiter())
    manager.resume(alice)
    assert manager.transfer(alice, "patience", bob.address, Wei(1)).succeeded


def test_a_fee_that_the_block_outgrew_is_raised(
    on_embedded: RpcChain, outbox: Outbox, alice: LocalSigner, bob: LocalSigner
) -> None:
    class Dearer(Deaf):
        def send_raw(self, raw: bytes) -> Any:
            self.heard.append(raw)
            if len(self.heard) == 1:
                raise Underpriced("max fee per gas less than block base fee", "raise its fee")
            return self._inner.send_raw(raw)

    dearer = Dearer(on_embedded, 99)
    assert TransactionManager(dearer, outbox, ShortWaiter()).transfer(alice, "up", bob.address, Wei(1)).succeeded  # type: ignore[arg-type]
    assert len(dearer.heard) == 2


def test_a_transaction_is_final_only_once_the_chain_says_so(
    on_embedded: RpcChain, outbox: Outbox, alice: LocalSigner, bob: LocalSigner
) -> None:
    """And while it is not, a restart that finds its block gone sends it again."""

    class Lagging:
        finalized = 0
        dropped = False

        def __getattr__(self, name: str) -> Any:
            return getattr(on_embedded, name)

        def block(self, ref: Any = "latest") -> Any:
            return on_embedded.block(self.finalized if ref == "finalized" else ref)

        def receipt(self, tx_hash: Any) -> Any:
            return None if self.dropped else on_embedded.receipt(tx_hash)

        def send_raw(self, raw: bytes) -> Any:
            sent.append(raw)
            self.dropped = False
            return on_embedded.send_raw(raw)

    sent: list[bytes] = []
    chain = Lagging()
    manager = TransactionManager(chain, outbox, ShortWaiter())  # type: ignore[arg-type]

    def state() -> str:
        row = outbox.get("slow")
        assert row is not None
        return row.state

    manager.transfer(alice, "slow", bob.address, Wei(1))
    assert state() == MINED
    chain.dropped = True
    manager.resume(alice)
    assert len(sent) == 2
    assert sent[0] == sent[1]
    chain.finalized = 1
    manager.resume(alice)
    assert state() == FINAL
    assert BROADCAST not in {row.state for row in outbox.pending(alice.address)}


# -- fees and bytes ---------------------------------------------------------------------------------------------


def test_fees_follow_from_the_base_fee_alone() -> None:
    assert fees_at(7) == Fees(Wei(14 + 10**8), Wei(10**8))
    assert bumped(Fees(Wei(80), Wei(8)), 0) == Fees(Wei(90), Wei(9))
    assert bumped(Fees(Wei(1), Wei(1)), 0) == Fees(Wei(2), Wei(2))
    assert bumped(Fees(Wei(80), Wei(8)), 100) == Fees(Wei(209), Wei(9))
    assert gas_limit(21_000) == 25_200


@pytest.mark.parametrize("raw", [b"", b"\x02", b"\x02\xc0", b"\x01\xc0", b"\x02\x80", b"\xf8"])
def test_bytes_that_are_no_signed_transaction_are_refused(raw: bytes) -> None:
    with pytest.raises(InvalidInput, match="not a signed type 2"):
        parse_signed(raw)


def test_the_same_story_signs_the_same_bytes_in_every_run(
    on_embedded: RpcChain, outbox: Outbox, alice: LocalSigner, bob: LocalSigner
) -> None:
    """Nothing but the chain's state and the call goes into them: no clock, no chance. Pinned."""
    TransactionManager(on_embedded, outbox, ShortWaiter()).transfer(alice, "first", bob.address, Wei(5))
    row = outbox.get("first")
    assert row is not None
    assert row.tx_hash == "0xbadffc2aad7c92952260c3e1feda7c1749607a69843b6d8f640c6477997b4e66"
