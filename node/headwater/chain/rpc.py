"""JSON-RPC 2.0 over HTTP for the embedded chain, on loopback.

In: POST / with one request or a batch. Out: answers in the shapes that web3.py and MetaMask expect. Knows HTTP and
error codes; the methods are in `embedded.methods`.

Anyone who can open a socket may call it, so it answers loopback names only (a foreign Host header means DNS
rebinding), no web page of another origin, JSON bodies only, of bounded size, read strictly and within a deadline.
The EVM runs on threads: reads on some, writes, which may wait for disk and clock, on others.
"""

from __future__ import annotations

import asyncio
import errno
import inspect
import logging
import sqlite3
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import web

from headwater.chain.embedded.methods import WRITES, Methods
from headwater.chain.embedded.node import EmbeddedChain
from headwater.chain.embedded.reading import ExecutionFailed
from headwater.errors import HeadwaterError, InvalidInput, PortInUse, Unavailable
from headwater.protocol.canonical import parse_json
from headwater.storage.faults import fault_of
from headwater.types import hex0x

MAX_BODY_BYTES: Final = 1 << 20
MAX_BATCH: Final = 100
BODY_SECONDS: Final = 10.0
READING_THREADS: Final = 4
WRITING_THREADS: Final = 16
"""Each waits for its block, so this is how many can share one."""
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_EXTENSIONS: Final = frozenset({"chrome-extension", "moz-extension", "safari-web-extension"})

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
SERVER_ERROR: Final = -32000
REVERTED: Final = 3

_log = logging.getLogger(__name__)
Json = Any


