"""Fitting the index in a child of its own: once for a folder, always to the same root; a failure says why."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from trained_world import TrainedWorld

from headwater.errors import JobFailed
from headwater.modelfactory import job_spec as files
from headwater.modelfactory.job_spec import JobSpec
from headwater.service.indexing import FOLDER, LOG_FILE, IndexPlan, fit_in_child
from headwater.testing.tiny import tiny_base

pytestmark = pytest.mark.slow


@pytest.fixture
def plan(world: TrainedWorld) -> IndexPlan:
    head = world.index().head
    owners = {r.commitment: (r.owner, r.datanet_id, r.cluster) for r in head.records}
    recipe = JobSpec.from_bytes((world.folder / files.SPEC_FILE).read_bytes()).recipe
    return IndexPlan(world.base_folder, recipe, owners, head.sketch_seed)


@pytest.fixture
def unfitted(copied: Path) -> Path:
    """The training as it stood before its fit."""
    shutil.rmtree(copied / FOLDER)
    (copied / LOG_FILE).unlink()
    return copied


def test_two_fits_of_one_folder_are_one_and_give_the_root_that_is_on_chain(
    world: TrainedWorld, unfitted: Path, plan: IndexPlan
) -> None:
    """A node that was killed leaves its child behind: the next one joins it instead of writing into its journal."""
    found: list[Any] = []
    told: tuple[list[Any], list[Any]] = ([], [])
    threads = [Thread(target=lambda t=t: found.append(fit_in_child(unfitted, plan, t.append))) for t in told]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [world.result["index"]] * 2
    assert [bool(t) for t in told].count(True) == 1


def test_a_fit_that_fails_says_why_and_may_be_repeated(unfitted: Path, plan: IndexPlan, tmp_path: Path) -> None:
    other = tiny_base(tmp_path / "other", seed=8, layers=5, context_tokens=1_024)
    with pytest.raises(JobFailed, match="the checkpoint needs") as raised:
        fit_in_child(unfitted, replace(plan, base_folder=other), lambda event: None)
    assert "VerificationFailed" in str(raised.value.details["log_tail"])
    assert not (unfitted / FOLDER / "manifest.json").exists()
