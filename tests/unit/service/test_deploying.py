"""Register, attest, activate, as one sequence that may fail anywhere and goes on where it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from trained_world import TrainedWorld

from headwater.clock import ManualClock
from headwater.errors import (
    Conflict,
    HeadwaterError,
    InvalidInput,
    NotFound,
    Refused,
    Unavailable,
    UnknownModel,
)
from headwater.service import deploying
from headwater.service.attesting import Attestation
from headwater.service.deploying import STEPS, Deploying, DeployOrder, steps_of
from headwater.service.jobs import JobRows
from headwater.service.models import MODELS, Models
from headwater.storage.database import Database
from headwater.testing import examples
from headwater.types import Wei, hex0x

PRICE = Wei(3 * 10**15)
GOOD = Attestation(True, "recomputed", 1, 0, 1, 0, 4, 0, 1)


class Voter:
    """A validator that votes as it is told, and may be away."""

    def __init__(self, bench: Any, found: Attestation = GOOD) -> None:
        from headwater.service.attesting import Attesting

        self._real = Attesting(bench)
        self._real._recompute = lambda row, seed, say: self.found  # type: ignore[method-assign]
        self.found = found
        self.away: HeadwaterError | None = None
        self.asked = 0

    def attest(self, validator: str, hot_key: str, name: str, say: Any) -> Attestation:
        self.asked += 1
        if self.away is not None:
            raise self.away
        say("  rows recomputed")
        return self._real.attest(validator, hot_key, name, say)


class CountingPool:
    def __init__(self) -> None:
        self.refreshed = 0
        self.refused: dict[str, str] = {}

    def refresh(self) -> None:
        self.refreshed += 1


class Home:
    """One job handler with its books, and what it reported."""

    def __init__(self, world: TrainedWorld, database: Database) -> None:
        self.bench = world.bench
        self.rows = JobRows(database, ManualClock(100))
        self.train = self.done("train", {"snapshot_ids": []}, world.result)
        evaluated = {"report_digest": hex0x(examples.word("a report"))}
        self.evaluation = self.done("evaluate", {"train_job": self.train}, evaluated)
        self.voter, self.pool = Voter(world.bench), CountingPool()
        self.handler = Deploying(world.bench, self.rows, self.voter, self.pool)  # type: ignore[arg-type]
        self.events: list[Any] = []

    def done(self, kind: str, request: dict[str, Any], result: Any) -> str:
        job_id = self.rows.submit(kind, request)
        self.rows.done(job_id, result)
        return job_id

    def order(self, name: str, **changes: Any) -> DeployOrder:
        return replace(DeployOrder(name, "modeler", self.train, self.evaluation, PRICE), **changes)

    def deploy(self, order: DeployOrder) -> Any:
        return self.handler.deploy("job", order.to_json(), self.events.append)

    @property
    def steps(self) -> list[str]:
        return [s["state"] for s in steps_of(tuple(enumerate(self.events)))]

    def status(self, order: DeployOrder) -> str:
        models = Models(self.bench)
        return models.status(models.named(order.name)).status

    def count(self, event: str) -> int:
        return len(self.bench.events(MODELS, event))


@pytest.fixture
def home(world: TrainedWorld, database: Database) -> Iterator[Home]:
    yield Home(world, database)


# -- orders ------------------------------------------------------------------------------------------------------


def test_an_order_survives_its_json() -> None:
    order = DeployOrder("o/m", "w", "t", "e", Wei(2**127))
    assert DeployOrder.from_json(order.to_json()) == order


@pytest.mark.parametrize(
    "name", ["", "plain", "<script>alert(1)</script>", "a/b/c", "a/", "/b", "a/b c", "a/ü", "../b"]
)
def test_a_name_that_no_pool_could_serve_is_refused_before_anything_is_sent(name: str) -> None:
    """Once such a version was active, no pool that meets it could start."""
    with pytest.raises(InvalidInput, match="owner/name"):
        DeployOrder(name, "w", "t", "e", Wei(1))


@pytest.mark.parametrize(
    "change",
    [{"price_per_thousand_tokens_wei": p} for p in ("", "-1", "1.5", "٣", "9" * 40, str(2**128), 5)]
    + [{"extra": "x"}, {"owner": 5}],
)
def test_what_is_no_order_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        DeployOrder.from_json({**DeployOrder("o/m", "w", "t", "e", Wei(1)).to_json(), **change})


def test_an_order_lacking_a_member_is_refused() -> None:
    raw = DeployOrder("o/m", "w", "t", "e", Wei(1)).to_json()
    for name in raw:
        with pytest.raises(InvalidInput):
            DeployOrder.from_json({k: v for k, v in raw.items() if k != name})


# -- what is refused before anything is sent ---------------------------------------------------------------------


def test_unknown_or_unfinished_jobs_and_foreign_evaluations_are_refused(home: Home) -> None:
    other = home.done("train", {"snapshot_ids": ["other"]}, {})
    foreign = home.done("evaluate", {"train_job": other}, {"report_digest": hex0x(examples.word("x"))})
    running = home.rows.submit("evaluate", {"train_job": home.train, "limit": 3})
    for changes, kind, words in (
        ({"train_job": "none"}, NotFound, "no job"),
        ({"train_job": home.evaluation}, InvalidInput, "of kind 'evaluate'"),
        ({"evaluation_job": running}, InvalidInput, "queued, not done"),
        ({"evaluation_job": foreign}, InvalidInput, "of another training"),
        ({"owner": "nobody"}, NotFound, "nobody"),
    ):
        with pytest.raises(kind, match=words):
            home.deploy(home.order("modeler/refused", **changes))
    with pytest.raises(UnknownModel):
        Models(home.bench).named("modeler/refused")


# -- the sequence ------------------------------------------------------------------------------------------------


def test_a_deployment_registers_attests_activates_and_serves(home: Home) -> None:
    order = home.order("modeler/whole")
    result = home.deploy(order)
    assert (result["status"], result["version"], result["independent"]) == ("active", 1, False)
    assert home.steps == ["done"] * 3
    assert any(deploying.NOT_INDEPENDENT in e.get("words", "") for e in home.events)
    assert (home.status(order), home.pool.refreshed) == ("active", 1)
    price, _, _ = home.bench.call(MODELS, "quote", Models(home.bench).named(order.name).version.model_id, 1)
    assert price == PRICE


def test_asked_again_it_finds_everything_done_and_sends_nothing(home: Home) -> None:
    order = home.order("modeler/twice")
    first = home.deploy(order)
    before = [home.count(e) for e in ("VersionRegistered", "VerdictGiven")]
    assert home.deploy(order) == first
    assert [home.count(e) for e in ("VersionRegistered", "VerdictGiven")] == before
    assert home.voter.asked == 1


def test_a_validator_that_fails_leaves_the_version_registered_and_resuming_goes_on_there(home: Home) -> None:
    order = home.order("modeler/resumed")
    home.voter.away = Unavailable("the validator is away", "resume later")
    with pytest.raises(Unavailable):
        home.deploy(order)
    assert home.steps == ["done", "failed", "waiting"]
    assert home.status(order) == "registered"
    registered = home.count("VersionRegistered")
    home.voter.away = None
    assert home.deploy(order)["status"] == "active"
    assert home.count("VersionRegistered") == registered


def test_without_a_validator_of_its_own_the_home_says_whom_to_ask(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deploying, "VALIDATOR_HOT_KEY", "provider-hot")
    monkeypatch.setattr(deploying, "has_validator", lambda bench: False)
    order = home.order("modeler/alone")
    with pytest.raises(Refused, match="headwater model attest modeler/alone"):
        home.deploy(order)
    assert (home.steps, home.voter.asked) == (["done", "failed", "waiting"], 0)


def test_only_a_bonded_hot_key_makes_a_validator(home: Home) -> None:
    assert deploying.has_validator(home.bench)
    assert not deploying.has_validator(home.bench, "validator", "provider-hot")
    assert not deploying.has_validator(home.bench, "alice", "validator-hot")
    assert not deploying.has_validator(home.bench, "nobody", "validator-hot")


def test_a_rejected_version_is_never_activated(home: Home) -> None:
    order = home.order("modeler/bad")
    home.voter.found = replace(GOOD, accepted=False, row_faults=1)
    with pytest.raises(Refused, match="rejected"):
        home.deploy(order)
    assert home.status(order) == "lapsed"
    with pytest.raises(HeadwaterError):
        deploying.activate(home.bench, "modeler", order.name)
    assert home.pool.refreshed == 0


def test_a_version_that_the_pool_refuses_is_told_and_not_called_served(home: Home) -> None:
    order = home.order("modeler/refused-by-pool")
    home.pool.refused = {order.name: "its weights hold NaN; train it again"}
    with pytest.raises(HeadwaterError, match="NaN"):
        home.deploy(order)
    assert home.steps == ["done", "done", "failed"]
    home.pool.refused = {}
    assert home.deploy(order)["status"] == "active"


def test_a_name_is_one_models_for_ever(home: Home) -> None:
    order = home.order("modeler/taken")
    home.deploy(order)
    other = home.done("evaluate", {"train_job": home.train, "limit": 1}, {"report_digest": hex0x(examples.word("y"))})
    for changes in (
        {"evaluation_job": other},
        {"owner": "alice"},
        {"price_per_thousand_tokens_wei": Wei(PRICE + 1)},
    ):
        with pytest.raises(Conflict):
            home.deploy(home.order("modeler/taken", **changes))


def test_steps_are_told_by_their_last_event() -> None:
    assert [s["state"] for s in steps_of(())] == ["waiting"] * len(STEPS)
    events = (
        (1, {"stage": "deploy"}),
        (2, {"step": "register", "state": "running", "words": ""}),
        (3, {"step": "register", "state": "done", "words": "version 1"}),
        (4, {"step": "unheard of", "state": "done", "words": "x"}),
    )
    assert [s["state"] for s in steps_of(events)] == ["done", "waiting", "waiting"]
    assert steps_of(events)[0]["words"] == "version 1"