class RpcServer:
    """Serve `chain` at http://host:port. `port` 0 = any free one; `start()` fills `port` in.

    `allowed_hosts`: further names under which clients may reach it, beside loopback and `host`. `body_seconds`: how
    long a client may take to send a body.
    """

    def __init__(
        self,
        chain: EmbeddedChain,
        host: str = "127.0.0.1",
        port: int = 8545,
        allowed_hosts: Collection[str] = (),
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        self.host = host
        self.port = port
        self._methods = Methods(chain).table
        self._hosts = LOOPBACK | {host.lower()} | {name.lower() for name in allowed_hosts}
        self._body_seconds = body_seconds
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    async def start(self) -> None:
        """Listen. Raises PortInUse, or Unavailable if the address is not this machine's."""
        self._readers = ThreadPoolExecutor(READING_THREADS, "chain-read")
        self._writers = ThreadPoolExecutor(WRITING_THREADS, "chain-write")
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_post("/", self._post)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=5)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self.host, self.port)
            await site.start()
        except OSError as error:
            await runner.cleanup()
            raise _cannot_listen(error, self.host, self.port) from None
        self._runner = runner
        self.port = runner.addresses[0][1]

    async def stop(self) -> None:
        """Finish the requests in progress and stop listening. The chain stays open: close it afterwards."""
        if self._runner is None:
            return
        await self._runner.cleanup()
        self._runner = None
        for pool in (self._writers, self._readers):
            await asyncio.to_thread(pool.shutdown)

    async def _post(self, request: web.Request) -> web.Response:
        if refusal := self._refusal(request):
            return refusal
        try:
            async with asyncio.timeout(self._body_seconds):
                body = await request.read()
        except TimeoutError:
            return _plain(408, "the request body took too long")
        try:
            asked = parse_json(body, "the request", floats=True)
        except InvalidInput as error:
            return web.json_response(_failure(None, PARSE_ERROR, str(error)))
        if not isinstance(asked, list):
            answer = await self._answer(asked)
            return web.Response(status=204) if answer is None else web.json_response(answer)
        if not 1 <= len(asked) <= MAX_BATCH:
            return web.json_response(_failure(None, INVALID_REQUEST, f"a batch has 1 to {MAX_BATCH} requests"))
        # One after the other: clients rely on the order of their writes.
        answers = [answer for item in asked if (answer := await self._answer(item)) is not None]
        return web.json_response(answers) if answers else web.Response(status=204)

    def _refusal(self, request: web.Request) -> web.Response | None:
        """Who may not ask, before anything is read."""
        if _host_name(f"//{request.headers.get('Host', '')}") not in self._hosts:
            return _plain(403, "this name is not served here: use localhost or 127.0.0.1")
        origin = request.headers.get("Origin")
        if origin is not None and not self._is_friendly(origin):
            return _plain(403, "web pages of other origins may not ask this chain; use a wallet extension")
        if request.content_type != "application/json":
            return _plain(415, "send Content-Type: application/json")
        if request.headers.get("Content-Encoding", "identity") != "identity":
            return _plain(415, "send the body uncompressed")
        return None

    def _is_friendly(self, origin: str) -> bool:
        return urlsplit(origin).scheme in _EXTENSIONS or _host_name(origin) in self._hosts

    async def _answer(self, asked: Json) -> Json | None:
        """One request's answer; None for a notification."""
        problem = _shape_problem(asked)
        if problem:
            given = asked.get("id") if isinstance(asked, dict) else None
            return _failure(given if _is_id(given) else None, INVALID_REQUEST, problem)
        name, answer_id = asked["method"], asked.get("id")
        pool = self._writers if name in WRITES else self._readers
        outcome = await asyncio.get_running_loop().run_in_executor(pool, self._run, name, asked.get("params", []))
        return {"jsonrpc": "2.0", "id": answer_id, **outcome} if "id" in asked else None

    def _run(self, name: str, params: list[Json]) -> Json:
        method = self._methods.get(name)
        if method is None:
            message = f"the method {name[:80]} does not exist/is not available"
            return _error(METHOD_NOT_FOUND, message)
        try:
            inspect.signature(method).bind(*params)
        except TypeError as error:
            return _error(INVALID_PARAMS, f"{name}: {error}")
        try:
            return {"result": method(*params)}
        except ExecutionFailed as error:
            if error.data is None:
                return _error(SERVER_ERROR, str(error.cause))
            return _error(REVERTED, error.cause, hex0x(error.data))
        except InvalidInput as error:
            # Wallets look for these words at the start; the next step follows in data.
            code = SERVER_ERROR if name == "eth_sendRawTransaction" else INVALID_PARAMS
            return _error(code, error.cause, error.to_json())
        except HeadwaterError as error:
            return _error(SERVER_ERROR, error.cause, error.to_json())
        except sqlite3.Error as error:
            fault = fault_of(error)
            if fault is None:
                _log.exception("the chain's file could not be read")
            return _error(INTERNAL_ERROR, fault.cause if fault else "the chain's file could not be read")


def _shape_problem(asked: Json) -> str | None:
    if not isinstance(asked, dict):
        return "a request is an object"
    if asked.get("jsonrpc") != "2.0":
        return 'a request carries "jsonrpc": "2.0"'
    if not isinstance(asked.get("method"), str):
        return "a request names its method"
    if not isinstance(asked.get("params", []), list):
        return "params is a list"
    if "id" in asked and not _is_id(asked["id"]):
        return "an id is a string, a number or null"
    return None


def _is_id(value: Json) -> bool:
    return value is None or (isinstance(value, str | int | float) and not isinstance(value, bool))


def _failure(answer_id: Json, code: int, message: str) -> Json:
    return {"jsonrpc": "2.0", "id": answer_id, **_error(code, message)}


def _error(code: int, message: str, data: Json | None = None) -> Json:
    return {"error": {"code": code, "message": message} | ({} if data is None else {"data": data})}


def _plain(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text + "\n")


def _host_name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _cannot_listen(error: OSError, host: str, port: int) -> HeadwaterError:
    if error.errno == errno.EADDRINUSE:
        return PortInUse(
            f"port {port} on {host} is in use",
            "stop the program that listens there, or set HEADWATER_RPC_PORT (rpc_port in headwater.toml)",
            port=port,
        )
    return Unavailable(f"cannot listen on {host}:{port}: {error.strerror}", "use 127.0.0.1 and a port above 1023")
