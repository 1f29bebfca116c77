"""A transaction on its way to a signer, in JSON-RPC's form.

In: web3's dictionary (integers, bytes, addresses). Out: JSON with 0x-hex quantities, and back, checked. Unknown and
missing fields are refused: what is not shown is not signed. Types 0 (EIP-155), 1 (EIP-2930) and 2 (EIP-1559).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from headwater.errors import InvalidInput
from headwater.types import Address, address

_QUANTITIES: Final = (
    "type",
    "chainId",
    "nonce",
    "gas",
    "gasPrice",
    "maxFeePerGas",
    "maxPriorityFeePerGas",
    "value",
)
_REQUIRED: Final = ("chainId", "nonce", "gas")
_KNOWN: Final = frozenset((*_QUANTITIES, "from", "to", "data", "accessList"))
_NEXT_STEP: Final = "pass what web3's build_transaction returns"


def to_rpc(transaction: Mapping[str, Any]) -> dict[str, Any]:
    """JSON-RPC's form. Raises InvalidInput."""
    out: dict[str, Any] = {}
    for name, value in transaction.items():
        if name not in _KNOWN:
            raise InvalidInput(f"a transaction has no field {name!r}", _NEXT_STEP)
        if name in _QUANTITIES:
            out[name] = hex(_whole(name, value))
        elif name == "data":
            out[name] = _hex(name, value)
        elif name == "accessList":
            out[name] = _access_list(value)
        elif name == "to" and value in (None, "", b""):
            continue  # creates a contract
        elif isinstance(value, str | bytes):
            out[name] = address(value)
        else:
            raise InvalidInput(f"the transaction's {name} is no address", _NEXT_STEP)
    return _complete(out)


def _complete(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The same mapping, once it has all that must be signed explicitly. Raises InvalidInput."""
    if missing := [name for name in _REQUIRED if name not in raw]:
        raise InvalidInput(f"the transaction lacks {', '.join(missing)}", _NEXT_STEP)
    if ("gasPrice" in raw) == ("maxFeePerGas" in raw):
        raise InvalidInput("the transaction must name gasPrice or maxFeePerGas, and not both", _NEXT_STEP)
    return dict(raw)


def from_rpc(raw: Mapping[str, Any], sender: Address) -> dict[str, Any]:
    """What eth-account signs, from JSON-RPC's form. Raises InvalidInput, also if `from` is not `sender`."""
    if unknown := sorted(raw.keys() - _KNOWN):
        raise InvalidInput(f"a transaction has no field {unknown[0]!r}", _NEXT_STEP)
    out = _complete(raw)
    if "from" in out and address(out.pop("from")) != sender:
        raise InvalidInput(f"the transaction is from {raw['from']}, not from {sender}", "name the wallet it is from")
    for name in _QUANTITIES:
        if name in out:
            out[name] = _whole(name, out[name])
    return out


def _whole(name: str, value: Any) -> int:
    try:
        number = int(value, 16) if isinstance(value, str) else value
    except ValueError:
        number = None
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 1 << 256:
        raise InvalidInput(f"the transaction's {name} is no quantity: {value!r}", _NEXT_STEP)
    return number


def _hex(name: str, value: Any) -> str:
    if isinstance(value, bytes | bytearray):
        return "0x" + bytes(value).hex()
    try:
        return "0x" + bytes.fromhex(value.removeprefix("0x")).hex()
    except (AttributeError, ValueError):  # bytes(5) would be five zeros: a number is not data
        raise InvalidInput(f"the transaction's {name} is not bytes", _NEXT_STEP) from None


def _access_list(entries: Any) -> list[dict[str, Any]]:
    """EIP-2930: addresses with their 32-byte storage keys."""
    malformed = InvalidInput("the transaction's accessList is malformed", _NEXT_STEP)
    if not isinstance(entries, list | tuple):
        raise malformed
    out = []
    for entry in entries:
        if not isinstance(entry, Mapping) or entry.keys() != {"address", "storageKeys"}:
            raise malformed
        if not isinstance(entry["address"], str) or not isinstance(entry["storageKeys"], list | tuple):
            raise malformed
        keys = [_hex("accessList", key) for key in entry["storageKeys"]]
        if any(len(key) != 66 for key in keys):
            raise malformed
        out.append({"address": address(entry["address"]), "storageKeys": keys})
    return out
