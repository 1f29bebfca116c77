"""Every event once, in order, and none that a reorganisation took back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from eth_abi import encode
from eth_utils.crypto import keccak
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headwater.chain.client import RpcChain
from headwater.chain.contracts import Contract
from headwater.chain.embedded import EmbeddedChain
from headwater.chain.event_store import IndexedBlock, SqlEventStore
from headwater.chain.fees import Fees
from headwater.chain.indexer import TAIL_BLOCKS, Indexer
from headwater.chain.signed import Unsigned
from headwater.chain.values import Block, RawLog
from headwater.errors import Unavailable
from headwater.storage.database import Database
from headwater.testing.chains import LocalSigner
from headwater.types import Digest, Wei, address, address_bytes, hex0x

OWNER = address("0x" + "aa" * 20)


@pytest.fixture
def store(database: Database) -> SqlEventStore:
    return SqlEventStore(database)


class ScriptedChain:
    """A chain that forks when a test says so. Each block holds some `Stored` events, given by their keys."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self.blocks: list[tuple[Block, list[RawLog]]] = []
        self.requests = 0

    def grow(self, *blocks: list[int], branch: str = "main") -> None:
        for keys in blocks:
            number = len(self.blocks)
            parent = self.blocks[-1][0].hash if self.blocks else Digest(bytes(32))
            block_hash = Digest(keccak(parent + f"{branch} {number}".encode() + repr(keys).encode()))
            logs = [self._log(key, number, block_hash, index) for index, key in enumerate(keys)]
            self.blocks.append((Block(number, block_hash, parent, 1_000 + number, Wei(7)), logs))

    def cut(self, blocks: int) -> None:
        del self.blocks[len(self.blocks) - blocks :]

    def _log(self, key: int, number: int, block_hash: Digest, index: int) -> RawLog:
        topics = [keccak(text="Stored(address,uint256,uint256,string)"), bytes(12) + address_bytes(OWNER)]
        topics.append(key.to_bytes(32, "big"))
        data = encode(["uint256", "string"], [key * 10, "x"])
        tx_hash = Digest(keccak(block_hash + bytes([index])))
        return RawLog(self._contract.address, tuple(topics), data, number, block_hash, tx_hash, index)

    def block(self, ref: Any = "latest") -> Block:
        self.requests += 1
        return self.blocks[-1 if ref == "latest" else ref][0]

    def block_hash(self, number: int) -> Digest:
        return self.block(number).hash

    def raw_logs(self, addresses: Any, first: int, last: int) -> list[RawLog]:
        self.requests += 1
        return [log for block, logs in self.blocks[first : last + 1] for log in logs]

    def keys(self) -> list[int]:
        return [int.from_bytes(log.topics[2], "big") for _, logs in self.blocks for log in logs]


@pytest.fixture
def scripted(probe: Contract) -> ScriptedChain:
    chain = ScriptedChain(probe)
    chain.grow([], [1], [2, 3])
    return chain


def follow(chain: ScriptedChain, store: SqlEventStore, probe: Contract, first_block: int = 0) -> Indexer:
    return Indexer(chain, store, [probe], first_block)  # type: ignore[arg-type]


def kept(store: SqlEventStore) -> list[int]:
    return [event.args["key"] for event in store.events("Probe", "Stored")]


def test_events_are_kept_with_names_and_values(
    scripted: ScriptedChain, store: SqlEventStore, probe: Contract
) -> None:
    progress = follow(scripted, store, probe).catch_up()
    assert (progress.height, progress.events, progress.quarantined, progress.rolled_back) == (2, 3, 0, 0)
    last = store.events("Probe", "Stored")[-1]
    assert (last.block_number, last.log_index, last.name) == (2, 1, "Stored")
    assert last.args == {"owner": OWNER, "key": 3, "value": 30, "note": "x"}
    assert [e.args["key"] for e in store.events("Probe", "Stored", from_block=2)] == [2, 3]


