"""From a finished evaluation to a name that answers: register, attest, activate, each of them repeatable.

In: what a person chooses (`DeployOrder`) and the results of a training and of its evaluation. Out: a version on
chain, a validator's word on it, its owner's word, a name in the pool. What is done already is found done and not done
twice, so a sequence that failed is resumed by asking again. The commands `model register|attest|activate` and the job
'deploy' are thin over this. Knows no HTTP and prints nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from headwater.errors import Conflict, HeadwaterError, InvalidInput, Refused
from headwater.openlora.registry import require_model_name
from headwater.protocol.canonical import Json
from headwater.protocol.model import ModelVersion, is_certified
from headwater.service.jobs import JobRows, Report
from headwater.service.model_rows import ModelRows
from headwater.service.models import MODELS, Models, VersionStatus
from headwater.service.workbench import Workbench
from headwater.types import Digest, Wei, address, digest, hex0x

if TYPE_CHECKING:  # these load the model library; registering and activating do without
    from headwater.service.attesting import Attestation, Attesting
    from headwater.service.pool import Pool

VALIDATOR: Final = "validator"
VALIDATOR_HOT_KEY: Final = "validator-hot"
STEPS: Final = ("register", "attest", "activate")
NOT_INDEPENDENT: Final = "one validator on this machine: not independent"
MAX_PRICE_WEI: Final = 2**128 - 1

JobOf = Callable[[str], Mapping[str, Any]]
"""Job id -> its row as `JobRow.to_json` gives it. Raises NotFound."""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class DeployOrder:
    """What a person chooses. The same order is the same deployment."""

    name: str
    """owner/name, by which it is asked."""
    owner: str
    """The model owner's wallet: it pays the attesters' fee and is paid for answers."""
    train_job: str
    evaluation_job: str
    price_per_thousand_tokens_wei: Wei

    def __post_init__(self) -> None:
        """Raises InvalidInput."""
        require_model_name(self.name)
        if not 0 <= self.price_per_thousand_tokens_wei <= MAX_PRICE_WEI:
            raise InvalidInput("the price is beyond what the chain can hold", "choose a smaller one")

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> DeployOrder:
        """Raises InvalidInput unless exactly the members of `to_json` are there, all of them text."""
        names = {"name", "owner", "train_job", "evaluation_job", "price_per_thousand_tokens_wei"}
        if raw.keys() != names or not all(isinstance(value, str) for value in raw.values()):
            raise InvalidInput("a deployment needs exactly " + ", ".join(sorted(names)) + ", as text", "send them")
        price = raw["price_per_thousand_tokens_wei"]
        if not (price.isascii() and price.isdigit() and len(price) <= 39):
            raise InvalidInput(f"the price {price!r} is not an amount of wei", "write digits only")
        return cls(raw["name"], raw["owner"], raw["train_job"], raw["evaluation_job"], Wei(int(price)))

    def to_json(self) -> dict[str, str]:
        """Wei as text: an amount of it may be beyond what JSON's readers agree on."""
        return {
            "name": self.name,
            "owner": self.owner,
            "train_job": self.train_job,
            "evaluation_job": self.evaluation_job,
            "price_per_thousand_tokens_wei": str(self.price_per_thousand_tokens_wei),
        }


@dataclass(frozen=True, slots=True)
class Finished:
    """The results of a training and of its evaluation."""

    trained: Mapping[str, Any]
    evaluated: Mapping[str, Any]

    @property
    def evaluation_digest(self) -> Digest:
        return digest(self.evaluated["report_digest"])


