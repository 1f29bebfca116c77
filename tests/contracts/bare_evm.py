"""Contracts on a bare EVM: deploy by the artefact's name, call, send, expect an error by its name, let time pass.

In: artefact names, Python values (actors, contracts and protocol dataclasses stand for themselves). Out: decoded
results, events, exact gas. One state object, one transaction a block, no mining: py-evm's Prague rules, a few
milliseconds a transaction. Knows no contract in particular.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from eth.constants import BLANK_ROOT_HASH
from eth.db.atomic import AtomicDB
from eth.vm.execution_context import ExecutionContext
from eth.vm.forks.prague import PragueVM
from eth.vm.forks.prague.state import PragueState
from eth.vm.spoof import SpoofTransaction
from eth_abi.abi import decode, encode
from eth_keys import keys
from eth_utils import keccak, to_canonical_address, to_checksum_address
from eth_utils.abi import collapse_if_tuple

from headwater.protocol.typed_data import Domain, TypedStruct
from headwater.types import Address, address

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (ROOT / "node/headwater/chain/artifacts", Path(__file__).parent / "artifacts")
TRANSACTION_GAS = 1 << 24
"""The most that one transaction may use (EIP-7825)."""
BUILT_IN_ERRORS = (
    {"name": "Error", "inputs": [{"type": "string"}]},
    {"name": "Panic", "inputs": [{"type": "uint256"}]},
)
Entry = dict[str, Any]


class Actor:
    """An account with its key, made from a name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.key = keys.PrivateKey(keccak(text=f"actor {name}"))
        self.address: Address = address(self.key.public_key.to_canonical_address())

    def sign_digest(self, digest: bytes) -> bytes:
        """r ‖ s ‖ v with v 27 or 28."""
        raw = self.key.sign_msg_hash(digest).to_bytes()
        return raw[:64] + bytes([raw[64] + 27])

    def sign(self, struct: TypedStruct, domain: Domain) -> bytes:
        return self.sign_digest(struct.signing_digest(domain))

    def __repr__(self) -> str:
        return f"Actor({self.name})"


class Reverted(Exception):
    """What a transaction reverted with: the custom error's name and arguments."""

    def __init__(self, name: str, args: tuple[Any, ...]) -> None:
        super().__init__(f"{name}{args}")
        self.name, self.arguments = name, args


@dataclasses.dataclass(frozen=True)
class Event:
    contract: Address
    name: str
    fields: SimpleNamespace


@dataclasses.dataclass(frozen=True)
class Sent:
    """What a transaction did."""

    gas_used: int
    value: Any
    events: tuple[Event, ...]

    def event(self, name: str) -> SimpleNamespace:
        """The fields of the only event of that name."""
        (found,) = [e.fields for e in self.events if e.name == name]
        return found

    def names(self) -> list[str]:
        return [e.name for e in self.events]


