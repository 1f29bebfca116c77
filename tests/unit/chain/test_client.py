"""The Chain seam's contract: what every chain behind it must do alike."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headwater.chain.abi import ContractAbi
from headwater.chain.client import RpcChain
from headwater.chain.contracts import Artifacts, Contract
from headwater.chain.fees import fees_at
from headwater.chain.signed import Unsigned, hash_of
from headwater.chain.transport import InsufficientFunds, NonceTooLow, Underpriced
from headwater.chain.values import BlockRef, TransactionReceipt
from headwater.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    Refused,
    TransactionReverted,
    Unavailable,
)
from headwater.testing.chains import LocalSigner, ShortWaiter
from headwater.types import Wei, digest, hex0x

LANE = bytes(range(32))


def unsigned(chain: RpcChain, target: LocalSigner, **changes: object) -> Unsigned:
    whole = Unsigned(chain.chain_id, target.address, b"", Wei(5), 21_000, fees_at(chain.block().base_fee_wei))
    return replace(whole, **changes)  # type: ignore[arg-type]


def signed(chain: RpcChain, signer: LocalSigner, to: LocalSigner, **changes: object) -> bytes:
    return signer.sign_transaction(unsigned(chain, to, **changes).dictionary(chain.nonce(signer.address)))


def store(chain: RpcChain, who: LocalSigner, probe: Contract, key: int, value: int) -> TransactionReceipt:
    data = probe.abi.encode_call("store", (key, value, f"note {key}"))
    build = unsigned(chain, who, to=probe.address, data=data, value_wei=Wei(0), gas=200_000)
    return chain.wait(chain.send_raw(who.sign_transaction(build.dictionary(chain.nonce(who.address)))))


# -- reading -------------------------------------------------------------------------------------------------


def test_call_returns_one_value_several_and_structs_by_name(
    chain: RpcChain, probe: Contract, alice: LocalSigner
) -> None:
    store(chain, alice, probe, 0, 7)
    assert chain.call(probe, "valueOf", 0) == 7
    number, seconds, chain_id = chain.call(probe, "environment")
    assert number >= chain.block().number
    assert chain_id == chain.chain_id
    assert seconds >= chain.block().timestamp
    item = {"owner": alice.address, "amount": 2**96 - 1, "tags": [LANE, bytes(32)]}
    assert chain.call(probe, "echo", item, [item, item]) == (item, 2)


def test_call_names_a_contracts_error_with_its_values(chain: RpcChain, probe: Contract) -> None:
    with pytest.raises(TransactionReverted, match=r"Probe refused: LaneOverdrawn\(laneId=0x0001.*, missing=9\)") as e:
        chain.call(probe, "overdraw", LANE, 9)
    assert e.value.details["error"] == "LaneOverdrawn"
    assert e.value.details["args"] == {"laneId": hex0x(LANE), "missing": 9}


def test_call_names_an_error_that_another_contract_raised(chain: RpcChain, probe: Contract) -> None:
    """The called contract's own ABI may not know it; the artefacts do."""
    bare = Contract("Bare", probe.address, ContractAbi("Bare", tuple(probe.abi._of("function"))))
    with pytest.raises(TransactionReverted, match=r"Probe refused: LaneOverdrawn\(.*missing=9\)"):
        chain.call(bare, "overdrawAt", probe.address, LANE, 9)


@pytest.mark.parametrize(
    ("function", "args", "words"),
    [("refuse", (), r"Error\(message=no luck\)"), ("divide", (0,), r"Panic\(code=18\)")],
)
def test_call_names_the_languages_own_errors(
    chain: RpcChain, probe: Contract, function: str, args: tuple[int, ...], words: str
) -> None:
    with pytest.raises(TransactionReverted, match=words):
        chain.call(probe, function, *args)


def test_call_where_no_contract_is(chain: RpcChain, probe: Contract, bob: LocalSigner) -> None:
    with pytest.raises(NotFound, match="no contract Probe at"):
        chain.call(replace(probe, address=bob.address), "total")


def test_call_at_an_earlier_block(chain: RpcChain, probe: Contract, alice: LocalSigner) -> None:
    before = chain.block().number
    store(chain, alice, probe, 1, 11)
    assert chain.call(probe, "valueOf", 1, block=before) == 0
    assert chain.call(probe, "valueOf", 1) == 11


def test_blocks_link_to_their_parents(chain: RpcChain, alice: LocalSigner, bob: LocalSigner) -> None:
    chain.wait(chain.send_raw(signed(chain, alice, bob)))
    latest = chain.block()
    assert chain.block(latest.number) == latest
    assert chain.block_hash(latest.number - 1) == latest.parent_hash
    assert chain.block(latest.number - 1).timestamp <= latest.timestamp


