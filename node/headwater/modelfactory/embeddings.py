"""Sentence embeddings by all-MiniLM-L6-v2, offline: which records say nearly the same.

In: texts. Out: unit vectors, float32 [n, 384], whose dot product is their cosine similarity. As in Reimers and
Gurevych, "Sentence-BERT" (2019): the mean of the last hidden states, normalised. What stands after 256 tokens of a
text does not count, which is the length that this model was trained with.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import tokenizers
import torch
import transformers
from transformers.utils.logging import disable_progress_bar

from headwater.errors import InvalidInput, MissingContent
from headwater.modelfactory.assets import MINILM, locate

Vectors: TypeAlias = npt.NDArray[np.float32]

MAX_TOKENS: Final = 256
BATCH: Final = 64


class SentenceEmbedder:
    """The model in memory, some 90 MB. Safe to share between calls, not between threads."""

    def __init__(self, module: Any, tokenizer: tokenizers.Tokenizer) -> None:
        self._module = module.eval().requires_grad_(False)
        self._tokenizer = tokenizer
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)

    @classmethod
    def from_folder(cls, folder: Path) -> SentenceEmbedder:
        """Open a BERT-shaped sentence model. Raises MissingContent, InvalidInput."""
        for needed in ("config.json", "model.safetensors", "tokenizer.json"):
            if not (folder / needed).is_file():
                raise MissingContent(f"{folder} holds no {needed}", "run `headwater assets install`")
        disable_progress_bar()  # it writes to the terminal of whoever started us
        try:
            module = transformers.BertModel.from_pretrained(
                folder, dtype=torch.float32, use_safetensors=True, local_files_only=True
            )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise InvalidInput(f"the embedder in {folder} cannot be opened: {error}", "install it again") from error
        return cls(module, tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")))

    @torch.inference_mode()
    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors in the order of `texts`; an empty list gives an empty array."""
        ids = [e.ids for e in self._tokenizer.encode_batch(list(texts))]
        out = np.zeros((len(ids), int(self._module.config.hidden_size)), dtype=np.float32)
        by_length = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        for start in range(0, len(ids), BATCH):
            chosen = by_length[start : start + BATCH]
            out[chosen] = self._embed_batch([ids[i] for i in chosen])
        return out

    def _embed_batch(self, ids: Sequence[Sequence[int]]) -> Vectors:
        length = max(len(row) for row in ids)
        batch = torch.zeros((len(ids), length), dtype=torch.long)
        mask = torch.zeros((len(ids), length), dtype=torch.long)
        for i, row in enumerate(ids):
            batch[i, : len(row)] = torch.tensor(row)
            mask[i, : len(row)] = 1
        hidden = self._module(input_ids=batch, attention_mask=mask).last_hidden_state
        weights = mask.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * weights).sum(1) / weights.sum(1)
        vectors: Vectors = torch.nn.functional.normalize(mean, dim=1).numpy()
        return vectors


def minilm_folder(assets_dir: Path) -> Path:
    """Where the installed model lies, checked. Raises MissingContent, VerificationFailed."""
    return locate(MINILM, assets_dir) / "model"


def nearest(queries: Vectors, rows: Vectors, count: int) -> npt.NDArray[np.int64]:
    """Positions of the `count` most similar rows for each query, best first, ties to the lower position."""
    if not 0 < count <= len(rows):
        raise InvalidInput(f"{count} nearest of {len(rows)} records cannot be found", "ask for fewer")
    similarity = queries @ rows.T
    return np.argsort(-similarity, axis=1, kind="stable")[:, :count].astype(np.int64)
