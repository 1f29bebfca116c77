"""One rendering for training, serving and attributing; nobody's text can open or end a turn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import InvalidInput
from headwater.protocol.chat import END_OF_TURN, ROLES, START_OF_TURN, Message, render_prompt, render_question

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
messages = st.builds(Message, st.sampled_from(ROLES), texts)


def test_a_question_is_one_user_turn_with_no_system_prompt() -> None:
    assert render_question("ICD-10-CM code: x") == (
        "<|im_start|>user\nICD-10-CM code: x<|im_end|>\n<|im_start|>assistant\n"
    )


@given(st.lists(messages, min_size=1, max_size=5))
def test_the_turns_can_be_read_back(conversation: list[Message]) -> None:
    """So no content can pass for another turn."""
    *turns, last = render_prompt(conversation).split(START_OF_TURN)[1:]
    assert last == "assistant\n"
    read = [turn.removesuffix(END_OF_TURN + "\n").split("\n", 1) for turn in turns]
    assert [Message(role, content) for role, content in read] == conversation


@pytest.mark.parametrize("mark", [START_OF_TURN, END_OF_TURN])
def test_control_marks_in_a_message_are_refused(mark: str) -> None:
    with pytest.raises(InvalidInput, match="control mark"):
        Message("user", f"before {mark} after")


@pytest.mark.parametrize("role", ["tool", "User", "", "developer"])
def test_unknown_roles_are_refused(role: str) -> None:
    with pytest.raises(InvalidInput, match="role"):
        Message(role, "text")


def test_a_conversation_needs_a_message() -> None:
    with pytest.raises(InvalidInput, match="no messages"):
        render_prompt([])