class Evm:
    """A chain of one state. Times are Unix seconds; each transaction is a block of its own, one second later."""

    def __init__(self, chain_id: int = 31337, database: AtomicDB | None = None) -> None:
        self.chain_id = chain_id
        self.block_number, self.now = 1, 1_800_000_000
        self._database = database if database is not None else AtomicDB()
        self._state = self._load(BLANK_ROOT_HASH)
        self._abis: dict[Address, list[Entry]] = {}
        self.logs: list[tuple[int, bytes, Sequence[int], bytes]] = []
        """Of all transactions sent: block, contract, topics, data."""

    # -- time ------------------------------------------------------------------------------------------------------

    def advance(self, seconds: int) -> None:
        """The next transaction's block is this much later than the one before."""
        self.now += seconds - 1

    def mine(self, blocks: int = 1) -> None:
        """Empty blocks, a second apart."""
        self.block_number += blocks
        self.now += blocks

    def block_hash(self, number: int) -> bytes:
        return keccak(number.to_bytes(32, "big"))

    def snapshot(self) -> tuple[bytes, int, int]:
        self._state.lock_changes()
        self._state.persist()
        return self._state.state_root, self.block_number, self.now

    def restore(self, snapshot: tuple[bytes, int, int]) -> None:
        root, self.block_number, self.now = snapshot
        self._state = self._load(root)

    def fork(self, chain_id: int) -> Evm:
        """The same state on another chain."""
        root, number, now = self.snapshot()
        other = Evm(chain_id, self._database)
        other.restore((root, number, now))
        other._abis = dict(self._abis)
        return other

    # -- contracts -------------------------------------------------------------------------------------------------

    def actor(self, name: str) -> Actor:
        return Actor(name)

    def deploy(self, name: str, *arguments: Any, sender: Any = "deployer") -> Deployed:
        """Deploy the artefact `name` with constructor arguments."""
        artefact = artefact_of(name)
        constructor = next((e for e in artefact["abi"] if e["type"] == "constructor"), {"inputs": []})
        data = bytes.fromhex(artefact["bytecode"][2:]) + pack(constructor["inputs"], arguments)
        at = self.next_address(sender)
        self._abis[at] = artefact["abi"]
        gas, _, _ = self._apply(b"", data, sender_of(sender))
        return Deployed(self, name, at, artefact, gas)

    def next_address(self, sender: Any = "deployer", after: int = 0) -> Address:
        """Where the sender's next deployment goes; `after`: that many of its transactions later."""
        origin = sender_of(sender)
        nonce = self._state.get_nonce(origin) + after
        raw = bytes([0x80]) if nonce == 0 else bytes([nonce]) if nonce < 0x80 else _rlp_number(nonce)
        payload = bytes([0x94]) + origin + raw
        return address(keccak(bytes([0xC0 + len(payload)]) + payload)[12:])

    def at(self, name: str, where: Address) -> Deployed:
        return Deployed(self, name, where, artefact_of(name), 0)

    @contextmanager
    def reverts(self, name: str, *arguments: Any) -> Iterator[pytest.ExceptionInfo[Reverted]]:
        """The block must revert with this error, and with these arguments if any are given."""
        with pytest.raises(Reverted) as caught:
            yield caught
        assert caught.value.name == name, f"reverted with {caught.value}, not {name}"
        if arguments:
            assert caught.value.arguments == tuple(plain(a) for a in arguments)

    def set_code(self, account: Any, code: bytes) -> None:
        """Give an account code; `ef0100 ‖ address` is what an EIP-7702 delegation leaves."""
        self._state.set_code(sender_of(account), code)

    def events_of(self, contract: Deployed, name: str) -> list[SimpleNamespace]:
        """All events of that name that the contract ever emitted here, oldest first."""
        where = to_canonical_address(contract.address)
        (first,) = [topic(e) for e in contract.abi if e["type"] == "event" and e["name"] == name]
        found = [e for _, *e in self.logs if e[0] == where and e[1][0] == int.from_bytes(first, "big")]
        return [self._event(*entry).fields for entry in found]

    # -- execution -------------------------------------------------------------------------------------------------

    def send(self, to: Address, data: bytes, sender: Any) -> tuple[int, bytes, tuple[Event, ...]]:
        return self._apply(to_canonical_address(to), data, sender_of(sender))

    def call(self, to: Address, data: bytes, sender: Any) -> bytes:
        """Execute without a trace."""
        self._state.lock_changes()
        before = self._state.snapshot()
        try:
            _, output, _ = self._execute(to_canonical_address(to), data, sender_of(sender))
        finally:
            self._state.revert(before)
        return output

    def _apply(self, to: bytes, data: bytes, sender: bytes) -> tuple[int, bytes, tuple[Event, ...]]:
        self.block_number += 1
        self.now += 1
        self._state.lock_changes()
        gas, output, entries = self._execute(to, data, sender)
        self.logs += [(self.block_number, *entry) for entry in entries]
        return gas, output, tuple(self._event(*entry) for entry in entries)

    def _execute(self, to: bytes, data: bytes, sender: bytes) -> tuple[int, bytes, tuple[Any, ...]]:
        self._state.execution_context = self._context()
        transaction = PragueVM.create_unsigned_transaction(
            nonce=self._state.get_nonce(sender), gas_price=0, gas=TRANSACTION_GAS, to=to, value=0, data=data
        )
        spoofed = SpoofTransaction(transaction, from_=sender)
        done = self._state.apply_transaction(spoofed)
        if done.is_error:
            raise reverted(done.output)
        return PragueVM.finalize_gas_used(spoofed, done), done.output, done.get_log_entries()

    def _event(self, where: bytes, topics: Sequence[int], data: bytes) -> Event:
        contract, words = address(where), [t.to_bytes(32, "big") for t in topics]
        entry = next(e for e in self._abis[contract] if e["type"] == "event" and topic(e) == words[0])
        indexed = [i for i in entry["inputs"] if i["indexed"]]
        rest = [i for i in entry["inputs"] if not i["indexed"]]
        values = {i["name"]: unpack([i], word)[0] for i, word in zip(indexed, words[1:], strict=True)}
        values |= dict(zip([i["name"] for i in rest], unpack(rest, data), strict=True))
        return Event(contract, entry["name"], SimpleNamespace(**values))

    def _context(self) -> ExecutionContext:
        hashes = (self.block_hash(n) for n in range(self.block_number - 1, max(self.block_number - 257, -1), -1))
        return ExecutionContext(
            bytes(20), self.now, self.block_number, 0, bytes(32), 30_000_000, hashes, self.chain_id, 0, 0
        )

    def _load(self, root: bytes) -> PragueState:
        return PragueState(self._database, self._context(), root)


