"""Real, openly licensed records for demos and tests: (prompt, answer, category) rows of three domains.

In: the assets folder. Out: rows in the source's own order. The poisoning and fracture codes are *compositional*: each
code is drug x intent x encounter, or bone x side x fracture x healing, so an unseen code can be worked out and not
looked up. Reads the packages' data files and runs none of their code.
"""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headwater.errors import NotFound
from headwater.modelfactory.assets import CWE, ICD_10_CM, locate

ICD_PROMPT: Final = "ICD-10-CM code: "
CWE_PROMPT: Final = "Name the software weakness: "
POISONING_CATEGORIES: Final = ("T36", "T37", "T38", "T39", "T40")
FRACTURE_CATEGORIES: Final = ("S52",)


@dataclass(frozen=True, slots=True)
class SampleRow:
    """One question with its answer; `category` is what a contributor of the demo owns."""

    prompt: str
    answer: str
    category: str


def sample_rows(name: str, assets_dir: Path) -> tuple[SampleRow, ...]:
    """Rows of 'icd10-poisonings' (996), 'icd10-fractures' (2,796) or 'cwe'. Raises NotFound, MissingContent."""
    match name:
        case "icd10-poisonings":
            return icd_rows(assets_dir, POISONING_CATEGORIES)
        case "icd10-fractures":
            return icd_rows(assets_dir, FRACTURE_CATEGORIES)
        case "cwe":
            return cwe_rows(assets_dir)
    raise NotFound(f"no sample is called {name!r}", "use icd10-poisonings, icd10-fractures or cwe")


def icd_rows(assets_dir: Path, categories: tuple[str, ...]) -> tuple[SampleRow, ...]:
    """All billable codes of the three-character `categories`, in code-book order."""
    tabular = locate(ICD_10_CM, assets_dir) / next(iter(ICD_10_CM.files))
    tree = ElementTree.parse(tabular)
    found = {node.findtext("name"): node for node in tree.iter("diag") if node.findtext("name") in categories}
    if missing := [c for c in categories if c not in found]:
        raise NotFound(f"ICD-10-CM has no category {missing[0]}", "name three-character categories such as T36")
    return tuple(
        SampleRow(f"{ICD_PROMPT}{description}", code, category)
        for category in categories
        for code, description in _codes(found[category], {})
    )


def _codes(node: ElementTree.Element, extensions: dict[str, str]) -> Iterator[tuple[str, str]]:
    """(code, description) of the leaves below; the nearest ancestor that defines seventh characters counts."""
    own = {e.attrib["char"]: e.text or "" for e in node.findall("sevenChrDef/extension")}
    extensions = own or extensions
    children = node.findall("diag")
    for child in children:
        yield from _codes(child, extensions)
    if children:
        return
    code, description = node.findtext("name") or "", node.findtext("desc") or ""
    if not extensions:
        yield code, description
        return
    # Six characters and a dot come before the seventh; X holds the places that the code does not use.
    stem = code if "." in code else f"{code}."
    for character, meaning in extensions.items():
        yield f"{stem.ljust(7, 'X')}{character}", f"{description}, {meaning}"


def cwe_rows(assets_dir: Path) -> tuple[SampleRow, ...]:
    """MITRE's research view: first sentence of the description -> the weakness's name; category = its abstraction."""
    table = locate(CWE, assets_dir) / next(iter(CWE.files))
    rows = []
    with table.open(encoding="utf-8", newline="") as file:
        for entry in csv.DictReader(file):
            if entry["Status"] in ("Deprecated", "Obsolete"):
                continue
            sentence = entry["Description"].split(". ")[0].strip().rstrip(".")
            rows.append(SampleRow(f"{CWE_PROMPT}{sentence}.", entry["Name"].strip(), entry["Weakness Abstraction"]))
    return tuple(rows)
