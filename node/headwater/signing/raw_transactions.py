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

_LEGACY_FIELDS: Final = ("nonce", "gasPrice", "gas", "to", "value", "data", "v", "r", "s")
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
    for name, value in found.items():
        if name in wanted and _plain(wanted.pop(name)) != _plain(value):
            raise VerificationFailed(f"the remote signer changed the transaction's {name}", _LOOK, field=name)
    if left := [name for name, value in wanted.items() if name not in ("type", *_DEFAULTS) or _plain(value)]:
        raise VerificationFailed(f"the remote signer dropped the transaction's {', '.join(left)}", _LOOK)


def _decode(raw: bytes) -> dict[str, Any]:
    from eth_account.typed_transactions import TypedTransaction
    from hexbytes import HexBytes

    if raw[0] < 0x80:
        return dict(TypedTransaction.from_bytes(HexBytes(raw)).as_dict())
    values = rlp.decode(raw)
    out: dict[str, Any] = dict(zip(_LEGACY_FIELDS, values, strict=True))
    for name in ("nonce", "gasPrice", "gas", "value"):
        out[name] = int.from_bytes(out[name], "big")
    out["chainId"] = (int.from_bytes(out["v"], "big") - 35) // 2
    return out


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
