"""An export is one canonical document; its checksum covers all of it but itself."""

from dataclasses import replace

from headwater.provenance.export import ReceiptExport, checksum_of, sealed_export
from headwater.testing import examples
from headwater.types import ZERO_DIGEST

EXPORT = examples.export()


def test_an_export_survives_its_file() -> None:
    for with_place in (True, False):
        for with_answer in (True, False):
            made = examples.export(with_place, with_answer)
            assert ReceiptExport.from_bytes(made.canonical_bytes()) == made


def test_the_same_evidence_gives_the_same_bytes() -> None:
    assert examples.export().canonical_bytes() == EXPORT.canonical_bytes()


def test_sealing_fills_in_the_checksum_and_sealing_again_changes_nothing() -> None:
    assert EXPORT.checksum == checksum_of(EXPORT) != ZERO_DIGEST
    assert sealed_export(replace(EXPORT, checksum=ZERO_DIGEST)) == EXPORT == sealed_export(EXPORT)


def test_the_checksum_covers_every_member() -> None:
    changes = {
        "format": "headwater-receipt-v2",
        "chain_id": 1,
        "escrow": examples.account("x"),
        "ledger": examples.account("x"),
        "provider_key": examples.account("x"),
        "signed": replace(EXPORT.signed, receipt=replace(EXPORT.signed.receipt, version=2)),
        "method": replace(EXPORT.method, sketch_width=17),
        "rows": EXPORT.rows[:-1],
        "place": None,
        "disclosed": None,
    }
    digests = {checksum_of(replace(EXPORT, **{name: value})) for name, value in changes.items()}  # type: ignore[arg-type]
    assert len(digests | {EXPORT.checksum}) == len(changes) + 1


def test_prompt_and_answer_are_absent_unless_their_owner_puts_them_in() -> None:
    shown = examples.export(with_answer=True).canonical_bytes()
    kept = examples.export(with_answer=False).canonical_bytes()
    for secret in (b"T36.0X1A", b"Poisoning by penicillins", examples.answered().nonce.hex().encode()):
        assert secret not in kept
    assert b"T36.0X1A" in shown
