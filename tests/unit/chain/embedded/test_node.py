"""Mining on demand, block times, and what a chain's file may be opened with."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import rlp
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from headwater.chain.embedded import EmbeddedChain, Genesis
from headwater.chain.embedded.database import FILE_NAME
from headwater.chain.embedded.genesis import GAS_LIMIT
from headwater.chain.embedded.node import MAX_EMPTY_BLOCKS
from headwater.chain.embedded.times import MAX_AHEAD_SECONDS
from headwater.chain.embedded.vm import decode_transaction
from headwater.chain.factory import FACTORY_ADDRESS, FACTORY_CODE, FACTORY_TRANSACTION
from headwater.chain.fees import Fees
from headwater.clock import ManualClock
from headwater.errors import Conflict, DiskFull, HomeInUse, InvalidInput, Refused, Unavailable
from headwater.testing.chains import AdvancingWaiter, LocalSigner, until
from headwater.types import Wei, address_bytes

START = 1_700_000_000


def nonce_of(chain: EmbeddedChain, who: LocalSigner) -> int:
    return chain.reader.nonce(chain.reader.head(), address_bytes(who.address))


# -- mining on demand ----------------------------------------------------------------------------------------


def test_each_submission_is_in_a_block_when_it_returns(embedded: EmbeddedChain, pay, alice: LocalSigner) -> None:
    for nonce in range(3):
        found = embedded.reader.transaction(embedded.submit(pay(nonce)))
        assert found is not None
        assert found.header.block_number == nonce + 1
    assert nonce_of(embedded, alice) == 3


def test_waiting_transactions_share_a_block(embedded: EmbeddedChain, pay, bob: LocalSigner) -> None:
    """Also one sender's, handed over in the wrong order: the lowest nonce goes first."""
    raws = [pay(2), pay(1), pay(0), pay(0, sender=bob)]
    threads = [threading.Thread(target=embedded.submit, args=(raw,)) for raw in raws]
    with embedded._mining:  # as if a block were being mined meanwhile
        for thread in threads:
            thread.start()
        until(lambda: len(embedded._pool._waiting) == len(raws))
    for thread in threads:
        thread.join()
    block = embedded.reader.block(embedded.reader.head())
    assert block.number == 1
    assert [t.nonce for t in block.transactions] == [0, 0, 1, 2]


def test_a_block_holds_what_its_gas_allows_and_the_rest_follows(embedded: EmbeddedChain, pay) -> None:
    raws = [pay(nonce, gas=GAS_LIMIT // 2) for nonce in range(3)]
    threads = [threading.Thread(target=embedded.submit, args=(raw,)) for raw in raws]
    with embedded._mining:
        for thread in threads:
            thread.start()
        until(lambda: len(embedded._pool._waiting) == len(raws))
    for thread in threads:
        thread.join()
    sizes = [len(embedded.reader.block(embedded.reader.header_by_number(n)).transactions) for n in (1, 2)]
    assert sizes == [2, 1]


def test_a_bad_transaction_does_not_spoil_its_block(embedded: EmbeddedChain, pay) -> None:
    errors: list[Exception] = []

    def submit(raw: bytes) -> None:
        try:
            embedded.submit(raw)
        except Refused as error:
            errors.append(error)

    threads = [threading.Thread(target=submit, args=(raw,)) for raw in (pay(0), pay(5), pay(1))]
    with embedded._mining:
        for thread in threads:
            thread.start()
        until(lambda: len(embedded._pool._waiting) == 3)
    for thread in threads:
        thread.join()
    assert [str(e)[:50] for e in errors] == ["nonce too high: next nonce 2, transaction's nonce "]
    assert len(embedded.reader.block(embedded.reader.head()).transactions) == 2


def test_a_refused_transaction_makes_no_block(embedded: EmbeddedChain, pay) -> None:
    with pytest.raises(Refused, match="nonce too high"):
        embedded.submit(pay(1))
    assert embedded.reader.height() == 0


def test_the_same_bytes_again_make_no_block(embedded: EmbeddedChain, pay) -> None:
    assert embedded.submit(pay(0)) == embedded.submit(pay(0))
    assert embedded.reader.height() == 1


def test_empty_blocks_only_when_asked(embedded: EmbeddedChain) -> None:
    assert embedded.reader.height() == 0
    assert embedded.mine_empty(3) == 3
    assert embedded.reader.head().gas_limit == GAS_LIMIT  # py-evm alone would let it drift
    for count in (0, -1, MAX_EMPTY_BLOCKS + 1):
        with pytest.raises(InvalidInput, match="empty blocks"):
            embedded.mine_empty(count)


# -- refused, with the reason --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"chain_id": 1}, "signed for chain 1, this is chain 31337"),
        ({"gas": 20_999}, "intrinsic gas too low: gas 20999, minimum needed 21000"),
        ({"data": b"\1" * 100, "gas": 24_999}, "minimum needed 25000"),  # EIP-7623; the older rule asks 22,600
        ({"gas": GAS_LIMIT + 1}, "exceeds block gas limit"),
        ({"fees": Fees(Wei(1), Wei(2))}, "max priority fee per gas higher than max fee per gas"),
    ],
)
def test_refused_before_it_waits(embedded: EmbeddedChain, pay, changes: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        embedded.submit(pay(0, **changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"value_wei": Wei(10**25)}, "insufficient funds"),
        ({"fees": Fees(Wei(1), Wei(0))}, "max fee per gas less than block base fee"),
    ],
)
def test_refused_by_the_state(embedded: EmbeddedChain, pay, changes: dict[str, object], words: str) -> None:
    with pytest.raises(Refused, match=words):
        embedded.submit(pay(0, **changes))


