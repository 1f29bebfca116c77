"""The story, chapter by chapter: who does what, and the check that closes each.

In: a `Stage`. Out: a `Story` with every figure. It knows the public commands and their JSON, nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from headwater.bench import hardware
from headwater.cli.demo_data import LICENSE, Slice, slices
from headwater.cli.demo_money import settle
from headwater.cli.demo_proofs import prove
from headwater.cli.demo_stage import Stage
from headwater.cli.demo_story_types import Story

ROLES: Final = (
    "operator",
    "datanet-owner",
    "model-owner",
    "provider",
    "provider-hot",
    "validator",
    "validator-hot",
    "user",
)
FUNDED: Final = ("datanet-owner", "model-owner", "provider", "validator", "user")
MAIN: Final = "headwater/drug-safety"
SHOWN_RECORDS: Final = 3


@dataclass(frozen=True, slots=True)
class Plan:
    quick: bool
    counterfactual: bool

    @property
    def training(self) -> tuple[str, ...]:
        if self.quick:
            return ("--preset", "smoke", "--set", "batch_size=4")
        return ("--preset", "standard")

    @property
    def slice_training(self) -> tuple[str, ...]:
        if self.quick:
            return ("--preset", "smoke", "--set", "training_records=24", "--set", "batch_size=2")
        return ("--preset", "slice")


@dataclass(frozen=True, slots=True)
class Deployed:
    """A slice of the demo once it serves."""

    slice: Slice
    evaluation: dict[str, Any]
    asked: tuple[dict[str, str], ...]


def tell(stage: Stage, plan: Plan) -> Story:
    """All nine chapters."""
    story = Story()
    data = slices(stage.home, stage.config, plan.quick)
    _people(stage, data)
    snapshots = [_datanet(stage, s) for s in data]
    story.contributors = sum(len(s.parts) for s in data[:1])
    story.records = sum(len(part.rows) for part in data[0].parts)
    deployed = [_model(stage, plan, s, snapshot, story) for s, snapshot in zip(data, snapshots, strict=True)]
    lane_id = _ask(stage, deployed, story)
    settle(stage, lane_id, data, story)
    prove(stage, story)
    if plan.counterfactual:
        from headwater.cli.demo_counterfactual import retrain_without

        retrain_without(stage, data[0], story)
    story.seconds = stage.seconds
    story.machine = hardware()
    return story


def _people(stage: Stage, data: Sequence[Slice]) -> None:
    stage.chapter("1. A chain, its contracts, and people with keys")
    contributors = [part.wallet for s in data for part in s.parts]
    stage.run("Encrypted keystores for everybody", "wallet", "new", *ROLES, *contributors)
    stage.start_node()
    deployed = stage.run("The node deployed the contracts of a chain that had none", "contracts", "addresses")
    for name, address in sorted(deployed["addresses"].items()):
        stage.say(f"  {name:<20}{address}")
    stage.run("The operator's faucet funds every sender", "wallet", "fund", *FUNDED, *contributors)
    stage.run("A provider bonds credits and registers the key that signs receipts", "provider", "register")
    stage.run("A validator does the same for verdicts", "validator", "register", "--stake", "200")
    stage.restart_node()


def _datanet(stage: Stage, s: Slice) -> str:
    stage.chapter(f"2. The Datanet {s.datanet!r}")
    licence = stage.home / "licence.txt"
    licence.write_text(LICENSE, "utf-8")
    created = stage.run(
        "Its owner creates it on chain, with a licence",
        *("datanet", "create", s.datanet, "--owner", "datanet-owner"),
        *("--license-name", "Headwater demo licence 1", "--license-file", str(licence)),
    )
    for part in s.parts:
        stage.run(
            f"{part.wallet} reads the terms, signs {len(part.rows)} records, hands them over once anchored",
            *("datanet", "contribute", created["datanet_id"], str(part.file), "--wallet", part.wallet, "--yes"),
        )
    snapshot = stage.run(
        "The owner commits a snapshot: canonical order, no copies, nothing withdrawn",
        *("datanet", "snapshot", created["datanet_id"], "--owner", "datanet-owner"),
        *("--held-out-ppm", str(s.held_out_ppm)),
    )
    stage.chapter("3. A split that nobody could choose")
    stage.run(
        "The hash of the block after the commit fixes which answers are held out",
        *("datanet", "seal", snapshot["snapshot_id"], "--wallet", "datanet-owner"),
    )
    return str(snapshot["snapshot_id"])


def _model(stage: Stage, plan: Plan, s: Slice, snapshot: str, story: Story) -> Deployed:
    is_main = s.model == MAIN
    stage.chapter(f"4. Training {s.model}")
    trained = stage.run(
        "A LoRA adapter learns from the training side, in a child process",
        *("model", "train", snapshot, *(plan.training if is_main else plan.slice_training)),
    )
    limit = "6" if plan.quick else "0" if is_main else "10"
    evaluated = stage.run(
        "Everybody answers the same held-out questions: base, controls, tuned",
        *("model", "evaluate", trained["job_id"], "--limit", limit),
    )
    _show_scores(stage, evaluated)
    if is_main:
        story.train_seconds = trained["train_seconds"]
        story.held_out = evaluated["report"]["held_out_count"]
        story.evaluation = _scores(evaluated)
    stage.chapter(f"5. {s.model} on chain")
    jobs = ("--train-job", trained["job_id"], "--evaluation-job", evaluated["job_id"])
    stage.run("Everything it is made of is committed", "model", "register", s.model, "--owner", "model-owner", *jobs)
    attested = stage.run("The validator recomputes what the draw names, and votes", "model", "attest", s.model)
    if not attested["independent"]:
        stage.say("  one validator on this machine: not independent")
    active = stage.run("Its owner lets it be served", "model", "activate", s.model, "--owner", "model-owner")
    story.checks[f"{s.model} is active"] = active["status"] == "active"
    return Deployed(s, evaluated, tuple(evaluated["asked"]))


def _ask(stage: Stage, deployed: Sequence[Deployed], story: Story) -> str:
    stage.chapter("6. Asking, through the stock OpenAI client")
    main, *others = deployed
    stage.run(
        "The base answers for free: no lane, no receipt",
        *("chat", "SmolLM2-135M-Instruct", main.asked[0]["prompt"], "--url", f"{stage.config.api_url}/v1"),
        *("--max-tokens", "12"),
    )
    lane = stage.run("The user puts credits on a lane", "lane", "open", "--user", "user", "--provider", "provider")
    stage.start_proxy(lane["lane_id"])
    questions = [(main, q) for q in main.asked[:3]] + [(other, other.asked[0]) for other in others]
    for model, question in questions:
        answer = stage.run(
            f"A held-out question to {model.slice.model} (right answer: {question['answer']})",
            *("chat", model.slice.model, question["prompt"], "--max-tokens", "24"),
        )
        stage.say(f"  answer: {answer['answer']}")
        story.answers.append(
            {
                "model": model.slice.model,
                "receipt_id": answer["receipt_id"],
                "prompt": question["prompt"],
                "answer": answer["answer"],
                "right": question["answer"],
                "teacher": model.slice.teacher_of(question["answer"]),
            }
        )
    _attributions(stage, story)
    return str(lane["lane_id"])


def _attributions(stage: Stage, story: Story) -> None:
    stage.chapter("7. Who taught each answer")
    stage.wait_for_attributions()
    right, bm25_right = [], []
    for answer in story.answers:
        told = stage.run(
            "Records, owners, base part, and what BM25 would have said", "receipt", "show", answer["receipt_id"]
        )
        answer["shares"] = told["shares"]
        stage.say(f"  asked: {answer['prompt']}\n  answered: {answer['answer']}")
        for row in told["rows"][:SHOWN_RECORDS]:
            stage.say(f"    {row['owner']}: {row['record']}")
        for owner in told["owners"]:
            stage.say(f"  {owner['ppm'] / 10_000:5.1f} %  {owner['name']}")
        stage.say(f"  {told['base_ppm'] / 10_000:5.1f} %  the base model (under the noise floor)")
        stage.say("  by BM25: " + ", ".join(f"{o['name']} {o['ppm'] / 10_000:.0f} %" for o in told["bm25"][:3]))
        if answer["model"] == MAIN and answer["teacher"]:
            right.append(bool(told["owners"]) and told["owners"][0]["name"] == answer["teacher"])
            bm25_right.append(bool(told["bm25"]) and told["bm25"][0]["name"] == answer["teacher"])
        story.checks[f"shares of {answer['receipt_id'][:10]} are whole"] = (
            sum(told["shares"]["owners"].values()) + told["shares"]["base_ppm"] == 1_000_000
        )
    story.top_contributor_right = bool(right) and all(right)
    story.bm25_top_right = bool(bm25_right) and all(bm25_right)


def _scores(evaluated: dict[str, Any]) -> dict[str, Any]:
    return {
        s["contender"]: {"value": s["value_ppm"] / 1e6, "low": s["low_ppm"] / 1e6, "high": s["high_ppm"] / 1e6}
        for s in evaluated["report"]["scores"]
    }


def _show_scores(stage: Stage, evaluated: dict[str, Any]) -> None:
    for name, score in _scores(evaluated).items():
        stage.say(f"  {name:<16}{score['value']:>7.2f}   95 % interval {score['low']:.2f} to {score['high']:.2f}")
    stage.say(f"  finding: {evaluated['report']['finding']}")
