"""What a node may answer, and what that means to us."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from headwater.chain.transport import (
    AlreadyKnown,
    ExecutionReverted,
    InsufficientFunds,
    NonceTooLow,
    Transport,
    Underpriced,
)
from headwater.chain.values import block_of, raw_log_of, receipt_of
from headwater.errors import DiskFull, HeadwaterError, NotFound, Refused, Unavailable


class Canned(BaseHTTPRequestHandler):
    status, body = 200, b""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def transport() -> Iterator[Transport]:
    server = HTTPServer(("127.0.0.1", 0), Canned)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield Transport(f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    thread.join()
    server.server_close()


def answered(transport: Transport, body: str, status: int = 200) -> object:
    Canned.status, Canned.body = status, body.encode()
    return transport.ask("eth_anything")


def test_a_result_is_returned(transport: Transport) -> None:
    assert answered(transport, '{"jsonrpc": "2.0", "id": 1, "result": null}') is None
    assert answered(transport, '{"jsonrpc": "2.0", "id": 1, "result": "0x1"}') == "0x1"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ("<html>please pay</html>", 200, "does not speak JSON-RPC"),
        ("[]", 200, "does not speak JSON-RPC"),
        ("{}", 200, "does not speak JSON-RPC"),
        ("", 200, "does not speak JSON-RPC"),
        ("slow down", 429, "refuses to answer \\(HTTP 429\\)"),
        ("<html>down</html>", 503, "refuses to answer \\(HTTP 503\\)"),
        ('{"error": "broken"}', 200, "answered the error 'broken'"),
    ],
)
def test_an_answer_that_is_none(transport: Transport, body: str, status: int, words: str) -> None:
    with pytest.raises(Unavailable, match=words):
        answered(transport, body, status)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ('{"code": 3, "message": "execution reverted", "data": "0x1234"}', ExecutionReverted),
        ('{"code": -32000, "message": "execution reverted"}', ExecutionReverted),
        ('{"code": -32015, "message": "VM execution error", "data": "0x08c379a0"}', ExecutionReverted),
        ('{"code": -32000, "message": "nonce too low: next nonce 4, tx nonce 3"}', NonceTooLow),
        ('{"code": -32000, "message": "already known"}', AlreadyKnown),
        ('{"code": -32003, "message": "transaction already imported"}', AlreadyKnown),
        ('{"code": -32000, "message": "replacement transaction underpriced"}', Underpriced),
        ('{"code": -32000, "message": "max fee per gas less than block base fee: 1"}', Underpriced),
        ('{"code": -32003, "message": "Insufficient funds for gas * price + value"}', InsufficientFunds),
        ('{"code": -32601, "message": "the method does not exist"}', Refused),
        ('{"code": -32000, "message": "m", "data": {"code": "disk_full", "cause": "c", "next_step": "n"}}', DiskFull),
        ('{"code": -32000, "message": "m", "data": {"code": "not_found", "cause": "c", "next_step": "n"}}', NotFound),
    ],
)
def test_a_nodes_error_becomes_the_one_of_our_tree(
    transport: Transport, error: str, kind: type[HeadwaterError]
) -> None:
    with pytest.raises(HeadwaterError) as raised:
        answered(transport, f'{{"jsonrpc": "2.0", "id": 1, "error": {error}}}')
    assert type(raised.value) is kind
    assert raised.value.next_step


@pytest.mark.parametrize("parse", [block_of, raw_log_of, receipt_of])
@pytest.mark.parametrize("value", [None, [], {}, "0x", {"number": 5}, {"address": "0x12", "status": "yes"}])
def test_an_object_without_its_fields_is_not_believed(parse, value: object) -> None:
    with pytest.raises(Unavailable, match=r"lacks|where it must not"):
        parse(value)
