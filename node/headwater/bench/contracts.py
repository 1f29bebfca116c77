"""What the contracts cost, measured again: whole transactions on py-evm, by the code that the gas tests run.

In: a checkout of the repository, since what deploys and drives the contracts there are its tests' helpers. Out: gas
by name, and how many properties docs/PROPERTIES.md has and how many of them name the tests that show them.
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
MEASURE: Final = "import json, measure; print(json.dumps(measure.measure()))"
ROOT: Final = Path(__file__).resolve().parents[3]


def run(quick: bool) -> Mapping[str, Any]:
    """The same with and without `quick`: gas does not depend on the machine. Raises NotFound outside a checkout."""
    return {**gas(ROOT), **properties(ROOT)}


def gas(root: Path) -> dict[str, int]:
    """Gas by field. Raises NotFound, or VerificationFailed if the measurement did not run to its end."""
    folder = root / "tests/gas"
    if not (folder / "measure.py").is_file():
        raise NotFound(
            "the contracts are measured in a checkout of the repository", "clone it, and run it from there"
        )
    done = subprocess.run([sys.executable, "-c", MEASURE], cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise VerificationFailed(f"the measurement failed ({last})", "run python tests/gas/measure.py")
    measured = json.loads(done.stdout)
    return {field: int(measured[name]) for field, name in FIELDS.items()}


def properties(root: Path) -> dict[str, int]:
    """`properties_tested`: those that name at least one test; that each is there and runs, tests/docs checks."""
    text = (root / "docs/PROPERTIES.md").read_text("utf-8")
    listed = re.split(r"^- \*\*P\d+\*\* ", text, flags=re.MULTILINE)[1:]
    tested = sum("`tests/" in one for one in listed)
    return {"properties_total": len(listed), "properties_tested": tested}
