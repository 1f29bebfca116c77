"""The rules of the embedded chain: py-evm's Prague, with the checks that a network's peers would make.

In: decoded transactions, a header. Out: a block, and for each transaction that did not make it the reason. Knows
no file and no clock.

Closed here: py-evm accepts any chain id and a gas limit below the EIP-7623 floor, and one bad transaction aborts
its whole block. Different from a public Prague chain, and harmless to our contracts: no EIP-2935 history contract
(`blockhash` of the last 256 blocks works) and no EIP-4788 beacon roots, no blobs, PREVRANDAO is 0, coinbase is the
zero address, BASEFEE reads 0 in calls and estimates.
"""

from __future__ import annotations

from typing import Any, Final

import rlp
from eth.abc import (
    BlockHeaderAPI,
    ComputationAPI,
    ReceiptAPI,
    SignedTransactionAPI,
)
from eth.chains.base import MiningChain
from eth.db.chain import ChainDB
from eth.exceptions import PyEVMError
from eth.vm.forks.prague import PragueVM
from eth.vm.forks.prague.constants import STANDARD_TOKEN_COST, TOTAL_COST_FLOOR_PER_TOKEN
from eth_keys.exceptions import BadSignature as BadKeySignature
from eth_utils.exceptions import ValidationError

from headwater.errors import InvalidInput

GAS_OF_A_TRANSACTION: Final = 21_000
BLOB_TYPE: Final = 3


def floor_gas(data: bytes) -> int:
    """The least gas that a transaction with this calldata pays (EIP-7623)."""
    tokens = STANDARD_TOKEN_COST * len(data) - (STANDARD_TOKEN_COST - 1) * data.count(0)
    return int(GAS_OF_A_TRANSACTION + TOTAL_COST_FLOOR_PER_TOKEN * tokens)


_UNDECODABLE: Final = (
    rlp.exceptions.RLPException,
    PyEVMError,
    ValidationError,
    BadKeySignature,
    ValueError,
    TypeError,
    IndexError,
)


class NothingAccepted(Exception):
    """Every transaction was refused, so there is no block: empty ones are mined only on request."""


class NotingChainDB(ChainDB):  # type: ignore[misc]
    """py-evm's chain database, which also carries the last block's refusals out of the VM: hash -> reason."""

    refused: dict[bytes, str]


class LocalVM(PragueVM):  # type: ignore[misc]
    """Prague, where a transaction that breaks a rule is left out instead of spoiling the block."""

    def apply_all_transactions(
        self, transactions: list[SignedTransactionAPI], base_header: BlockHeaderAPI
    ) -> tuple[BlockHeaderAPI, tuple[ReceiptAPI, ...], tuple[ComputationAPI, ...]]:
        """Apply in order. Edits `transactions`, which `mine_all` goes on with; `chaindb.refused` gets the others.

        Raises NothingAccepted if there were some and all were refused.
        """
        accepted, receipts, computations = [], [], []
        header = base_header
        self.chaindb.refused = {}
        for transaction in transactions:
            nonce = self.state.get_nonce(transaction.sender)
            try:
                receipt, computation = self.apply_transaction(header, transaction)
            except ValidationError as error:
                # Every check comes before the first change; were it not so, the block would be spoilt.
                if self.state.get_nonce(transaction.sender) != nonce:
                    raise
                self.chaindb.refused[transaction.hash] = reason(error, transaction, nonce)
                continue
            header = self.increment_blob_gas_used(self.add_receipt_to_header(header, receipt), transaction)
            accepted.append(transaction)
            receipts.append(receipt)
            computations.append(computation)
        if transactions and not accepted:
            raise NothingAccepted
        transactions[:] = accepted
        return header, tuple(receipts), tuple(computations)


class LocalChain(MiningChain):  # type: ignore[misc]
    """From Paris on there is no proof of work: no seal, no rewards, no uncles."""

    vm_configuration = ((0, LocalVM),)
    chaindb_class = NotingChainDB

    @classmethod
    def with_id(cls, chain_id: int) -> type[LocalChain]:
        return type("LocalChain", (cls,), {"chain_id": chain_id})


def reason(error: ValidationError, transaction: SignedTransactionAPI, nonce: int) -> str:
    """Why a transaction was refused, in the words that wallets and libraries look for."""
    if transaction.nonce < nonce:
        return f"nonce too low: next nonce {nonce}, transaction's nonce {transaction.nonce}"
    if transaction.nonce > nonce:
        return f"nonce too high: next nonce {nonce}, transaction's nonce {transaction.nonce}"
    text = str(error)
    if "afford" in text or "balance" in text or "insufficient funds" in text.lower():
        return f"insufficient funds for gas * price + value: {text}"
    if "base fee" in text:
        return f"max fee per gas less than block base fee: {text}"
    return text


def decode_transaction(raw: bytes, chain_id: int, gas_limit: int) -> SignedTransactionAPI:
    """Decode signed bytes and check all that needs no state. Raises InvalidInput with the reason."""
    try:
        transaction: Any = LocalVM.get_transaction_builder().decode(raw)
        transaction.check_signature_validity()
        _ = transaction.sender
    except _UNDECODABLE as error:
        raise InvalidInput(
            f"these bytes are not a signed transaction ({error})", "sign it again and send the raw bytes"
        ) from None
    if transaction.chain_id != chain_id:
        theirs = "no chain at all" if transaction.chain_id is None else f"chain {transaction.chain_id}"
        raise InvalidInput(
            f"invalid chain id: the transaction was signed for {theirs}, this is chain {chain_id}",
            f"sign it with chain id {chain_id}",
        )
    if transaction.type_id == BLOB_TYPE:
        raise InvalidInput("this chain takes no blob transactions", "send type 2")
    least = max(transaction.intrinsic_gas, floor_gas(transaction.data))
    if transaction.gas < least:
        raise InvalidInput(
            f"intrinsic gas too low: gas {transaction.gas}, minimum needed {least}", "estimate the gas again"
        )
    if transaction.max_priority_fee_per_gas > transaction.max_fee_per_gas:
        raise InvalidInput(
            "max priority fee per gas higher than max fee per gas", "lower the priority fee, or raise the maximum"
        )
    if transaction.gas > gas_limit:
        raise InvalidInput(
            f"exceeds block gas limit: gas {transaction.gas}, limit {gas_limit}", "split the work, or lower the gas"
        )
    return transaction
