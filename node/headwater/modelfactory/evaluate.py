"""Asking the same held-out questions to everyone: base, base with retrieval, nearest neighbour, rule, tuned.

In: training records, held-out records, a base with an adapter, an embedder. Out: everyone's answers, and the report
that `report` makes of them. A control that wins is never left out; one that does not exist for the data (the rule) is
absent from the scores.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from headwater.errors import InvalidInput, VerificationFailed
from headwater.modelfactory.assets import Progress
from headwater.modelfactory.checkpoints import read_adapter
from headwater.modelfactory.controls import RULES, RuleControl, rule_for
from headwater.modelfactory.data import Example, read_examples
from headwater.modelfactory.embeddings import SentenceEmbedder, nearest
from headwater.modelfactory.generate import answer_all
from headwater.modelfactory.job_spec import (
    ANSWERS_FILE,
    HELD_OUT_FILE,
    METRICS_FILE,
    REPORT_FILE,
    RESULT_FILE,
    TRAIN_FILE,
    JobSpec,
)
from headwater.modelfactory.lora import LoraAdapter, attach_adapter
from headwater.modelfactory.machine import detect_machine, make_repeatable
from headwater.modelfactory.recipe import used_records
from headwater.modelfactory.report import Answers, build_report, describe_report
from headwater.modelfactory.tokenizer import Tokenizer
from headwater.modelfactory.trainer import open_checked_base
from headwater.protocol.canonical import canonical_json
from headwater.protocol.chat import Message, render_prompt, render_question
from headwater.protocol.evaluation import Contender, EvaluationReport
from headwater.storage.files import write_durably
from headwater.types import Digest, hex0x

Done = Callable[[int, int], None]

ANSWER_MARGIN: Final = 8
"""Tokens that an answer may be longer than the longest training answer."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """A base with an adapter on it, in the recipe's compute type."""

    module: Any
    adapter: LoraAdapter
    tokenizer: Tokenizer
    adapter_digest: Digest


def longest_answer(tokenizer: Tokenizer, train: Sequence[Example]) -> int:
    """How many tokens an answer may have: the longest training answer and a margin."""
    return max(len(tokenizer.encode(e.answer)) for e in train) + ANSWER_MARGIN


class Contest:
    """One set of questions and everything that answers them."""

    def __init__(
        self,
        module: Any,
        adapter: LoraAdapter,
        tokenizer: Tokenizer,
        embedder: SentenceEmbedder,
        train: Sequence[Example],
        held_out: Sequence[Example],
        rules: Sequence[RuleControl] = RULES,
    ) -> None:
        if not train or not held_out:
            raise InvalidInput("there is nothing to evaluate on", "hold out a part of the snapshot")
        self._module, self._adapter, self._tokenizer = module, adapter, tokenizer
        self._embedder, self._train, self._held_out = embedder, train, held_out
        self._rules = rules
        self._max_new_tokens = longest_answer(tokenizer, train)

    def run(
        self, retrieved: int, progress: Progress = lambda line: None, done: Done = lambda count, total: None
    ) -> Answers:
        """Everyone's answers in the order of the questions. `retrieved`: records before the question, at least 1;
        `done`: told after each contender how many of all have answered."""
        order = self._nearest(min(max(retrieved, 1), len(self._train)))
        out: dict[Contender, tuple[str, ...]] = {}
        contenders: tuple[tuple[Contender, Callable[[], tuple[str, ...] | None]], ...] = (
            (Contender.BASE, lambda: self._ask_base(self._questions())),
            (Contender.BASE_RETRIEVAL, lambda: self._ask_base(self._with_examples(order))),
            (Contender.NEAREST, lambda: tuple(self._train[row[0]].answer.strip() for row in order)),
            (Contender.RULE, self._ask_rule),
            (Contender.TUNED, lambda: self._ask(self._questions())),
        )
        for count, (contender, answer) in enumerate(contenders, 1):
            start = time.monotonic()
            answers = answer()
            done(count, len(contenders))
            if answers is None:
                progress(f"{contender.value}: no rule is written for this data")
                continue
            out[contender] = answers
            right = sum(a == e.answer.strip() for a, e in zip(answers, self._held_out, strict=True))
            progress(f"{contender.value}: {right} of {len(answers)}, {time.monotonic() - start:.1f} s")
        return out

    def _questions(self) -> list[list[int]]:
        return self._tokenizer.encode_many([render_question(e.prompt) for e in self._held_out])

    def _with_examples(self, order: Sequence[Sequence[int]]) -> list[list[int]]:
        """The nearest records as earlier turns of the conversation, the nearest last."""
        texts = []
        for question, row in zip(self._held_out, order, strict=True):
            turns = []
            for i in reversed(row):
                turns += [Message("user", self._train[i].prompt), Message("assistant", self._train[i].answer)]
            texts.append(render_prompt([*turns, Message("user", question.prompt)]))
        return self._tokenizer.encode_many(texts)

    def _ask(self, prompts: Sequence[Sequence[int]]) -> tuple[str, ...]:
        return answer_all(self._module, self._tokenizer, prompts, self._max_new_tokens)

    def _ask_base(self, prompts: Sequence[Sequence[int]]) -> tuple[str, ...]:
        with self._adapter.disabled():
            return self._ask(prompts)

    def _ask_rule(self) -> tuple[str, ...] | None:
        rule = rule_for(self._train, self._rules)
        if rule is None:
            return None
        subjects = self._embedder.embed([rule.subject(e.prompt) for e in self._train])
        queries = self._embedder.embed([rule.subject(e.prompt) for e in self._held_out])
        rows = nearest(queries, subjects, 1)[:, 0].tolist()
        return tuple(rule.answer(e.prompt, self._train[i].answer) for e, i in zip(self._held_out, rows, strict=True))

    def _nearest(self, count: int) -> list[list[int]]:
        rows = self._embedder.embed([e.prompt for e in self._train])
        queries = self._embedder.embed([e.prompt for e in self._held_out])
        found: list[list[int]] = nearest(queries, rows, count).tolist()
        return found


