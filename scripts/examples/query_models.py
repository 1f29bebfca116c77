#!/usr/bin/env python3
"""Read Headwater from its chain with nothing but web3.py: models, their prices and lineage, and one receipt's proof.

    query_models.py --rpc http://127.0.0.1:8545 --registry 0x... models
    query_models.py --rpc http://127.0.0.1:8545 --ledger 0x... receipt FILE

`headwater contracts addresses` prints the two addresses; FILE is what `headwater receipt export` writes. Exit code 0:
done, and a receipt that was asked for is final; 1: it is not, or not yet.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from eth_abi.abi import encode
from eth_utils.crypto import keccak
from web3 import HTTPProvider, Web3
from web3.contract import Contract

ARTIFACTS = Path(__file__).resolve().parents[2] / "node/headwater/chain/artifacts"
STATUS = ("none", "registered", "attested", "active", "deprecated", "revoked", "lapsed")
LINEAGE_LIMIT = 16


def contract(w3: Web3, name: str, where: str) -> Contract:
    abi = json.loads((ARTIFACTS / f"{name}.json").read_text("utf-8"))["abi"]
    return w3.eth.contract(address=Web3.to_checksum_address(where), abi=abi)


# -- models --------------------------------------------------------------------------------------------------------


def all_models(registry: Contract) -> list[dict[str, Any]]:
    """Every version of every model, in the order of registration."""
    events = registry.events.ModelRegistered.get_logs(from_block=0)
    found = []
    for model_id in (event["args"]["modelId"] for event in events):
        owner, _, latest, _ = registry.functions.modelOf(model_id).call()
        found += [describe(registry, model_id, version) | {"owner": owner} for version in range(1, latest + 1)]
    return found


def describe(registry: Contract, model_id: bytes, version: int) -> dict[str, Any]:
    """What a reader wants to know of one version."""
    call = registry.functions
    made = named(registry, "versionOf", call.versionOf(model_id, version).call())
    state = named(registry, "stateOf", call.stateOf(model_id, version).call())
    price, price_version, split = call.quote(model_id, version).call()
    lineage = call.lineage(model_id, version, LINEAGE_LIMIT).call()
    return {
        "model_id": Web3.to_hex(model_id),
        "version": version,
        "status": STATUS[state["status"]],
        "certified": made["certificateDigest"] != bytes(32),
        "attesters": state["attesters"],
        "price_per_thousand_tokens_wei": price,
        "price_version": price_version,
        "contributors_ppm": split[0],
        "base_digest": Web3.to_hex(made["baseDigest"]),
        "lineage": [f"{Web3.to_hex(m)}:{v}" for m, v in lineage],
    }


def named(registry: Contract, function: str, values: tuple[Any, ...]) -> dict[str, Any]:
    """The members of a returned struct by their names."""
    entry = next(e for e in registry.abi if e.get("name") == function)
    return dict(zip([c["name"] for c in entry["outputs"][0]["components"]], values, strict=True))


# -- receipts ------------------------------------------------------------------------------------------------------


def receipt_status(ledger: Contract, export: dict[str, Any]) -> tuple[bool, bool]:
    """(known, final) of an exported receipt, asked of the contract. Raises ValueError if no epoch holds it."""
    place = export["place"]
    if place is None:
        raise ValueError("the export names no epoch yet: export it again after the next one is committed")
    structs = {t["name"]: t["components"] for t in function(ledger, "verifyReceipt")["inputs"] if "components" in t}
    epoch = members(structs["committed"][0]["components"], place["epoch"])
    receipt, signature = export["signed"]["receipt"], export["signed"]["receipt_signature"]
    escrow = contract(ledger.w3, "CreditEscrow", ledger.functions.escrow().call())
    anchored = function(escrow, "anchorReceipt")["inputs"][0]["components"]
    leaf = (
        bytes.fromhex(receipt["lane_id"][2:]),
        receipt["sequence"],
        struct_hash("Receipt", anchored, receipt),
        keccak(hexstr=signature),
    )
    proof = [bytes.fromhex(sibling[2:]) for sibling in place["receipt_proof"]]
    committed = (epoch, *committed_as(ledger, epoch))
    known, is_final = ledger.functions.verifyReceipt(committed, leaf, place["receipt_index"], proof).call()
    return known, is_final


def committed_as(ledger: Contract, epoch: tuple[Any, ...]) -> tuple[int, bytes]:
    """When this very epoch was committed, and the digest of its proposer and votes."""
    for event in ledger.events.EpochCommitted.get_logs(from_block=0, argument_filters={"epochId": epoch[0]}):
        args = event["args"]
        if tuple(args["epoch"].values()) == epoch:
            signers = keccak(encode(["address", "uint256[]"], [args["proposer"], args["votes"]]))
            return args["committedAt"], signers
    raise ValueError(f"epoch {epoch[0]} of this export was never committed on this ledger")


def struct_hash(name: str, components: list[Any], values: dict[str, Any]) -> bytes:
    """EIP-712 struct hash of a JSON object with snake_case members."""
    kinds = [c["type"] for c in components]
    listed = ",".join(c["type"] + " " + c["name"] for c in components)
    return keccak(encode(["bytes32", *kinds], [keccak(text=f"{name}({listed})"), *members(components, values)]))


def members(components: list[Any], values: dict[str, Any]) -> tuple[Any, ...]:
    """A JSON object's members in the struct's order, as web3 takes them."""
    out: list[Any] = []
    for component in components:
        value = values[re.sub(r"(?=[A-Z])", "_", component["name"]).lower()]
        if component["type"] == "bytes32":
            value = bytes.fromhex(value[2:])
        elif component["type"].startswith("uint"):
            value = int(value)
        out.append(value)
    return tuple(out)


def function(where: Contract, name: str) -> Any:
    return next(e for e in where.abi if e["type"] == "function" and e["name"] == name)


# -- command line --------------------------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rpc", default="http://127.0.0.1:8545")
    parser.add_argument("--registry", help="address of the ModelRegistry")
    parser.add_argument("--ledger", help="address of the AttributionLedger")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("models", help="list every model version")
    commands.add_parser("receipt", help="ask whether an epoch holds a receipt").add_argument("file", type=Path)
    options = parser.parse_args(arguments)
    w3 = Web3(HTTPProvider(options.rpc))
    if options.command == "models":
        if not options.registry:
            parser.error("models needs --registry")
        print(json.dumps(all_models(contract(w3, "ModelRegistry", options.registry)), indent=2))
        return 0
    if not options.ledger:
        parser.error("receipt needs --ledger")
    export = json.loads(options.file.read_text("utf-8"))
    known, is_final = receipt_status(contract(w3, "AttributionLedger", options.ledger), export)
    print(json.dumps({"known": known, "final": is_final}))
    return 0 if is_final else 1


if __name__ == "__main__":
    sys.exit(main())
