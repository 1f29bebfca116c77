"""A validator's word on a model version: recompute index rows, a segment of training, a part of the evaluation.

In: a registered version whose folder is here. Out: a signed `VersionVerdict` on chain. What is recomputed follows
from the hash of the block after the registration and the validator's next preimage: nobody could prepare just that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from headwater.attribution.checkpoint import load_checkpoint
from headwater.attribution.features import GradientModel
from headwater.attribution.score import Scorer
from headwater.attribution.verify import verify_rows, verify_terms
from headwater.modelfactory import job_spec as files
from headwater.modelfactory.job_spec import JobSpec
from headwater.modelfactory.replay import replay_segment
from headwater.protocol.canonical import canonical_json
from headwater.protocol.draw import draw_distinct, draw_seed
from headwater.protocol.model import VersionVerdict
from headwater.service.accounts import Accounts
from headwater.service.examining import Examiner, JobExaminer
from headwater.service.indexing import labelled_records, open_index
from headwater.service.model_rows import VersionRow
from headwater.service.models import MODELS, Models
from headwater.service.workbench import Workbench
from headwater.types import Address, Digest, digest, hex0x

DRAWN_ROWS: Final = 4
REPLAYED_STEPS: Final = 3
LOSS_TOLERANCE_MICRONATS: Final = 20_000
"""Replayed losses agree within this: float32 sums differ between processors, and three steps compound it."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Attestation:
    accepted: bool
    words: str
    rows_checked: int
    row_faults: int
    steps_replayed: int
    largest_loss_difference_micronats: int
    answers_asked: int
    answers_different: int
    validators: int

    def to_json(self) -> dict[str, Any]:
        return {
            "accepted": self.accepted,
            "rows_checked": self.rows_checked,
            "row_faults": self.row_faults,
            "steps_replayed": self.steps_replayed,
            "largest_loss_difference_micronats": self.largest_loss_difference_micronats,
            "answers_asked": self.answers_asked,
            "answers_different": self.answers_different,
            "validators": self.validators,
        }


class Attesting:
    def __init__(self, bench: Workbench, examine: Examiner | None = None) -> None:
        """`examine`: how a drawn part of the evaluation is asked again; by default, over this home's jobs."""
        self._bench = bench
        self._examine = examine or JobExaminer(bench)
        self._models = Models(bench)

    def attest(self, validator: str, hot_key: str, name: str, say: Say) -> Attestation:
        """Seal the draw if needed, recompute, sign, send. A version that fails is voted against."""
        row = self._models.named(name)
        sealed = self._models.seal(validator, row)
        key = self._bench.address(hot_key)
        preimage = Accounts(self._bench).preimage(hot_key, "version", self._draw_position(row, key))
        seed = draw_seed(sealed, preimage, f"version {hex0x(row.version.digest())}")
        found = self._recompute(row, seed, say)
        self._vote(validator, hot_key, row, sealed, preimage, found)
        return found

    def _draw_position(self, row: VersionRow, key: Address) -> int:
        """The next one; of a version that the key has voted on, that vote's: the same vote again has no effect."""
        given = self._bench.events(MODELS, "VerdictGiven", key=key)
        voted = [(digest(event.args["modelId"]), event.args["version"]) for event in given]
        version = row.version.model_id, row.version.version
        return voted.index(version) if version in voted else len(voted)

    def _recompute(self, row: VersionRow, seed: Digest, say: Say) -> Attestation:
        spec = JobSpec.from_bytes((row.folder / files.SPEC_FILE).read_bytes())
        index = open_index(row)
        drawn = draw_distinct(seed, len(index), DRAWN_ROWS)
        checkpoint = load_checkpoint(row.checkpoint_folder, spec.recipe.adam_beta2_ppm, row.version.checkpoint_digest)
        base_folder = Path(spec.base_folder)
        tokens = labelled_records(row.folder, base_folder)
        model = GradientModel.load(base_folder, checkpoint, index.method)
        faults = (
            *verify_terms(Scorer(index), row.version),
            *verify_rows(index, model, {i: tokens[i] for i in drawn}),
        )
        said = "; ".join(f.message for f in faults) or "they hold"
        say(f"  {len(drawn)} drawn index rows recomputed: {said}")
        apart = self._replay(row, spec, seed, say)
        examined = self._examine(row, seed)
        say(f"  {examined.asked} answers of the evaluation asked again: {examined.different} differ")
        accepted = not faults and apart <= LOSS_TOLERANCE_MICRONATS and examined.holds
        return Attestation(
            accepted=accepted,
            words=f"{len(drawn)} rows, {REPLAYED_STEPS} training steps and {examined.asked} answers recomputed",
            rows_checked=len(drawn),
            row_faults=len(faults),
            steps_replayed=REPLAYED_STEPS,
            largest_loss_difference_micronats=apart,
            answers_asked=examined.asked,
            answers_different=examined.different,
            validators=self._bench.call("Staking", "validatorCount"),
        )

    @staticmethod
    def _replay(row: VersionRow, spec: JobSpec, seed: Digest, say: Say) -> int:
        """Largest difference of a loss. The draw says where: at the training's start, or after the checkpoint."""
        from_start = seed[0] & 1 == 0
        segment = replay_segment(
            row.folder,
            spec,
            REPLAYED_STEPS,
            step_chain_digest=row.version.step_chain_digest,
            checkpoint_digest=None if from_start else row.version.checkpoint_digest,
        )
        last = segment.first_step + REPLAYED_STEPS - 1
        say(f"  steps {segment.first_step} to {last} replayed: losses {segment.largest_difference} micronats apart")
        return segment.largest_difference

    def _vote(
        self, validator: str, hot_key: str, row: VersionRow, sealed: Digest, preimage: Digest, found: Attestation
    ) -> None:
        facts = self._bench.call(MODELS, "stateOf", row.version.model_id, row.version.version)
        verdict = VersionVerdict(
            model_id=row.version.model_id,
            version=row.version.version,
            version_digest=row.version.digest(),
            validator_set_id=facts["validatorSetId"],
            sealed_hash=sealed,
            preimage=preimage,
            findings_digest=Digest(sha256(canonical_json(found.to_json())).digest()),
            accepted=found.accepted,
        )
        signature = self._bench.signer.sign_typed(hot_key, verdict, self._bench.domain(MODELS))
        intent = f"attest {hex0x(verdict.digest())}"
        self._bench.send(validator, MODELS, "attestVersion", verdict.values(), signature, intent=intent)
