"""JSON-RPC over HTTP: envelopes, error codes, who may ask; and that web3.py finds all it wants."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any

import pytest
import requests
from web3 import HTTPProvider, Web3

from headwater.chain.contracts import Contract
from headwater.chain.embedded import EmbeddedChain
from headwater.chain.fees import Fees
from headwater.chain.rpc import MAX_BATCH, MAX_BODY_BYTES, RpcServer
from headwater.chain.signed import Unsigned
from headwater.errors import PortInUse, Unavailable
from headwater.testing.chains import RICH, LocalSigner, served, until
from headwater.types import Wei, hex0x

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture
def url(embedded_url: str) -> str:
    return embedded_url


def post(url: str, body: Any, **headers: str) -> requests.Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return requests.post(url, data=data, headers={"Content-Type": "application/json", **headers}, timeout=10)


def ask(url: str, method: str, *params: Any) -> dict[str, Any]:
    answer: dict[str, Any] = post(url, {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).json()
    assert (answer["jsonrpc"], answer["id"]) == ("2.0", 7)
    return answer


def signed(signer: LocalSigner, to: str, nonce: int = 0, **changes: Any) -> str:
    fields = {"data": b"", "value_wei": Wei(1), "gas": 100_000, **changes}
    fees = Fees(Wei(3 * 10**9), Wei(10**8))
    return hex0x(signer.sign_transaction(Unsigned(31337, to, fees=fees, **fields).dictionary(nonce)))


# -- JSON-RPC 2.0 -----------------------------------------------------------------------------------------------


def test_a_request_is_answered_with_its_id(url: str) -> None:
    assert ask(url, "eth_chainId") == {"jsonrpc": "2.0", "id": 7, "result": "0x7a69"}


def test_a_batch_is_answered_in_order_and_notifications_are_not(url: str) -> None:
    batch = [
        {"jsonrpc": "2.0", "id": "a", "method": "eth_chainId"},
        {"jsonrpc": "2.0", "method": "eth_blockNumber"},
        {"jsonrpc": "2.0", "id": None, "method": "net_version", "params": []},
    ]
    assert [(a["id"], a["result"]) for a in post(url, batch).json()] == [("a", "0x7a69"), (None, "31337")]
    assert post(url, batch[1]).status_code == 204


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", -32700),
        (b"\xff", -32700),
        (b'{"id": 1, "id": 2}', -32700),
        (b'{"id": NaN}', -32700),
        (b"[" * 100_000, -32700),
        (b"[]", -32600),
        (b"1", -32600),
        (b'{"id": 1, "method": "eth_chainId"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": 5}', -32600),
        (b'{"jsonrpc": "2.0", "id": {}, "method": "eth_chainId"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": {}}', -32600),
        (json.dumps([{}] * (MAX_BATCH + 1)).encode(), -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "eth_mining"}', -32601),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "__class__"}', -32601),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": [1]}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "eth_getBalance", "params": []}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "eth_getBalance", "params": ["0x12"]}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByNumber", "params": ["0x01", false]}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByNumber", "params": ["newest", false]}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByNumber", "params": ["latest", 1]}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [{"too": "0x"}]}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [{"data": "0x1"}]}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [{"data": "0x", "input": "0x00"}]}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": [{"topics": ["0x01"]}]}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": [{"fromBlock": "0x5"}]}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "eth_feeHistory", "params": ["0x1", "latest", [50, 10]]}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "eth_sendRawTransaction", "params": ["0x02"]}', -32000),
    ],
)
def test_what_is_wrong_has_its_code(url: str, body: bytes, code: int) -> None:
    answer = post(url, body).json()
    assert answer["error"]["code"] == code
    assert answer["error"]["message"]


def test_a_revert_is_code_3_with_its_data(url: str, probe: Contract) -> None:
    data = probe.abi.encode_call("overdraw", (bytes(32), 5))
    error = ask(url, "eth_call", {"to": probe.address, "data": hex0x(data)}, "latest")["error"]
    assert error["code"] == 3
    assert probe.abi.decode_error(bytes.fromhex(error["data"][2:])).args == {"laneId": bytes(32), "missing": 5}


def test_running_out_of_gas_is_not_a_revert(url: str, probe: Contract) -> None:
    data = hex0x(probe.abi.encode_call("spin", ()))
    error = ask(url, "eth_call", {"to": probe.address, "data": data, "gas": "0x186a0"}, "latest")["error"]
    assert error["code"] == -32000
    assert error["message"].startswith("out of gas")


@pytest.mark.parametrize(
    "method", ["eth_getBlockByHash", "eth_getTransactionByHash", "eth_getTransactionReceipt", "eth_getBlockByNumber"]
)
def test_what_is_not_there_is_null(url: str, method: str) -> None:
    what = "0x999" if method == "eth_getBlockByNumber" else "0x" + "ab" * 32
    assert ask(url, method, what)["result"] is None


def test_a_refusal_carries_cause_and_next_step(url: str, alice: LocalSigner, bob: LocalSigner) -> None:
    error = ask(url, "eth_sendRawTransaction", signed(alice, bob.address, nonce=9))["error"]
    assert error["message"] == "nonce too high: next nonce 0, transaction's nonce 9"
    assert error["data"]["code"] == "refused"
    assert error["data"]["next_step"]


def test_mining_and_advancing_take_numbers_and_quantities(url: str) -> None:
    assert ask(url, "headwater_mine")["result"] == "0x1"
    assert ask(url, "headwater_mine", 2)["result"] == "0x3"
    assert ask(url, "headwater_advance", "0x10")["result"] == "0x10"
    assert ask(url, "headwater_advance", -1)["error"]["code"] == -32602
    assert ask(url, "headwater_mine", True)["error"]["code"] == -32602


# -- shapes -----------------------------------------------------------------------------------------------------


def test_quantities_have_no_leading_zeros_and_blooms_have_256_bytes(url: str) -> None:
    block = ask(url, "eth_getBlockByNumber", "latest", False)["result"]
    assert (block["number"], block["gasUsed"]) == ("0x0", "0x0")
    assert len(block["logsBloom"]) == 2 + 512


def test_a_block_is_found_by_hash_as_by_number_and_by_eip_1898(url: str, alice: LocalSigner) -> None:
    ask(url, "headwater_mine", 2)
    block = ask(url, "eth_getBlockByNumber", "0x1", True)["result"]
    assert ask(url, "eth_getBlockByHash", block["hash"], True)["result"] == block
    by_hash = ask(url, "eth_getBalance", alice.address, {"blockHash": block["hash"]})["result"]
    assert int(by_hash, 16) == RICH


def test_receipts_of_one_block_count_gas_and_logs_each(
    embedded: EmbeddedChain, url: str, probe: Contract, alice: LocalSigner, bob: LocalSigner
) -> None:
    """py-evm's receipts are cumulative; JSON-RPC's are not."""
    data = probe.abi.encode_call("store", (1, 2, "x"))
    raws = [signed(who, probe.address, data=data, value_wei=Wei(0)) for who in (alice, bob)]
    threads = [threading.Thread(target=ask, args=(url, "eth_sendRawTransaction", raw)) for raw in raws]
    with embedded._mining:
        for thread in threads:
            thread.start()
        until(lambda: len(embedded._pool._waiting) == 2)
    for thread in threads:
        thread.join()
    hashes = ask(url, "eth_getBlockByNumber", "latest", False)["result"]["transactions"]
    first, second = (ask(url, "eth_getTransactionReceipt", h)["result"] for h in hashes)
    assert int(second["cumulativeGasUsed"], 16) == int(first["gasUsed"], 16) + int(second["gasUsed"], 16)
    assert [log["logIndex"] for r in (first, second) for log in r["logs"]] == ["0x0", "0x1"]
    logs = ask(url, "eth_getLogs", {"fromBlock": "earliest"})["result"]
    assert logs == first["logs"] + second["logs"]


def test_logs_by_block_hash_and_by_any_of_several_topics(url: str, probe: Contract, alice: LocalSigner) -> None:
    for nonce in range(3):
        data = probe.abi.encode_call("store", (nonce, 2, "x"))
        ask(url, "eth_sendRawTransaction", signed(alice, probe.address, nonce, data=data, value_wei=Wei(0)))
    block = ask(url, "eth_getBlockByNumber", "0x2", False)["result"]
    (log,) = ask(url, "eth_getLogs", {"blockHash": block["hash"]})["result"]
    assert log["topics"][2] == hex0x((1).to_bytes(32, "big"))
    either = [hex0x(n.to_bytes(32, "big")) for n in (0, 2)]
    wanted = {"fromBlock": "0x0", "toBlock": "latest", "address": [probe.address], "topics": [None, [], either]}
    assert [log["blockNumber"] for log in ask(url, "eth_getLogs", wanted)["result"]] == ["0x1", "0x3"]


def test_a_failed_transaction_has_a_receipt_that_says_so(url: str, probe: Contract, alice: LocalSigner) -> None:
    raw = signed(alice, probe.address, data=probe.abi.encode_call("refuse", ()), value_wei=Wei(0))
    receipt = ask(url, "eth_getTransactionReceipt", ask(url, "eth_sendRawTransaction", raw)["result"])["result"]
    assert (receipt["status"], receipt["logs"]) == ("0x0", [])


def test_a_creation_names_its_contract(url: str, alice: LocalSigner) -> None:
    raw = signed(alice, None, data=bytes.fromhex("60005ff3"), value_wei=Wei(0))  # type: ignore[arg-type]
    receipt = ask(url, "eth_getTransactionReceipt", ask(url, "eth_sendRawTransaction", raw)["result"])["result"]
    assert receipt["to"] is None
    assert receipt["contractAddress"].startswith("0x")


def test_all_that_web3_reads(url: str, alice: LocalSigner, bob: LocalSigner, probe: Contract) -> None:
    """web3.py formats every field and raises on one that is missing or of another shape."""
    w3 = Web3(HTTPProvider(url))
    sent = w3.eth.send_raw_transaction(signed(alice, bob.address))
    receipt = w3.eth.wait_for_transaction_receipt(sent)
    transaction = w3.eth.get_transaction(sent)
    block = w3.eth.get_block("latest", full_transactions=True)
    assert block["transactions"][0]["hash"] == transaction["hash"] == receipt["transactionHash"] == sent
    assert w3.is_connected()
    assert w3.client_version.startswith("Headwater/")
    assert w3.eth.syncing is False
    assert w3.eth.accounts == []
    assert w3.eth.get_transaction_count(alice.address) == 1
    assert w3.eth.get_storage_at(probe.address, 0) == bytes(32)
    assert w3.eth.gas_price > w3.eth.max_priority_fee
    history = w3.eth.fee_history(4, "latest", [10, 50])
    assert len(history["baseFeePerGas"]) == len(history["gasUsedRatio"]) + 1 == 3
    assert history["reward"][1] == [10**8, 10**8]
    contract = w3.eth.contract(probe.address, abi=list(probe.abi.entries))
    assert contract.functions.store(1, 2, "x").estimate_gas({"from": alice.address}) > 21_000
    assert contract.events.Stored().get_logs(from_block=0) == []


# -- who may ask ------------------------------------------------------------------------------------------------

CHAIN_ID = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"}


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8545", 200),
        ("127.0.0.1", 200),
        ("[::1]:8545", 200),
        ("node.example", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost@evil.example", 403),
        ("[", 403),
    ],
)
def test_a_foreign_host_name_is_refused(embedded: EmbeddedChain, host: str, status: int) -> None:
    """A page at evil.example may point its own name at 127.0.0.1 (DNS rebinding)."""
    with served(embedded, allowed_hosts=["node.example"]) as server:
        assert post(server.url, CHAIN_ID, Host=host).status_code == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("chrome-extension://nkbihfbeogaeaoehlefnkodbefgpgknn", 200),
        ("http://localhost:8080", 200),
        ("https://evil.example", 403),
        ("null", 403),
    ],
)
def test_a_foreign_origin_is_refused(url: str, origin: str, status: int) -> None:
    assert post(url, CHAIN_ID, Origin=origin).status_code == status


def test_a_form_cannot_post(url: str) -> None:
    assert post(url, CHAIN_ID, **{"Content-Type": "text/plain"}).status_code == 415


def test_a_compressed_body_is_refused(url: str) -> None:
    assert post(url, CHAIN_ID, **{"Content-Encoding": "gzip"}).status_code == 415


def test_a_body_over_the_limit_is_refused(url: str) -> None:
    assert post(url, b" " * (MAX_BODY_BYTES + 1)).status_code == 413


def test_a_body_that_never_comes_is_cut(embedded: EmbeddedChain) -> None:
    with served(embedded, body_seconds=0.05) as server, socket.create_connection((server.host, server.port)) as slow:
        slow.sendall(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
        )
        assert slow.recv(100).startswith(b"HTTP/1.1 408")


async def test_a_port_in_use_is_named(embedded: EmbeddedChain) -> None:
    first = RpcServer(embedded, port=0)
    await first.start()
    second = RpcServer(embedded, port=first.port)
    with pytest.raises(PortInUse, match=f"port {first.port} on 127.0.0.1 is in use") as error:
        await second.start()
    assert "HEADWATER_RPC_PORT" in error.value.next_step
    await second.stop()
    await first.stop()
    await second.start()  # and it is free again
    await second.stop()


async def test_an_address_of_another_machine_is_named(embedded: EmbeddedChain) -> None:
    server = RpcServer(embedded, host="192.0.2.1", port=0)
    with pytest.raises(Unavailable, match=r"cannot listen on 192\.0\.2\.1"):
        await server.start()
    await server.stop()


def test_reads_are_answered_while_a_write_waits(embedded: EmbeddedChain, url: str) -> None:
    """The EVM and the clock run off the event loop, and writes on other threads than reads."""
    with embedded._mining:
        writers = [threading.Thread(target=ask, args=(url, "headwater_mine")) for _ in range(8)]
        for writer in writers:
            writer.start()
        assert ask(url, "eth_blockNumber")["result"] == "0x0"
    for writer in writers:
        writer.join()
    assert ask(url, "eth_blockNumber")["result"] == "0x8"
