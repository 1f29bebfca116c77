"""The demo's records: real ICD-10-CM and CWE entries, written to files as contributors would bring them.

In: the demo's home. Out: three slices, each a Datanet with its contributors' files. Which codes of a category a
contributor brings is fixed by position, not by chance: every n-th of the category in code-book order.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headwater.config import Config
from headwater.modelfactory.assets import assets_folder
from headwater.modelfactory.samples import SampleRow, sample_rows

LICENSE: Final = """Headwater demo licence 1

The records may be used to train, evaluate and retrieve for language models, also commercially, by trainers that this
Datanet's owner admits. Every paid answer of a model trained on them pays their contributors by measured influence.
A contributor may withdraw at any time; no later snapshot then holds the records.
"""
PER_CATEGORY: Final = 110
HELD_OUT_PPM: Final = 272_728
"""150 of 550 records."""
SLICE_RECORDS: Final = 300
SLICE_HELD_OUT_PPM: Final = 200_000
QUICK_PER_CATEGORY: Final = 24
QUICK_SLICE_RECORDS: Final = 40


@dataclass(frozen=True, slots=True)
class Part:
    """One contributor's file."""

    wallet: str
    file: Path
    rows: tuple[SampleRow, ...]


@dataclass(frozen=True, slots=True)
class Slice:
    """One Datanet of the demo and the model that is made of it."""

    datanet: str
    model: str
    held_out_ppm: int
    parts: tuple[Part, ...]
    categories: dict[str, str]
    """Category -> the wallet whose category it is."""

    def teacher_of(self, answer: str) -> str:
        """The contributor who owns the category of a right answer."""
        return next((w for c, w in self.categories.items() if answer.startswith(c)), "")


def slices(home: Path, config: Config, quick: bool) -> tuple[Slice, ...]:
    """Drug safety (five contributors, one a category), fractures, weaknesses."""
    assets = assets_folder(config.assets_dir)
    drugs = sample_rows("icd10-poisonings", assets)
    categories = sorted({row.category for row in drugs})
    per_category = QUICK_PER_CATEGORY if quick else PER_CATEGORY
    parts = tuple(
        _part(home, f"contributor-{c.lower()}", _spread([r for r in drugs if r.category == c], per_category))
        for c in categories
    )
    wallets = {c: f"contributor-{c.lower()}" for c in categories}
    small = QUICK_SLICE_RECORDS if quick else SLICE_RECORDS
    return (
        Slice("Drug safety coding", "headwater/drug-safety", HELD_OUT_PPM, parts, wallets),
        _single(home, "Fracture coding", "headwater/fractures", "icd10-fractures", small, config),
        _single(home, "Software weaknesses", "headwater/weaknesses", "cwe", small, config),
    )


def _single(home: Path, datanet: str, model: str, sample: str, count: int, config: Config) -> Slice:
    wallet = f"contributor-{sample.partition('-')[2] or sample}"
    rows = _spread(sample_rows(sample, assets_folder(config.assets_dir)), count)
    return Slice(datanet, model, SLICE_HELD_OUT_PPM, (_part(home, wallet, rows),), {})


def _part(home: Path, wallet: str, rows: Sequence[SampleRow]) -> Part:
    folder = home / "records"
    folder.mkdir(exist_ok=True)
    path = folder / f"{wallet}.jsonl"
    lines = (json.dumps({"prompt": r.prompt, "answer": r.answer}, ensure_ascii=False) for r in rows)
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return Part(wallet, path, tuple(rows))


def _spread(rows: Sequence[SampleRow], count: int) -> tuple[SampleRow, ...]:
    """`count` rows, evenly over the whole list."""
    if len(rows) <= count:
        return tuple(rows)
    return tuple(rows[i * len(rows) // count] for i in range(count))
