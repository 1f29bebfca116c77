"""ChatML, rendered the same way when training, serving and attributing.

In: messages. Out: the text up to where the assistant's answer begins, and the mark that ends an answer. No system
prompt is added that nobody wrote: a tokenizer's own chat template may do so, which is why it is not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from headwater.errors import InvalidInput
from headwater.protocol.codec import Document

TEMPLATE: Final = "chatml-v1"
START_OF_TURN: Final = "<|im_start|>"
END_OF_TURN: Final = "<|im_end|>"
ROLES: Final = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class Message(Document):
    role: str
    content: str

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise InvalidInput(f"the role {self.role!r} is unknown", "use one of " + ", ".join(ROLES))
        for mark in (START_OF_TURN, END_OF_TURN):
            if mark in self.content:
                raise InvalidInput(f"a message holds the control mark {mark}", "remove it from the text")


def render_prompt(messages: Sequence[Message]) -> str:
    """The text that the model continues. Raises InvalidInput for no messages."""
    if not messages:
        raise InvalidInput("the conversation has no messages", "send at least one")
    turns = "".join(f"{START_OF_TURN}{m.role}\n{m.content}{END_OF_TURN}\n" for m in messages)
    return f"{turns}{START_OF_TURN}assistant\n"


def render_question(prompt: str) -> str:
    """A record's prompt as the one user message of a conversation."""
    return render_prompt([Message("user", prompt)])