def test_catching_up_again_adds_only_what_is_new(
    scripted: ScriptedChain, store: SqlEventStore, probe: Contract
) -> None:
    indexer = follow(scripted, store, probe)
    indexer.catch_up()
    assert indexer.catch_up().events == 0
    scripted.grow([4])
    assert follow(scripted, store, probe).catch_up().events == 1  # another process, same store
    assert kept(store) == [1, 2, 3, 4]


def test_a_reorganisation_drops_what_the_chain_dropped(
    scripted: ScriptedChain, store: SqlEventStore, probe: Contract
) -> None:
    indexer = follow(scripted, store, probe)
    scripted.grow([4], [5])
    indexer.catch_up()
    scripted.cut(3)
    scripted.grow([7], [8], [], [9], branch="other")
    progress = indexer.catch_up()
    assert progress.rolled_back == 3
    assert kept(store) == scripted.keys() == [1, 7, 8, 9]


def test_a_chain_that_became_shorter_is_followed(
    scripted: ScriptedChain, store: SqlEventStore, probe: Contract
) -> None:
    indexer = follow(scripted, store, probe)
    indexer.catch_up()
    scripted.cut(1)
    assert indexer.catch_up().rolled_back == 1
    assert kept(store) == [1]
    assert store.cursor() == 1


def test_a_chain_that_began_anew_is_read_anew(scripted: ScriptedChain, store: SqlEventStore, probe: Contract) -> None:
    indexer = follow(scripted, store, probe)
    indexer.catch_up()
    scripted.cut(3)
    scripted.grow([9], [], branch="other genesis")
    assert indexer.catch_up().rolled_back == 3
    assert kept(store) == [9]


histories = st.lists(
    st.one_of(
        st.lists(st.integers(0, 9), max_size=3).map(lambda keys: ("grow", keys)),
        st.integers(1, 6).map(lambda depth: ("fork", depth)),
        st.just(("read", 0)),
    ),
    max_size=25,
)


@given(steps=histories)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
def test_the_index_equals_a_replay_from_the_start(
    steps: list[tuple[str, Any]], database: Database, probe: Contract
) -> None:
    """Whatever forks and reads came before: after a read, the store holds exactly the chain's present events."""
    chain, store = ScriptedChain(probe), SqlEventStore(database)
    store.append((), drop_from=0)
    chain.grow([])
    indexer = follow(chain, store, probe)
    for number, (what, value) in enumerate(steps):
        if what == "grow":
            chain.grow(value, branch=f"branch {number}")
        elif what == "fork":
            depth = min(value, len(chain.blocks) - 1)
            chain.cut(depth)
            chain.grow(*[[number] for _ in range(depth)], branch=f"branch {number}")
        else:
            indexer.catch_up()
    indexer.catch_up()
    assert kept(store) == chain.keys()
    assert store.cursor() == len(chain.blocks) - 1
    for block, _ in chain.blocks:
        assert store.block_hash(block.number) == hex0x(block.hash)


def test_a_log_that_does_not_decode_is_kept_aside_and_stops_nothing(
    scripted: ScriptedChain, store: SqlEventStore, probe: Contract
) -> None:
    block, logs = scripted.blocks[2]
    bad = [replace(logs[0], data=b"\1"), replace(logs[1], topics=(keccak(text="Unknown()"),))]
    scripted.blocks[2] = (block, bad)
    scripted.grow([4])
    progress = follow(scripted, store, probe).catch_up()
    assert (progress.events, progress.quarantined) == (2, 2)
    assert kept(store) == [1, 4]
    assert store.quarantined() == 2
    scripted.cut(2)
    scripted.grow([5], branch="other")
    follow(scripted, store, probe).catch_up()
    assert store.quarantined() == 0


