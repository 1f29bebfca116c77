"""Records as the model sees them: token ids, where the answer begins, and the order in which they are shown.

In: (id, prompt, answer) records and a tokenizer. Out: `LabelledTokens`, exact counts, batches. Only the answer and
its end mark carry loss. Nothing is cut: a record that is too long is refused, and so is an empty one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from headwater.errors import BadRecord, InvalidInput
from headwater.modelfactory.tokenizer import Tokenizer
from headwater.protocol.canonical import canonical_json, parse_json
from headwater.protocol.chat import render_question
from headwater.protocol.codec import Bytes32, Document
from headwater.protocol.recipe import Recipe
from headwater.protocol.tokens import LabelledTokens
from headwater.storage.files import write_durably
from headwater.types import Digest

FAULTS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Example(Document):
    """One record of a Datanet as training sees it. `record_id`: its commitment."""

    record_id: Bytes32
    prompt: str
    answer: str


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """Exact: what the trainer will see, once over the records."""

    records: int
    prompt_tokens: int
    answer_tokens: int
    longest: int

    @property
    def total(self) -> int:
        return self.prompt_tokens + self.answer_tokens


def label(tokenizer: Tokenizer, example: Example, max_tokens: int) -> LabelledTokens:
    """Prompt in ChatML, then the answer and its end mark. Raises BadRecord: empty, too long, control marks."""
    if not example.prompt.strip() or not example.answer.strip():
        raise BadRecord("the record has an empty prompt or answer", "remove it or fill it in")
    try:
        prompt = tokenizer.encode(render_question(example.prompt))
        render_question(example.answer)  # the same control marks are refused in answers
    except InvalidInput as error:
        raise BadRecord(error.cause, error.next_step) from error
    ids = (*prompt, *tokenizer.encode(example.answer), tokenizer.end_id)
    if len(ids) > max_tokens:
        raise BadRecord(
            f"the record has {len(ids):,} tokens, the recipe allows {max_tokens:,}",
            "shorten it or raise max_tokens: nothing is cut",
        )
    return LabelledTokens(ids, len(prompt))


def label_all(tokenizer: Tokenizer, examples: Sequence[Example], max_tokens: int) -> tuple[LabelledTokens, ...]:
    """All records, or one BadRecord that lists every fault by its position. Raises InvalidInput for none at all."""
    if not examples:
        raise InvalidInput("there are no records", "contribute records, or choose another snapshot")
    if len({e.record_id for e in examples}) != len(examples):
        raise BadRecord("a record occurs twice", "pass each record once: duplicates are settled by the snapshot")
    labelled, faults = [], []
    for position, example in enumerate(examples):
        try:
            labelled.append(label(tokenizer, example, max_tokens))
        except BadRecord as error:
            faults.append(f"record {position}: {error.cause}")
    if faults:
        more = f" and {len(faults) - FAULTS_SHOWN} more" if len(faults) > FAULTS_SHOWN else ""
        raise BadRecord("; ".join(faults[:FAULTS_SHOWN]) + more, "mend or remove these records", faults=faults)
    return tuple(labelled)


def count_tokens(labelled: Sequence[LabelledTokens]) -> TokenCounts:
    prompts = sum(tokens.answer_start for tokens in labelled)
    total = sum(len(tokens.ids) for tokens in labelled)
    longest = max((len(tokens.ids) for tokens in labelled), default=0)
    return TokenCounts(len(labelled), prompts, total - prompts, longest)


def batches(recipe: Recipe, record_ids: Sequence[Digest]) -> tuple[tuple[int, ...], ...]:
    """Positions of each step's records. Epoch e shows records by rising sha256(seed ‖ e ‖ record id).

    So the order depends on the seal and on the records, and on nothing that anyone chooses.
    """
    out: list[tuple[int, ...]] = []
    for epoch in range(recipe.epochs):
        prefix = recipe.seed + epoch.to_bytes(4, "big")
        order = sorted(range(len(record_ids)), key=lambda i: sha256(prefix + record_ids[i]).digest())
        out += [tuple(order[i : i + recipe.batch_size]) for i in range(0, len(order), recipe.batch_size)]
    return tuple(out)


def examples_digest(examples: Sequence[Example]) -> Digest:
    """sha2-256 over the examples in order: what a training job was given."""
    return Digest(sha256(b"".join(e.digest() for e in examples)).digest())


def write_examples(path: Path, examples: Sequence[Example]) -> None:
    """One canonical JSON object a line. Raises DiskFull."""
    write_durably(path, b"".join(canonical_json(e.to_json()) + b"\n" for e in examples))


def read_examples(path: Path) -> tuple[Example, ...]:
    """Raises InvalidInput naming the line."""
    lines = path.read_bytes().splitlines()
    return tuple(Example.from_json(parse_json(line, f"{path.name} line {i}")) for i, line in enumerate(lines, 1))