class Deployed:
    """A contract at an address, with its artefact's ABI."""

    def __init__(self, evm: Evm, name: str, where: Address, artefact: Entry, gas: int) -> None:
        self.evm, self.name, self.address, self.gas_of_deployment = evm, name, where, gas
        self.abi: list[Entry] = artefact["abi"]
        self.roles: Entry = artefact["roles"]

    @property
    def domain(self) -> Domain:
        """The contract's EIP-712 domain on its chain."""
        return Domain(self.name, self.evm.chain_id, self.address)

    def send(self, sender: Any, function: str, *arguments: Any) -> Sent:
        """A transaction; raises Reverted."""
        entry, data = self._encode(function, arguments)
        gas, output, events = self.evm.send(self.address, data, sender)
        return Sent(gas, result(entry["outputs"], output), events)

    def call(self, function: str, *arguments: Any, sender: Any = "nobody") -> Any:
        """A view; structs come back as namespaces, several outputs as a tuple."""
        entry, data = self._encode(function, arguments)
        return result(entry["outputs"], self.evm.call(self.address, data, sender))

    def calldata(self, function: str, *arguments: Any) -> bytes:
        return self._encode(function, arguments)[1]

    def _encode(self, function: str, arguments: Sequence[Any]) -> tuple[Entry, bytes]:
        """`function` is a name, or a whole signature where names are overloaded."""
        entry = next(
            e
            for e in self.abi
            if e["type"] == "function"
            and function in (e["name"], signature(e))
            and len(e["inputs"]) == len(arguments)
        )
        return entry, keccak(text=signature(entry))[:4] + pack(entry["inputs"], arguments)


# -- encoding ------------------------------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """Actors and contracts as addresses, dataclasses and namespaces as tuples: what the ABI encoder takes."""
    if isinstance(value, Actor | Deployed):
        return value.address
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return tuple(plain(getattr(value, f.name)) for f in dataclasses.fields(value))
    if isinstance(value, SimpleNamespace):
        return tuple(plain(v) for v in vars(value).values())
    if isinstance(value, tuple | list):
        return tuple(plain(v) for v in value)
    return value


def pack(inputs: Sequence[Entry], values: Sequence[Any]) -> bytes:
    return encode([collapse_if_tuple(i) for i in inputs], [plain(v) for v in values])


def unpack(outputs: Sequence[Entry], data: bytes) -> tuple[Any, ...]:
    values = decode([collapse_if_tuple(o) for o in outputs], data)
    return tuple(shaped(o, v) for o, v in zip(outputs, values, strict=True))


def shaped(entry: Entry, value: Any) -> Any:
    kind: str = entry["type"]
    if kind.endswith("]"):
        item = {**entry, "type": kind[: kind.rindex("[")]}
        return tuple(shaped(item, v) for v in value)
    if kind == "tuple":
        parts = zip(entry["components"], value, strict=True)
        return SimpleNamespace(**{c["name"]: shaped(c, v) for c, v in parts})
    return to_checksum_address(value) if kind == "address" else value


def result(outputs: Sequence[Entry], data: bytes) -> Any:
    values = unpack(outputs, data)
    return values[0] if len(values) == 1 else values


def signature(entry: Entry) -> str:
    return f"{entry['name']}({','.join(collapse_if_tuple(i) for i in entry['inputs'])})"


def topic(entry: Entry) -> bytes:
    return keccak(text=signature(entry))


def reverted(data: bytes) -> Reverted:
    entry = ERRORS.get(data[:4])
    if entry is None:
        return Reverted("0x" + data.hex(), ())
    return Reverted(entry["name"], tuple(plain(v) for v in unpack(entry["inputs"], data[4:])))


def sender_of(value: Any) -> bytes:
    if isinstance(value, str) and not value.startswith("0x"):
        value = Actor(value)
    return to_canonical_address(plain(value))


def _rlp_number(number: int) -> bytes:
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return bytes([0x80 + len(raw)]) + raw


ARTEFACTS: dict[str, Entry] = {}
ERRORS: dict[bytes, Entry] = {keccak(text=signature(e))[:4]: e for e in BUILT_IN_ERRORS}


def artefact_of(name: str) -> Entry:
    """The committed artefact; also learns its errors."""
    if name not in ARTEFACTS:
        path = next((f / f"{name}.json" for f in FOLDERS if (f / f"{name}.json").is_file()), None)
        assert path is not None, f"no artefact {name}: run scripts/build_artifacts"
        ARTEFACTS[name] = json.loads(path.read_text("utf-8"))
        ERRORS.update({keccak(text=signature(e))[:4]: e for e in ARTEFACTS[name]["abi"] if e["type"] == "error"})
    return ARTEFACTS[name]
