"""The examples for others: a Solidity consumer and a plain web3.py script read the deployed contracts."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from bare_evm import ROOT, Actor, Deployed, Evm
from registry_world import PRICE, Registries, name
from settlement_world import CREDIT, Committed
from web3 import Web3
from web3.providers.base import BaseProvider

from headwater.protocol.attribution import Attribution, AttributionBody
from headwater.protocol.epoch import ReceiptLeaf, SignedReceipt, receipt_leaf
from headwater.protocol.merkle import MerkleTree
from headwater.protocol.model import ModelVersion
from headwater.protocol.receipt import Receipt
from headwater.provenance.export import EpochPlace
from headwater.testing import vectors
from headwater.types import WHOLE_PPM, ZERO_DIGEST, Signature, hex0x

SCRIPT = ROOT / "scripts/examples/query_models.py"


class EvmProvider(BaseProvider):
    """The few JSON-RPC methods that a reader needs, answered by a bare EVM."""

    def __init__(self, evm: Evm) -> None:
        super().__init__()
        self.evm = evm

    def make_request(self, method: str, params: Any) -> Any:
        answer: dict[str, Callable[[], Any]] = {
            "eth_chainId": lambda: hex(self.evm.chain_id),
            "eth_blockNumber": lambda: hex(self.evm.block_number),
            "eth_call": lambda: self._call(params[0]),
            "eth_getLogs": lambda: self._logs(params[0]),
        }
        return {"jsonrpc": "2.0", "id": 1, "result": answer[method]()}

    def _call(self, asked: Any) -> str:
        data = bytes.fromhex(asked["data"][2:])
        return hex0x(self.evm.call(asked["to"], data, "reader"))

    def _logs(self, asked: Any) -> list[dict[str, Any]]:
        addresses = asked["address"] if isinstance(asked["address"], list) else [asked["address"]]
        wanted = {a.lower() for a in addresses}
        return [
            self._log(i, *entry)
            for i, entry in enumerate(self.evm.logs)
            if hex0x(entry[1]) in wanted and self._matches(entry[2], asked["topics"])
        ]

    def _matches(self, topics: Sequence[int], wanted: Sequence[str | Sequence[str] | None]) -> bool:
        """Each place: anything, one topic, or one of several."""
        places = [[w] if isinstance(w, str) else w for w in wanted]
        return all(w is None or any(int(x, 16) == t for x in w) for t, w in zip(topics, places, strict=False))

    def _log(self, index: int, block: int, where: bytes, topics: Sequence[int], data: bytes) -> dict[str, Any]:
        return {
            "address": Web3.to_checksum_address(where),
            "topics": [hex0x(t.to_bytes(32, "big")) for t in topics],
            "data": hex0x(data),
            "blockNumber": hex(block),
            "blockHash": hex0x(self.evm.block_hash(block)),
            "transactionHash": hex0x(bytes(32)),
            "transactionIndex": "0x0",
            "logIndex": hex(index),
            "removed": False,
        }


@dataclass(frozen=True)
class Story:
    """Two versions of a model, and one receipt of the first in a committed epoch."""

    world: Registries
    version: ModelVersion
    successor: ModelVersion
    signed: SignedReceipt
    leaf: ReceiptLeaf
    tree: MerkleTree
    done: Committed

    @property
    def proof(self) -> tuple[Any, ...]:
        """The last arguments of the consumer's `accept`."""
        return self.done.entry, self.leaf, 1, self.tree.proof(1)

    @property
    def export(self) -> dict[str, Any]:
        """The two members of an exported receipt that a chain is asked about."""
        place = EpochPlace(self.done.epoch, 1, self.tree.proof(1), ())
        return {"place": place.to_json(), "signed": self.signed.to_json()}


@pytest.fixture(scope="module")
def told() -> tuple[Story, tuple[bytes, int, int]]:
    world = Registries(Evm())
    key = world.add_validator(0)
    world.anchored()
    snapshots = [world.sealed_snapshot()]
    version = world.model_version(snapshots)
    world.register(version, snapshots)
    world.seal_version(version)
    world.attest(world.verdict(version, key), key)
    world.models.send(world.maker, "activate", version.model_id, 1)
    successor = replace(version, version=2, parent_model_id=version.model_id, parent_version=1)
    world.register(successor, snapshots)
    signed = signed_receipt(world, version)
    leaf = receipt_leaf(signed)
    other = replace(leaf, sequence=leaf.sequence + 1)
    tree = MerkleTree([other.digest(), leaf.digest(), other.digest()])
    settlement = world.settlement
    settlement.validators = settlement.validators[:1]
    settlement.register(settlement.provider, 2, 100 * CREDIT)
    settlement.fund(CREDIT)
    done = settlement.commit({Actor("anna").address: 5}, receipts_root=tree.root)
    return Story(world, version, successor, signed, leaf, tree, done), world.evm.snapshot()


@pytest.fixture
def story(told: tuple[Story, tuple[bytes, int, int]]) -> Story:
    made, snapshot = told
    made.world.evm.restore(snapshot)
    return made


