"""What an answer would have been worth to a model that never saw one contributor: retrain without, and compare.

In: a registered version of this home, a contributor, a receipt. Out: the answer's log-likelihood under the version
and under a retraining without that contributor's records, in micronats. One retraining is a noisy yardstick: two
trainings that differ in nothing but their seed differ too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch

from headwater.errors import InvalidInput
from headwater.modelfactory import job_spec as files
from headwater.modelfactory.bases import open_base
from headwater.modelfactory.checkpoints import read_adapter
from headwater.modelfactory.job_spec import JobSpec
from headwater.modelfactory.jobs import ChildProcessExecutor, JobState, finished, prepare_job
from headwater.modelfactory.lora import attach_adapter
from headwater.protocol.recipe import ComputeType
from headwater.protocol.tokens import LabelledTokens
from headwater.service.attributing import answer_tokens
from headwater.service.indexing import open_index, used_examples
from headwater.service.model_rows import ModelRows, VersionRow
from headwater.service.receipt_rows import ReceiptRows
from headwater.service.workbench import Workbench
from headwater.types import Address, Digest

POLL_SECONDS: Final = 1.0
MICRONATS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """`fall_micronats` above zero: the answer was likelier with the contributor."""

    left_out: Address
    records_left_out: int
    with_micronats: int
    without_micronats: int

    @property
    def fall_micronats(self) -> int:
        return self.with_micronats - self.without_micronats

    def to_json(self) -> dict[str, Any]:
        return {
            "left_out": self.left_out,
            "records_left_out": self.records_left_out,
            "with_micronats": self.with_micronats,
            "without_micronats": self.without_micronats,
            "fall_micronats": self.fall_micronats,
        }


def leave_out(
    bench: Workbench, name: str, contributor: Address, request_id: Digest, say: Callable[[str], None]
) -> Counterfactual:
    """Retrain the named version without `contributor`. Raises before it trains: UnknownModel, NotFound (receipt),
    InvalidInput (another version's receipt; nothing or everything would be left out).
    """
    row = ModelRows(bench.database).named(name)
    tokens = _answer_of(bench, row, request_id)
    owners = {r.commitment: r.owner for r in open_index(row).head.records}
    used = used_examples(row.folder)
    kept = [e for e in used if owners[e.record_id] != contributor]
    if not kept or len(kept) == len(used):
        raise InvalidInput(
            f"{contributor} has {len(used) - len(kept)} of {len(used)} records", "name one contributor of several"
        )
    folder = bench.home.jobs / f"without-{contributor[2:14].lower()}-{row.version.adapter_digest.hex()[:12]}"
    spec = JobSpec.from_bytes((row.folder / files.SPEC_FILE).read_bytes())
    prepare_job(folder, replace(spec, recipe=replace(spec.recipe, training_records=0)), kept)
    _train(folder, say)
    base = Path(spec.base_folder)
    before = log_likelihood(base, row.adapter_folder, tokens)
    after = log_likelihood(base, folder / files.ADAPTER_FOLDER, tokens)
    return Counterfactual(contributor, len(used) - len(kept), round(before * MICRONATS), round(after * MICRONATS))


def _answer_of(bench: Workbench, row: VersionRow, request_id: Digest) -> LabelledTokens:
    receipts = ReceiptRows(bench.database, bench.home.path)
    receipt = receipts.required(request_id).receipt
    if (receipt.model_id, receipt.version) != (row.version.model_id, row.version.version):
        raise InvalidInput(f"the receipt is of another version than {row.name}", "name the model that answered")
    return answer_tokens(receipts.private(request_id))


def log_likelihood(base_folder: Path, adapter_folder: Path, tokens: LabelledTokens) -> float:
    """Sum of the answer tokens' log-probabilities in float32, nats."""
    module = open_base(base_folder, ComputeType.FLOAT32)
    manifest, tensors = read_adapter(adapter_folder)
    pairs = attach_adapter(module, manifest.rank, manifest.alpha, manifest.target_modules, manifest.base_digest)
    pairs.load(tensors)
    ids = torch.tensor([tokens.ids])
    with torch.inference_mode():
        logits = module(input_ids=ids, use_cache=False).logits[0].float()
    predicted = torch.log_softmax(logits[tokens.answer_start - 1 : -1], dim=-1)
    chosen = predicted.gather(1, ids[0, tokens.answer_start :, None])
    return float(chosen.sum())


def _train(folder: Path, say: Callable[[str], None]) -> None:
    executor = ChildProcessExecutor()
    executor.start(folder)
    shown = 0
    while True:
        status = executor.wait(folder, POLL_SECONDS)
        step = status.metrics.get("step", 0)
        if step >= shown + 10:
            shown = step
            say(f"  step {step} of {status.metrics.get('steps')}")
        if status.state in (JobState.SUCCEEDED, JobState.FAILED):
            finished(status)
            return
