"""The committed artefacts belong to the committed sources: shown by hashes, without a compiler."""

import hashlib
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = ROOT / "node/headwater/chain/artifacts"
FOR_TESTS = ROOT / "tests/contracts/artifacts"
ARTIFACTS = sorted([*SHIPPED.glob("*.json"), *FOR_TESTS.glob("*.json")])
DEPLOYABLE = re.compile(r"^contract (\w+)", re.MULTILINE)
RESTRICTED = re.compile(r"function (\w+)\([^{;]*\brestricted\b")
ROLE_IDS = re.compile(r"uint64 public constant ([A-Z]+) = \w+;")


def load(path: Path) -> dict:
    return json.loads(path.read_text("utf-8"))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def deployable(folder: Path) -> set[str]:
    return {name for path in folder.rglob("*.sol") for name in DEPLOYABLE.findall(path.read_text("utf-8"))}


@pytest.mark.parametrize("path", ARTIFACTS, ids=lambda p: p.stem)
def test_sources_are_those_that_it_was_compiled_from(path: Path) -> None:
    artifact = load(path)
    for name, digest in artifact["sources"].items():
        source = ROOT / name
        if name.startswith("node_modules/") and not source.is_file():
            continue  # pinned by package-lock.json, and only there after `npm ci`
        assert sha256(source.read_bytes()) == digest, f"{name} changed: run scripts/build_artifacts and commit"
    lines = "".join(f"{name} {digest}\n" for name, digest in sorted(artifact["sources"].items()))
    assert artifact["sourceHash"] == sha256(lines.encode())


@pytest.mark.parametrize("path", ARTIFACTS, ids=lambda p: p.stem)
def test_compiler_is_the_pinned_one(path: Path) -> None:
    compiler = load(path)["compiler"]
    pinned = json.loads((ROOT / "package.json").read_text("utf-8"))["devDependencies"]["solc"]
    assert compiler["version"].split("+")[0] == pinned
    assert compiler["settings"]["evmVersion"] == "prague"
    assert compiler["settings"]["optimizer"] == {"enabled": True, "runs": 200}


def test_every_contract_has_its_artifact_and_no_other_is_there() -> None:
    mocks = deployable(ROOT / "contracts/mocks")
    assert {p.stem for p in FOR_TESTS.glob("*.json")} == mocks | deployable(ROOT / "scripts/examples")
    assert {p.stem for p in SHIPPED.glob("*.json")} == deployable(ROOT / "contracts") - mocks


def test_every_restricted_function_names_a_role_that_exists() -> None:
    known = set(ROLE_IDS.findall((ROOT / "contracts/governance/ProtocolAccess.sol").read_text("utf-8")))
    named = {}
    for path in SHIPPED.glob("*.json"):
        artifact = load(path)
        own = [ROOT / source for source in artifact["sources"] if source.startswith("contracts/")]
        restricted = {name for source in own for name in RESTRICTED.findall(source.read_text("utf-8"))}
        roles = {signature.split("(")[0]: row["role"] for signature, row in artifact["roles"].items()}
        assert set(roles) == restricted, f"{artifact['sourceName']}: tag each restricted function with @custom:role"
        named |= roles
    assert set(named.values()) <= known
    assert named["mint"] == "FAUCET"


def test_bytecode_is_there_and_linked() -> None:
    for path in SHIPPED.glob("*.json"):
        assert re.fullmatch(r"0x[0-9a-f]+", load(path)["bytecode"]), f"{path.stem} has unlinked or no bytecode"
