"""Putting one answer's evidence into a file, anchoring it alone, and asking a chain about its epoch."""

from __future__ import annotations

from eth_utils import keccak

from headwater.chain.client import RpcChain
from headwater.chain.contracts import DeployedContracts
from headwater.chain.values import TransactionReceipt
from headwater.protocol.epoch import EpochBundle, attribution_leaf, leaves_tree, receipt_leaf
from headwater.protocol.merkle import MerkleTree
from headwater.protocol.signatures import recover
from headwater.provenance.export import FORMAT, DisclosedAnswer, EpochPlace, ProvenRow, ReceiptExport, sealed_export
from headwater.service.epochs import LEDGER, Epochs, epoch_of
from headwater.service.indexing import open_index
from headwater.service.lanes import ESCROW
from headwater.service.model_rows import ModelRows
from headwater.service.receipt_rows import ReceiptRow, ReceiptRows
from headwater.service.workbench import Workbench
from headwater.types import ZERO_DIGEST, Address, Digest


def export_receipt(bench: Workbench, request_id: Digest, with_answer: bool) -> ReceiptExport:
    """Everything behind one answer. Raises NotFound while its attribution is being made."""
    rows = ReceiptRows(bench.database, bench.home.path)
    row = rows.required(request_id)
    signed = row.signed()
    version = ModelRows(bench.database).get(row.receipt.model_id, row.receipt.version)
    index = open_index(version)
    tree = MerkleTree([leaf.digest() for leaf in index.leaves])
    escrow = bench.domain(ESCROW)
    disclosed = None
    if with_answer:
        private = rows.private(request_id)
        disclosed = DisclosedAnswer(private.request, private.response, private.user_nonce)
    export = ReceiptExport(
        format=FORMAT,
        chain_id=bench.chain_id,
        escrow=bench.contract_address(ESCROW),
        ledger=bench.contract_address(LEDGER),
        provider_key=recover(row.receipt.signing_digest(escrow), signed.receipt_signature),
        signed=signed,
        method=index.method,
        rows=tuple(ProvenRow(index.leaves[s.position], tree.proof(s.position)) for s in signed.body.scores),
        place=_place(bench, row),
        disclosed=disclosed,
        checksum=ZERO_DIGEST,
    )
    return sealed_export(export)


def _place(bench: Workbench, row: ReceiptRow) -> EpochPlace | None:
    """Where a covered receipt stands; None before its epoch is committed."""
    epochs = Epochs(bench)
    for committed in epochs.committed():
        bundle = epochs.bundle_of(committed.epoch)
        position = _position(bundle, row)
        if position is not None:
            receipts = leaves_tree([receipt_leaf(s) for s in bundle.receipts])
            attributions = leaves_tree([attribution_leaf(s) for s in bundle.receipts])
            return EpochPlace(committed.epoch, position, receipts.proof(position), attributions.proof(position))
    return None


def _position(bundle: EpochBundle, row: ReceiptRow) -> int | None:
    wanted = row.receipt.digest()
    return next((i for i, s in enumerate(bundle.receipts) if s.receipt.digest() == wanted), None)


def anchor_receipt(bench: Workbench, wallet: str, request_id: Digest) -> TransactionReceipt:
    """Send one receipt with its attribution to the escrow, which checks both signatures and emits."""
    signed = ReceiptRows(bench.database, bench.home.path).required(request_id).signed()
    arguments = (
        signed.receipt.values(),
        signed.receipt_signature,
        signed.attribution.values(),
        signed.attribution_signature,
    )
    intent = f"anchor receipt 0x{keccak(signed.receipt.digest()).hex()}"
    return bench.send(wallet, ESCROW, "anchorReceipt", *arguments, intent=intent)


def epoch_digest_on_chain(rpc_url: str, chain_id: int, ledger: Address, epoch_id: int) -> Digest | None:
    """The digest of a committed epoch that no later event has invalidated; None if there is none."""
    chain = RpcChain(rpc_url, chain_id)
    contract = DeployedContracts(chain_id, {LEDGER: ledger})[LEDGER]
    committed = chain.logs(contract, "EpochCommitted", 0, "latest", epochId=epoch_id)
    if not committed:
        return None
    last = committed[-1]
    place = (last.block_number, last.log.log_index)
    for event in chain.logs(contract, "EpochInvalidated", 0):
        if (event.block_number, event.log.log_index) > place and event.args["epochId"] <= epoch_id:
            return None
    return epoch_of(last.args["epoch"]).digest()
