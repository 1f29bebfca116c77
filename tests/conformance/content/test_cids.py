"""Our CIDs against `vectors.json`, which a real Kubo core gave (and gives again in `test_kubo_core.py`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headwater.content.unixfs import Source, build_file, cid_of
from headwater.testing.content_fakes import formula_chunks

VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text("utf-8"))


def folder(entries: dict[str, Any]) -> dict[str, Source]:
    return {name: value.encode() if isinstance(value, str) else folder(value) for name, value in entries.items()}


@pytest.mark.parametrize("vector", VECTORS["files"], ids=lambda vector: str(vector["bytes"]))
def test_a_file_has_the_cid_that_kubo_gave(vector: dict[str, Any]) -> None:
    built = build_file(formula_chunks(vector["bytes"]), lambda cid, block: None)
    assert built.cid == vector["cid"]
    assert built.content_bytes == vector["bytes"]


@pytest.mark.parametrize("vector", VECTORS["folders"], ids=lambda vector: vector["name"])
def test_a_folder_has_the_cid_that_kubo_gave(vector: dict[str, Any]) -> None:
    assert cid_of(folder(vector["entries"])) == vector["cid"]
