"""The Chain seam: what the rest of Headwater may ask of a chain, and the one implementation that asks over JSON-RPC.

In: contracts, function names, values; signed bytes. Out: decoded values, events, receipts. The same code talks to the
embedded chain, to anvil and to a public chain. Holds no key and stores nothing: writing is `transactions`' business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from eth_utils.crypto import keccak

from headwater.chain.abi import ContractAbi, DecodedError, plain_json
from headwater.chain.contracts import Artifact, Contract, shipped_artifacts
from headwater.chain.transport import AlreadyKnown, ExecutionReverted, Transport
from headwater.chain.values import (
    Block,
    BlockRef,
    Event,
    RawLog,
    TransactionReceipt,
    block_of,
    bytes_of,
    integer_of,
    raw_log_of,
    receipt_of,
)
from headwater.chain.waiting import SystemWaiter, Waiter
from headwater.errors import (
    Conflict,
    HeadwaterError,
    InvalidInput,
    NotFound,
    Refused,
    TransactionReverted,
    Unavailable,
)
from headwater.types import ZERO_ADDRESS, Address, Digest, Wei, digest, hex0x

POLL_SECONDS: Final = 0.25
WAIT_SECONDS: Final = 120
CLIENT_NAME: Final = "Headwater/"
"""How the embedded chain introduces itself in web3_clientVersion."""


class Chain(Protocol):
    """Reads, and the sending of bytes that somebody signed. Blocking; thread-safe."""

    @property
    def chain_id(self) -> int: ...

    def call(
        self,
        contract: Contract,
        function: str,
        *args: Any,
        sender: Address = ZERO_ADDRESS,
        block: BlockRef = "latest",
    ) -> Any:
        """One read. Raises TransactionReverted with the contract's error by name, NotFound without a contract."""
        ...

    def logs(
        self, contract: Contract, event: str, from_block: int, to_block: BlockRef = "latest", **indexed: Any
    ) -> list[Event]:
        """Events in chain order; an indexed argument may be a list of which any matches."""
        ...

    def raw_logs(self, addresses: Sequence[Address], from_block: int, to_block: int) -> list[RawLog]:
        """Undecoded logs of several contracts in chain order."""
        ...

    def block(self, block: BlockRef = "latest") -> Block:
        """Raises NotFound."""
        ...

    def block_hash(self, number: int) -> Digest: ...

    def balance(self, account: Address) -> Wei:
        """Native coin."""
        ...

    def nonce(self, account: Address) -> int:
        """Transactions of this account in blocks so far."""
        ...

    def code(self, account: Address) -> bytes: ...

    def estimate_gas(self, sender: Address, to: Address | None, data: bytes, value_wei: Wei) -> int:
        """Raises TransactionReverted if it would revert now."""
        ...

    def send_raw(self, raw: bytes) -> Digest:
        """Hand over signed bytes; returns their hash, also if the node has them already.

        Raises NonceTooLow, Underpriced, InsufficientFunds, Refused, Unavailable.
        """
        ...

    def receipt(self, transaction_hash: Digest) -> TransactionReceipt | None:
        """None while it is in no block."""
        ...

    def wait(self, transaction_hash: Digest, timeout_seconds: int = WAIT_SECONDS) -> TransactionReceipt:
        """The receipt, once there is one, whatever it says. Raises Unavailable after `timeout_seconds`."""
        ...

    def why_reverted(self, receipt: TransactionReceipt) -> TransactionReverted:
        """The reason of a mined failure, found by running it again on the block before."""
        ...

    def advance(self, seconds: int) -> int:
        """Embedded chain only: let time pass for the next block. Raises Refused elsewhere."""
        ...

    def mine_empty(self, count: int) -> int:
        """Embedded chain only: mine empty blocks; returns the height. Raises Refused elsewhere."""
        ...


