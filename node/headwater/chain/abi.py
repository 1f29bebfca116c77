"""Contracts' ABIs: calls, results, events and errors between Python values and bytes.

In: an ABI as the compiler wrote it. Out: calldata; named, checked values. Pure. Names stay as in Solidity
(mixedCase). Structs are passed as dicts by field name or as tuples, and come back as dicts; addresses come back
checksummed. Encoding: https://docs.soliditylang.org/en/latest/abi-spec.html, by eth-abi.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from eth_abi import decode, encode
from eth_abi.exceptions import DecodingError, EncodingError
from eth_utils.abi import abi_to_signature, collapse_if_tuple
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from headwater.errors import InvalidInput, NotFound

Entry = Mapping[str, Any]
_UNDECODABLE: Final = (DecodingError, ValueError, OverflowError)  # UnicodeDecodeError is a ValueError
_BUILT_IN_ERRORS: Final[tuple[Entry, ...]] = (
    {"type": "error", "name": "Error", "inputs": [{"name": "message", "type": "string"}]},
    {"type": "error", "name": "Panic", "inputs": [{"name": "code", "type": "uint256"}]},
)


@dataclass(frozen=True, slots=True)
class DecodedError:
    """A contract's error by name, with its values by parameter name. `contract`: who declares it."""

    contract: str
    name: str
    args: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{key}={shown(value)}' for key, value in self.args.items())})"


@dataclass(frozen=True)
class ContractAbi:
    """One contract's interface."""

    name: str
    entries: tuple[Entry, ...]

    @cached_property
    def _events(self) -> dict[bytes, Entry]:
        return {keccak(text=_signature(e)): e for e in self._of("event") if not e.get("anonymous")}

    @cached_property
    def _errors(self) -> dict[bytes, Entry]:
        return {keccak(text=_signature(e))[:4]: e for e in (*self._of("error"), *_BUILT_IN_ERRORS)}

    def _of(self, kind: str) -> list[Entry]:
        return [entry for entry in self.entries if entry["type"] == kind]

    def function(self, name: str, count: int | None = None) -> Entry:
        """The function of that name, or of that whole signature; overloads differ by argument count.

        Raises NotFound, or InvalidInput if several fit.
        """
        named = [e for e in self._of("function") if name in (e["name"], _signature(e))]
        fitting = [e for e in named if count is None or len(e["inputs"]) == count]
        if not named:
            raise NotFound(f"{self.name} has no function {name}", "check its name in the contract's ABI")
        if not fitting:
            wanted = " or ".join(str(len(e["inputs"])) for e in named)
            raise InvalidInput(f"{self.name}.{name} takes {wanted} arguments, not {count}", "pass exactly those")
        if len(fitting) > 1:
            raise InvalidInput(
                f"{self.name} has several functions {name}", f"name one by its signature: {_signature(fitting[0])}"
            )
        return fitting[0]

    def event(self, name: str) -> Entry:
        for entry in self._of("event"):
            if name in (entry["name"], _signature(entry)):
                return entry
        raise NotFound(f"{self.name} has no event {name}", "check its name in the contract's ABI")

    def encode_call(self, function: str, args: Sequence[Any]) -> bytes:
        """Selector and arguments. Raises NotFound, InvalidInput."""
        entry = self.function(function, len(args))
        return keccak(text=_signature(entry))[:4] + _encode(f"{self.name}.{function}", entry["inputs"], args)

    def encode_constructor(self, args: Sequence[Any]) -> bytes:
        """The arguments that follow the creation code. Raises InvalidInput."""
        inputs: Sequence[Entry] = next((e["inputs"] for e in self._of("constructor")), [])
        if len(args) != len(inputs):
            raise InvalidInput(
                f"the constructor of {self.name} takes {len(inputs)} arguments, not {len(args)}", "pass exactly those"
            )
        return _encode(f"the constructor of {self.name}", inputs, args)

    def decode_result(self, function: str, count: int, data: bytes) -> Any:
        """None, the one value, or a tuple of several. Raises InvalidInput for bytes that are not this result."""
        outputs = self.function(function, count)["outputs"]
        values = _decode(f"the result of {self.name}.{function}", outputs, data)
        if not outputs:
            return None
        return values[0] if len(values) == 1 else tuple(values)

    def event_topics(self, event: str, indexed: Mapping[str, Any]) -> list[bytes | list[bytes] | None]:
        """A filter for logs of `event`: each indexed argument given must match; a list matches any of its values.

        Raises NotFound, or InvalidInput for an argument that is not indexed.
        """
        entry = self.event(event)
        parameters = [p for p in entry["inputs"] if p["indexed"]]
        if unknown := indexed.keys() - {p["name"] for p in parameters}:
            names = ", ".join(p["name"] for p in parameters) or "none"
            raise InvalidInput(f"{self.name}.{event} is not indexed by {min(unknown)}", f"filter by one of: {names}")
        topics: list[bytes | list[bytes] | None] = [keccak(text=_signature(entry))]
        for parameter in parameters:
            wanted = indexed.get(parameter["name"])
            if wanted is None:
                topics.append(None)
            elif isinstance(wanted, list):
                topics.append([_topic(parameter, value) for value in wanted])
            else:
                topics.append(_topic(parameter, wanted))
        while topics[-1] is None:
            topics.pop()
        return topics

    def decode_log(self, topics: Sequence[bytes], data: bytes) -> tuple[str, dict[str, Any]] | None:
        """Event name and arguments in declaration order; None if the contract declares no such event.

        An indexed argument of dynamic type comes back as the digest that the log holds. Raises InvalidInput if topics
        and data do not fit the declaration.
        """
        entry = self._events.get(topics[0]) if topics else None
        if entry is None:
            return None
        what = f"a log of {self.name}.{entry['name']}"
        indexed = [p for p in entry["inputs"] if p["indexed"]]
        if len(topics) != len(indexed) + 1:
            raise InvalidInput(
                f"{what} has {len(topics)} topics instead of {len(indexed) + 1}", "distrust its source"
            )
        values = {
            p["name"]: topic if _is_hashed(p) else _decode(what, [p], topic)[0]
            for p, topic in zip(indexed, topics[1:], strict=True)
        }
        plain = [p for p in entry["inputs"] if not p["indexed"]]
        values |= dict(zip((p["name"] for p in plain), _decode(what, plain, data), strict=True))
        return entry["name"], {p["name"]: values[p["name"]] for p in entry["inputs"]}

    def decode_error(self, data: bytes) -> DecodedError | None:
        """The error behind a revert's data; None if this contract declares none such."""
        entry = self._errors.get(data[:4])
        if entry is None:
            return None
        try:
            values = _decode(f"an error of {self.name}", entry["inputs"], data[4:])
        except InvalidInput:
            return None
        names = [p["name"] or f"arg{i}" for i, p in enumerate(entry["inputs"])]
        return DecodedError(self.name, entry["name"], dict(zip(names, values, strict=True)))


