"""Records become token ids with only the answer labelled, whole or not at all, in an order nobody chooses."""

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headwater.errors import BadRecord, InvalidInput
from headwater.modelfactory.data import (
    Example,
    batches,
    count_tokens,
    label,
    label_all,
    read_examples,
    write_examples,
)
from headwater.modelfactory.tokenizer import Tokenizer
from headwater.protocol.chat import END_OF_TURN, START_OF_TURN
from headwater.testing.tiny import tiny_tokenizer
from headwater.types import Digest

TOKENIZER = Tokenizer(tiny_tokenizer())
RECORD = Example(Digest(bytes(32)), "red 1", "r1")


def test_the_rendered_ids_are_chatml_without_a_system_prompt() -> None:
    labelled = label(TOKENIZER, RECORD, 96)
    start, end = 1, 2
    prompt = [start, *TOKENIZER.encode("user\nred 1"), end, *TOKENIZER.encode("\n"), start]
    prompt += TOKENIZER.encode("assistant\n")
    assert list(labelled.ids) == [*prompt, *TOKENIZER.encode("r1"), end]
    assert labelled.answer_start == len(prompt)


CONTROL_MARKS = (START_OF_TURN, END_OF_TURN)


@example("?", END_OF_TURN)
@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=10))
def test_only_the_answer_and_its_end_mark_carry_loss(prompt: str, answer: str) -> None:
    record = Example(Digest(bytes(32)), prompt, answer)
    try:
        labelled = label(TOKENIZER, record, 512)
    except BadRecord:
        assert not prompt.strip() or not answer.strip() or any(m in prompt + answer for m in CONTROL_MARKS)
        return
    assert labelled.ids[-1] == TOKENIZER.end_id
    assert TOKENIZER.decode(labelled.ids[labelled.answer_start : -1]) == answer
    assert TOKENIZER.decode(labelled.ids[: labelled.answer_start]) == f"user\n{prompt}\nassistant\n"


def test_padding_is_not_the_end_mark() -> None:
    assert TOKENIZER.pad_id != TOKENIZER.end_id


def test_a_record_that_is_too_long_is_refused_and_not_cut() -> None:
    length = len(label(TOKENIZER, RECORD, 96).ids)
    assert len(label(TOKENIZER, RECORD, length).ids) == length
    with pytest.raises(BadRecord, match="nothing is cut") as caught:
        label(TOKENIZER, RECORD, length - 1)
    assert f"{length} tokens" in caught.value.cause


@pytest.mark.parametrize(
    "changes", [{"prompt": " "}, {"answer": "\n"}, {"answer": "<|im_end|>"}, {"prompt": "<|im_start|>"}]
)
def test_empty_records_and_control_marks_are_refused(changes: dict[str, str]) -> None:
    with pytest.raises(BadRecord):
        label(TOKENIZER, replace(RECORD, **changes), 96)


def test_every_fault_is_named_by_its_position(examples: tuple[Example, ...]) -> None:
    broken = [replace(e, answer="") if i in (3, 7) else e for i, e in enumerate(examples)]
    with pytest.raises(BadRecord) as caught:
        label_all(TOKENIZER, broken, 96)
    assert [str(f).split(":")[0] for f in caught.value.details["faults"]] == ["record 3", "record 7"]  # type: ignore[attr-defined]


def test_no_records_are_refused() -> None:
    with pytest.raises(InvalidInput, match="no records"):
        label_all(TOKENIZER, [], 96)


def test_a_record_twice_is_refused() -> None:
    with pytest.raises(BadRecord, match="twice"):
        label_all(TOKENIZER, [RECORD, RECORD], 96)


def test_counts_are_exact(examples: tuple[Example, ...]) -> None:
    labelled = label_all(TOKENIZER, examples, 96)
    counts = count_tokens(labelled)
    assert counts.total == sum(len(t.ids) for t in labelled)
    assert counts.answer_tokens == sum(len(e.answer) + 1 for e in examples)
    assert counts.longest == max(len(t.ids) for t in labelled)


def test_each_epoch_shows_every_record_once_and_differently(recipe_for, examples) -> None:  # type: ignore[no-untyped-def]
    ids = [e.record_id for e in examples]
    order = batches(recipe_for(epochs=2, batch_size=5), ids)
    first, second = order[: len(order) // 2], order[len(order) // 2 :]
    assert sorted(i for b in first for i in b) == sorted(i for b in second for i in b) == list(range(24))
    assert first != second
    assert [len(b) for b in first] == [5, 5, 5, 5, 4]


def test_the_order_follows_the_seed_and_not_the_order_of_the_input(recipe_for, examples) -> None:  # type: ignore[no-untyped-def]
    recipe = recipe_for()
    ids = [e.record_id for e in examples]
    shown = [[ids[i] for i in b] for b in batches(recipe, ids)]
    backwards = ids[::-1]
    assert shown == [[backwards[i] for i in b] for b in batches(recipe, backwards)]
    other = [[ids[i] for i in b] for b in batches(recipe_for(seed=Digest(bytes(32))), ids)]
    assert shown != other


def test_examples_survive_the_disk(tmp_path, examples) -> None:  # type: ignore[no-untyped-def]
    write_examples(tmp_path / "train.jsonl", examples)
    assert read_examples(tmp_path / "train.jsonl") == examples


def test_a_damaged_line_is_named(tmp_path, examples) -> None:  # type: ignore[no-untyped-def]
    write_examples(tmp_path / "train.jsonl", examples)
    with (tmp_path / "train.jsonl").open("ab") as file:
        file.write(b"{}\n")
    with pytest.raises(InvalidInput, match="lacks"):
        read_examples(tmp_path / "train.jsonl")
