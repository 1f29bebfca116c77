"""One digest a slot, for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from headwater.errors import (
    DiskFull,
    DoubleSigning,
    Unavailable,
    VerificationFailed,
)
from headwater.protocol.receipt import Receipt
from headwater.protocol.signed_types import SIGNED_TYPES
from headwater.protocol.typed_data import Domain, TypedStruct, signable
from headwater.protocol.voucher import Voucher
from headwater.signing.log import SigningLog
from headwater.signing.slots import slot_of
from headwater.types import Address, Digest, Wei

PROVIDER, OTHER = Address("0x" + "22" * 20), Address("0x" + "33" * 20)
Build = Callable[..., Any]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SigningLog]:
    with SigningLog(tmp_path / "signing.sqlite") as opened:
        yield opened


def test_every_signed_type_has_a_rule(make: Build) -> None:
    for kind in SIGNED_TYPES:
        slot_of(make(kind), Domain(signable(kind.__name__)[1], 1, PROVIDER), PROVIDER)


def test_the_same_digest_may_be_signed_again_and_another_not(log: SigningLog, escrow: Domain, receipt: Build) -> None:
    log.record(receipt(1), escrow, PROVIDER)
    log.record(receipt(1), escrow, PROVIDER)
    with pytest.raises(DoubleSigning) as refused:
        log.record(receipt(1, price=6), escrow, PROVIDER)
    assert refused.value.details["signed_digest"] == "0x" + receipt(1).signing_digest(escrow).hex()


def test_slots_of_other_lanes_signers_chains_and_contracts_are_others(
    log: SigningLog, escrow: Domain, receipt: Build
) -> None:
    log.record(receipt(1), escrow, PROVIDER)
    log.record(receipt(2, price=6), escrow, PROVIDER)
    log.record(receipt(1, lane="other", price=6), escrow, PROVIDER)
    log.record(receipt(1, price=6), escrow, OTHER)
    log.record(receipt(1, price=6), Domain("CreditEscrow", 1, escrow.verifying_contract), PROVIDER)
    log.record(receipt(1, price=6), Domain("CreditEscrow", 31337, OTHER), PROVIDER)


def test_an_attribution_is_one_a_receipt(log: SigningLog, escrow: Domain, receipt: Build, attribution: Build) -> None:
    log.record(attribution(receipt(1)), escrow, PROVIDER)
    log.record(attribution(receipt(2), ppm=2), escrow, PROVIDER)
    with pytest.raises(DoubleSigning):
        log.record(attribution(receipt(1), ppm=2), escrow, PROVIDER)


def test_an_attempt_has_one_verdict_and_one_epoch(
    log: SigningLog, ledger: Domain, epoch: Build, verdict: Build
) -> None:
    for build in (epoch, verdict):
        log.record(build(3), ledger, PROVIDER)
        log.record(build(3, 1), ledger, PROVIDER)
        log.record(build(2), ledger, PROVIDER)
    with pytest.raises(DoubleSigning):
        log.record(epoch(3, total=2), ledger, PROVIDER)
    with pytest.raises(DoubleSigning):
        log.record(verdict(3, findings=2), ledger, PROVIDER)


def test_a_voucher_never_falls(log: SigningLog, escrow: Domain, voucher: Build) -> None:
    log.record(voucher(10**30), escrow, PROVIDER)
    log.record(voucher(10**30 + 5), escrow, PROVIDER)
    log.record(voucher(10**30), escrow, PROVIDER)  # the very same one again
    for lower in (9, 10**30 - 1, 10**30 + 4):
        with pytest.raises(DoubleSigning, match="higher one"):
            log.record(voucher(lower), escrow, PROVIDER)
    with pytest.raises(DoubleSigning):
        log.record(voucher(10**30 + 5, head="another"), escrow, PROVIDER)
    log.record(voucher(1, lane="other"), escrow, PROVIDER)


def test_a_wallets_own_contribution_has_no_slot(log: SigningLog, registry: Domain, contribution: Build) -> None:
    log.record(contribution(1), registry, PROVIDER)
    log.record(contribution(2), registry, PROVIDER)
    assert log.export()["entries"] == []


def test_what_was_recorded_is_there_when_the_log_is_opened_again(
    tmp_path: Path, escrow: Domain, receipt: Build
) -> None:
    path = tmp_path / "signing.sqlite"
    with SigningLog(path) as log:
        log.record(receipt(1), escrow, PROVIDER)
    with SigningLog(path) as again, pytest.raises(DoubleSigning):
        again.record(receipt(1, price=6), escrow, PROVIDER)
    assert oct(path.stat().st_mode & 0o777) == "0o600"


def test_a_second_process_cannot_hold_it(tmp_path: Path, log: SigningLog) -> None:
    with pytest.raises(Unavailable, match="another signer"):
        SigningLog(tmp_path / "signing.sqlite", lock_timeout_seconds=0.01)


def test_a_damaged_log_is_named_as_damaged(tmp_path: Path) -> None:
    (tmp_path / "signing.sqlite").write_bytes(b"this is no database at all, sorry" * 200)
    with pytest.raises(VerificationFailed, match="damaged"):
        SigningLog(tmp_path / "signing.sqlite")


def test_on_a_full_disk_nothing_is_recorded(log: SigningLog, escrow: Domain, receipt: Build) -> None:
    log._file.row("PRAGMA max_page_count=1")
    with pytest.raises(DiskFull):
        for sequence in range(1, 1000):
            log.record(receipt(sequence), escrow, PROVIDER)
    log._file.row("PRAGMA max_page_count=100000")
    kept = len(log.export()["entries"])
    assert kept == sequence - 1
    log.record(receipt(sequence, price=6), escrow, PROVIDER)  # the refused digest took no slot


def test_of_threads_that_race_for_a_slot_one_wins(log: SigningLog, escrow: Domain, receipt: Build) -> None:
    signed: list[int] = []

    def work(price: int) -> None:
        try:
            log.record(receipt(1, price=price), escrow, PROVIDER)
        except DoubleSigning:
            return
        signed.append(price)

    threads = [threading.Thread(target=work, args=(price,)) for price in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(signed) == 1


def plain_receipt(lane_id: Digest, sequence: int, price: int) -> Receipt:
    zero = Digest(bytes(32))
    wei = Wei(price)
    return Receipt(
        zero, lane_id, sequence, zero, OTHER, PROVIDER, 0, zero, 1, 1, 1, 1, wei, wei, zero, zero, zero, zero, 1
    )


class NoSlotIsSignedTwice(RuleBasedStateMachine):
    """Property: whatever is asked in whatever order, no slot ever admits two digests, and vouchers only rise."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.log = SigningLog(Path(self.folder.name) / "signing.sqlite")
        self.domain = Domain("CreditEscrow", 1, PROVIDER)
        self.admitted: dict[tuple[str, int, int], set[int]] = {}
        self.vouchers: dict[int, list[int]] = {}

    def teardown(self) -> None:
        self.log.close()
        self.folder.cleanup()

    def ask(self, struct: TypedStruct) -> bool:
        try:
            self.log.record(struct, self.domain, PROVIDER)
        except DoubleSigning:
            return False
        return True

    @rule(lane=st.integers(0, 1), sequence=st.integers(1, 3), price=st.integers(0, 2))
    def sign_receipt(self, lane: int, sequence: int, price: int) -> None:
        if self.ask(plain_receipt(Digest(bytes([lane]) * 32), sequence, price)):
            self.admitted.setdefault(("receipt", lane, sequence), set()).add(price)

    @rule(lane=st.integers(0, 1), cumulative=st.integers(0, 12), head=st.integers(0, 2))
    def sign_voucher(self, lane: int, cumulative: int, head: int) -> None:
        if self.ask(Voucher(Digest(bytes([lane]) * 32), Wei(cumulative), Digest(bytes([head]) * 32))):
            self.admitted.setdefault(("voucher", lane, cumulative), set()).add(head)
            self.vouchers.setdefault(lane, []).append(cumulative)

    @invariant()
    def one_digest_a_slot(self) -> None:
        assert all(len(digests) == 1 for digests in self.admitted.values())

    @invariant()
    def first_signatures_rise(self) -> None:
        for cumulatives in self.vouchers.values():
            first_seen = list(dict.fromkeys(cumulatives))
            assert first_seen == sorted(first_seen)


TestNoSlotIsSignedTwice = NoSlotIsSignedTwice.TestCase
TestNoSlotIsSignedTwice.settings = settings(max_examples=10, stateful_step_count=15, deadline=None)