def finished(order: DeployOrder, job_of: JobOf) -> Finished:
    """Raises NotFound, and InvalidInput unless both are done and the evaluation is that training's."""
    train, evaluation = job_of(order.train_job), job_of(order.evaluation_job)
    for row, kind in ((train, "train"), (evaluation, "evaluate")):
        if row["kind"] != kind:
            raise InvalidInput(f"the job {row['job_id']} is of kind {row['kind']!r}, not {kind!r}", "see the jobs")
        if row["state"] != "done" or row["result"] is None:
            raise InvalidInput(f"the job {row['job_id']} is {row['state']}, not done", "wait for it, or run it again")
    if evaluation["request"]["train_job"] != order.train_job:
        raise InvalidInput(
            f"the evaluation {order.evaluation_job} is of another training",
            f"evaluate the training {order.train_job}",
        )
    return Finished(train["result"], evaluation["result"])


def check(bench: Workbench, order: DeployOrder, job_of: JobOf) -> Finished:
    """Everything that can be refused before anything is sent. Raises InvalidInput, NotFound, Conflict."""
    jobs = finished(order, job_of)
    bench.address(order.owner)
    known = next((row for row in ModelRows(bench.database).all() if row.name == order.name), None)
    if known is not None:
        _require_same(bench, known.version, order, jobs)
    return jobs


def register(bench: Workbench, order: DeployOrder, job_of: JobOf) -> ModelVersion:
    """Put the version on chain; one that is there is returned. Raises as `check`, and TransactionReverted."""
    jobs = check(bench, order, job_of)
    price = order.price_per_thousand_tokens_wei
    return Models(bench).register(order.owner, order.name, jobs.trained, jobs.evaluation_digest, price)


def _require_same(bench: Workbench, known: ModelVersion, order: DeployOrder, jobs: Finished) -> None:
    """A name is one model's for ever: asking again is fine, asking for something else under it is not."""
    made = digest(jobs.trained["outcome"]["adapter_digest"]), jobs.evaluation_digest
    owner = address(bench.call(MODELS, "modelOf", known.model_id)["owner"])
    if (known.adapter_digest, known.evaluation_digest) != made or owner != bench.address(order.owner):
        raise Conflict(f"the name {order.name} belongs to another model already", "choose another name")
    price_wei, _, _ = bench.call(MODELS, "quote", known.model_id, known.version)
    if price_wei != order.price_per_thousand_tokens_wei:
        raise Conflict(
            f"{order.name} is registered at {price_wei} wei for a thousand tokens", "ask for the same price again"
        )


@dataclass(frozen=True, slots=True)
class Attested:
    """A validator's word, and where the version stands after it."""

    outcome: Attestation
    status: str

    @property
    def is_independent(self) -> bool:
        return self.outcome.validators > 1

    @property
    def words(self) -> str:
        verdict = "accepted" if self.outcome.accepted else "rejected"
        return f"{verdict}; {self.outcome.words}; status {self.status}"

    def to_json(self) -> dict[str, Any]:
        return {**self.outcome.to_json(), "status": self.status, "independent": self.is_independent}


def has_validator(bench: Workbench, validator: str = VALIDATOR, hot_key: str = VALIDATOR_HOT_KEY) -> bool:
    """Whether this home holds a hot key that the chain knows as a validator's."""
    wallets = bench.signer.wallets()
    if validator not in wallets or hot_key not in wallets:
        return False
    owner = address(bench.call("Staking", "ownerOfKey", wallets[hot_key]))
    return owner == wallets[validator]


def attest(bench: Workbench, attesting: Attesting, name: str, validator: str, hot_key: str, say: Say) -> Attested:
    """Recompute what the draw names and vote. Raises UnknownModel, VerificationFailed, TransactionReverted."""
    models = Models(bench)
    row = models.named(name)
    outcome = attesting.attest(validator, hot_key, name, say)
    return Attested(outcome, models.status(row).status)


def activate(bench: Workbench, owner: str, name: str) -> VersionStatus:
    """The owner's word. Raises UnknownModel, Refused unless the version is active after it."""
    models = Models(bench)
    models.activate(owner, models.named(name))
    status = models.status(models.named(name))
    if status.status != "active":
        raise Refused(f"{name} is {status.status} and cannot be activated", "register what you trained anew")
    return status


