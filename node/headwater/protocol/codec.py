"""From frozen dataclasses to JSON values and back, driven by their annotations alone.

In: a dataclass (nested ones, tuples, digests, addresses, bytes, enums, integers with a Solidity width). Out: a JSON
value in the subset of `canonical`; and from such a value the same dataclass, or an InvalidInput that names the
field. Integers wider than 64 bits travel as decimal strings, digests and signatures as 0x-hex, other bytes as base64.
Unknown and missing keys are refused.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
import types as pytypes
import typing
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any, Self

from eth_utils import to_checksum_address

from headwater import types
from headwater.errors import InvalidInput
from headwater.protocol.canonical import Json, canonical_json, parse_json
from headwater.types import Address, Digest, Ppm, Signature, Wei


@dataclass(frozen=True, slots=True)
class Solidity:
    """The Solidity type of a field; also its range."""

    name: str

    @property
    def bits(self) -> int:
        return int(self.name.removeprefix("uint")) if self.name.startswith("uint") else 0


Uint8 = Annotated[int, Solidity("uint8")]
Uint16 = Annotated[int, Solidity("uint16")]
Uint32 = Annotated[int, Solidity("uint32")]
Uint64 = Annotated[int, Solidity("uint64")]
Uint128 = Annotated[int, Solidity("uint128")]
Uint256 = Annotated[int, Solidity("uint256")]
WeiAmount = Annotated[Wei, Solidity("uint128")]
PpmShare = Annotated[Ppm, Solidity("uint32")]
Bytes32 = Annotated[Digest, Solidity("bytes32")]
Account = Annotated[Address, Solidity("address")]
Flag = Annotated[bool, Solidity("bool")]


_FIELD_TYPES: dict[type, dict[str, Any]] = {}


def field_types(cls: type) -> dict[str, Any]:
    """Field name -> annotation with its markers, in order of definition."""
    if cls not in _FIELD_TYPES:
        hints = typing.get_type_hints(cls, include_extras=True)
        _FIELD_TYPES[cls] = {f.name: hints[f.name] for f in dataclasses.fields(cls)}
    return _FIELD_TYPES[cls]


def solidity_of(annotation: Any) -> Solidity | None:
    for marker in getattr(annotation, "__metadata__", ()):
        if isinstance(marker, Solidity):
            return marker
    return None


def encode(value: Any, annotation: Any) -> Json:
    """The JSON value of one field."""
    marker = solidity_of(annotation)
    if marker is not None and marker.bits > 64:
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: encode(getattr(value, name), kind) for name, kind in field_types(type(value)).items()}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, bytes):
        if _bare(annotation) is bytes:
            return base64.b64encode(value).decode("ascii")
        return "0x" + value.hex()
    if isinstance(value, tuple):
        (item,) = {a for a in typing.get_args(_bare(annotation)) if a is not Ellipsis}
        return [encode(v, item) for v in value]
    return value


def decode(raw: Json, annotation: Any, where: str) -> Any:
    """The typed value of one field; raises InvalidInput naming `where`."""
    marker, bare = solidity_of(annotation), _bare(annotation)
    origin = typing.get_origin(bare)
    if origin in (typing.Union, pytypes.UnionType):
        options = [a for a in typing.get_args(bare) if a is not type(None)]
        return None if raw is None else decode(raw, options[0], where)
    if dataclasses.is_dataclass(bare):
        return _decode_object(raw, typing.cast(type, bare), where)
    if origin is tuple:
        if not isinstance(raw, list):
            raise _wrong(where, "a list", raw)
        item = typing.get_args(bare)[0]
        return tuple(decode(v, item, f"{where}[{i}]") for i, v in enumerate(raw))
    if bare is Digest:
        return types.digest(_text(raw, where))
    if bare is Address:
        return types.address(_text(raw, where))
    if bare is Signature:
        return Signature(_hex(_text(raw, where), where))
    if bare is bytes:
        return _base64(_text(raw, where), where)
    if isinstance(bare, type) and issubclass(bare, enum.Enum):
        try:
            return bare(raw)
        except ValueError:
            raise _wrong(where, "one of " + ", ".join(str(m.value) for m in bare), raw) from None
    return _decode_scalar(raw, bare, marker, where)


def _decode_scalar(raw: Json, bare: Any, marker: Solidity | None, where: str) -> Any:
    base = getattr(bare, "__supertype__", bare)
    if base is int:
        if marker is not None and marker.bits > 64:
            text = _text(raw, where)
            if not (text.isascii() and text.isdigit()) or (text != "0" and text[0] == "0") or len(text) > 78:
                raise _wrong(where, "a decimal number as text", raw)
            raw = int(text)
        if isinstance(raw, bool) or not isinstance(raw, int):
            raise _wrong(where, "a whole number", raw)
        return raw
    if base is bool and isinstance(raw, bool):
        return raw
    if base is str and isinstance(raw, str):
        return raw
    raise _wrong(where, getattr(base, "__name__", str(base)), raw)


def _decode_object(raw: Json, cls: type, where: str) -> Any:
    if not isinstance(raw, dict):
        raise _wrong(where, "an object", raw)
    kinds = field_types(cls)
    if missing := sorted(kinds.keys() - raw.keys()):
        raise InvalidInput(f"{where} lacks {', '.join(missing)}", "add what is missing")
    if unknown := sorted(raw.keys() - kinds.keys()):
        raise InvalidInput(f"{where} has unknown members {', '.join(unknown)}", "remove them")
    return cls(**{name: decode(raw[name], kind, f"{where}.{name}") for name, kind in kinds.items()})


def check_ranges(value: Any) -> None:
    """Raise InvalidInput where a field with a Solidity type does not fit it."""
    for name, annotation in field_types(type(value)).items():
        marker = solidity_of(annotation)
        if marker is None:
            continue
        field, where = getattr(value, name), f"{type(value).__name__}.{name}"
        if marker.bits:
            if isinstance(field, bool) or not isinstance(field, int) or not 0 <= field < 1 << marker.bits:
                raise InvalidInput(f"{where} = {field!r} does not fit {marker.name}", "pass a value in its range")
        elif marker.name == "bytes32":
            if not isinstance(field, bytes) or len(field) != 32:
                raise InvalidInput(f"{where} must be 32 bytes", "pass the whole digest")
        elif marker.name == "address":
            if not isinstance(field, str) or len(field) != 42 or to_checksum_address(field) != field:
                raise InvalidInput(f"{where} = {field!r} is not a checksummed address", "use headwater.types.address")
        elif not isinstance(field, bool):
            raise InvalidInput(f"{where} must be true or false", "pass a boolean")


class Document:
    """Base of things that are hashed as canonical JSON; digest = sha2-256, so that it is also a raw CIDv1."""

    __slots__ = ()

    def __post_init__(self) -> None:
        check_ranges(self)

    def to_json(self) -> dict[str, Json]:
        return {n: encode(getattr(self, n), k) for n, k in field_types(type(self)).items()}

    def json_text(self) -> str:
        """Canonical JSON as text, as it is stored and sent; `from_bytes` reads it back."""
        return canonical_json(self.to_json()).decode("utf-8")

    def canonical_bytes(self) -> bytes:
        """What is hashed."""
        return canonical_json(self.to_json())

    def digest(self) -> Digest:
        return Digest(sha256(self.canonical_bytes()).digest())

    @classmethod
    def from_json(cls, raw: Json) -> Self:
        return typing.cast(Self, _decode_object(raw, cls, cls.__name__))

    @classmethod
    def from_bytes(cls, data: bytes | str) -> Self:
        """From JSON. Raises InvalidInput for anything but exactly these members."""
        return cls.from_json(parse_json(data, cls.__name__))


def _bare(annotation: Any) -> Any:
    return typing.get_args(annotation)[0] if typing.get_origin(annotation) is Annotated else annotation


def _text(raw: Json, where: str) -> str:
    if not isinstance(raw, str):
        raise _wrong(where, "text", raw)
    return raw


def _hex(text: str, where: str) -> bytes:
    try:
        if not text.startswith("0x"):
            raise ValueError
        return bytes.fromhex(text[2:])
    except ValueError:
        raise _wrong(where, "hexadecimal after 0x", text) from None


def _base64(text: str, where: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise _wrong(where, "base64", text) from None


def _wrong(where: str, wanted: str, raw: Json) -> InvalidInput:
    return InvalidInput(f"{where} must be {wanted}, not {str(raw)[:60]!r}", "mend this member")