def test_a_transaction_for_no_chain_is_refused(embedded: EmbeddedChain) -> None:
    """Before EIP-155 nothing said which chain; py-evm would take it."""
    with pytest.raises(InvalidInput, match="signed for no chain at all"):
        embedded.submit(FACTORY_TRANSACTION)


@given(st.binary(max_size=200))
def test_decoding_any_bytes_raises_nothing_but_invalid_input(raw: bytes) -> None:
    with pytest.raises(InvalidInput):
        decode_transaction(raw, 31337, GAS_LIMIT)


def test_decoding_any_changed_byte_raises_nothing_but_invalid_input(pay) -> None:
    raw = pay(0)
    for place in range(len(raw)):
        changed = raw[:place] + bytes([raw[place] ^ 0x41]) + raw[place + 1 :]
        with contextlib.suppress(InvalidInput):
            assert decode_transaction(changed, 31337, GAS_LIMIT).hash != keccak(raw)


def test_a_malleable_signature_is_refused(embedded: EmbeddedChain, pay) -> None:
    """The same content with s' = n - s and the other parity is another hash: a second life for one signature."""
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    fields = rlp.decode(pay(0)[1:])
    parity = bytes([1 - int.from_bytes(fields[9], "big")]).lstrip(b"\0")
    fields = [*fields[:9], parity, fields[10], (order - int.from_bytes(fields[11], "big")).to_bytes(32, "big")]
    with pytest.raises((Refused, InvalidInput), match=r"(?i)s value|signature"):
        embedded.submit(b"\x02" + rlp.encode(fields))
    assert embedded.reader.height() == 0


# -- block times ---------------------------------------------------------------------------------------------


@pytest.fixture
def ticking(tmp_path: Path, genesis: Genesis, clock: ManualClock):
    """A chain that follows the clock, with its waiter."""
    waiter = AdvancingWaiter(clock)
    chain = EmbeddedChain(tmp_path / "ticking", replace(genesis, fixed_start=None), clock, waiter)
    yield chain, waiter
    chain.close()


def test_a_block_has_the_clocks_time(ticking, clock: ManualClock) -> None:
    chain, _ = ticking
    clock.advance(100)
    chain.mine_empty()
    assert chain.reader.head().timestamp == clock.now()


def test_a_burst_runs_at_most_five_seconds_ahead_then_waits(ticking, clock: ManualClock) -> None:
    chain, waiter = ticking
    chain.mine_empty(MAX_AHEAD_SECONDS)
    assert waiter.waited == 0
    assert chain.reader.head().timestamp == clock.now() + MAX_AHEAD_SECONDS
    chain.mine_empty(3)
    assert waiter.waited == 3
    assert chain.reader.head().timestamp == clock.now() + MAX_AHEAD_SECONDS


def test_a_clock_set_back_is_named_instead_of_waited_for(ticking, clock: ManualClock, pay) -> None:
    chain, waiter = ticking
    chain.mine_empty()
    clock.advance(-86_400)
    with pytest.raises(Unavailable, match="stands 86402 seconds before the chain's last block"):
        chain.submit(pay(0))
    with pytest.raises(Unavailable, match="stands 86402 seconds"):
        chain.mine_empty()
    assert waiter.waited == 0
    clock.advance(86_400)
    chain.submit(pay(0))


def test_an_advance_moves_the_next_block_only(ticking, clock: ManualClock) -> None:
    chain, _ = ticking
    assert chain.advance(1_000) == 1_000
    assert chain.advance(500) == 1_500
    assert chain.reader.height() == 0
    chain.mine_empty()
    assert chain.reader.head().timestamp == clock.now() + 1_500


@pytest.mark.parametrize("seconds", [0, -1, 10**10])
def test_time_goes_forward_only(embedded: EmbeddedChain, seconds: int) -> None:
    with pytest.raises(InvalidInput, match="cannot advance"):
        embedded.advance(seconds)


def test_a_seeded_chains_time_is_start_height_and_advances(embedded: EmbeddedChain, clock: ManualClock) -> None:
    clock.advance(10**6)
    embedded.mine_empty(3)
    assert embedded.reader.head().timestamp == START + 3
    embedded.advance(100)
    embedded.mine_empty()
    assert embedded.reader.head().timestamp == START + 4 + 100


