"""JSON-RPC to any node, with errors that say what to do.

In: a URL, method names, JSON parameters. Out: JSON results. Raises Unavailable when nobody sensible answers, and for
an error that the node answers the one of our tree that fits it. Knows no contract. HTTP by web3.py.
"""

from __future__ import annotations

from typing import Any, Final

from web3 import HTTPProvider
from web3.exceptions import Web3Exception

from headwater.errors import DiskFull, HeadwaterError, InvalidInput, NotFound, Refused, Unavailable

TIMEOUT_SECONDS: Final = 60
_REVERTED: Final = 3
_KNOWN: Final = ("already known", "known transaction", "already imported", "already in mempool")


class ExecutionReverted(Refused):
    """The EVM said no; `data` holds the contract's error, empty if the node does not tell."""

    code = "execution_reverted"

    def __init__(self, message: str, data: bytes) -> None:
        super().__init__(f"execution reverted: {message}", "decode the error with the contract's ABI")
        self.data = data


class NonceTooLow(Refused):
    """A transaction with this nonce is in a block already."""

    code = "nonce_too_low"


class AlreadyKnown(Refused):
    """The node has exactly this transaction; nothing is wrong."""

    code = "already_known"


class Underpriced(Refused):
    """The fee is too low: for the block, or to take another transaction's place."""

    code = "underpriced"


class InsufficientFunds(Refused):
    """The sender cannot pay value and gas in native coin."""

    code = "insufficient_funds"


class Transport:
    """One node's JSON-RPC at `url`. Thread-safe."""

    def __init__(self, url: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise InvalidInput(f"{url!r} is not an HTTP address", "set rpc_url to http://… or https://…")
        self.url = url
        self._provider = HTTPProvider(
            url, request_kwargs={"timeout": TIMEOUT_SECONDS}, exception_retry_configuration=None
        )

    def ask(self, method: str, *params: Any) -> Any:
        """The result. Raises Unavailable, ExecutionReverted, NonceTooLow, … (see above)."""
        try:
            answer: Any = self._provider.make_request(method, list(params))
        except OSError as error:  # what the HTTP library raises is an OSError; with a response if there was one
            status = getattr(getattr(error, "response", None), "status_code", None)
            if status is None:
                raise Unavailable(
                    f"nothing answers at {self.url}", "start the node with `headwater up`, or set rpc_url"
                ) from None
            raise Unavailable(
                f"{self.url} refuses to answer (HTTP {status})", "wait, or use another RPC endpoint", status=status
            ) from None
        except (Web3Exception, ValueError, TypeError) as error:
            raise Unavailable(
                f"{self.url} does not speak JSON-RPC ({error})", "check rpc_url: this is another service"
            ) from None
        if not isinstance(answer, dict) or not answer.keys() & {"result", "error"}:
            raise Unavailable(f"{self.url} does not speak JSON-RPC", "check rpc_url: this is another service")
        if "error" in answer:
            raise _meaning(answer["error"])
        return answer["result"]


def _meaning(error: Any) -> HeadwaterError:
    if not isinstance(error, dict):
        return Unavailable(f"the node answered the error {error!r}", "use another RPC endpoint")
    message, data = str(error.get("message", "")), error.get("data")
    if isinstance(data, dict) and (own := _own(data)):
        return own
    lower = message.lower()
    revert_data = _hex(data)
    if error.get("code") == _REVERTED or revert_data or "execution reverted" in lower:
        return ExecutionReverted(message.removeprefix("execution reverted").lstrip(": "), revert_data or b"")
    if "nonce too low" in lower:
        return NonceTooLow(f"the chain refused the transaction: {message}", "sign it again with the next nonce")
    if any(words in lower for words in _KNOWN):
        return AlreadyKnown(f"the node has this transaction: {message}", "wait for its block")
    if "underpriced" in lower or "less than block base fee" in lower:
        return Underpriced(f"the chain refused the transaction: {message}", "raise its fee")
    if "insufficient funds" in lower:
        return InsufficientFunds(
            f"the sender has too little native coin: {message}", "send it some with `headwater wallet fund`"
        )
    return Refused(f"the node refused: {message}", "mend what it names", rpc_code=error.get("code"))


def _own(data: dict[str, Any]) -> HeadwaterError | None:
    """The error of a Headwater node, back in its own class, where only the class matters to the caller."""
    cause, next_step = str(data.get("cause", "")), str(data.get("next_step", ""))
    for kind in (DiskFull, Unavailable, NotFound, InvalidInput):
        if data.get("code") == kind.code:
            return kind(cause, next_step)
    return None


def _hex(data: Any) -> bytes | None:
    if not isinstance(data, str) or not data.startswith("0x"):
        return None
    try:
        return bytes.fromhex(data[2:])
    except ValueError:
        return None
