"""What the contracts cost, measured again: whole transactions on py-evm, by the code that the gas tests run.

In: a checkout of the repository, since what deploys and drives the contracts there are its tests' helpers. Out: gas
by name; faults injected and proved on chain; how many properties docs/PROPERTIES.md has, and how many of them name
the tests that show them.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from headwater.errors import NotFound, VerificationFailed

FIELDS: Final[Mapping[str, str]] = {
    "propose": "propose",
    "commit": "commit, one signer",
    "commit_per_signer": "commit, each further signer",
    "settle_repeat": "settle, a repeated payee of 500",
    "settle_first": "settle, a new payee of 500",
    "claim_d17": "claim at depth 17, repeated",
    "anchor": "anchor, one signed batch",
}
"""A field's name -> its name in tests/gas/snapshot.json."""
GAS: Final = "import json, measure; print(json.dumps(measure.measure()))"
FAULTS: Final = "import json, measure_faults; print(json.dumps(measure_faults.measure({each})))"
EPOCHS_A_FAULT: Final = 5
ROOT: Final = Path(__file__).resolve().parents[3]


def run(quick: bool) -> Mapping[str, Any]:
    """`quick`: each fault in one epoch only; gas is the same. Raises NotFound outside a checkout."""
    return {**gas(ROOT), **faults(ROOT, 1 if quick else EPOCHS_A_FAULT), **properties(ROOT)}


def gas(root: Path) -> dict[str, int]:
    """Gas by field. Raises NotFound, or VerificationFailed if the measurement did not run to its end."""
    measured = _measured(root / "tests/gas", GAS)
    return {field: measured[name] for field, name in FIELDS.items()}


def faults(root: Path, each: int) -> dict[str, int]:
    """Each fault of the generator in `each` epochs, committed and brought before the court. Raises as `gas`."""
    return _measured(root / "tests/contracts", FAULTS.format(each=each))


def _measured(folder: Path, code: str) -> dict[str, int]:
    """What the code prints, run where its modules are: in its own process, since they are no part of the package."""
    if not folder.is_dir():
        raise NotFound("the contracts are measured in a checkout of the repository", "clone it, and run it there")
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise VerificationFailed(f"the measurement failed ({last})", f"run what is in {folder} by hand")
    return {name: int(figure) for name, figure in json.loads(done.stdout).items()}


def properties(root: Path) -> dict[str, int]:
    """`properties_tested`: those that name at least one test; that each is there and runs, tests/docs checks."""
    text = (root / "docs/PROPERTIES.md").read_text("utf-8")
    listed = re.split(r"^- \*\*P\d+\*\* ", text, flags=re.MULTILINE)[1:]
    tested = sum("`tests/" in one for one in listed)
    return {"properties_total": len(listed), "properties_tested": tested}
