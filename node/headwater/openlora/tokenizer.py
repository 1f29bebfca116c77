"""Text to token ids and back, also piece by piece while an answer is being written.

In: text, or token ids as they are sampled. Out: ids; text whose concatenated pieces equal the text of all ids at
once. No token is added on the way in; on the way out control tokens have no text. Chat markup is made elsewhere
(`headwater.protocol.chat`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import tokenizers

from headwater.errors import InvalidInput, MissingContent
from headwater.protocol.chat import END_OF_TURN

FILE_NAME: Final = "tokenizer.json"
UNFINISHED: Final = "\ufffd"


class Tokenizer:
    """The base model's tokenizer. Immutable, safe to use from several threads."""

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        self._backend = backend
        backend.no_padding()
        backend.no_truncation()
        end = backend.token_to_id(END_OF_TURN)
        if end is None:
            raise InvalidInput(f"the tokenizer has no {END_OF_TURN} token", "use a base model with ChatML markup")
        self.end_id: Final[int] = end
        self.vocabulary_size: Final[int] = backend.get_vocab_size(with_added_tokens=True)

    @classmethod
    def from_folder(cls, folder: Path) -> Tokenizer:
        """Read `tokenizer.json`. Raises MissingContent without it, InvalidInput if it is not a tokenizer."""
        path = folder / FILE_NAME
        if not path.is_file():
            raise MissingContent(f"{folder} holds no {FILE_NAME}", "prepare the base with `headwater assets install`")
        try:
            backend = tokenizers.Tokenizer.from_str(path.read_text("utf-8"))
        # `tokenizers` raises plain Exception, and nothing narrower, for every defect of the file.
        except Exception as error:
            raise InvalidInput(f"{path} is not a tokenizer: {error}", "prepare the base again") from error
        return cls(backend)

    def encode(self, text: str) -> tuple[int, ...]:
        """Token ids of `text`; control tokens written in it are read as control tokens, none is added."""
        return tuple(self._backend.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of `ids`; control tokens have none, bytes that are not UTF-8 become U+FFFD."""
        return str(self._backend.decode(list(ids), skip_special_tokens=True))

    def stream(self) -> TextStream:
        return TextStream(self)


class TextStream:
    """Incremental detokenisation: `push` ids one at a time, `finish` once.

    The pieces joined are `decode` of all ids. Trailing U+FFFD are held back: they may be the beginning of a character
    whose other bytes are in the next token. Only a window of ids is decoded again for each token: it begins at the
    last boundary whose text was complete, so the cost does not grow with the answer's length. What has been handed
    out is never taken back, also under byte-fallback decoders, which turn a whole run of bytes into U+FFFD while its
    last character is unfinished.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._context = 0
        self._written = ""

    def push(self, token_id: int) -> str:
        """The text that is certain now and was not before."""
        self._ids.append(token_id)
        text = self._tokenizer.decode(self._ids)
        piece = self._advance(text.rstrip(UNFINISHED))
        if piece and self._written == text:
            # Decoders such as Metaspace look at what stands before: the newest complete piece stays as context.
            self._ids = self._ids[self._context :]
            self._context = len(self._ids)
            self._written = self._tokenizer.decode(self._ids)
        return piece

    def finish(self) -> str:
        """What was held back and is now known to be all there is."""
        return self._advance(self._tokenizer.decode(self._ids))

    def _advance(self, certain: str) -> str:
        if not certain.startswith(self._written):
            return ""
        piece = certain[len(self._written) :]
        self._written = certain
        return piece