def shown(value: Any) -> str:
    """A decoded value as text for the eye: bytes in hex, long ones cut in the middle (details keep them)."""
    if isinstance(value, bytes):
        text = value.hex()
        return "0x" + (text if len(text) <= 64 else f"{text[:32]}…{text[-16:]}")
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {shown(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(shown(v) for v in value) + "]"
    return str(value)


def plain_json(value: Any) -> Any:
    """A decoded value as JSON: bytes in hex, integers beyond 2**53 as decimal text."""
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) < 2**53 else str(value)
    if isinstance(value, Mapping):
        return {key: plain_json(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(v) for v in value]
    return value


def _signature(entry: Entry) -> str:
    return abi_to_signature(entry)  # type: ignore[arg-type]  # eth-typing wants its own TypedDict


def _type_of(parameter: Entry) -> str:
    return collapse_if_tuple(dict(parameter))


def _is_hashed(parameter: Entry) -> bool:
    """Indexed arguments of dynamic or compound type are stored as their keccak-256."""
    kind = str(parameter["type"])
    return kind in ("string", "bytes") or kind.endswith("]") or kind.startswith("tuple")


def _topic(parameter: Entry, value: Any) -> bytes:
    if parameter["type"] == "string":
        return keccak(text=value)
    if parameter["type"] == "bytes":
        return keccak(value)
    if _is_hashed(parameter):
        raise InvalidInput(f"cannot filter by the compound argument {parameter['name']}", "filter the decoded events")
    return _encode(f"the argument {parameter['name']}", [parameter], [value])


def _encode(what: str, parameters: Sequence[Entry], values: Sequence[Any]) -> bytes:
    arranged = [_arranged(what, p, v) for p, v in zip(parameters, values, strict=True)]
    try:
        return encode([_type_of(p) for p in parameters], arranged)
    except (EncodingError, ValueError, TypeError) as error:
        raise InvalidInput(
            f"{what} does not take these values: {error}", "pass values of the types it names"
        ) from None


def _arranged(what: str, parameter: Entry, value: Any) -> Any:
    """Dicts in the order of their struct's fields, at any depth."""
    kind = str(parameter["type"])
    if not kind.startswith("tuple"):
        return value
    if not isinstance(value, Mapping | list | tuple):
        raise InvalidInput(f"{what} does not take these values: {value!r} is no {kind}", "pass a dict, list or tuple")
    if kind.endswith("]"):
        inner = {**parameter, "type": kind[: kind.rindex("[")]}
        return [_arranged(what, inner, item) for item in value]
    fields = parameter["components"]
    if isinstance(value, Mapping):
        names = {field["name"] for field in fields}
        if names != value.keys():
            wrong = ", ".join(sorted(names ^ value.keys()))
            raise InvalidInput(f"{what}: missing or unknown fields: {wrong}", f"pass {', '.join(sorted(names))}")
        value = [value[field["name"]] for field in fields]
    if len(value) != len(fields):
        raise InvalidInput(f"{what}: a struct of {len(fields)} fields got {len(value)}", "pass them by name")
    return tuple(_arranged(what, field, item) for field, item in zip(fields, value, strict=True))


def _decode(what: str, parameters: Sequence[Entry], data: bytes) -> list[Any]:
    try:
        values = decode([_type_of(p) for p in parameters], data)
    except _UNDECODABLE as error:
        raise InvalidInput(f"{what} cannot be decoded: {error}", "check that the contract is the one named") from None
    return [_named(p, v) for p, v in zip(parameters, values, strict=True)]


def _named(parameter: Entry, value: Any) -> Any:
    kind = str(parameter["type"])
    if kind.endswith("]"):
        inner = {**parameter, "type": kind[: kind.rindex("[")]}
        return [_named(inner, item) for item in value]
    if kind.startswith("tuple"):
        fields = zip(parameter["components"], value, strict=True)
        return {field["name"]: _named(field, item) for field, item in fields}
    return to_checksum_address(value) if kind == "address" else value
