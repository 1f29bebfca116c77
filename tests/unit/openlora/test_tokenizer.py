"""Text to ids and back; the pieces of a stream joined are the whole."""

from __future__ import annotations

from pathlib import Path

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import InvalidInput, MissingContent
from headwater.openlora.models import BaseModel
from headwater.openlora.tokenizer import TextStream, Tokenizer


def metaspace_tokenizer() -> Tokenizer:
    """SentencePiece's way: a space is a mark at a word's beginning, the first is dropped; bytes as a fallback."""
    words = ["<unk>", "▁hello", "▁wide", "world", "▁", *(f"<0x{b:02X}>" for b in range(256))]
    backend = tokenizers.Tokenizer(tokenizers.models.BPE({w: i for i, w in enumerate(words)}, [], unk_token="<unk>"))
    backend.decoder = tokenizers.decoders.Sequence(
        [
            tokenizers.decoders.Replace("▁", " "),
            tokenizers.decoders.ByteFallback(),
            tokenizers.decoders.Fuse(),
            tokenizers.decoders.Strip(" ", 1, 0),
        ]
    )
    backend.add_special_tokens(["<|im_end|>"])
    return Tokenizer(backend)


def streamed(stream: TextStream, ids: list[int]) -> list[str]:
    return [*(stream.push(i) for i in ids), stream.finish()]


def test_no_token_is_added_and_control_tokens_have_no_text(base: BaseModel) -> None:
    ids = base.tokenizer.encode("<|im_start|>user\nhi<|im_end|>")
    assert ids[0] == base.tokenizer.encode("<|im_start|>")[0]
    assert ids[-1] == base.tokenizer.end_id
    assert base.tokenizer.decode(ids) == "user\nhi"


def test_a_character_of_several_tokens_comes_whole(base: BaseModel) -> None:
    ids = list(base.tokenizer.encode("a€😀"))
    assert len(ids) == 1 + 3 + 4
    assert streamed(base.tokenizer.stream(), ids) == ["a", "", "", "€", "", "", "", "😀", ""]


def test_half_a_character_at_the_end_is_shown_as_such(base: BaseModel) -> None:
    ids = list(base.tokenizer.encode("a€"))[:-1]
    assert streamed(base.tokenizer.stream(), ids) == ["a", "", "", "\ufffd"]


@given(text=st.text(max_size=40))
def test_property_pieces_of_any_text_join_to_it(base: BaseModel, text: str) -> None:
    ids = list(base.tokenizer.encode(text))
    assert "".join(streamed(base.tokenizer.stream(), ids)) == base.tokenizer.decode(ids)


@given(ids=st.lists(st.integers(0, 258), max_size=60))
def test_property_pieces_of_any_tokens_join_to_their_text(base: BaseModel, ids: list[int]) -> None:
    pieces = streamed(base.tokenizer.stream(), ids)
    assert "".join(pieces) == base.tokenizer.decode(ids)


@given(words=st.lists(st.sampled_from([1, 2, 3, 4, 5 + 0x41, "€", "😀"]), max_size=20))
def test_property_pieces_join_also_where_a_decoder_looks_at_its_context(words: list[int | str]) -> None:
    tokenizer = metaspace_tokenizer()
    ids: list[int] = []
    for word in words:
        ids += [word] if isinstance(word, int) else [5 + b for b in word.encode()]
    assert "".join(streamed(tokenizer.stream(), ids)) == tokenizer.decode(ids)


def test_nothing_handed_out_is_taken_back_when_bytes_break_off() -> None:
    tokenizer = metaspace_tokenizer()
    ids = [1, *(5 + b for b in "€€".encode()[:-1])]
    pieces = streamed(tokenizer.stream(), ids)
    assert "".join(pieces).startswith("hello€")


def test_a_stream_decodes_a_window_not_the_whole_answer(base: BaseModel) -> None:
    seen: list[int] = []

    class Counting(Tokenizer):
        def decode(self, ids: list[int]) -> str:  # type: ignore[override]
            seen.append(len(ids))
            return super().decode(ids)

    stream = Counting(base.tokenizer._backend).stream()
    for token in base.tokenizer.encode("word " * 200):
        stream.push(token)
    assert max(seen) <= 8


def test_a_folder_without_a_usable_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingContent, match=r"tokenizer\.json"):
        Tokenizer.from_folder(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(InvalidInput, match="not a tokenizer"):
        Tokenizer.from_folder(tmp_path)


def test_a_tokenizer_without_the_end_mark_is_refused() -> None:
    backend = tokenizers.Tokenizer(tokenizers.models.BPE({"a": 0}, []))
    with pytest.raises(InvalidInput, match="im_end"):
        Tokenizer(backend)
