"""`--counterfactual`: what happens to an answer when its top contributor was never there, and when another was not.

In: the told story. Out: for the first answer the fall of its log-likelihood after retraining without the top
contributor, and without one who had no part in it. Retraining is itself noisy: two trainings are an illustration, not
a certificate.
"""

from __future__ import annotations

from typing import Any

from headwater.cli.demo_data import Slice
from headwater.cli.demo_stage import Stage
from headwater.cli.demo_story_types import Story


def retrain_without(stage: Stage, data: Slice, story: Story) -> None:
    """Two retrainings through the public command `model counterfactual`."""
    stage.chapter("10. What if they had not contributed?")
    told = stage.run("Who taught the first answer", "receipt", "show", story.answers[0]["receipt_id"])
    if not told["owners"]:
        stage.say("  nobody rose above the noise floor: there is nothing to leave out")
        return
    top = told["owners"][0]["name"]
    other = next(p.wallet for p in reversed(data.parts) if p.wallet not in {o["name"] for o in told["owners"][:1]})
    rows: list[dict[str, Any]] = []
    for who in (top, other):
        found = stage.run(
            f"Retraining without {who}",
            *("model", "counterfactual", data.model, "--without", who, "--receipt", story.answers[0]["receipt_id"]),
        )
        rows.append(found)
        stage.say(f"  without {who}: log-likelihood of the answer falls by {found['fall_micronats'] / 1e6:.3f} nats")
    story.counterfactual = rows
    story.checks["leaving the top contributor out costs more than leaving another out"] = (
        rows[0]["fall_micronats"] > rows[1]["fall_micronats"]
    )
