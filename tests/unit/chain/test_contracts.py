"""Artefacts from the package, addresses from a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headwater.chain.contracts import Artifacts, DeployedContracts, shipped_artifacts
from headwater.errors import InvalidInput, NotFound, VerificationFailed
from headwater.types import address

WHERE = address("0x" + "1a" * 20)


def test_every_shipped_artefact_loads_and_has_code() -> None:
    shipped = shipped_artifacts()
    assert "CreditToken" in shipped
    for name, artifact in shipped.items():
        assert artifact.name == artifact.abi.name == name
        assert artifact.bytecode
        assert len(artifact.source_hash) == 64
        assert len(artifact.creation_code(*[_zero(p) for p in _constructor(artifact)])) <= 49_152  # EIP-3860


def _constructor(artifact) -> list[dict]:
    return next((e["inputs"] for e in artifact.abi.entries if e["type"] == "constructor"), [])


def _zero(parameter: dict) -> object:
    kind = parameter["type"]
    if kind.endswith("]"):
        item, _, length = kind.removesuffix("]").rpartition("[")
        return [_zero({**parameter, "type": item})] * int(length or 0)
    if kind == "tuple":
        return tuple(_zero(p) for p in parameter["components"])
    return {"address": WHERE, "string": "", "bool": False}.get(kind, 0)


def test_an_unknown_contract_is_named_with_those_there_are() -> None:
    with pytest.raises(NotFound, match="there is no contract Missing") as error:
        shipped_artifacts()["Missing"]
    assert "CreditToken" in error.value.next_step


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"abi": [], "bytecode": "0x__$aaaa$__", "sourceHash": ""}',
        '{"abi": 1, "bytecode": "0x", "sourceHash": ""}',
    ],
)
def test_a_damaged_artefact_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "Broken.json").write_text(text)
    with pytest.raises(VerificationFailed, match="the artefact of Broken is damaged"):
        Artifacts(tmp_path)["Broken"]


def test_addresses_survive_a_file(tmp_path: Path) -> None:
    deployed = DeployedContracts(31337, {"CreditToken": WHERE})
    deployed.save(tmp_path / "contracts.json")
    again = DeployedContracts.load(tmp_path / "contracts.json")
    assert again == deployed
    assert again["CreditToken"].address == WHERE
    assert [p.name for p in tmp_path.iterdir()] == ["contracts.json"]


def test_what_is_not_deployed_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="Staking is not deployed on chain 31337"):
        DeployedContracts(31337, {})["Staking"]
    with pytest.raises(NotFound, match="no list of contract addresses"):
        DeployedContracts.load(tmp_path / "none.json")


@pytest.mark.parametrize(
    "value",
    [
        [],
        {"chain_id": 1},
        {"chain_id": 1, "addresses": {}, "more": 1},
        {"chain_id": True, "addresses": {}},
        {"chain_id": 1, "addresses": []},
        {"chain_id": 1, "addresses": {"A": 5}},
        {"chain_id": 1, "addresses": {"A": "0x12"}},
        {"chain_id": 1, "addresses": {"A": "0x" + "aB" * 20}},
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, value: object) -> None:
    (tmp_path / "contracts.json").write_text(json.dumps(value))
    with pytest.raises(InvalidInput):
        DeployedContracts.load(tmp_path / "contracts.json")
