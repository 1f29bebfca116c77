"""A version's evaluation, as far as a validator looks at it again.

In: a registered version and a draw. Out: how many answers were asked again and how many came out differently, after
the report was held against the chain's digest and its scores against the kept answers. The evaluation is one of this
home's jobs; what is checked of it stands in `modelfactory.reexamine`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from headwater.errors import NotFound
from headwater.modelfactory import job_spec as files
from headwater.modelfactory.job_spec import JobSpec
from headwater.modelfactory.reexamine import batches, open_report, repeat_answers
from headwater.protocol.draw import draw_distinct
from headwater.service.jobs import JobRows
from headwater.service.model_rows import VersionRow
from headwater.service.workbench import Workbench
from headwater.types import Digest, hex0x


@dataclass(frozen=True, slots=True)
class Examined:
    """Answers of the tuned model that were asked again."""

    asked: int
    different: int

    @property
    def holds(self) -> bool:
        """Another processor may differ in a near tie: one answer in ten is forgiven."""
        return 10 * self.different <= self.asked


class Examiner(Protocol):
    """Asks a drawn part of a version's evaluation again."""

    def __call__(self, row: VersionRow, seed: Digest) -> Examined:
        """Raises NotFound without the evaluation, VerificationFailed if it is not what was registered."""
        ...


class JobExaminer:
    """The evaluation lies in a job's folder of this home."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._rows = JobRows(bench.database, bench.clock)

    def __call__(self, row: VersionRow, seed: Digest) -> Examined:
        folder = self._bench.home.jobs / self._job_of(row.version.evaluation_digest)
        report = open_report(folder, row.version.evaluation_digest)
        spec = JobSpec.from_bytes((folder / files.SPEC_FILE).read_bytes())
        (batch,) = draw_distinct(seed, batches(report), 1)
        repeated = repeat_answers(folder, spec, report, batch)
        return Examined(len(repeated.recorded), repeated.different)

    def _job_of(self, evaluation_digest: Digest) -> str:
        for job in self._rows.all():
            if job.kind == "evaluate" and job.result and job.result["report_digest"] == hex0x(evaluation_digest):
                return job.job_id
        raise NotFound(
            f"the evaluation {hex0x(evaluation_digest)} is not in this home",
            "attest where the version was evaluated, or fetch its folder first",
        )