class RpcChain:
    """The chain behind a JSON-RPC URL.

    Raises Conflict if it is not chain `chain_id`, Unavailable if nobody answers. `artifacts`: where errors are looked
    up that a called contract passes on from another one.
    """

    def __init__(
        self,
        url: str,
        chain_id: int,
        artifacts: Mapping[str, Artifact] | None = None,
        waiter: Waiter | None = None,
    ) -> None:
        self._transport = Transport(url)
        self._artifacts = shipped_artifacts() if artifacts is None else artifacts
        self._waiter = waiter or SystemWaiter()
        found = integer_of(self._transport.ask("eth_chainId"))
        if found != chain_id:
            raise Conflict(
                f"{url} is chain {found}, not chain {chain_id}",
                "set rpc_url to a node of the right chain, or chain_id to this one",
                chain_id=found,
            )
        self._chain_id = chain_id
        self._is_embedded = str(self._transport.ask("web3_clientVersion")).startswith(CLIENT_NAME)

    @property
    def chain_id(self) -> int:
        return self._chain_id

    def call(
        self,
        contract: Contract,
        function: str,
        *args: Any,
        sender: Address = ZERO_ADDRESS,
        block: BlockRef = "latest",
    ) -> Any:
        data = contract.abi.encode_call(function, args)
        request = {"from": sender, "to": contract.address, "data": hex0x(data)}
        try:
            result = bytes_of(self._transport.ask("eth_call", request, _block_parameter(block)))
        except ExecutionReverted as error:
            raise self._reverted(error, contract.abi) from None
        if not result and contract.abi.function(function, len(args))["outputs"]:
            raise NotFound(
                f"no contract {contract.name} at {contract.address} on chain {self._chain_id}",
                "run `headwater contracts deploy`, or check the addresses",
            )
        return contract.abi.decode_result(function, len(args), result)

    def logs(
        self, contract: Contract, event: str, from_block: int, to_block: BlockRef = "latest", **indexed: Any
    ) -> list[Event]:
        topics = [_topic_parameter(topic) for topic in contract.abi.event_topics(event, indexed)]
        last = to_block if isinstance(to_block, int) else self.block(to_block).number
        raw = self._get_logs({"address": contract.address, "topics": topics}, from_block, last)
        return [event_of(contract, log) for log in raw]

    def raw_logs(self, addresses: Sequence[Address], from_block: int, to_block: int) -> list[RawLog]:
        return self._get_logs({"address": list(addresses)}, from_block, to_block) if addresses else []

    def _get_logs(self, wanted: dict[str, Any], first: int, last: int) -> list[RawLog]:
        if first > last:
            return []
        try:
            blocks = {"fromBlock": hex(first), "toBlock": hex(last)}
            return [raw_log_of(log) for log in self._transport.ask("eth_getLogs", wanted | blocks)]
        except (Refused, InvalidInput):
            # Every provider has another limit and other words for it: ask for less at a time.
            if first == last:
                raise
            middle = (first + last) // 2
            return self._get_logs(wanted, first, middle) + self._get_logs(wanted, middle + 1, last)

    def block(self, block: BlockRef = "latest") -> Block:
        found = self._transport.ask("eth_getBlockByNumber", _block_parameter(block), False)
        if found is None:
            raise NotFound(f"chain {self._chain_id} has no block {block}", "ask for `latest` to see how far it is")
        return block_of(found)

    def block_hash(self, number: int) -> Digest:
        return self.block(number).hash

    def balance(self, account: Address) -> Wei:
        return Wei(integer_of(self._transport.ask("eth_getBalance", account, "latest")))

    def nonce(self, account: Address) -> int:
        # Never `pending`: nodes disagree on what it means, and forget (ethers-io/ethers.js#435).
        return integer_of(self._transport.ask("eth_getTransactionCount", account, "latest"))

    def code(self, account: Address) -> bytes:
        return bytes_of(self._transport.ask("eth_getCode", account, "latest"))

    def estimate_gas(self, sender: Address, to: Address | None, data: bytes, value_wei: Wei) -> int:
        request = {"from": sender, "data": hex0x(data), "value": hex(value_wei)} | ({"to": to} if to else {})
        try:
            return integer_of(self._transport.ask("eth_estimateGas", request))
        except ExecutionReverted as error:
            raise self._reverted(error, None) from None

    def send_raw(self, raw: bytes) -> Digest:
        ours = digest(keccak(raw))
        try:
            theirs = digest(bytes_of(self._transport.ask("eth_sendRawTransaction", hex0x(raw))))
        except AlreadyKnown:
            return ours
        if theirs != ours:
            raise Unavailable("the node answers with another transaction's hash", "use another RPC endpoint")
        return ours

    def receipt(self, transaction_hash: Digest) -> TransactionReceipt | None:
        found = self._transport.ask("eth_getTransactionReceipt", hex0x(transaction_hash))
        return None if found is None else receipt_of(found)

    def wait(self, transaction_hash: Digest, timeout_seconds: int = WAIT_SECONDS) -> TransactionReceipt:
        for _ in range(int(timeout_seconds / POLL_SECONDS) + 1):
            if (found := self.receipt(transaction_hash)) is not None:
                return found
            self._waiter.wait(POLL_SECONDS)
        raise Unavailable(
            f"the transaction {hex0x(transaction_hash)} was in no block after {timeout_seconds} seconds",
            "wait on; if its fee is too low, raise it",
        )

    def why_reverted(self, receipt: TransactionReceipt) -> TransactionReverted:
        tx = self._transport.ask("eth_getTransactionByHash", hex0x(receipt.transaction_hash))
        request = {key: tx[key] for key in ("from", "to", "input", "value", "gas") if tx.get(key) is not None}
        try:
            self._transport.ask("eth_call", request, hex(receipt.block_number - 1))
        except ExecutionReverted as error:
            return self._reverted(error, None)
        except HeadwaterError as error:
            return TransactionReverted(f"the transaction failed: {error.cause}", error.next_step)
        return TransactionReverted(
            f"the transaction {hex0x(receipt.transaction_hash)} failed, and not when run alone",
            "look at the other transactions of its block, then repeat",
            block_number=receipt.block_number,
        )

    def advance(self, seconds: int) -> int:
        self._only_embedded("advance time")
        return integer_of(self._transport.ask("headwater_advance", seconds))

    def mine_empty(self, count: int) -> int:
        self._only_embedded("mine empty blocks")
        return integer_of(self._transport.ask("headwater_mine", count))

    def _only_embedded(self, what: str) -> None:
        if not self._is_embedded:
            raise Refused(
                f"only the embedded chain can {what}; chain {self._chain_id} has its own time", "wait for its blocks"
            )

    def _reverted(self, error: ExecutionReverted, abi: ContractAbi | None) -> TransactionReverted:
        found = self._decoded(error.data, abi)
        if found is None:
            raw = hex0x(error.data) if error.data else "no reason"
            return TransactionReverted(
                f"{abi.name if abi else 'the contract'} refused: {raw}",
                "check the values that were passed",
                error=None,
            )
        return TransactionReverted(
            f"{found.contract} refused: {found}",
            "mend what the error names, then repeat",
            error=found.name,
            args=plain_json(found.args),
            contract=found.contract,
        )

    def _decoded(self, data: bytes, abi: ContractAbi | None) -> DecodedError | None:
        """By the called contract first; one that it called may have spoken."""
        for candidate in (*([abi] if abi else []), *(artifact.abi for artifact in self._artifacts.values())):
            if found := candidate.decode_error(data):
                return found
        return None


def event_of(contract: Contract, log: RawLog) -> Event:
    """Decode one log of `contract`. Raises InvalidInput for a log that its ABI does not declare so."""
    decoded = contract.abi.decode_log(log.topics, log.data)
    if decoded is None:
        raise InvalidInput(f"{contract.name} declares no event with these topics", "check that the ABI is its own")
    return Event(contract.name, *decoded, log)


def _block_parameter(block: BlockRef) -> str:
    return hex(block) if isinstance(block, int) else block


def _topic_parameter(topic: bytes | list[bytes] | None) -> Any:
    if isinstance(topic, list):
        return [hex0x(item) for item in topic]
    return None if topic is None else hex0x(topic)