@pytest.mark.parametrize("tag", ["latest", "earliest", "safe", "finalized"])
def test_blocks_by_tag(chain: RpcChain, tag: BlockRef) -> None:
    assert chain.block(tag).number <= chain.block().number


def test_a_block_that_is_not_there(chain: RpcChain) -> None:
    with pytest.raises(NotFound, match="no block"):
        chain.block(10**6)


def test_blockhash_reaches_256_blocks_back_in_solidity(
    chain: RpcChain, probe: Contract, request: pytest.FixtureRequest
) -> None:
    if "embedded" in request.node.callspec.id:
        chain.mine_empty(256)
    else:
        chain._transport.ask("anvil_mine", hex(260))
    top = chain.call(probe, "environment")[0]
    hashes = chain.call(probe, "hashes", 256)
    assert hashes == [chain.block_hash(top - 1 - back) for back in range(256)]
    assert chain.call(probe, "hashOf", top - 257) == bytes(32)


# -- logs ----------------------------------------------------------------------------------------------------


@pytest.fixture
def stored(chain: RpcChain, probe: Contract, alice: LocalSigner, bob: LocalSigner) -> int:
    """Five events from two accounts, a block each; the first one's block."""
    wanted = ((alice, 1), (alice, 2), (bob, 3), (bob, 1), (alice, 3))
    receipts = [store(chain, who, probe, key, key * 10) for who, key in wanted]
    return receipts[0].block_number


def test_logs_come_decoded_in_chain_order(chain: RpcChain, probe: Contract, stored: int, alice: LocalSigner) -> None:
    events = chain.logs(probe, "Stored", stored)
    assert [e.args["key"] for e in events] == [1, 2, 3, 1, 3]
    first = events[0]
    assert first.args == {"owner": alice.address, "key": 1, "value": 10, "note": "note 1"}
    assert (first.contract, first.name, first.block_number) == ("Probe", "Stored", stored)
    assert first.log.block_hash == chain.block_hash(stored)


def test_logs_by_indexed_arguments(chain: RpcChain, probe: Contract, stored: int, bob: LocalSigner) -> None:
    def keys(**indexed: object) -> list[int]:
        return [e.args["key"] for e in chain.logs(probe, "Stored", stored, **indexed)]

    assert keys(owner=bob.address) == [3, 1]
    assert keys(key=3) == [3, 3]
    assert keys(key=[1, 2]) == [1, 2, 1]
    assert keys(owner=bob.address, key=3) == [3]
    assert keys(key=99) == []


def test_logs_in_a_range_of_blocks(chain: RpcChain, probe: Contract, stored: int) -> None:
    assert len(chain.logs(probe, "Stored", stored + 1, stored + 2)) == 2
    assert chain.logs(probe, "Stored", stored + 1, stored) == []


def test_logs_by_an_argument_that_is_not_indexed(chain: RpcChain, probe: Contract) -> None:
    with pytest.raises(InvalidInput, match="not indexed by value"):
        chain.logs(probe, "Stored", 0, value=1)


def test_a_receipts_logs_are_those_of_eth_get_logs(chain: RpcChain, probe: Contract, stored: int) -> None:
    event = chain.logs(probe, "Stored", stored)[0]
    receipt = chain.receipt(event.log.transaction_hash)
    assert receipt is not None
    assert receipt.logs == (event.log,)


# -- sending -------------------------------------------------------------------------------------------------


def test_a_sent_transaction_moves_money_and_pays_its_fee(
    chain: RpcChain, alice: LocalSigner, bob: LocalSigner
) -> None:
    paid, got = chain.balance(alice.address), chain.balance(bob.address)
    receipt = chain.wait(chain.send_raw(signed(chain, alice, bob)))
    assert receipt.succeeded
    assert receipt.gas_used == 21_000
    assert chain.balance(bob.address) == got + 5
    assert chain.balance(alice.address) == paid - 5 - receipt.fee_wei


def test_a_transaction_pays_base_fee_and_tip_not_its_maximum(
    chain: RpcChain, alice: LocalSigner, bob: LocalSigner
) -> None:
    """EIP-1559: effective price = base fee of its block + tip, capped by the maximum."""
    receipt = chain.wait(chain.send_raw(signed(chain, alice, bob)))
    assert receipt.effective_gas_price_wei == chain.block(receipt.block_number).base_fee_wei + 10**8


def test_the_same_bytes_twice_have_one_effect(chain: RpcChain, alice: LocalSigner, bob: LocalSigner) -> None:
    raw, got = signed(chain, alice, bob), chain.balance(bob.address)
    first = chain.send_raw(raw)
    try:
        again = chain.send_raw(raw)
    except NonceTooLow:  # what most nodes say
        again = first
    assert again == first == digest(hash_of(raw))
    assert chain.balance(bob.address) == got + 5