def run_evaluation(folder: Path, spec: JobSpec, progress: Progress = print) -> EvaluationReport:
    """Evaluate over a job's folder and write `answers.json`, `evaluation.json` and, last, `result.json`.

    Raises InvalidInput, VerificationFailed (base or adapter is not the recipe's), BadAdapter, DiskFull.
    """
    plan = spec.evaluation
    if plan is None:
        raise InvalidInput("the job has no evaluation plan", "prepare it as an evaluation")
    train, held_out = read_examples(folder / TRAIN_FILE), read_examples(folder / HELD_OUT_FILE)
    train = train[: used_records(spec.recipe, len(train))]
    tuned = open_tuned(spec, Path(plan.adapter_folder))
    embedder = SentenceEmbedder.from_folder(Path(plan.embedder_folder))
    contest = Contest(tuned.module, tuned.adapter, tuned.tokenizer, embedder, train, held_out)
    start, cpu_start = time.monotonic(), time.process_time()
    with (folder / METRICS_FILE).open("wb", buffering=0) as metrics:

        def done(count: int, total: int) -> None:
            metrics.write(canonical_json({"step": count, "steps": total}) + b"\n")

        answers = contest.run(plan.retrieved, progress, done)
    report = build_report(spec.recipe, tuned.adapter_digest, plan, held_out, answers)
    for line in describe_report(report, answers, train, held_out):
        progress(line)
    cpu = time.process_time() - cpu_start
    progress(f"evaluated in {time.monotonic() - start:.1f} s ({cpu:.1f} s of processor)")
    write_durably(folder / ANSWERS_FILE, canonical_json(_named(answers)))
    write_durably(folder / REPORT_FILE, report.canonical_bytes())
    write_durably(folder / RESULT_FILE, canonical_json({"evaluation_digest": hex0x(report.digest())}))
    return report


def open_tuned(spec: JobSpec, adapter_folder: Path) -> Tuned:
    """The recipe's base with an adapter. Raises VerificationFailed for another base's adapter, BadAdapter."""
    machine = detect_machine(spec.device, spec.threads)
    make_repeatable(machine)
    recipe = spec.recipe
    manifest, tensors = read_adapter(adapter_folder)
    if manifest.base_digest != recipe.base_digest:
        raise VerificationFailed("the adapter was trained on another base", "evaluate it with its own recipe")
    module = open_checked_base(spec, machine)
    adapter = attach_adapter(module, manifest.rank, manifest.alpha, manifest.target_modules, recipe.seed)
    adapter.load(tensors)
    return Tuned(module, adapter, Tokenizer.from_folder(Path(spec.base_folder)), manifest.digest())


def _named(answers: Mapping[Contender, Sequence[str]]) -> dict[str, list[str]]:
    return {contender.value: list(given) for contender, given in answers.items()}
