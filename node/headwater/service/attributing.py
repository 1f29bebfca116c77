"""The provider's attributions: made after each receipt, signed, never lost.

In: signed receipts with their private tokens. Out: the body and the signed `Attribution` beside each. A receipt that
a crash left without one is found again by its state. Made on a thread of its own, so that no answer waits for it.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

from eth_utils import keccak

from headwater.attribution.checkpoint import load_checkpoint
from headwater.attribution.features import GradientModel
from headwater.attribution.query import Attributor
from headwater.attribution.spans import SpanIndex
from headwater.errors import HeadwaterError
from headwater.modelfactory import job_spec as files
from headwater.modelfactory.job_spec import JobSpec
from headwater.protocol.attribution import Attribution, AttributionBody, ShareKind, scores_root, shares_root
from headwater.protocol.receipt import Receipt
from headwater.protocol.tokens import LabelledTokens
from headwater.service.indexing import labelled_records, open_index
from headwater.service.lanes import ESCROW
from headwater.service.model_rows import ModelRows, VersionRow
from headwater.service.receipt_rows import PrivateAnswer, ReceiptRow, ReceiptRows
from headwater.service.workbench import Workbench
from headwater.types import Digest, Ppm

IDLE_SECONDS: Final = 2.0
OPEN_VERSIONS: Final = 2
"""Versions whose gradient model is kept open; each holds the base in the method's gradient type."""
MAX_QUOTATIONS: Final = 16


class VersionAttributor:
    """One version's gradient model, index and span index, opened once. Not safe for concurrent calls."""

    def __init__(self, base_folder: Path, row: VersionRow) -> None:
        """Checkpoint and index are verified against the digests on chain."""
        index = open_index(row)
        recipe = JobSpec.from_bytes((row.folder / files.SPEC_FILE).read_bytes()).recipe
        checkpoint = load_checkpoint(row.checkpoint_folder, recipe.adam_beta2_ppm, row.version.checkpoint_digest)
        self.attributor = Attributor(GradientModel.load(base_folder, checkpoint, index.method), index)
        self._spans = SpanIndex([t.ids[t.answer_start :] for t in labelled_records(row.folder, base_folder)])

    def body(self, private: PrivateAnswer, receipt_digest: Digest) -> AttributionBody:
        quotations = self._spans.quotations(private.response.output_ids)[:MAX_QUOTATIONS]
        return self.attributor.attribute(answer_tokens(private), receipt_digest, quotations)


def answer_tokens(private: PrivateAnswer) -> LabelledTokens:
    """Prompt and answer of one completion, as the gradient sees them."""
    return LabelledTokens((*private.prompt_ids, *private.response.output_ids), len(private.prompt_ids))


def attribution_of(receipt: Receipt, body: AttributionBody) -> Attribution:
    """What the provider signs for a body."""
    return Attribution(
        receipt_digest=receipt.digest(),
        provider=receipt.provider,
        model_id=receipt.model_id,
        version=receipt.version,
        method_id=body.method_id,
        index_root=body.index_root,
        sketch_digest=Digest(keccak(body.sketch)),
        floor=body.floor,
        scores_root=scores_root(body),
        shares_root=shares_root(body),
        body_digest=body.digest(),
        influence_ppm=Ppm(body.ppm_of(ShareKind.INFLUENCE)),
        retrieval_ppm=Ppm(body.ppm_of(ShareKind.RETRIEVAL)),
        base_ppm=body.base_ppm,
    )


class AttributionWorker:
    """One thread that attributes every signed receipt."""

    def __init__(self, bench: Workbench, models: ModelRows, base_folder: Path, hot_key: str) -> None:
        self._bench = bench
        self._models = models
        self._base_folder = base_folder
        self._hot_key = hot_key
        self._receipts = ReceiptRows(bench.database, bench.home.path)
        self._open: dict[tuple[Digest, int], VersionAttributor] = {}
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="headwater-attribution", daemon=True)
        self.failures: dict[Digest, str] = {}

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """A receipt was signed."""
        self._wake.set()

    def stop(self) -> None:
        self._stopping.set()
        self._wake.set()
        self._thread.join()

    def waiting(self) -> int:
        """Receipts whose attribution is still to be made."""
        return len(self._receipts.in_state("signed"))

    def _run(self) -> None:
        while not self._stopping.is_set():
            for row in self._receipts.in_state("signed"):
                if self._stopping.is_set():
                    return
                if row.receipt.request_id not in self.failures:
                    self._attribute(row)
            self._wake.wait(IDLE_SECONDS)
            self._wake.clear()

    def _attribute(self, row: ReceiptRow) -> None:
        """What fails is kept with its reason and shown; it is tried again at the next start."""
        try:
            attributor = self._attributor(self._models.get(row.receipt.model_id, row.receipt.version))
            body = attributor.body(self._receipts.private(row.receipt.request_id), row.receipt.digest())
            attribution = attribution_of(row.receipt, body)
            signature = self._bench.signer.sign_typed(self._hot_key, attribution, self._bench.domain(ESCROW))
            self._receipts.attributed(row.receipt, attribution, signature, body)
        except HeadwaterError as error:
            self.failures[row.receipt.request_id] = str(error)
        except Exception as error:  # a defect of ours must not leave all later receipts unpaid: it is kept and shown
            self.failures[row.receipt.request_id] = f"a defect: {error!r}"

    def _attributor(self, version: VersionRow) -> VersionAttributor:
        key = (version.version.model_id, version.version.version)
        if key not in self._open:
            if len(self._open) >= OPEN_VERSIONS:
                self._open.pop(next(iter(self._open)))
            self._open[key] = VersionAttributor(self._base_folder, version)
        return self._open[key]
