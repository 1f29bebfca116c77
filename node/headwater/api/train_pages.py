"""One plain form from data to a model that answers: train, follow, evaluate, deploy.

In: forms of a browser that holds the token. Out: jobs, and pages that follow them. A form that is refused comes back
as it was filled in, with the cause and the next step above it. What is behind each form is `service.training` and
`service.deploying`; nothing is decided here.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from headwater.api.amounts import credits_to_wei, in_credits
from headwater.api.errors import status_of
from headwater.api.html import Html
from headwater.errors import HeadwaterError, InvalidInput, NotFound
from headwater.modelfactory.bases import BASES, base
from headwater.modelfactory.recipe import PRESETS, preset
from headwater.protocol.evaluation import EvaluationReport
from headwater.protocol.snapshot import DataSplit
from headwater.service import deploying
from headwater.service.accounts import Accounts
from headwater.service.deploying import DeployOrder
from headwater.service.jobs import ENDED, JobRow
from headwater.service.models import MODELS
from headwater.service.node import Node
from headwater.service.snapshot_rows import sealed_snapshots
from headwater.types import Wei

SETTINGS: Final = ("epochs", "training_records", "rank")
SPLITS: Final = {
    "compositional": "answers that appear nowhere in the training records",
    "random": "any records, chosen by the seal",
}
TITLES: Final = {"train": "Training", "evaluate": "Evaluation", "deploy": "Deployment"}
DEFAULT_PRICE: Final = "1"
USUAL_OWNER: Final = "model-owner"

Form = Mapping[str, str]


class TrainPages:
    def __init__(self, node: Node, html: Html) -> None:
        self._node = node
        self._html = html

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/train", self.form),
            web.post("/train", self.train),
            web.get("/jobs/{job}", self.job),
            web.post("/jobs/{job}/again", self.again),
            web.post("/jobs/{job}/evaluate", self.evaluate),
            web.post("/jobs/{job}/deploy", self.deploy),
        ]

    # -- the form ----------------------------------------------------------------------------------------------

    async def form(self, request: web.Request) -> web.StreamResponse:
        """The empty form; with `?from=JOB` as it was for that training."""
        before = request.query.get("from", "")
        return await self._form(request, None, lambda: _form_of(self._job(before, "train")) if before else {})

    async def _form(self, request: web.Request, error: HeadwaterError | None, values: Any) -> web.StreamResponse:
        def facts() -> dict[str, Any]:
            return {
                "bases": [b.name for b in BASES],
                "presets": list(PRESETS.values()),
                "splits": SPLITS,
                "snapshots": sealed_snapshots(self._node.bench, self._node.datanets),
                "can_train": self._node.base_folder is not None,
                "values": {"base": "", "snapshot": "", "preset": "standard", "data_split": "compositional"}
                | dict.fromkeys(SETTINGS, "")
                | values(),
                "error": error,
            }

        return await self._html.page(request, "train.html", facts, 200 if error is None else status_of(error))

    async def train(self, request: web.Request) -> web.StreamResponse:
        """Start the training that the form describes, and show its progress."""
        self._html.require_form(request)
        form = await _read(request)
        try:
            wanted = _training(form)
            await asyncio.to_thread(self._require_sealed, form.get("snapshot", ""))
            job_id = await asyncio.to_thread(self._node.jobs.submit, "train", wanted)
        except HeadwaterError as error:
            return await self._form(request, error, lambda: form)
        raise web.HTTPSeeOther(f"/jobs/{job_id}")

    def _require_sealed(self, snapshot_id: str) -> None:
        known = {s.snapshot_id for s in sealed_snapshots(self._node.bench, self._node.datanets)}
        if snapshot_id not in known:
            raise InvalidInput("this is no sealed snapshot of this home", "choose one from the list")

    # -- jobs --------------------------------------------------------------------------------------------------

    async def again(self, request: web.Request) -> web.StreamResponse:
        """Run a job that failed again; it goes on where it can."""
        self._html.require_form(request)
        row = await asyncio.to_thread(self._node.jobs.rows.get, request.match_info["job"])
        await asyncio.to_thread(self._node.jobs.submit, row.kind, row.request)
        raise web.HTTPSeeOther(f"/jobs/{row.job_id}")

    async def evaluate(self, request: web.Request) -> web.StreamResponse:
        self._html.require_form(request)
        row = await asyncio.to_thread(self._job, request.match_info["job"], "train")
        if row.state != "done":
            raise InvalidInput(f"this training is {row.state}, not done", "wait for it, or run it again")
        wanted = {"train_job": row.job_id, "limit": 0}
        job_id = await asyncio.to_thread(self._node.jobs.submit, "evaluate", wanted)
        raise web.HTTPSeeOther(f"/jobs/{job_id}")

    async def deploy(self, request: web.Request) -> web.StreamResponse:
        """Start the deployment that the form on an evaluation's page describes."""
        self._html.require_form(request)
        evaluation = await asyncio.to_thread(self._job, request.match_info["job"], "evaluate")
        form = await _read(request)
        try:
            job_id = await asyncio.to_thread(self._deploy, evaluation, form)
        except HeadwaterError as error:
            return await self._show(request, evaluation.job_id, form, error)
        raise web.HTTPSeeOther(f"/jobs/{job_id}")

    def _deploy(self, evaluation: JobRow, form: Form) -> str:
        order = DeployOrder(
            name=form.get("name", ""),
            owner=form.get("owner", ""),
            train_job=str(evaluation.request.get("train_job", "")),
            evaluation_job=evaluation.job_id,
            price_per_thousand_tokens_wei=Wei(credits_to_wei(form.get("price", ""))),
        )
        deploying.check(self._node.bench, order, lambda job_id: self._node.jobs.rows.get(job_id).to_json())
        return self._node.jobs.submit("deploy", order.to_json())

    async def job(self, request: web.Request) -> web.StreamResponse:
        return await self._show(request, request.match_info["job"], {}, None)

    async def _show(
        self, request: web.Request, job_id: str, form: Form, error: HeadwaterError | None
    ) -> web.StreamResponse:
        def facts() -> dict[str, Any]:
            jobs = self._node.jobs.rows
            row = jobs.get(job_id)
            everything = jobs.all()
            is_evaluated = row.kind == "evaluate" and row.state == "done"
            return {
                "job": row,
                "title": TITLES.get(row.kind, row.kind),
                "before": _before(row, everything),
                "flow": flow_of(row, everything),
                "steps": deploying.steps_of(jobs.events(job_id, 0)) if row.kind == "deploy" else [],
                "report": EvaluationReport.from_json((row.result or {})["report"]) if is_evaluated else None,
                "offer": self._offer(row, everything, form) if is_evaluated else None,
                "serving": self._node.inference is not None,
                "error": error,
            }

        return await self._html.page(request, "job.html", facts, 200 if error is None else status_of(error))

    def _offer(self, evaluation: JobRow, everything: tuple[JobRow, ...], form: Form) -> dict[str, Any]:
        """What the form of a deployment shows: the values of the last one, or what is likely."""
        bench = self._node.bench
        accounts, wallets = Accounts(bench), bench.signer.wallets()
        owners = [name for name in sorted(wallets, key=lambda n: (n == "operator", n)) if not _is_machines(name)]
        last = flow_of(evaluation, everything)["deploy"]
        values = _offered(last.request) if last else {"name": "", "owner": "", "price": DEFAULT_PRICE}
        values |= {k: v for k, v in form.items() if k in values}
        if not values["owner"] and not form:
            values["owner"] = USUAL_OWNER if USUAL_OWNER in owners else (owners or [""])[0]
        if not values["name"] and not form:
            values["name"] = self._free_name(values["owner"], evaluation)
        return {
            "values": values,
            "owners": [(name, in_credits(accounts.balance(wallets[name]).credit_wei)) for name in owners],
            "fee_wei": bench.call(MODELS, "parameters")["attestationFeeWei"],
            "validators": bench.call("Staking", "validatorCount"),
            "has_validator": deploying.has_validator(bench),
        }

    def _free_name(self, owner: str, evaluation: JobRow) -> str:
        """owner/datanet, with a number if that is taken."""
        ids = (evaluation.result or {})["report"]["snapshot_ids"]
        labels = {s.snapshot_id: s.label for s in sealed_snapshots(self._node.bench, self._node.datanets)}
        topic = labels.get(ids[0], "").rsplit(":", 1)[0]
        slug = re.sub(r"[^a-z0-9]+", "-", topic.lower()).strip("-")[:40].strip("-") or "model"
        taken = {row.name for row in self._node.models.all()}
        names = (f"{owner or 'owner'}/{slug}" + (f"-{n}" if n > 1 else "") for n in range(1, len(taken) + 2))
        return next(name for name in names if name not in taken)

    def _job(self, job_id: str, kind: str) -> JobRow:
        """Raises NotFound unless there is a job of that kind."""
        row = self._node.jobs.rows.get(job_id)
        if row.kind != kind:
            raise NotFound(f"the job {job_id} is no {TITLES[kind].lower()}", "see the list of jobs")
        return row


