"""A validator's word on a real training: what holds is vouched for, what does not is voted against or not touched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trained_world import TrainedWorld

from headwater.attribution.index import AttributionIndex
from headwater.errors import NotFound, UnknownModel, VerificationFailed
from headwater.modelfactory import job_spec as files
from headwater.service.attesting import DRAWN_ROWS, REPLAYED_STEPS, Attestation, Attesting
from headwater.service.indexing import open_index
from headwater.service.model_rows import VersionRow
from headwater.service.models import MODELS, Models
from headwater.testing.examiners import scripted_examiner
from headwater.types import hex0x


def attest(world: TrainedWorld, row: VersionRow, different: int = 0) -> Attestation:
    attesting = Attesting(world.bench, scripted_examiner(20, different))
    return attesting.attest("validator", "validator-hot", row.name, lambda line: None)


def votes(world: TrainedWorld) -> int:
    return len(world.bench.events(MODELS, "VerdictGiven"))


def status(world: TrainedWorld, row: VersionRow) -> str:
    return Models(world.bench).status(row).status


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def exchange(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"Code of plant", b"Name of plant"))


def test_an_unknown_model_is_told(world: TrainedWorld) -> None:
    with pytest.raises(UnknownModel):
        Attesting(world.bench).attest("validator", "validator-hot", "nobody/nothing", lambda line: None)


@pytest.mark.parametrize(
    ("file", "damage"),
    [("checkpoint/second_moment.safetensors", flip), ("index/index.safetensors", flip),
     (files.STEPS_FILE, cut), (files.TRAIN_FILE, exchange)],
)  # fmt: skip
def test_a_folder_that_is_not_what_was_registered_is_not_voted_on(
    world: TrainedWorld, copied: Path, file: str, damage: Callable[[Path], None]
) -> None:
    """The fault may be this home's: the version's owner must not lose for it, and nobody vouches for it."""
    row = world.register(f"modeler/damaged-{Path(file).stem}", folder=str(copied))
    before = votes(world)
    damage(copied / file)
    with pytest.raises(VerificationFailed):
        attest(world, row)
    assert (votes(world), status(world, row)) == (before, "registered")


def test_a_version_whose_evaluation_is_not_here_is_not_voted_on(world: TrainedWorld) -> None:
    row = world.register("modeler/unseen")
    before = votes(world)
    with pytest.raises(NotFound, match="is not in this home"):
        Attesting(world.bench).attest("validator", "validator-hot", row.name, lambda line: None)
    assert (votes(world), status(world, row)) == (before, "registered")


def test_one_answer_in_ten_may_differ_and_more_is_voted_against(world: TrainedWorld) -> None:
    """Another processor may break a near tie otherwise; invented answers differ nearly all."""
    near, invented = world.register("modeler/near"), world.register("modeler/made-up")
    assert attest(world, near, different=2).accepted
    found = attest(world, invented, different=3)
    assert (found.accepted, found.answers_asked, found.answers_different) == (False, 20, 3)
    assert (status(world, near), status(world, invented)) == ("attested", "lapsed")


def test_what_recomputes_is_vouched_for_and_asked_twice_there_is_one_vote(world: TrainedWorld) -> None:
    row = world.register("modeler/honest")
    found = attest(world, row)
    assert (found.accepted, found.rows_checked, found.row_faults) == (True, DRAWN_ROWS, 0)
    assert (found.steps_replayed, found.largest_loss_difference_micronats) == (REPLAYED_STEPS, 0)
    assert status(world, row) == "attested"
    before = votes(world)
    assert attest(world, row) == found
    assert votes(world) == before


def test_an_index_that_does_not_follow_from_the_records_is_voted_against(world: TrainedWorld, copied: Path) -> None:
    """Its root is on chain, its rows are invented: the owner would pay himself for everybody's records."""
    honest = open_index(world.register("modeler/before"))
    packed = np.array(honest.packed)[::-1].copy()
    invented = AttributionIndex(honest.head, packed, np.array(honest.scales)[::-1].copy())
    invented.save(copied / "index")
    changes: dict[str, Any] = {**world.result["index"], "index_root": hex0x(invented.root)}
    row = world.register("modeler/invented", folder=str(copied), index=changes)
    found = attest(world, row)
    assert not found.accepted and found.row_faults >= DRAWN_ROWS
    Models(world.bench).activate("modeler", row)
    assert status(world, row) == Models(world.bench).named(row.name).state == "lapsed"


def test_a_vote_is_found_again_after_votes_on_other_versions(world: TrainedWorld) -> None:
    first = world.register("modeler/voted-first")
    found = attest(world, first)
    attest(world, world.register("modeler/voted-second"))
    before = votes(world)
    assert attest(world, first) == found
    assert votes(world) == before
