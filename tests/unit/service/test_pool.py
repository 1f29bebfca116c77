"""What can answer: exactly the active versions whose weights are those on chain, and each under its own name."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from trained_world import TrainedWorld

from headwater.errors import UnknownModel
from headwater.protocol.chat import Message
from headwater.protocol.completion import InferenceRequest
from headwater.service.model_rows import ModelRows
from headwater.service.pool import Pool, identity_of
from headwater.storage.database import Database
from headwater.testing import examples
from headwater.types import WHOLE_PPM

Add = Callable[..., Path]


@pytest.fixture
def rows(database: Database) -> ModelRows:
    return ModelRows(database)


@pytest.fixture
def add(rows: ModelRows, world: TrainedWorld, tmp_path: Path) -> Add:
    """Put an active version of the trained adapter into this test's own books; its folder comes back."""
    version = world.register("modeler/pooled").version

    def put(name: str, state: str = "active") -> Path:
        folder = tmp_path / name.replace("/", "-")
        shutil.copytree(world.folder, folder)
        named = replace(version, model_id=examples.word(name))
        rows.add(name, named, folder)
        rows.set_state(named.model_id, named.version, state)
        return folder

    return put


@pytest.fixture
def pool(rows: ModelRows, base_folder: Path) -> Iterator[Pool]:
    made = Pool.open(base_folder, "tiny", rows, "cpu", 1)
    yield made
    made.close()


def names(pool: Pool) -> list[str]:
    return [m.name for m in pool.models()]


def answers(pool: Pool, name: str) -> bool:
    served = pool.resolve(name)
    asked = InferenceRequest(*identity_of(served), (Message("user", "hi"),), 1, 0, WHOLE_PPM, ())
    request_id = examples.word(f"request {name}")
    done = pool.generate(served, asked, request_id, examples.word("seed"), "user").result()
    return done.weights_digest == (served.adapter or bytes(32))


@pytest.mark.parametrize("state", ["registered", "attested", "revoked", "lapsed"])
def test_what_is_not_active_does_not_answer(pool: Pool, add: Add, state: str) -> None:
    add("modeler/waiting", state)
    assert names(pool) == ["tiny"]
    with pytest.raises(UnknownModel):
        pool.resolve("modeler/waiting")


def test_a_version_is_served_from_its_activation_to_its_end(pool: Pool, rows: ModelRows, add: Add) -> None:
    add("modeler/one")
    assert answers(pool, "modeler/one") and answers(pool, "tiny")
    served = pool.resolve("modeler/one")
    rows.set_state(*identity_of(served), "deprecated")
    assert names(pool) == ["tiny", "modeler/one"]
    rows.set_state(*identity_of(served), "revoked")
    assert names(pool) == ["tiny"]
    with pytest.raises(UnknownModel):
        pool.resolve("modeler/one")


def test_one_damaged_adapter_takes_nobody_else_down_and_says_why(pool: Pool, add: Add) -> None:
    """Neither at the start of a node nor in the list of models, which every user's proxy reads."""
    add("modeler/whole")
    weights = add("modeler/damaged") / "adapter" / "adapter_model.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    assert names(pool) == ["tiny", "modeler/whole"]
    assert answers(pool, "modeler/whole")
    with pytest.raises(UnknownModel, match="cannot be served now"):
        pool.resolve("modeler/damaged")
    weights.write_bytes(good)
    assert answers(pool, "modeler/damaged")
    assert pool.refused == {}


def test_a_node_starts_beside_a_damaged_adapter(rows: ModelRows, base_folder: Path, add: Add) -> None:
    shutil.rmtree(add("modeler/gone") / "adapter")
    pool = Pool.open(base_folder, "tiny", rows, "cpu", 1)
    assert names(pool) == ["tiny"] and list(pool.refused) == ["modeler/gone"]
    pool.close()


def test_two_models_of_one_adapter_answer_each_for_its_own_owner(pool: Pool, rows: ModelRows, add: Add) -> None:
    add("modeler/first")
    add("modeler/second")
    assert names(pool) == ["tiny", "modeler/first", "modeler/second"]
    first, second = pool.resolve("modeler/first"), pool.resolve("modeler/second")
    assert identity_of(first) != identity_of(second)
    assert (first.adapter, first.version and first.version.model_id) == (
        second.adapter,
        examples.word("modeler/first"),
    )
    rows.set_state(*identity_of(first), "revoked")
    assert names(pool) == ["tiny", "modeler/second"]
    assert answers(pool, "modeler/second")
