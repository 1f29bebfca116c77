"""The contracts as the package ships them, and where they stand on a chain.

In: `artifacts/*.json` of the package, a file of addresses. Out: `Artifact` (interface and creation code), `Contract`
(interface and address), `DeployedContracts` (all of one chain). Knows no network.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

from headwater.chain.abi import ContractAbi
from headwater.errors import InvalidInput, NotFound, VerificationFailed
from headwater.protocol.canonical import parse_json
from headwater.storage.files import write_durably
from headwater.types import Address, address

_SHIPPED: Final = files("headwater.chain") / "artifacts"


@dataclass(frozen=True, slots=True)
class Artifact:
    """What the compiler made of one contract. `document` is the whole file: storageLayout, compiler, sources, …"""

    name: str
    abi: ContractAbi
    bytecode: bytes
    source_hash: str
    document: Mapping[str, Any]

    def creation_code(self, *args: Any) -> bytes:
        """Bytecode and constructor arguments. Raises InvalidInput if they do not fit."""
        return self.bytecode + self.abi.encode_constructor(args)

    def at(self, where: Address) -> Contract:
        return Contract(self.name, where, self.abi)


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract that one can call: its interface, at an address."""

    name: str
    address: Address
    abi: ContractAbi


class Artifacts(Mapping[str, Artifact]):
    """All artefacts of a folder by contract name, each read on first use.

    Raises NotFound for an unknown name, VerificationFailed for a file that is not an artefact.
    """

    def __init__(self, folder: Traversable = _SHIPPED) -> None:
        self._files = {f.name.removesuffix(".json"): f for f in folder.iterdir() if f.name.endswith(".json")}
        self._read: dict[str, Artifact] = {}

    def __getitem__(self, name: str) -> Artifact:
        if name not in self._read:
            if name not in self._files:
                known = ", ".join(sorted(self._files)) or "none"
                raise NotFound(f"there is no contract {name}", f"name one of: {known}")
            self._read[name] = _artifact(name, self._files[name].read_text("utf-8"))
        return self._read[name]

    def __contains__(self, name: object) -> bool:
        return name in self._files

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._files))

    def __len__(self) -> int:
        return len(self._files)


@cache
def shipped_artifacts() -> Artifacts:
    """The artefacts inside the package."""
    return Artifacts()


def _artifact(name: str, text: str) -> Artifact:
    try:
        document = parse_json(text, f"the artefact of {name}", floats=True)
        bytecode = bytes.fromhex(document["bytecode"].removeprefix("0x"))
        abi = ContractAbi(name, tuple(document["abi"]))
        return Artifact(name, abi, bytecode, document["sourceHash"], document)
    except (InvalidInput, KeyError, TypeError, AttributeError, ValueError) as error:
        # A `__$…$__` in the bytecode, a library not yet linked, ends here too.
        raise VerificationFailed(
            f"the artefact of {name} is damaged ({error})", "run make contracts, or install the package again"
        ) from None


@dataclass(frozen=True, slots=True)
class DeployedContracts:
    """Where the contracts of one chain stand, by name."""

    chain_id: int
    addresses: Mapping[str, Address]

    def __getitem__(self, name: str) -> Contract:
        """The contract of that name with its shipped interface. Raises NotFound."""
        return self.contract(name, shipped_artifacts())

    def contract(self, name: str, artifacts: Mapping[str, Artifact]) -> Contract:
        if name not in self.addresses:
            raise NotFound(
                f"{name} is not deployed on chain {self.chain_id}", "run `headwater contracts deploy` there first"
            )
        return artifacts[name].at(self.addresses[name])

    def to_json(self) -> dict[str, Any]:
        return {"chain_id": self.chain_id, "addresses": dict(sorted(self.addresses.items()))}

    @classmethod
    def from_json(cls, value: Any) -> DeployedContracts:
        """Raises InvalidInput for anything but `{"chain_id": …, "addresses": {name: address}}`."""
        if not isinstance(value, dict) or value.keys() != {"chain_id", "addresses"}:
            raise InvalidInput(
                "this is not a list of contract addresses", "pass chain_id and addresses, nothing else"
            )
        chain_id, addresses = value["chain_id"], value["addresses"]
        if not isinstance(chain_id, int) or isinstance(chain_id, bool) or not isinstance(addresses, dict):
            raise InvalidInput("chain_id is a whole number and addresses an object", "mend the file")
        if not all(isinstance(text, str) for text in addresses.values()):
            raise InvalidInput("a contract's address is not text", "mend the file")
        return cls(chain_id, {name: address(text) for name, text in addresses.items()})

    def save(self, path: Path) -> None:
        """Write the file whole or not at all, and return when it is on disk. Raises DiskFull."""
        write_durably(path, json.dumps(self.to_json(), indent=1).encode() + b"\n", mode=0o644)

    @classmethod
    def load(cls, path: Path) -> DeployedContracts:
        """Raises NotFound if there is no such file, InvalidInput if it is something else."""
        if not path.is_file():
            raise NotFound(f"there is no list of contract addresses at {path}", "run `headwater contracts deploy`")
        return cls.from_json(parse_json(path.read_bytes(), str(path)))