async def _read(request: web.Request) -> dict[str, str]:
    """The fields of a form, trimmed. Raises InvalidInput for a file."""
    form = await request.post()
    if not all(isinstance(value, str) for value in form.values()):
        raise InvalidInput("a file was sent where text is asked for", "use the form")
    return {name: str(value).strip() for name, value in form.items()}


def _training(form: Form) -> dict[str, Any]:
    """The request of the job 'train'. Raises InvalidInput, NotFound."""
    changes = {}
    for name in SETTINGS:
        text = form.get(name, "")
        if text and not (text.isascii() and text.isdigit() and len(text) <= 9):
            raise InvalidInput(f"{name.replace('_', ' ')} must be a whole number, not {text[:40]!r}", "write digits")
        if text:
            changes[name] = int(text)
    split = form.get("data_split", "compositional")
    if split not in SPLITS:
        raise InvalidInput(f"there is no way {split[:40]!r} to hold records out", "choose one from the list")
    return {
        "snapshot_ids": [form.get("snapshot", "")],
        "base": base(form.get("base", "")).name,
        "preset": preset(form.get("preset", "")).name,
        "changes": changes,
        "data_split": DataSplit[split.upper()].name.lower(),
    }


def _form_of(row: JobRow) -> dict[str, str]:
    """The form as it was filled in for a training."""
    request, changes = row.request, row.request.get("changes") or {}
    return {
        "base": str(request.get("base", "")),
        "snapshot": str((request.get("snapshot_ids") or [""])[0]),
        "preset": str(request.get("preset", "standard")),
        "data_split": str(request.get("data_split", "compositional")),
        **{name: str(changes.get(name, "")) for name in SETTINGS},
    }


