"""After a restore nothing is signed that might have been signed before (PROTOCOL.md §8)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.errors import (
    Conflict,
    HeadwaterError,
    InvalidInput,
    Refused,
    VerificationFailed,
)
from headwater.protocol.canonical import canonical_json, parse_json
from headwater.protocol.epoch import Epoch
from headwater.protocol.typed_data import Domain
from headwater.signing.log import SigningLog
from headwater.signing.log_backup import chain_watermark
from headwater.types import Address, Digest, Wei

PROVIDER = Address("0x" + "22" * 20)
Build = Callable[..., Any]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SigningLog]:
    with SigningLog(tmp_path / "signing.sqlite") as opened:
        yield opened


def restored(tmp_path: Path, backup: dict[str, Any], **chain: Any) -> SigningLog:
    log = SigningLog(tmp_path / "restored.sqlite")
    try:
        log.restore(parse_json(canonical_json(backup)), **chain)
    except HeadwaterError:
        log.close()
        raise
    return log


def test_after_a_restore_old_lanes_are_closed_and_new_ones_open(
    tmp_path: Path, log: SigningLog, escrow: Domain, receipt: Build, voucher: Build, attribution: Build
) -> None:
    log.record(receipt(1), escrow, PROVIDER)
    log.record(voucher(5), escrow, PROVIDER)
    log.record(attribution(receipt(1)), escrow, PROVIDER)
    with restored(tmp_path, log.export()) as again:
        for struct in (
            receipt(1),
            receipt(2),
            voucher(5),
            voucher(6),
            attribution(receipt(1)),
            attribution(receipt(2)),
        ):
            with pytest.raises(Refused, match="restored"):
                again.record(struct, escrow, PROVIDER)
        again.record(receipt(1, lane="new"), escrow, PROVIDER)
        again.record(receipt(2, lane="new"), escrow, PROVIDER)
        again.record(attribution(receipt(1, lane="new")), escrow, PROVIDER)
        again.record(voucher(1, lane="new"), escrow, PROVIDER)


def test_after_a_restore_a_lane_that_the_backup_missed_is_not_gone_on_with(
    tmp_path: Path, log: SigningLog, escrow: Domain, receipt: Build
) -> None:
    with restored(tmp_path, log.export(), chain=chain_watermark(escrow, [Digest(bytes(32))], escrow, 0, 0)) as again:
        with pytest.raises(Refused, match="in use before"):
            again.record(receipt(7, lane="opened after the backup"), escrow, PROVIDER)
        again.record(receipt(1, lane="opened after the restore"), escrow, PROVIDER)


def test_what_the_chain_shows_in_use_is_refused_too(
    tmp_path: Path, log: SigningLog, escrow: Domain, ledger: Domain, receipt: Build, epoch: Build
) -> None:
    log.record(epoch(3), ledger, PROVIDER)
    lane = receipt(1).lane_id
    with restored(tmp_path, log.export(), chain=chain_watermark(escrow, [lane], ledger, 7, 1)) as again:
        for struct, domain in (
            (receipt(1), escrow),
            (epoch(7, 1), ledger),
            (epoch(7, 0), ledger),
            (epoch(4), ledger),
        ):
            with pytest.raises(Refused, match="watermark"):
                again.record(struct, domain, PROVIDER)
        again.record(epoch(7, 2), ledger, PROVIDER)
        again.record(epoch(8), ledger, PROVIDER)


@given(signed=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), min_size=1, max_size=6, unique=True))
@settings(max_examples=15)
def test_attempts_at_or_below_the_highest_are_refused_after_a_restore(
    tmp_path_factory: pytest.TempPathFactory, signed: list[tuple[int, int]]
) -> None:
    """Property: after a restore an attempt is admitted iff it lies above every attempt of the backup."""
    folder, domain = tmp_path_factory.mktemp("log"), Domain("AttributionLedger", 1, PROVIDER)
    zero = Digest(bytes(32))

    def build(epoch_id: int, attempt: int) -> Epoch:
        return Epoch(epoch_id, attempt, 1, zero, zero, zero, zero, zero, zero, zero, zero, Wei(1))

    with SigningLog(folder / "signing.sqlite") as log:
        for position in signed:
            log.record(build(*position), domain, PROVIDER)
        backup = log.export()
    with restored(folder, backup) as again:
        for position in [(e, a) for e in range(0, 10, 3) for a in range(4)]:
            try:
                again.record(build(*position), domain, PROVIDER)
                admitted = True
            except Refused:
                admitted = False
            assert admitted == (position > max(signed))


def test_a_watermark_survives_the_next_backup(
    tmp_path: Path, log: SigningLog, escrow: Domain, receipt: Build
) -> None:
    log.record(receipt(1), escrow, PROVIDER)
    with restored(tmp_path, log.export()) as once:
        backup = once.export()
    (tmp_path / "twice").mkdir()
    with restored(tmp_path / "twice", backup) as twice, pytest.raises(Refused):
        twice.record(receipt(2), escrow, PROVIDER)


def test_a_backup_that_contradicts_the_log_changes_nothing(
    tmp_path: Path, log: SigningLog, escrow: Domain, receipt: Build
) -> None:
    log.record(receipt(1), escrow, PROVIDER)
    backup = log.export()
    with SigningLog(tmp_path / "other.sqlite") as other:
        other.record(receipt(1, price=6), escrow, PROVIDER)
        before = other.export()
        with pytest.raises(Conflict, match="signed twice"):
            other.restore(backup)
        assert other.export() == before
        other.record(receipt(2), escrow, PROVIDER)


def test_a_changed_or_foreign_backup_is_refused(
    tmp_path: Path, log: SigningLog, escrow: Domain, receipt: Build
) -> None:
    log.record(receipt(1), escrow, PROVIDER)
    backup = log.export()
    for broken in ({**backup, "entries": []}, {**backup, "watermarks": []}, {**backup, "sha256": "0x" + "00" * 32}):
        with pytest.raises(VerificationFailed, match="changed"):
            restored(tmp_path, broken)
    for foreign in ([], {}, {**backup, "format": "other"}):
        with pytest.raises(InvalidInput):
            restored(tmp_path, foreign)  # type: ignore[arg-type]