def test_two_seeded_runs_give_equal_block_hashes(tmp_path: Path, genesis: Genesis, pay) -> None:
    """At other times of the day, and one of them reopened in between."""
    heads = []
    for run, now in (("one", 5), ("two", 10**9)):
        chain = EmbeddedChain(tmp_path / run, genesis, ManualClock(now))
        chain.submit(pay(0))
        chain.advance(60)
        if run == "two":
            chain.close()
            chain = EmbeddedChain(tmp_path / run, genesis, ManualClock(now + 7_777))
        chain.mine_empty(2)
        chain.submit(pay(1))
        heads.append(chain.reader.head().hash)
        chain.close()
    assert heads[0] == heads[1]


def test_another_order_gives_another_hash(tmp_path: Path, genesis: Genesis, pay) -> None:
    """The test above can fail."""
    heads = []
    for run in ("one", "two"):
        chain = EmbeddedChain(tmp_path / run, genesis, ManualClock(5))
        steps = [lambda c=chain: c.submit(pay(0)), lambda c=chain: c.mine_empty()]
        for step in steps if run == "one" else reversed(steps):
            step()
        heads.append(chain.reader.head().hash)
        chain.close()
    assert heads[0] != heads[1]


# -- the file ------------------------------------------------------------------------------------------------


def test_reopening_goes_on_where_it_stopped(tmp_path: Path, genesis: Genesis, pay) -> None:
    chain = EmbeddedChain(tmp_path, genesis)
    chain.submit(pay(0))
    chain.advance(60)
    head = chain.reader.head().hash
    chain.close()
    again = EmbeddedChain(tmp_path, genesis)
    assert again.reader.head().hash == head
    assert again.advanced_seconds == 60
    again.submit(pay(1))
    assert again.reader.height() == 2
    again.close()


def test_a_second_node_on_the_same_file_is_refused(tmp_path: Path, genesis: Genesis) -> None:
    chain = EmbeddedChain(tmp_path, genesis)
    with pytest.raises(HomeInUse, match="another node runs the chain"):
        EmbeddedChain(tmp_path, genesis)
    chain.close()
    EmbeddedChain(tmp_path, genesis).close()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"chain_id": 1}, "belongs to chain 31337, not to chain 1"),
        ({"balances_wei": {}}, "other balances, code or start time"),
        ({"fixed_start": None}, "other balances, code or start time"),
        ({"code": {}}, "other balances, code or start time"),
    ],
)
def test_a_file_of_another_chain_is_refused(
    tmp_path: Path, genesis: Genesis, changes: dict[str, object], words: str
) -> None:
    EmbeddedChain(tmp_path, genesis).close()
    with pytest.raises(Conflict, match=words):
        EmbeddedChain(tmp_path, replace(genesis, **changes))  # type: ignore[arg-type]
    EmbeddedChain(tmp_path, genesis).close()  # and the lock was let go


def test_a_file_of_a_newer_headwater_is_refused(tmp_path: Path, genesis: Genesis) -> None:
    chain = EmbeddedChain(tmp_path, genesis)
    chain._file.commit(settings={"format": b"2"})
    chain.close()
    with pytest.raises(Conflict, match="has format 2, this Headwater knows format 1"):
        EmbeddedChain(tmp_path, genesis)


def test_a_full_disk_refuses_the_block_and_recovers(embedded: EmbeddedChain, pay, alice: LocalSigner) -> None:
    embedded.submit(pay(0))
    connection = embedded._file._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(DiskFull, match="nothing acknowledged was lost"):
        for nonce in range(1, 50):
            embedded.submit(pay(nonce))
    height, nonce = embedded.reader.height(), nonce_of(embedded, alice)
    assert nonce == height < 50
    with pytest.raises(DiskFull):
        embedded.submit(pay(nonce))
    connection.execute("PRAGMA max_page_count=1000000")
    embedded.submit(pay(nonce))
    assert embedded.reader.height() == height + 1


def test_a_file_that_is_no_database_is_named(tmp_path: Path, genesis: Genesis) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"this is no database" * 1_000)
    with pytest.raises(Exception, match="the database file is damaged"):
        EmbeddedChain(tmp_path, genesis)


def test_the_file_is_its_owners_only(embedded: EmbeddedChain, tmp_path: Path) -> None:
    embedded.mine_empty()
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "chain").iterdir()}
    assert set(modes.values()) == {0o600}


def test_the_create2_factory_is_there_from_the_start(tmp_path: Path) -> None:
    chain = EmbeddedChain(tmp_path, Genesis(1, {}))
    assert chain.reader.code(chain.reader.head(), address_bytes(FACTORY_ADDRESS)) == FACTORY_CODE
    chain.close()


@pytest.mark.parametrize("chain_id", [0, -1, 2**53])
def test_a_chain_id_that_wallets_misread_is_refused(chain_id: int) -> None:
    with pytest.raises(InvalidInput, match="chain id"):
        Genesis(chain_id, {})