def _offered(request: Mapping[str, Any]) -> dict[str, str]:
    order = DeployOrder.from_json(request)
    return {"name": order.name, "owner": order.owner, "price": in_credits(order.price_per_thousand_tokens_wei)}


def _is_machines(wallet: str) -> bool:
    """Hot keys and session keys sign by themselves and own nothing."""
    return wallet.endswith("-hot") or wallet.startswith("session-")


def _before(row: JobRow, everything: tuple[JobRow, ...]) -> int:
    """How many jobs a waiting one waits for: they run one at a time, in the order of their arrival."""
    if row.state != "queued":
        return 0
    waiting = [other for other in everything if other.state not in ENDED]
    return [other.job_id for other in waiting].index(row.job_id)


def flow_of(row: JobRow, everything: tuple[JobRow, ...]) -> dict[str, JobRow | None]:
    """The training, evaluation and deployment that belong together with `row`; of several the newest."""
    by_id = {job.job_id: job for job in everything}
    found: dict[str, JobRow | None] = {"train": None, "evaluate": None, "deploy": None}
    if row.kind in found:
        found[row.kind] = row
    if row.kind == "deploy":
        found["evaluate"] = by_id.get(str(row.request.get("evaluation_job")))
    if row.kind in ("evaluate", "deploy"):
        found["train"] = by_id.get(str(row.request.get("train_job")))
    for kind, parent, member in (("evaluate", "train", "train_job"), ("deploy", "evaluate", "evaluation_job")):
        above = found[parent]
        if found[kind] is None and above is not None:
            below = [j for j in everything if j.kind == kind and j.request.get(member) == above.job_id]
            found[kind] = below[-1] if below else None
    return found