@pytest.fixture
def consumer(story: Story) -> Deployed:
    world = story.world
    return world.evm.deploy("ModelConsumer", world.models, world.settlement.ledger, story.version.model_id)


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("query_models", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def signed_receipt(world: Registries, version: ModelVersion) -> SignedReceipt:
    receipt, attribution = vectors.sample(Receipt), vectors.sample(Attribution)
    assert isinstance(receipt, Receipt) and isinstance(attribution, Attribution)
    receipt = replace(receipt, model_id=version.model_id, version=version.version)
    body = AttributionBody(receipt.digest(), name("method"), name("index"), b"", 0, (), (), WHOLE_PPM, ())
    key, domain = Actor("provider key"), world.settlement.escrow.domain
    return SignedReceipt(
        receipt, Signature(key.sign(receipt, domain)), attribution, Signature(key.sign(attribution, domain)), body
    )


# -- the contract --------------------------------------------------------------------------------------------------


def test_a_contract_reads_status_price_and_lineage(story: Story, consumer: Deployed) -> None:
    card = consumer.call("cardOf", story.version.model_id, 1)
    assert (card.status, card.isCertified, card.isIndependent) == (3, False, False)
    assert (card.perThousandTokensWei, card.contributorsPpm) == (PRICE, 500_000)
    assert card.baseDigest == story.version.base_digest
    assert consumer.call("priceOf", story.version.model_id, 1, 1_500) == PRICE * 3 // 2
    assert consumer.call("isTrusted", story.version.model_id, 1)
    assert not consumer.call("isTrusted", story.version.model_id, 2)  # registered, not active
    other = story.world.evm.deploy("ModelConsumer", story.world.models, story.world.settlement.ledger, ZERO_DIGEST)
    assert not other.call("isTrusted", story.version.model_id, 1)


def test_a_contract_accepts_an_answer_once_its_epoch_is_final(story: Story, consumer: Deployed) -> None:
    receipt, evm = story.signed.receipt, story.world.evm
    with evm.reverts("ReceiptNotFinal", receipt.digest(), True):
        consumer.send("reader", "accept", receipt, *story.proof)
    story.world.settlement.finalise()
    forged = replace(receipt, response_digest=ZERO_DIGEST)
    with evm.reverts("ReceiptNotFinal", forged.digest(), True):
        consumer.send("thief", "accept", forged, *story.proof)
    assert consumer.send("reader", "accept", receipt, *story.proof).names() == ["AnswerAccepted"]
    with evm.reverts("AlreadyAccepted", receipt.digest()):
        consumer.send("reader", "accept", receipt, *story.proof)


def test_a_contract_accepts_no_answer_of_another_model(story: Story, consumer: Deployed) -> None:
    story.world.settlement.finalise()
    forged = replace(story.signed.receipt, version=2)
    with story.world.evm.reverts("ModelNotTrusted", story.version.model_id, 2):
        consumer.send("thief", "accept", forged, *story.proof)


# -- the script ----------------------------------------------------------------------------------------------------


def test_the_script_lists_every_version_with_price_and_lineage(story: Story, script: ModuleType) -> None:
    w3 = Web3(EvmProvider(story.world.evm))
    first, second = script.all_models(script.contract(w3, "ModelRegistry", story.world.models.address))
    model_id = hex0x(story.version.model_id)
    assert (first["model_id"], first["version"], first["status"]) == (model_id, 1, "active")
    assert (second["version"], second["status"]) == (2, "registered")
    assert first["owner"] == story.world.maker.address
    assert (first["price_per_thousand_tokens_wei"], first["price_version"]) == (PRICE, 1)
    assert (first["certified"], first["attesters"], first["contributors_ppm"]) == (False, 1, 500_000)
    assert second["lineage"] == [f"{model_id}:2", f"{model_id}:1"]


def test_the_script_asks_the_chain_for_an_exported_receipt(story: Story, script: ModuleType) -> None:
    w3 = Web3(EvmProvider(story.world.evm))
    ledger = script.contract(w3, "AttributionLedger", story.world.settlement.ledger.address)
    assert script.receipt_status(ledger, story.export) == (True, False)
    story.world.settlement.finalise()
    assert script.receipt_status(ledger, story.export) == (True, True)


@pytest.mark.parametrize("member", ["price", "model_id", "sequence"])
def test_the_script_does_not_know_a_changed_receipt(story: Story, script: ModuleType, member: str) -> None:
    w3 = Web3(EvmProvider(story.world.evm))
    ledger = script.contract(w3, "AttributionLedger", story.world.settlement.ledger.address)
    export = json.loads(json.dumps(story.export))
    changed = {"price": "1", "model_id": hex0x(ZERO_DIGEST), "sequence": 1}
    export["signed"]["receipt"][member] = changed[member]
    assert script.receipt_status(ledger, export) == (False, False)


def test_the_script_says_when_there_is_no_such_epoch(story: Story, script: ModuleType) -> None:
    w3 = Web3(EvmProvider(story.world.evm))
    ledger = script.contract(w3, "AttributionLedger", story.world.settlement.ledger.address)
    with pytest.raises(ValueError, match="names no epoch yet"):
        script.receipt_status(ledger, story.export | {"place": None})
    other = json.loads(json.dumps(story.export))
    other["place"]["epoch"]["payout_total"] = "6"
    with pytest.raises(ValueError, match="never committed"):
        script.receipt_status(ledger, other)


def test_the_script_asks_for_the_address_that_it_needs(script: ModuleType, tmp_path: Path) -> None:
    for arguments in (["models"], ["receipt", str(tmp_path / "file")]):
        with pytest.raises(SystemExit):
            script.main(arguments)
