"""What a telling of the demo found: one object, as `--json` prints it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Story:
    """Everything that the demo found, as `--json` prints it."""

    contributors: int = 0
    records: int = 0
    held_out: int = 0
    train_seconds: float = 0.0
    evaluation: dict[str, Any] = field(default_factory=dict)
    answers: list[dict[str, Any]] = field(default_factory=list)
    top_contributor_right: bool = False
    bm25_top_right: bool = False
    epoch: dict[str, Any] = field(default_factory=dict)
    payouts: list[dict[str, Any]] = field(default_factory=list)
    conservation_ok: bool = False
    verified: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    checks: dict[str, bool] = field(default_factory=dict)
    counterfactual: list[dict[str, Any]] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=dict)

    @property
    def checks_held(self) -> bool:
        return all(self.checks.values())

    def to_json(self) -> dict[str, Any]:
        return {
            "contributors": self.contributors,
            "records": self.records,
            "held_out": self.held_out,
            "train_seconds": self.train_seconds,
            "eval": self.evaluation,
            "answers": self.answers,
            "top_contributor_right": self.top_contributor_right,
            "bm25_top_right": self.bm25_top_right,
            "epoch": self.epoch,
            "payouts": self.payouts,
            "conservation_ok": self.conservation_ok,
            "verified": self.verified,
            "seconds": self.seconds,
            "checks": self.checks,
            "counterfactual": self.counterfactual,
            "machine": self.machine,
        }
