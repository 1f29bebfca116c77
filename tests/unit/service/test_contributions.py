"""A contribution on a real chain: anchored once, delivered once, its author's alone; bad ones leave no trace."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from headwater.content.encryption import open_record
from headwater.datanets.batches import PreparedBatch
from headwater.errors import BadRecord, BadSignature, ErasedContent, Expired, NotFound, Refused, TransactionReverted
from headwater.protocol.contribution import ContributionBatch, Record, Withdrawal
from headwater.protocol.license import License
from headwater.protocol.signatures import CURVE_ORDER
from headwater.protocol.snapshot import DataSplit
from headwater.service.datanets import LOG, Datanets
from headwater.storage.content_keys import ContentKeys
from headwater.testing import examples
from headwater.types import ZERO_DIGEST, Address, Digest, Signature, hex0x

_numbers = count()


@pytest.fixture
def datanets(devnet: Any) -> Datanets:
    return devnet.datanets


def fresh(devnet: Any, datanet: Digest, who: str = "alice", size: int = 2, **changes: Any) -> PreparedBatch:
    """Records that nobody has contributed before."""
    records = [Record(f"question {next(_numbers)}", f"T{next(_numbers)}") for _ in range(size)]
    return devnet.batch(who, records, datanet, **changes)


def signed(devnet: Any, batch: PreparedBatch, who: str = "alice") -> Signature:
    return devnet.bench.signer.sign_typed(who, batch.contribution, devnet.bench.domain(LOG))


def anchored_events(devnet: Any, datanet: Digest) -> int:
    return len(devnet.bench.events(LOG, "ContributionAnchored", datanetId=datanet))


# -- the Datanet -------------------------------------------------------------------------------------------------


def test_a_datanets_terms_come_back_as_the_chain_names_them(datanets: Datanets, datanet: Digest) -> None:
    assert datanets.terms(datanet) == examples.TERMS
    assert datanets.show(datanet).name == "Drug safety coding"


def test_creating_it_again_changes_nothing(datanets: Datanets, datanet: Digest) -> None:
    assert datanets.create("owner", "Drug safety coding", examples.TERMS) == datanet
    assert [c.datanet_id for c in datanets.list()].count(datanet) == 1


# -- a contribution's two steps ----------------------------------------------------------------------------------


def test_a_batch_is_anchored_then_delivered_and_its_records_are_read_back(
    devnet: Any, datanets: Datanets, datanet: Digest
) -> None:
    batch = fresh(devnet, datanet)
    name = datanets.anchor(batch.contribution, signed(devnet, batch))
    cid = datanets.deliver(name, batch.batch)
    row = datanets._rows.required(name)
    assert (row.state, row.bundle_cid, row.anchored_block > 0) == ("delivered", cid, True)
    names = datanets._rows.record_names(name)
    assert [datanets.record(n) for n in names] == [s.record for s in batch.batch.records]


def test_what_is_stored_is_encrypted(devnet: Any, datanets: Datanets, datanet: Digest) -> None:
    batch = fresh(devnet, datanet)
    name = datanets.anchor(batch.contribution, signed(devnet, batch))
    cid = datanets.deliver(name, batch.batch)
    (first, _) = datanets._rows.record_names(name)
    sealed = devnet.bench.store.get_file(cid, hex0x(first))
    assert batch.batch.records[0].record.prompt.encode() not in sealed
    keys = ContentKeys(devnet.bench.database)
    assert open_record(sealed, datanet, first, keys) == batch.batch.records[0].canonical_bytes()


def test_a_contribution_twice_has_the_same_answer_and_no_second_effect(
    devnet: Any, datanets: Datanets, datanet: Digest
) -> None:
    batch = fresh(devnet, datanet)
    signature = signed(devnet, batch)
    name = datanets.anchor(batch.contribution, signature)
    cid, events, card = datanets.deliver(name, batch.batch), anchored_events(devnet, datanet), datanets.show(datanet)
    height = devnet.bench.chain.block().number
    assert datanets.anchor(batch.contribution, signature) == name
    assert datanets.deliver(name, batch.batch) == cid
    assert (anchored_events(devnet, datanet), datanets.show(datanet)) == (events, card)
    assert devnet.bench.chain.block().number == height


def test_a_copy_under_another_wallet_is_another_contribution_and_leaves_the_first_alone(
    devnet: Any, datanets: Datanets
) -> None:
    """The thief has read the very batch, salts and all, and even names the same root."""
    datanet = datanets.create("owner", "Copies", examples.TERMS)
    original = fresh(devnet, datanet, size=3)
    first = datanets.anchor(original.contribution, signed(devnet, original))
    datanets.deliver(first, original.batch)
    before = datanets._rows.required(first)
    copied = replace(original.contribution, contributor=devnet.bench.address("bob"))
    same_root = datanets.anchor(copied, signed(devnet, PreparedBatch(copied, original.batch), "bob"))
    assert same_root != first
    with pytest.raises(BadRecord, match="does not match the root"):
        datanets.deliver(same_root, original.batch)
    own_root = devnet.batch("bob", [s.record for s in original.batch.records], datanet)
    second = datanets.anchor(own_root.contribution, signed(devnet, own_root, "bob"))
    datanets.deliver(second, own_root.batch)
    assert datanets._rows.required(first) == before
    snapshot_id = datanets.snapshot("owner", datanet, 300_000)
    datanets.seal("owner", snapshot_id)
    sealed = datanets.sealed(snapshot_id)
    assert {e.owner for e in sealed.manifest.entries} == {devnet.bench.address("alice")}
    assert len(sealed.manifest.duplicates) == 3


# -- bad signatures ----------------------------------------------------------------------------------------------


def malleable(signature: bytes) -> Signature:
    s = CURVE_ORDER - int.from_bytes(signature[32:64], "big")
    return Signature(signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]]))


def test_bad_signatures_are_refused_and_leave_no_trace(devnet: Any, datanets: Datanets, datanet: Digest) -> None:
    batch, bench = fresh(devnet, datanet), devnet.bench
    good, events = signed(devnet, batch), anchored_events(devnet, datanet)
    domain = bench.domain(LOG)
    foreign = [
        replace(domain, chain_id=1),
        replace(domain, verifying_contract=bench.contract_address("CreditEscrow")),
        replace(domain, contract="CreditEscrow"),
    ]
    bad = {
        "wrong signer": signed(devnet, batch, "bob"),
        "malleable": malleable(good),
        "short": Signature(good[:-2]),  # 64 bytes could be the compact form of EIP-2098
        "empty": Signature(b""),
        "zero": Signature(bytes(64) + b"\x1b"),
        **{
            f"domain {i}": examples.sign_digest("alice", batch.contribution.signing_digest(d))
            for i, d in enumerate(foreign)
        },
    }
    for what, signature in bad.items():
        with pytest.raises(BadSignature):
            datanets.anchor(batch.contribution, signature)
        assert datanets._rows.get(batch.contribution.signing_digest(domain)) is None, what
    assert anchored_events(devnet, datanet) == events


def test_a_signature_for_another_domain_by_the_right_key_is_refused(
    devnet: Any, datanets: Datanets, datanet: Digest
) -> None:
    """Made by alice's own wallet, for a chain that is not this one."""
    batch, domain = fresh(devnet, datanet), devnet.bench.domain(LOG)
    for foreign in (
        replace(domain, chain_id=1),
        replace(domain, verifying_contract=Address(domain.verifying_contract[:2] + "00" * 20)),
    ):
        signature = devnet.bench.signer.sign_typed("alice", batch.contribution, foreign)
        with pytest.raises(BadSignature, match="chain id and contract"):
            datanets.anchor(batch.contribution, signature)


