"""From a sealed snapshot to something that can be registered: wrong orders cost no hour, right ones repeat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from trained_world import TrainedWorld, TrainingHere, contribute, plants, sealed, train_request, training_over

from headwater.errors import Conflict, HeadwaterError, InvalidInput, NotFound
from headwater.modelfactory import job_spec as files
from headwater.modelfactory.data import read_examples
from headwater.modelfactory.job_spec import JobKind, JobSpec
from headwater.protocol.snapshot import DataSplit
from headwater.service.indexing import open_index
from headwater.service.model_rows import VersionRow
from headwater.service.training import TrainRequest, examples
from headwater.testing import examples as known
from headwater.types import hex0x

ONE, TWO = known.word("one"), known.word("two")


@pytest.fixture
def training(devnet: Any, base_folder: Path) -> TrainingHere:
    return training_over(devnet.bench, base_folder)


# -- wrong orders ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"snapshot_ids": []},
        {"snapshot_ids": hex0x(ONE)},
        {"snapshot_ids": ["0x12"]},
        {"snapshot_ids": [5]},
        {"snapshot_ids": [hex0x(ONE), hex0x(ONE)]},
        {"snapshot_ids": None},
        {"base": None},
        {"data_split": "temporal"},
        {"learning_rate": 5},
        {"changes": {"seed": 1}},
        {"changes": {"epochs": "3"}},
        {"changes": {"epochs": True}},
        {"changes": {"epochs": -1}},
        {"changes": {"epochs": 0.5}},
        {"changes": ["epochs"]},
    ],
    ids=str,
)
def test_a_wrong_order_is_told_as_such_and_not_as_a_defect(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        TrainRequest.from_json(train_request(ONE, **wrong))


@pytest.mark.parametrize("missing", ["snapshot_ids", "base"])
def test_what_is_needed_must_be_there(missing: str) -> None:
    raw = train_request(ONE)
    del raw[missing]
    with pytest.raises(InvalidInput, match=missing):
        TrainRequest.from_json(raw)


def test_the_same_order_in_another_sequence_is_the_same_training() -> None:
    assert TrainRequest.from_json(train_request(ONE, TWO)) == TrainRequest.from_json(train_request(TWO, ONE))
    order = TrainRequest.from_json(train_request(ONE, TWO))
    assert TrainRequest.from_json(order.to_json()) == order


@pytest.mark.parametrize("wrong", [{}, {"base": "gpt-4"}, {"preset": "magic"}], ids=str)
def test_unknown_snapshots_bases_and_presets_leave_no_folder(
    training: TrainingHere, world: TrainedWorld, wrong: dict[str, str]
) -> None:
    snapshot = world.snapshot_id if wrong else ONE
    with pytest.raises(NotFound):
        training.train("never", train_request(snapshot, **wrong), lambda event: None)
    assert not training.folder("never").exists()


def test_two_snapshots_that_share_records_are_not_trained_on_together(devnet: Any, training: TrainingHere) -> None:
    """What one holds out the other would train on: the evaluation would ask what was learnt by heart."""
    datanet = devnet.datanets.create("owner", "Growing", known.TERMS)
    contribute(devnet, datanet, "alice", plants("alice", 4))
    older = sealed(devnet, datanet)
    contribute(devnet, datanet, "bob", plants("bob", 4))
    newer = sealed(devnet, datanet)
    with pytest.raises(InvalidInput, match="4 records"):
        training.train("both", train_request(older, newer), lambda event: None)
    assert not training.folder("both").exists()


# -- what a training leaves --------------------------------------------------------------------------------------


def test_what_is_held_out_was_never_shown(devnet: Any, world: TrainedWorld) -> None:
    snapshot = devnet.datanets.sealed(world.snapshot_id)
    train, held_out = examples([snapshot], DataSplit.RANDOM)
    shown = read_examples(world.folder / files.TRAIN_FILE)
    assert shown == train and held_out
    assert not {e.record_id for e in shown} & {e.record_id for e in held_out}
    assert {e.record_id for e in (*train, *held_out)} == {e.commitment for e in snapshot.manifest.entries}


def test_every_row_of_the_index_belongs_to_who_contributed_its_record(devnet: Any, world: TrainedWorld) -> None:
    """Whoever stands there is paid."""
    owners = {e.commitment: e.owner for e in devnet.datanets.sealed(world.snapshot_id).manifest.entries}
    index = open_index(world.register("modeler/owners"))
    shown = read_examples(world.folder / files.TRAIN_FILE)[: len(index)]
    assert [r.commitment for r in index.head.records] == [e.record_id for e in shown]
    assert all(r.owner == owners[r.commitment] and r.datanet_id == world.datanet for r in index.head.records)
    assert {r.owner for r in index.head.records} == {devnet.bench.address(w) for w in ("alice", "bob")}


def test_asked_again_a_finished_training_is_only_read(training: TrainingHere, world: TrainedWorld) -> None:
    before = {p: p.stat().st_mtime_ns for p in world.folder.rglob("*")}
    assert training.train(world.job_id, train_request(world.snapshot_id), lambda event: None) == world.result
    assert {p: p.stat().st_mtime_ns for p in world.folder.rglob("*")} == before


def test_another_recipe_does_not_take_over_a_folder(training: TrainingHere, world: TrainedWorld) -> None:
    other = train_request(world.snapshot_id, changes={"training_records": 9, "batch_size": 3})
    with pytest.raises(Conflict, match="another job"):
        training.train(world.job_id, other, lambda event: None)


def test_progress_is_told_stage_by_stage(world: TrainedWorld) -> None:
    stages = list(dict.fromkeys(event["stage"] for event in world.events))
    assert stages == ["training", "index"]
    assert world.events[-1]["metrics"] == {"records_done": 18, "records": 18}


# -- wrong evaluations -------------------------------------------------------------------------------------------


def refused(training: TrainingHere, raw: Mapping[str, Any]) -> type[HeadwaterError]:
    with pytest.raises(HeadwaterError) as raised:
        training.evaluate("evaluation", raw, lambda event: None)
    assert not training.folder("evaluation").exists()
    return type(raised.value)


@pytest.mark.parametrize("train_job", ["none", "", "..", "../jobs/trained-world", "/etc", None])
def test_an_unknown_training_is_not_evaluated(training: TrainingHere, world: TrainedWorld, train_job: Any) -> None:
    assert issubclass(refused(training, {"train_job": train_job}), NotFound)


def test_an_order_without_a_training_is_told(training: TrainingHere) -> None:
    assert refused(training, {}) is InvalidInput


@pytest.mark.parametrize("limit", [-1, "5", 1.5, True])
def test_a_limit_is_a_number_of_records(training: TrainingHere, world: TrainedWorld, limit: Any) -> None:
    assert refused(training, {"train_job": world.job_id, "limit": limit}) is InvalidInput


def test_a_job_of_another_kind_and_one_that_is_not_done_are_not_evaluated(
    training: TrainingHere, world: TrainedWorld
) -> None:
    spec = JobSpec.from_bytes((world.folder / files.SPEC_FILE).read_bytes())
    for name, kind in (("kind-evaluate", JobKind.EVALUATE), ("not-done", JobKind.TRAIN)):
        folder = training.folder(name)
        folder.mkdir()
        (folder / files.SPEC_FILE).write_bytes(replace(spec, kind=kind).canonical_bytes())
        assert refused(training, {"train_job": name}) is InvalidInput


def test_an_index_that_was_changed_on_disk_is_refused_when_it_is_asked_for_again(
    training: TrainingHere, world: TrainedWorld, copied: Path
) -> None:
    row = VersionRow("x", world.register("modeler/again-open").version, copied, "registered")
    data = bytearray((row.index_folder / "index.safetensors").read_bytes())
    data[-1] ^= 1
    (row.index_folder / "index.safetensors").write_bytes(data)
    with pytest.raises(HeadwaterError):
        open_index(row)
