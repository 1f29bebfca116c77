"""Fitting a version's attribution index in a child process, and opening it again.

In: a finished training's folder, who owns each record, the sketch seed. Out: the folder `index` beside the adapter,
and its root. A fit that was killed goes on where its journal ends; a finished one is only opened.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from headwater.attribution.checkpoint import load_checkpoint
from headwater.attribution.features import GradientModel
from headwater.attribution.fit import FitRecord, fit_index
from headwater.attribution.index import MANIFEST_FILE, AttributionIndex, IndexedRecord
from headwater.attribution.method import DEFAULT_METHOD
from headwater.attribution.score import Scorer
from headwater.errors import JobFailed
from headwater.modelfactory import job_spec as files
from headwater.modelfactory.data import Example, label_all, read_examples
from headwater.modelfactory.job_spec import JobSpec
from headwater.modelfactory.recipe import used_records
from headwater.modelfactory.tokenizer import Tokenizer
from headwater.protocol.attribution import AttributionMethod
from headwater.protocol.codec import Account, Bytes32, Document
from headwater.protocol.recipe import Recipe
from headwater.protocol.tokens import LabelledTokens
from headwater.service.jobs import Report
from headwater.service.model_rows import VersionRow
from headwater.storage.files import write_durably
from headwater.types import Address, Digest, hex0x

FOLDER: Final = "index"
PLAN_FILE: Final = "index.json"
LOG_FILE: Final = "index.log"
LOCK_FILE: Final = "index.lock"
PROGRESS_FILE: Final = "index-progress.json"
POLL_SECONDS: Final = 1.0
LOG_LINES: Final = 20

Owners = Mapping[Digest, tuple[Address, Digest, Digest]]
"""Commitment -> (owner, Datanet, cluster)."""


@dataclass(frozen=True, slots=True)
class RecordOwner(Document):
    commitment: Bytes32
    owner: Account
    datanet_id: Bytes32
    cluster: Bytes32


@dataclass(frozen=True, slots=True)
class FitPlan(Document):
    """What the child reads; paths are of this machine."""

    base_folder: str
    method: AttributionMethod
    sketch_seed: Bytes32
    owners: tuple[RecordOwner, ...]


@dataclass(frozen=True, slots=True)
class IndexPlan:
    """What a fit needs beside the training's own folder."""

    base_folder: Path
    recipe: Recipe
    owners: Owners
    sketch_seed: Digest


def open_index(version: VersionRow) -> AttributionIndex:
    """The index of a registered version, checked against the root on chain."""
    return AttributionIndex.load(version.index_folder, version.version.index_root)


def fit_in_child(folder: Path, plan: IndexPlan, report: Report) -> dict[str, Any]:
    """Fit the index of the training in `folder`. Raises JobFailed with the child's last lines."""
    if not (folder / FOLDER / MANIFEST_FILE).is_file():
        owners = tuple(RecordOwner(name, *facts) for name, facts in sorted(plan.owners.items()))
        document = FitPlan(str(plan.base_folder), DEFAULT_METHOD, plan.sketch_seed, owners)
        with _alone(folder) as lock:
            if not (folder / FOLDER / MANIFEST_FILE).is_file():
                write_durably(folder / PLAN_FILE, document.canonical_bytes())
                _run_child(folder, lock, report)
    index = AttributionIndex.load(folder / FOLDER)
    return {
        "index_root": hex0x(index.root),
        "rows": len(index),
        "floor_unit": Scorer(index).floor_unit,
        "method_id": hex0x(index.method.digest()),
        "record_cap_ppm": index.method.record_cap_ppm,
        "listed_rows": index.method.listed_rows,
    }


@contextmanager
def _alone(folder: Path) -> Iterator[int]:
    """Hold the folder's lock, which the child inherits: one that outlived its node is waited for, not doubled."""
    lock = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock
    finally:
        os.close(lock)


def _run_child(folder: Path, lock: int, report: Report) -> None:
    with (folder / LOG_FILE).open("ab") as log:
        child = subprocess.Popen(
            # Idle OpenMP threads must sleep: the node beside it needs the cores too.
            [
                "/usr/bin/env",
                "OMP_WAIT_POLICY=PASSIVE",
                sys.executable,
                "-m",
                "headwater.service.indexing",
                str(folder),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=(lock,),
        )
    shown: Any = None
    while True:
        try:
            code: int | None = child.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            code = None
        progress = _progress(folder)
        if progress != shown:
            shown = progress
            report({"stage": "index", "metrics": progress})
        if code == 0:
            return
        if code is not None:
            lines = (folder / LOG_FILE).read_text("utf-8", "replace").splitlines()[-LOG_LINES:]
            raise JobFailed(
                f"the fit of the index ended with {code}: {lines[-1] if lines else 'it said nothing'}",
                "mend what it names, then run the same command again: it goes on",
                log_tail=lines,
            )


def _progress(folder: Path) -> dict[str, int]:
    path = folder / PROGRESS_FILE
    return dict(json.loads(path.read_text("ascii"))) if path.is_file() else {}


def used_examples(folder: Path) -> tuple[Example, ...]:
    """The records that the training in `folder` used, in the index's order."""
    spec = JobSpec.from_bytes((folder / files.SPEC_FILE).read_bytes())
    examples = read_examples(folder / files.TRAIN_FILE)
    return examples[: used_records(spec.recipe, len(examples))]


def labelled_records(folder: Path, base_folder: Path) -> tuple[LabelledTokens, ...]:
    """The same as tokens, as the training saw them."""
    spec = JobSpec.from_bytes((folder / files.SPEC_FILE).read_bytes())
    return label_all(Tokenizer.from_folder(base_folder), used_examples(folder), spec.recipe.max_tokens)


def fit(folder: Path) -> None:
    """The child's work."""
    plan = FitPlan.from_bytes((folder / PLAN_FILE).read_bytes())
    spec = JobSpec.from_bytes((folder / files.SPEC_FILE).read_bytes())
    base_folder = Path(plan.base_folder)
    owners = {o.commitment: o for o in plan.owners}
    records = []
    for example, tokens in zip(used_examples(folder), labelled_records(folder, base_folder), strict=True):
        known = owners[example.record_id]
        record = IndexedRecord(known.commitment, known.owner, known.datanet_id, known.cluster)
        records.append(FitRecord(record, tokens))
    checkpoint = load_checkpoint(folder / files.CHECKPOINT_FOLDER, spec.recipe.adam_beta2_ppm)
    model = GradientModel.load(base_folder, checkpoint, plan.method)

    def progress(done: int, total: int) -> None:
        temporary = folder / (PROGRESS_FILE + ".new")
        temporary.write_text(json.dumps({"records_done": done, "records": total}), "ascii")
        temporary.replace(folder / PROGRESS_FILE)

    fit_index(model, records, plan.sketch_seed, folder / FOLDER, progress)


if __name__ == "__main__":
    fit(Path(sys.argv[1]))