def test_a_reorganisation_while_reading_is_not_stored(
    scripted: ScriptedChain, store: SqlEventStore, probe: Contract
) -> None:
    class Moving(ScriptedChain):
        def raw_logs(self, addresses: Any, first: int, last: int) -> list[RawLog]:
            found = super().raw_logs(addresses, first, last)
            self.cut(1)
            self.grow([9], branch="meanwhile")
            return found

    moving = Moving(probe)
    moving.grow([], [1], [2])
    with pytest.raises(Unavailable, match="reorganised while it was read"):
        follow(moving, store, probe).catch_up()
    assert store.cursor() is None
    follow(scripted, store, probe).catch_up()
    assert kept(store) == [1, 2, 3]


def test_logs_that_nobody_asked_for_are_refused(
    scripted: ScriptedChain, store: SqlEventStore, probe: Contract
) -> None:
    stranger = replace(probe, address=OWNER)
    with pytest.raises(Unavailable, match="nobody asked for"):
        follow(scripted, store, stranger).catch_up()


def test_old_blocks_without_logs_are_neither_asked_for_nor_kept(
    scripted: ScriptedChain, store: SqlEventStore, probe: Contract
) -> None:
    scripted.grow(*[[] for _ in range(1_200)], [4])
    scripted.requests = 0
    follow(scripted, store, probe).catch_up()
    assert scripted.requests < TAIL_BLOCKS + 20
    assert kept(store) == [1, 2, 3, 4]
    assert store.block_hash(100) is None


def test_nothing_before_the_first_block_is_read(
    scripted: ScriptedChain, store: SqlEventStore, probe: Contract
) -> None:
    follow(scripted, store, probe, first_block=2).catch_up()
    assert kept(store) == [2, 3]


def test_a_block_is_stored_whole_or_not_at_all(
    scripted: ScriptedChain, store: SqlEventStore, probe: Contract
) -> None:
    """A batch that breaks in the middle leaves neither its rollback nor its first blocks."""
    follow(scripted, store, probe).catch_up()
    block = scripted.blocks[2][0]
    with pytest.raises(Exception, match="UNIQUE"):
        store.append([IndexedBlock(replace(block, number=9)), IndexedBlock(replace(block, number=9))], drop_from=1)
    assert kept(store) == [1, 2, 3]
    assert store.cursor() == 2


def test_the_embedded_chain_is_followed(
    embedded: EmbeddedChain, embedded_url: str, store: SqlEventStore, probe: Contract, alice: LocalSigner
) -> None:
    chain = RpcChain(embedded_url, 31337, {})
    indexer = Indexer(chain, store, [probe])
    for nonce, key in enumerate((4, 5)):
        data = probe.abi.encode_call("store", (key, 2**60, "n"))
        call = Unsigned(31337, probe.address, data, Wei(0), 200_000, Fees(Wei(3 * 10**9), Wei(10**8)))
        embedded.submit(alice.sign_transaction(call.dictionary(nonce)))
        assert indexer.catch_up().events == 1
    assert kept(store) == [4, 5]
    assert store.events("Probe", "Stored")[0].args["value"] == str(2**60)


def test_a_real_nodes_other_branch_is_followed(anvil_url: str, store: SqlEventStore, probe: Contract) -> None:
    chain = RpcChain(anvil_url, 31337, {})
    ask = chain._transport.ask
    before = ask("evm_snapshot")
    indexer = Indexer(chain, store, [probe], first_block=chain.block().number)
    ask("anvil_mine", hex(3))
    first_branch = indexer.catch_up()
    ask("evm_revert", before)
    before = ask("evm_snapshot")
    ask("evm_increaseTime", hex(100))
    ask("anvil_mine", hex(2))
    progress = indexer.catch_up()
    assert (progress.height, progress.rolled_back) == (first_branch.height - 1, 3)
    assert store.block_hash(progress.height) == hex0x(chain.block().hash)
    assert store.cursor() == progress.height
    ask("evm_revert", before)
