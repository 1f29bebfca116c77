"""`headwater model`: train, evaluate, register, attest, activate, look."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any, Final

import typer

from headwater.cli.home import account, credits_to_wei, node_client, workbench
from headwater.cli.session import Session, Shown, command, table
from headwater.config import DEFAULT_BASE
from headwater.errors import InvalidInput
from headwater.protocol.evaluation import Contender, EvaluationReport
from headwater.protocol.snapshot import DataSplit
from headwater.service import deploying
from headwater.service.models import Models
from headwater.types import Wei, digest, hex0x

app = typer.Typer(help="Models: from a sealed snapshot to a version that serves.", no_args_is_help=True)

SAY_EVERY_SECONDS: Final = 5.0
LABELS: Final = {
    Contender.BASE: "base",
    Contender.BASE_RETRIEVAL: "base + retrieval",
    Contender.NEAREST: "nearest neighbour",
    Contender.RULE: "rule written by an expert",
    Contender.TUNED: "tuned",
}


@command(app, "train")
def train(
    session: Session,
    snapshots: Annotated[list[str], typer.Argument(help="Sealed snapshot ids.")],
    base: Annotated[str, typer.Option(help="Base model.")] = DEFAULT_BASE,
    preset: Annotated[str, typer.Option(help="standard, thorough, slice or smoke.")] = "standard",
    set_: Annotated[list[str], typer.Option("--set", help="Change a number of the preset, e.g. epochs=3.")] = [],  # noqa: B006
    data_split: Annotated[str, typer.Option(help="compositional or random.")] = "compositional",
) -> Shown:
    """Fine-tune an adapter in a child process of the node, and fit its attribution index."""
    if data_split.upper() not in DataSplit.__members__:
        raise InvalidInput(f"no data split is called {data_split!r}", "use compositional or random")
    request = {
        "snapshot_ids": sorted(snapshots),
        "base": base,
        "preset": preset,
        "changes": _changes(set_),
        "data_split": data_split,
    }
    result = node_client(session).run_job("train", request, Progress(session.say))
    outcome = result["outcome"]
    data = {k: result[k] for k in ("job_id", "recipe_digest", "outcome", "index", "tokens_per_second", "machine")}
    data["train_seconds"] = round(result["wall_ms"] / 1000, 1)
    text = (
        f"job {result['job_id']}: {outcome['steps']} steps over {outcome['records']} records "
        f"in {data['train_seconds']} s ({result['tokens_per_second']} tokens/s)\n"
        f"  adapter {outcome['adapter_digest']}\n  index   {result['index']['index_root']}"
    )
    return Shown(data, text)


@command(app, "evaluate")
def evaluate(
    session: Session,
    train_job: Annotated[str, typer.Argument(help="Job id of the training.")],
    limit: Annotated[int, typer.Option(help="Ask only the first so many held-out records; 0 = all.")] = 0,
) -> Shown:
    """Ask the held-out records of the tuned model and of every control, with 95 % intervals."""
    request = {"train_job": train_job, "limit": limit}
    result = node_client(session).run_job("evaluate", request, Progress(session.say))
    report = EvaluationReport.from_json(result["report"])
    rows = [
        (
            LABELS[s.contender],
            f"{s.correct}/{s.total}",
            _percent(s.value_ppm),
            f"{_percent(s.low_ppm)} to {_percent(s.high_ppm)}",
        )
        for s in report.scores
    ]
    data = {k: result[k] for k in ("job_id", "report_digest", "report", "asked")}
    title = f"{report.evaluated_count} held-out records: {report.finding.value.replace('_', ' ')}"
    return Shown(data, table=table(title, ("who answered", "right", "exact match", "95 % interval"), rows))


@command(app, "register")
def register(
    session: Session,
    name: Annotated[str, typer.Argument(help="owner/name, by which it is asked.")],
    owner: Annotated[str, typer.Option(help="The model owner's wallet.")],
    train_job: Annotated[str, typer.Option(help="Job id of the training.")],
    evaluation_job: Annotated[str, typer.Option(help="Job id of its evaluation.")],
    price: Annotated[str, typer.Option(help="Credits for a thousand tokens.")] = "1",
) -> Shown:
    """Register a version on chain with everything that it is made of; the attesters' fee goes along."""
    client = node_client(session)
    order = deploying.DeployOrder(name, owner, train_job, evaluation_job, Wei(credits_to_wei(price)))
    with workbench(session) as bench:
        version = deploying.register(bench, order, lambda job_id: client.get(f"/api/jobs/{job_id}"))
    data = {
        "name": name,
        "model_id": hex0x(version.model_id),
        "version": version.version,
        "version_digest": hex0x(version.digest()),
        "certificate": deploying.certificate(version),
        **{k: v for k, v in version.to_json().items() if k.endswith(("_digest", "_root", "_id"))},
    }
    return Shown(data, f"{name} is version {version.version} of model {data['model_id']} ({data['certificate']})")


