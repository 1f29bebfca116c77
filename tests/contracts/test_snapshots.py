"""P67: interfaces and storage layouts change only together with their snapshots.

`WRITE_SNAPSHOTS=1 pytest tests/contracts/test_snapshots.py` writes them. A snapshot is sorted lines, so that a diff
says what changed: one a function, event, error or constructor; one a storage variable, by slot and offset.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from eth_utils.abi import collapse_if_tuple

from headwater.chain.contracts import shipped_artifacts

FOLDER = Path(__file__).parent / "snapshots"
HEADERS = {"function": "function", "event": "event", "error": "error", "constructor": "constructor"}


def interface_line(entry: dict[str, Any]) -> str:
    """As in Solidity, with the names of parameters, since encoders and readers use them."""
    inputs = ", ".join(parameter(i) for i in entry.get("inputs", ()))
    line = f"{entry['type']} {entry.get('name', '')}({inputs})".replace("constructor (", "constructor(")
    if entry["type"] == "function":
        line += f" {entry['stateMutability']}"
        if entry["outputs"]:
            line += f" returns ({', '.join(parameter(o) for o in entry['outputs'])})"
    return line


def parameter(entry: dict[str, Any]) -> str:
    indexed = " indexed" if entry.get("indexed") else ""
    return f"{collapse_if_tuple(entry)}{indexed} {entry['name']}".strip()


def storage_lines(layout: dict[str, Any]) -> list[str]:
    """Slot, offset, name and type of every variable, and of the members of every struct that is stored."""
    types = layout["types"] or {}
    lines = [f"slot {v['slot']} offset {v['offset']}: {v['label']} {v['type']}" for v in layout["storage"]]
    for name, kind in sorted(types.items()):
        lines += [
            f"{name} slot {m['slot']} offset {m['offset']}: {m['label']} {m['type']}" for m in kind.get("members", ())
        ]
    return lines


def snapshot_of(contract: str) -> dict[str, list[str]]:
    document = shipped_artifacts()[contract].document
    entries = [e for e in document["abi"] if e["type"] in HEADERS]
    return {"interface": sorted(map(interface_line, entries)), "storage": storage_lines(document["storageLayout"])}


def changes(before: dict[str, list[str]], after: dict[str, list[str]]) -> list[str]:
    return [
        f"{part}: {sign} {line}"
        for part in ("interface", "storage")
        for sign, first, second in (("-", before, after), ("+", after, before))
        for line in first[part]
        if line not in second[part]
    ]


@pytest.mark.parametrize("contract", shipped_artifacts())
def test_p67_interface_and_storage_are_what_the_snapshot_says(contract: str) -> None:
    path, now = FOLDER / f"{contract}.json", snapshot_of(contract)
    if os.environ.get("WRITE_SNAPSHOTS"):
        path.write_text(json.dumps(now, indent=1) + "\n", "utf-8")
    assert path.is_file(), f"no snapshot of {contract}: WRITE_SNAPSHOTS=1 pytest {Path(__file__).name}"
    kept = json.loads(path.read_text("utf-8"))
    told = "\n".join(changes(kept, now)) or "the order of storage"
    assert now == kept, f"{contract} changed; if it is meant, write its snapshot in the same commit:\n{told}"


def test_no_snapshot_outlives_its_contract() -> None:
    assert {p.stem for p in FOLDER.glob("*.json")} == set(shipped_artifacts())


def test_a_change_is_told_line_by_line() -> None:
    before = snapshot_of("CreditToken")
    after = {part: list(lines) for part, lines in before.items()}
    after["interface"].remove("function totalSupply() view returns (uint256)")
    after["storage"].append("slot 99 offset 0: extra t_uint256")
    assert changes(before, after) == [
        "interface: - function totalSupply() view returns (uint256)",
        "storage: + slot 99 offset 0: extra t_uint256",
    ]