def facts(status: VersionStatus) -> dict[str, Any]:
    """What a person asks about a version first."""
    version = status.row.version
    return {
        "name": status.row.name,
        "model_id": hex0x(version.model_id),
        "version": version.version,
        "status": status.status,
        "attesters": status.attesters,
        "certificate": certificate(version),
    }


def certificate(version: ModelVersion) -> str:
    return "certified" if is_certified(version) else "uncertified"


class Deploying:
    """The handler of the job 'deploy': the whole sequence, with an event before and after each step."""

    def __init__(self, bench: Workbench, rows: JobRows, attesting: Attesting, pool: Pool) -> None:
        self._bench = bench
        self._models = Models(bench)
        self._rows = rows
        self._attesting = attesting
        self._pool = pool

    def deploy(self, job_id: str, raw: Mapping[str, Any], report: Report) -> Json:
        """Raises HeadwaterError at the step that failed; asked again, it goes on there."""
        order = DeployOrder.from_json(raw)
        report({"stage": "deploy"})
        for step in STEPS:
            _tell(report, step, "waiting", "")
        work = {
            "register": lambda say: self._register(order),
            "attest": lambda say: self._attest(order, say),
            "activate": lambda say: self._activate(order),
        }
        for step in STEPS:
            self._step(step, work[step], report)
        status = self._models.status(self._models.named(order.name))
        return {**facts(status), "independent": self._validators() > 1}

    def _step(self, step: str, work: Callable[[Say], str], report: Report) -> None:
        _tell(report, step, "running", "")
        try:
            words = work(lambda line: _tell(report, step, "running", line.strip()))
        except HeadwaterError as error:
            _tell(report, step, "failed", f"{error.cause}; {error.next_step}")
            raise
        _tell(report, step, "done", words)

    def _register(self, order: DeployOrder) -> str:
        version = register(self._bench, order, lambda job_id: self._rows.get(job_id).to_json())
        return f"version {version.version} is on chain, {certificate(version)}"

    def _attest(self, order: DeployOrder, say: Say) -> str:
        status = self._status(order)
        note = "" if self._validators() > 1 else f"; {NOT_INDEPENDENT}"
        if status.status in ("attested", "active"):
            return f"attested by {status.attesters}{note}"
        if not has_validator(self._bench):
            raise Refused(
                f"{order.name} is registered, and this home has no validator to attest it",
                f"ask a validator to run `headwater model attest {order.name}`, then resume",
            )
        done = attest(self._bench, self._attesting, order.name, VALIDATOR, VALIDATOR_HOT_KEY, say)
        if not done.outcome.accepted:
            raise Refused(f"the validator rejected {order.name}: {done.outcome.words}", "train again, and look why")
        if done.status == "registered":
            raise Refused(
                f"this home's validator accepted {order.name}, and the quorum needs more",
                f"ask the others to run `headwater model attest {order.name}`, then resume",
            )
        return f"{done.words}{note}"

    def _activate(self, order: DeployOrder) -> str:
        activate(self._bench, order.owner, order.name)
        self._pool.refresh()
        if order.name in self._pool.refused:
            raise Refused(
                f"{order.name} is active, and this node cannot serve it: {self._pool.refused[order.name]}",
                "mend what it names, then resume",
            )
        return f"active; this node's pool holds it as {order.name}"

    def _status(self, order: DeployOrder) -> VersionStatus:
        return self._models.status(self._models.named(order.name))

    def _validators(self) -> int:
        return int(self._bench.call("Staking", "validatorCount"))


def _tell(report: Report, step: str, state: str, words: str) -> None:
    report({"step": step, "state": state, "words": words})


def steps_of(events: tuple[tuple[int, Json], ...]) -> list[dict[str, str]]:
    """Where each step stands, from the job's events so far: its last word, in the steps' order."""
    last = {step: {"step": step, "state": "waiting", "words": ""} for step in STEPS}
    for _, event in events:
        if event.get("step") in last:
            last[event["step"]] = {name: str(event.get(name, "")) for name in ("step", "state", "words")}
    return list(last.values())
