"""A chain of training steps belongs to one training, and a step that was changed, left out or moved breaks it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import VerificationFailed
from headwater.protocol.training import TrainingStep, chain_start, quantise_loss, verify_steps
from headwater.testing import examples
from headwater.types import ZERO_DIGEST

START = chain_start(examples.word("recipe"), examples.word("records"))


def chain(length: int) -> list[TrainingStep]:
    steps: list[TrainingStep] = []
    previous = START
    for number in range(1, length + 1):
        record = examples.word(f"record {number}")
        steps.append(TrainingStep(previous, number, (record,), 40, quantise_loss(2.5 / number), ZERO_DIGEST))
        previous = steps[-1].digest()
    return steps


def test_a_whole_chain_ends_in_its_last_steps_digest() -> None:
    assert verify_steps(chain(3), START) == chain(3)[-1].digest()


def test_a_chain_of_another_recipe_or_other_records_does_not_verify() -> None:
    for start in (
        chain_start(examples.word("another"), examples.word("records")),
        chain_start(examples.word("recipe"), examples.word("another")),
    ):
        with pytest.raises(VerificationFailed, match="step 1 does not follow"):
            verify_steps(chain(2), start)


@given(st.integers(2, 6), st.data())
def test_a_changed_step_breaks_the_chain_behind_it_or_its_digest(length: int, data: st.DataObject) -> None:
    steps = chain(length)
    place = data.draw(st.integers(0, length - 1))
    steps[place] = replace(steps[place], loss_micronats=steps[place].loss_micronats + 1)
    if place == length - 1:
        assert verify_steps(steps, START) != chain(length)[-1].digest()
    else:
        with pytest.raises(VerificationFailed, match=f"step {place + 2} does not follow"):
            verify_steps(steps, START)


@given(st.integers(3, 6), st.data())
def test_a_step_left_out_is_missed(length: int, data: st.DataObject) -> None:
    steps = chain(length)
    place = data.draw(st.integers(0, length - 2))
    del steps[place]
    with pytest.raises(VerificationFailed, match=f"step {place + 1} does not follow"):
        verify_steps(steps, START)


def test_losses_are_whole_micronats() -> None:
    assert quantise_loss(0.1234567) == 123_457
