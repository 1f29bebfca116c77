"""From a sealed snapshot to a model that can be registered: train, fit the index, evaluate.

In: snapshot ids, a preset with changes. Out: a folder with adapter, checkpoint, steps, index and report, and the
digests that the chain will hold. Training and fitting run in child processes; a request that is repeated joins or
resumes what is there. Recipe, order and sketch seed derive from the first snapshot's seal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

from headwater.config import Config
from headwater.errors import InvalidInput, NotFound
from headwater.modelfactory import job_spec as files
from headwater.modelfactory.assets import assets_folder
from headwater.modelfactory.bases import base
from headwater.modelfactory.data import Example
from headwater.modelfactory.embeddings import minilm_folder
from headwater.modelfactory.job_spec import EvaluationPlan, JobKind, JobSpec
from headwater.modelfactory.jobs import ChildProcessExecutor, JobState, finished, prepare_job
from headwater.modelfactory.machine import detect_machine
from headwater.modelfactory.recipe import Preset, make_recipe, preset
from headwater.modelfactory.trainer import TrainingResult
from headwater.protocol.canonical import Json
from headwater.protocol.evaluation import EvaluationReport
from headwater.protocol.recipe import ComputeType, Recipe
from headwater.protocol.snapshot import DataSplit, derived_seed
from headwater.service.datanets import Datanets, SealedSnapshot
from headwater.service.indexing import IndexPlan, fit_in_child
from headwater.service.jobs import Report
from headwater.storage.home import Home
from headwater.types import Digest, digest, hex0x

POLL_SECONDS: Final = 1.0
RETRIEVED: Final = 5
SHOWN_QUESTIONS: Final = 3
CHANGEABLE: Final = ("epochs", "training_records", "rank", "alpha", "learning_rate_ppb", "warmup_steps", "batch_size")


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """What a person chooses. Everything else follows from the seal."""

    snapshot_ids: tuple[Digest, ...]
    base_name: str
    preset: str
    changes: Mapping[str, int]
    data_split: DataSplit

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> TrainRequest:
        """Raises InvalidInput for anything that is missing, unknown or of another type."""
        if unknown := raw.keys() - {"snapshot_ids", "base", "preset", "changes", "data_split"}:
            raise InvalidInput(f"a training has no setting {min(unknown)!r}", "leave it out")
        for name, kind in (("snapshot_ids", list), ("base", str)):
            if not isinstance(raw.get(name), kind):
                raise InvalidInput(f"a training needs {name} as a {kind.__name__}", "name it")
        split = str(raw.get("data_split", "compositional")).upper()
        if split not in DataSplit.__members__:
            raise InvalidInput(f"the data split {split.lower()!r} is unknown", "use compositional or random")
        return cls(
            _snapshot_ids(raw["snapshot_ids"]),
            raw["base"],
            str(raw.get("preset", "standard")),
            _changes(raw.get("changes") or {}),
            DataSplit[split],
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "snapshot_ids": [hex0x(s) for s in self.snapshot_ids],
            "base": self.base_name,
            "preset": self.preset,
            "changes": dict(self.changes),
            "data_split": self.data_split.name.lower(),
        }


class Training:
    """The handlers of the jobs 'train' and 'evaluate'."""

    def __init__(self, config: Config, home: Home, datanets: Datanets, base_folder: Path) -> None:
        self._config = config
        self._home = home
        self._datanets = datanets
        self._base_folder = base_folder
        self._executor = ChildProcessExecutor()

    def folder(self, job_id: str) -> Path:
        return self._home.jobs / job_id

    def train(self, job_id: str, raw: Mapping[str, Any], report: Report) -> Json:
        """Train, then fit the attribution index. Raises JobFailed with log lines, InvalidInput."""
        request = TrainRequest.from_json(raw)
        snapshots = [self._datanets.sealed(s) for s in request.snapshot_ids]
        recipe = self._recipe(request, snapshots[0])
        train, _ = examples(snapshots, request.data_split)
        folder = self.folder(job_id)
        spec = JobSpec(JobKind.TRAIN, str(self._base_folder), recipe, self._config.device, self._config.threads, None)
        report({"stage": "training", "records": len(train)})
        self._run(folder, spec, train, (), report)
        result = TrainingResult.from_bytes((folder / files.RESULT_FILE).read_bytes())
        report({"stage": "index"})
        index = fit_in_child(folder, self._index_plan(recipe, snapshots), report)
        return {
            "folder": str(folder),
            "recipe": recipe.to_json(),
            "recipe_digest": hex0x(recipe.digest()),
            "outcome": result.outcome.to_json(),
            "wall_ms": result.wall_ms,
            "tokens_per_second": result.tokens_per_second,
            "machine": result.machine.to_json(),
            "index": index,
        }

    def evaluate(self, job_id: str, raw: Mapping[str, Any], report: Report) -> Json:
        """Ask the held-out records of a trained model and of every control.

        Raises NotFound (no such training), InvalidInput (not one, not done, limit), JobFailed with log lines.
        """
        asked_for = _limit(raw.get("limit", 0))
        trained = self._trained(raw)
        spec = JobSpec.from_bytes((trained / files.SPEC_FILE).read_bytes())
        snapshots = [self._datanets.sealed(s) for s in spec.recipe.snapshot_ids]
        train, held_out = examples(snapshots, spec.recipe.data_split)
        limit = asked_for or len(held_out)
        plan = EvaluationPlan(
            str(trained / files.ADAPTER_FOLDER),
            str(minilm_folder(assets_folder(self._config.assets_dir))),
            len(held_out),
            RETRIEVED,
            self._datanets.unused_sealed(spec.recipe.snapshot_ids),
        )
        folder = self.folder(job_id)
        evaluation = replace(spec, kind=JobKind.EVALUATE, evaluation=plan)
        report({"stage": "evaluation", "records": min(limit, len(held_out))})
        self._run(folder, evaluation, train, held_out[:limit], report)
        found = EvaluationReport.from_bytes((folder / files.REPORT_FILE).read_bytes())
        asked = [{"prompt": e.prompt, "answer": e.answer} for e in held_out[:SHOWN_QUESTIONS]]
        return {
            "folder": str(folder),
            "report": found.to_json(),
            "report_digest": hex0x(found.digest()),
            "asked": asked,
        }

    def _trained(self, raw: Mapping[str, Any]) -> Path:
        """The folder of a finished training of this home."""
        if "train_job" not in raw:
            raise InvalidInput("an evaluation needs train_job", "name the training to evaluate")
        name = str(raw["train_job"])
        folder = self.folder(name)
        if Path(name).name != name or not (folder / files.SPEC_FILE).is_file():
            raise NotFound(f"no training {name!r} is here", "see the list of jobs")
        kind = JobSpec.from_bytes((folder / files.SPEC_FILE).read_bytes()).kind
        if kind is not JobKind.TRAIN:
            raise InvalidInput(f"the job {name} is of kind {kind.value!r}", "name a training")
        if not (folder / files.RESULT_FILE).is_file():
            raise InvalidInput(f"the training {name} is not done", "wait for it, or run it again")
        return folder

    def _run(
        self, folder: Path, spec: JobSpec, train: Sequence[Example], held_out: Sequence[Example], report: Report
    ) -> None:
        prepare_job(folder, spec, train, held_out)
        self._executor.start(folder)
        shown: Mapping[str, int] = {}
        while True:
            status = self._executor.wait(folder, POLL_SECONDS)
            if status.metrics and status.metrics != shown:
                shown = status.metrics
                report({"stage": spec.kind.value, "metrics": dict(shown)})
            if status.state in (JobState.SUCCEEDED, JobState.FAILED):
                finished(status)
                return

    def _recipe(self, request: TrainRequest, first: SealedSnapshot) -> Recipe:
        chosen: Preset = replace(preset(request.preset), **cast(Any, request.changes))
        return make_recipe(
            chosen,
            base_digest=base(request.base_name).digest,
            snapshot_ids=request.snapshot_ids,
            seed=derived_seed(first.snapshot_id, first.sealed_hash, "training"),
            compute_type=self._compute_type(),
            data_split=request.data_split,
        )

    def _compute_type(self) -> ComputeType:
        return detect_machine(self._config.device, self._config.threads).fastest

    def _index_plan(self, recipe: Recipe, snapshots: Sequence[SealedSnapshot]) -> IndexPlan:
        first = snapshots[0]
        owners = {
            entry.commitment: (entry.owner, snapshot.snapshot.datanet_id, entry.cluster)
            for snapshot in snapshots
            for entry in snapshot.manifest.entries
        }
        seed = derived_seed(first.snapshot_id, first.sealed_hash, "sketch")
        return IndexPlan(self._base_folder, recipe, owners, seed)


def examples(snapshots: Sequence[SealedSnapshot], kind: DataSplit) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """(train, held out) over all snapshots, each in the order that its seal fixes.

    Raises InvalidInput if two snapshots share records: what one holds out the other could train on.
    """
    names = [entry.commitment for snapshot in snapshots for entry in snapshot.manifest.entries]
    if shared := len(names) - len(set(names)):
        raise InvalidInput(f"the snapshots share {shared} records", "choose one snapshot of each Datanet")
    train: list[Example] = []
    held_out: list[Example] = []
    for snapshot in snapshots:
        split = snapshot.split(kind)
        for positions, side in ((split.train, train), (split.held_out, held_out)):
            for position in positions:
                name = snapshot.manifest.entries[position].commitment
                record = snapshot.records[name]
                side.append(Example(name, record.prompt, record.answer))
    return tuple(train), tuple(held_out)


def _snapshot_ids(raw: Sequence[Any]) -> tuple[Digest, ...]:
    if not raw or not all(isinstance(s, str) for s in raw):
        raise InvalidInput("a training needs snapshot ids as text", "name at least one sealed snapshot")
    found = tuple(sorted(digest(s) for s in raw))
    if len(set(found)) != len(found):
        raise InvalidInput("a snapshot is named twice", "name each once")
    return found


def _changes(raw: Any) -> dict[str, int]:
    if not isinstance(raw, Mapping):
        raise InvalidInput("changes are no mapping of names to numbers", 'write e.g. {"epochs": 3}')
    if wrong := raw.keys() - set(CHANGEABLE):
        raise InvalidInput(f"{min(wrong)!r} cannot be changed", "change one of " + ", ".join(CHANGEABLE))
    for name, value in raw.items():
        if type(value) is not int or value < 0:
            raise InvalidInput(f"{name} = {value!r} is no number from 0 on", "write a whole number")
    return dict(raw)


def _limit(raw: Any) -> int:
    if type(raw) is not int or raw < 0:
        raise InvalidInput(f"the limit {raw!r} is no number of records", "use 0 for all")
    return raw