def test_an_expired_deadline_is_refused(devnet: Any, datanets: Datanets, datanet: Digest) -> None:
    batch = fresh(devnet, datanet, deadline=devnet.bench.chain_time() - 1)
    with pytest.raises(Expired, match="deadline"):
        datanets.anchor(batch.contribution, signed(devnet, batch))
    assert datanets._rows.get(batch.contribution.signing_digest(devnet.bench.domain(LOG))) is None


@pytest.mark.parametrize(
    "change", [{"license_digest": examples.word("other")}, {"datanet_id": examples.word("none")}]
)
def test_a_foreign_licence_or_datanet_is_refused_by_the_chain(
    devnet: Any, datanets: Datanets, datanet: Digest, change: dict[str, Digest]
) -> None:
    made = fresh(devnet, datanet)
    batch = PreparedBatch(replace(made.contribution, **change), made.batch)  # type: ignore[arg-type]
    with pytest.raises(TransactionReverted):
        datanets.anchor(batch.contribution, signed(devnet, batch))


# -- bad content -------------------------------------------------------------------------------------------------


def test_content_that_does_not_match_the_anchored_root_is_refused(
    devnet: Any, datanets: Datanets, datanet: Digest
) -> None:
    batch = fresh(devnet, datanet, size=3)
    name = datanets.anchor(batch.contribution, signed(devnet, batch))
    first, second, third = batch.batch.records
    for records in (
        (first, second),
        (second, first, third),
        (first, second, third, third),
        (replace(first, record=Record("other", "words")), second, third),
        (replace(first, salt=examples.word("other")), second, third),
    ):
        with pytest.raises(BadRecord, match="does not match the root"):
            datanets.deliver(name, ContributionBatch(records))
    with pytest.raises(BadRecord, match="no records"):
        datanets.deliver(name, ContributionBatch(()))
    assert datanets._rows.required(name).state == "anchored"
    datanets.deliver(name, batch.batch)


