"""What a raw signed transaction says, to hold it against what was asked.

In: raw bytes from a signer that we do not trust, the fields that were asked. Out: nothing, or VerificationFailed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import rlp
from rlp.exceptions import RLPException

from headwater.errors import VerificationFailed
from headwater.types import Address, address

_TAIL: Final = ("to", "value", "data")
_FIELDS: Final = {
    0: ("nonce", "gasPrice", "gas", *_TAIL, "v", "r", "s"),
    1: ("chainId", "nonce", "gasPrice", "gas", *_TAIL, "accessList", "v", "r", "s"),
    2: ("chainId", "nonce", "maxPriorityFeePerGas", "maxFeePerGas", "gas", *_TAIL, "accessList", "v", "r", "s"),
}
"""RLP order by type: EIP-155, EIP-2930, EIP-1559."""
_DEFAULTS: Final = {"value": 0, "data": b"", "to": b"", "accessList": ()}
_LOOK: Final = "do not send it, and look at the remote signer"


def require_same_transaction(raw: bytes, asked: Mapping[str, Any], sender: Address) -> None:
    """Raise VerificationFailed unless `raw` is `asked`, signed by `sender`. `asked`: as `transactions.from_rpc`."""
    from eth_account import Account

    try:
        signer = address(Account.recover_transaction(raw))
        found = _decode(raw)
    except (RLPException, TypeError, ValueError, IndexError, KeyError) as error:
        raise VerificationFailed(
            f"the remote signer returned no transaction ({type(error).__name__})", _LOOK
        ) from None
    if signer != sender:
        raise VerificationFailed(f"the remote signer signed as {signer}, not as {sender}", _LOOK)
    wanted = {**_DEFAULTS, **asked}
    wanted.setdefault("type", 2 if "maxFeePerGas" in asked else 1 if "accessList" in asked else 0)
    for name in sorted(wanted.keys() | found.keys()):
        if _plain(found.get(name, _DEFAULTS.get(name))) != _plain(wanted.get(name)):
            raise VerificationFailed(f"the remote signer changed the transaction's {name}", _LOOK, field=name)


def _decode(raw: bytes) -> dict[str, Any]:
    """The fields without the signature. Raises RLPException, KeyError, ValueError, IndexError."""
    kind = raw[0] if raw[0] < 0x80 else 0
    values = rlp.decode(raw[1:] if kind else raw)
    out: dict[str, Any] = dict(zip(_FIELDS[kind], values, strict=True))
    v = int.from_bytes(out.pop("v"), "big")
    del out["r"], out["s"]
    if kind == 0:
        out["chainId"] = (v - 35) // 2
    for name, value in out.items():
        if isinstance(value, bytes) and name not in ("to", "data"):
            out[name] = int.from_bytes(value, "big")
    return {**out, "type": kind}


def _plain(value: Any) -> Any:
    """One form for bytes, hex text, addresses and access lists."""
    if isinstance(value, str):
        return value.lower().removeprefix("0x")
    if isinstance(value, bytes):
        return bytes(value).hex()
    if isinstance(value, Mapping):
        return [_plain(value["address"]), _plain(value["storageKeys"])]
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
