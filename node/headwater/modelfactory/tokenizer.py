"""Text to token ids, one way for training and evaluation.

In: a prepared base folder. Out: ids without any token that nobody wrote, and text back. The tokenizer's own chat
template is not used (it adds a system prompt); markup is made in `headwater.protocol.chat`. The pad id is not the end
id: padding must never look like the end of an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import tokenizers

from headwater.errors import InvalidInput, MissingContent
from headwater.protocol.chat import END_OF_TURN

FILE_NAME: Final = "tokenizer.json"
PAD_TOKEN: Final = "<|endoftext|>"


class Tokenizer:
    """The base model's tokenizer."""

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        backend.no_padding()
        backend.no_truncation()
        self._backend = backend
        self.end_id: Final = self._control(END_OF_TURN)
        self.pad_id: Final = self._control(PAD_TOKEN)
        self.vocabulary_size: Final = int(backend.get_vocab_size(with_added_tokens=True))

    @classmethod
    def from_folder(cls, folder: Path) -> Tokenizer:
        """Raises MissingContent without the file, InvalidInput if it is not a tokenizer."""
        path = folder / FILE_NAME
        if not path.is_file():
            raise MissingContent(f"{folder} holds no {FILE_NAME}", "prepare the base with `headwater assets install`")
        try:
            backend = tokenizers.Tokenizer.from_str(path.read_text("utf-8"))
        # `tokenizers` raises plain Exception, and nothing narrower, for every defect of the file.
        except Exception as error:
            raise InvalidInput(f"{path} is not a tokenizer: {error}", "prepare the base again") from error
        return cls(backend)

    def encode(self, text: str) -> list[int]:
        """Ids of `text`; control tokens written in it are read as control tokens, none is added."""
        return list(self._backend.encode(text, add_special_tokens=False).ids)

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        return [list(e.ids) for e in self._backend.encode_batch_fast(list(texts), add_special_tokens=False)]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of `ids`; control tokens have none."""
        return str(self._backend.decode(list(ids), skip_special_tokens=True))

    def _control(self, token: str) -> int:
        found = self._backend.token_to_id(token)
        if found is None:
            raise InvalidInput(f"the tokenizer has no {token} token", "use a base model with ChatML markup")
        return int(found)