def test_a_batch_that_was_signed_with_more_records_than_it_holds_is_refused(
    devnet: Any, datanets: Datanets, datanet: Digest
) -> None:
    """Its root is right; the count on chain would be a boast."""
    made = fresh(devnet, datanet)
    batch = PreparedBatch(replace(made.contribution, record_count=1_000), made.batch)
    name = datanets.anchor(batch.contribution, signed(devnet, batch))
    with pytest.raises(BadRecord, match="does not match the root"):
        datanets.deliver(name, batch.batch)


def test_content_before_its_anchoring_is_not_taken(devnet: Any, datanets: Datanets, datanet: Digest) -> None:
    batch = fresh(devnet, datanet)
    name = batch.contribution.signing_digest(devnet.bench.domain(LOG))
    with pytest.raises(NotFound):
        datanets.deliver(name, batch.batch)
    datanets._rows.receive(name, batch.contribution, signed(devnet, batch), 1)
    with pytest.raises(Refused, match="does not hold this contribution's root yet"):
        datanets.deliver(name, batch.batch)


def test_after_a_crash_between_the_steps_the_same_call_goes_on(
    devnet: Any, datanets: Datanets, datanet: Digest
) -> None:
    batch = fresh(devnet, datanet)
    signature, name = signed(devnet, batch), batch.contribution.signing_digest(devnet.bench.domain(LOG))
    datanets._rows.receive(name, batch.contribution, signature, 1)
    assert datanets.anchor(batch.contribution, signature) == name
    assert datanets._rows.required(name).state == "anchored"


# -- leaving -----------------------------------------------------------------------------------------------------


def leaving(devnet: Any, datanet: Digest, name: Digest, who: str) -> tuple[Withdrawal, Signature]:
    bench = devnet.bench
    made = Withdrawal(datanet, bench.address(who), name, ZERO_DIGEST, bench.chain_time() + 3_600)
    return made, bench.signer.sign_typed(who, made, bench.domain(LOG))


def test_who_leaves_is_in_no_later_snapshot_and_nobody_else_can_make_him_leave(
    devnet: Any, datanets: Datanets
) -> None:
    datanet = datanets.create("owner", "Leaving", examples.TERMS)
    batches = {who: fresh(devnet, datanet, who, size=3) for who in ("alice", "bob")}
    names = {who: datanets.anchor(b.contribution, signed(devnet, b, who)) for who, b in batches.items()}
    for who, batch in batches.items():
        datanets.deliver(names[who], batch.batch)
    thief, his = leaving(devnet, datanet, names["alice"], "bob")
    with pytest.raises(TransactionReverted):
        datanets.withdraw(thief, his)
    withdrawal, signature = leaving(devnet, datanet, names["alice"], "alice")
    with pytest.raises(BadSignature):
        datanets.withdraw(withdrawal, his)
    assert datanets._rows.required(names["alice"]).state == "delivered"
    datanets.withdraw(withdrawal, signature)
    assert datanets._rows.required(names["alice"]).state == "withdrawn"
    snapshot_id = datanets.snapshot("owner", datanet, 300_000)
    sealed_hash = datanets.seal("owner", snapshot_id)
    sealed = datanets.sealed(snapshot_id)
    assert {e.owner for e in sealed.manifest.entries} == {devnet.bench.address("bob")}
    assert (sealed.sealed_hash, datanets.seal("owner", snapshot_id)) == (sealed_hash, sealed_hash)
    split = sealed.split(DataSplit.RANDOM)
    assert sorted(split.train + split.held_out) == [0, 1, 2]


def test_leaving_an_unknown_contribution_is_refused(devnet: Any, datanets: Datanets, datanet: Digest) -> None:
    with pytest.raises(NotFound):
        datanets.withdraw(*leaving(devnet, datanet, examples.word("none"), "alice"))


def test_a_record_whose_key_was_destroyed_is_gone(devnet: Any, datanets: Datanets, datanet: Digest) -> None:
    batch = fresh(devnet, datanet)
    name = datanets.anchor(batch.contribution, signed(devnet, batch))
    datanets.deliver(name, batch.batch)
    first, second = datanets._rows.record_names(name)
    ContentKeys(devnet.bench.database).destroy(first)
    with pytest.raises(ErasedContent):
        datanets.record(first)
    assert datanets.record(second) == batch.batch.records[1].record


def test_a_licence_without_training_is_refused_before_signing(devnet: Any, datanets: Datanets) -> None:
    from headwater.protocol.license import Purpose

    terms: License = replace(examples.TERMS, purposes=(Purpose.EVALUATE,))
    datanet = datanets.create("owner", "For evaluation only", terms)
    with pytest.raises(Refused, match="does not allow training"):
        fresh(devnet, datanet)