def test_another_chains_transaction_is_refused(chain: RpcChain, alice: LocalSigner, bob: LocalSigner) -> None:
    nonce = chain.nonce(alice.address)
    with pytest.raises((Refused, InvalidInput), match="chain"):
        chain.send_raw(signed(chain, alice, bob, chain_id=1))
    assert chain.nonce(alice.address) == nonce


def test_a_used_nonce_is_refused(chain: RpcChain, alice: LocalSigner, bob: LocalSigner) -> None:
    stale = signed(chain, alice, bob, value_wei=Wei(6))
    chain.send_raw(signed(chain, alice, bob))
    with pytest.raises(NonceTooLow):
        chain.send_raw(stale)


def test_a_fee_below_the_base_fee_is_refused(chain: RpcChain, alice: LocalSigner, bob: LocalSigner) -> None:
    with pytest.raises(Underpriced):
        chain.send_raw(signed(chain, alice, bob, fees=replace(fees_at(0), max_fee_wei=Wei(1), tip_wei=Wei(0))))


def test_more_than_the_balance_is_refused(chain: RpcChain, alice: LocalSigner) -> None:
    poor = LocalSigner("poor")
    with pytest.raises(InsufficientFunds, match="native coin"):
        chain.send_raw(signed(chain, poor, alice))


@pytest.mark.parametrize("raw", [b"", b"\x02", b"\x02\xc0", b"x" * 100, b"\xc0", b"\x03\xc0"])
def test_bytes_that_are_no_transaction_are_refused(chain: RpcChain, raw: bytes) -> None:
    with pytest.raises((Refused, InvalidInput)):
        chain.send_raw(raw)


def test_an_unknown_transaction_has_no_receipt(chain: RpcChain) -> None:
    unknown = digest(b"\7" * 32)
    assert chain.receipt(unknown) is None
    with pytest.raises(Unavailable, match="in no block after 1 seconds"):
        chain.wait(unknown, timeout_seconds=1)


# -- gas -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("function", "args"), [("store", (5, 5, "n")), ("refundable", (20,)), ("nested", (6,))])
def test_an_estimate_suffices_and_is_tight(
    chain: RpcChain, probe: Contract, alice: LocalSigner, function: str, args: tuple[object, ...]
) -> None:
    """Also where refunds hide the peak, and where inner calls get only 63/64 of the gas."""
    data = probe.abi.encode_call(function, args)
    gas = chain.estimate_gas(alice.address, probe.address, data, Wei(0))
    build = unsigned(chain, alice, to=probe.address, data=data, value_wei=Wei(0), gas=gas * 95 // 100)
    nonce = chain.nonce(alice.address)
    assert not chain.wait(chain.send_raw(alice.sign_transaction(build.dictionary(nonce)))).succeeded
    build = replace(build, gas=gas)
    assert chain.wait(chain.send_raw(alice.sign_transaction(build.dictionary(nonce + 1)))).succeeded


def test_an_estimate_says_why_it_would_revert(chain: RpcChain, probe: Contract, alice: LocalSigner) -> None:
    with pytest.raises(TransactionReverted, match=r"LaneOverdrawn"):
        data = probe.abi.encode_call("overdraw", (LANE, 1))
        chain.estimate_gas(alice.address, probe.address, data, Wei(0))


# -- time ----------------------------------------------------------------------------------------------------


def test_only_the_embedded_chain_can_advance(
    chain: RpcChain, probe: Contract, request: pytest.FixtureRequest
) -> None:
    before = chain.call(probe, "environment")[1]
    if "embedded" in request.node.callspec.id:
        assert chain.advance(1_000) == 1_000
        assert chain.call(probe, "environment")[1] == before + 1_000
        assert chain.mine_empty(2) == chain.block().number
    else:
        with pytest.raises(Refused, match="only the embedded chain can advance"):
            chain.advance(1_000)
        with pytest.raises(Refused, match="only the embedded chain can mine"):
            chain.mine_empty(1)


# -- the wrong place -----------------------------------------------------------------------------------------


def test_another_chain_than_asked_for_is_refused(url: str) -> None:
    with pytest.raises(Conflict, match="is chain 31337, not chain 1"):
        RpcChain(url, 1)


def test_nobody_there() -> None:
    with pytest.raises(Unavailable, match="nothing answers"):
        RpcChain("http://127.0.0.1:9", 1, Artifacts(), ShortWaiter())


def test_an_address_that_is_not_http() -> None:
    with pytest.raises(InvalidInput, match="not an HTTP address"):
        RpcChain("file:///etc/passwd", 1)