@command(app, "attest")
def attest(
    session: Session,
    name: Annotated[str, typer.Argument(help="owner/name.")],
    validator: Annotated[str, typer.Option(help="The validator's wallet.")] = deploying.VALIDATOR,
    hot_key: Annotated[str, typer.Option(help="The validator's hot key.")] = deploying.VALIDATOR_HOT_KEY,
) -> Shown:
    """Recompute what the draw names (index rows, a segment of training, a part of the evaluation) and vote."""
    from headwater.service.attesting import Attesting

    with workbench(session) as bench:
        done = deploying.attest(bench, Attesting(bench), name, validator, hot_key, session.say)
    note = "" if done.is_independent else f"\n  {deploying.NOT_INDEPENDENT}"
    return Shown(done.to_json(), f"{name}: {done.words}{note}")


@command(app, "activate")
def activate(
    session: Session,
    name: Annotated[str, typer.Argument(help="owner/name.")],
    owner: Annotated[str, typer.Option(help="The model owner's wallet.")],
) -> Shown:
    """Let an attested version be served."""
    with workbench(session) as bench:
        status = deploying.activate(bench, owner, name)
    return Shown(deploying.facts(status), f"{name} is {status.status}")


@command(app, "counterfactual")
def counterfactual(
    session: Session,
    name: Annotated[str, typer.Argument(help="owner/name.")],
    without: Annotated[str, typer.Option(help="The contributor to leave out: wallet or address.")],
    receipt: Annotated[str, typer.Option(help="Receipt id of the answer to compare.")],
) -> Shown:
    """Retrain without one contributor and print how much likelier the answer was with them."""
    from headwater.service.counterfactual import leave_out

    with workbench(session) as bench:
        found = leave_out(bench, name, account(bench, without), digest(receipt), session.say)
    words = f"without {without}: the answer's log-likelihood falls by {found.fall_micronats / 1e6:.3f} nats"
    return Shown(found.to_json(), words)


@command(app, "list")
def list_models(session: Session) -> Shown:
    """List the versions of this home."""
    with workbench(session) as bench:
        found = [deploying.facts(s) for s in Models(bench).all()]
    columns = ("name", "version", "status", "certificate", "model_id")
    return Shown({"models": found}, table=table("Models", columns, [[f[c] for c in columns] for f in found]))


@command(app, "show")
def show(session: Session, name: Annotated[str, typer.Argument(help="owner/name.")]) -> Shown:
    """Show everything that a version commits to."""
    with workbench(session) as bench:
        status = Models(bench).status(Models(bench).named(name))
    first, commitments = deploying.facts(status), status.row.version.to_json()
    text = "\n".join(f"{k:<20} {v}" for k, v in {**first, **commitments}.items())
    return Shown({**first, "commitments": commitments}, text)


def _changes(pairs: list[str]) -> dict[str, int]:
    out = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        if not value.isascii() or not value.isdigit():
            raise InvalidInput(f"--set {pair} is not name=number", "write e.g. --set epochs=3")
        out[name] = int(value)
    return out


class Progress:
    """Says at most every few seconds how far a job is; stages and the last step are always said."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._last = -SAY_EVERY_SECONDS

    def __call__(self, event: Any) -> None:
        metrics = event.get("metrics")
        if metrics is None:
            rest = ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in event.items() if k != "stage")
            self._say(f"  {event.get('stage', 'job')}{': ' + rest if rest else ''}")
            return
        is_end = metrics.get("step") == metrics.get("steps") or metrics.get("records_done") == metrics.get("records")
        if metrics and (is_end or time.monotonic() - self._last >= SAY_EVERY_SECONDS):
            self._last = time.monotonic()
            self._say(f"  {_metrics_in_words(metrics)}")


def _metrics_in_words(metrics: dict[str, int]) -> str:
    if "loss_micronats" in metrics:
        left = metrics.get("left_ms", 0) // 1000
        return (
            f"step {metrics['step']} of {metrics['steps']}: loss {metrics['loss_micronats'] / 1e6:.3f}, "
            f"{metrics['tokens_per_second']} tokens/s, {left // 60} min {left % 60:02d} s left"
        )
    if "records_done" in metrics:
        return f"{metrics['records_done']} of {metrics['records']} records"
    return ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in metrics.items())


def _percent(ppm: int) -> str:
    return f"{ppm / 10_000:.1f} %"
