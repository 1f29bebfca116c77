"""Fitting an index: one gradient a record, kept on disk as it goes, so that a killed fit loses one batch.

In: a `GradientModel`, the records with their tokens, a seed. Out: an `AttributionIndex`, saved. Records with the same
tokens get the same row, computed once. Batches are formed by length, in an order that depends on the records alone,
so an interrupted fit ends in the same root as an undisturbed one. The journal's name carries the digest of all
inputs: another model, seed or record never continues it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headwater.attribution.features import GradientModel
from headwater.attribution.index import FORMAT, AttributionIndex, IndexedRecord, IndexHead
from headwater.attribution.quantise import pack_rows, quantise_row, row_scale
from headwater.errors import DiskFull
from headwater.protocol.tokens import LabelledTokens
from headwater.storage.faults import FREE_SPACE
from headwater.storage.files import make_folder
from headwater.types import Digest, Ppm

Progress = Callable[[int, int], None]
"""(records done, records in all)."""

BATCH_SIZE: Final = 8
_CHECK_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class FitRecord:
    """One record of the training split: whose it is, and the tokens that the training saw."""

    record: IndexedRecord
    tokens: LabelledTokens


def fit_index(
    model: GradientModel,
    records: Sequence[FitRecord],
    sketch_seed: Digest,
    folder: Path,
    progress: Progress = lambda done, total: None,
) -> AttributionIndex:
    """Fit, or go on fitting, the index in `folder`, and save it there.

    Raises InvalidInput for an example that does not fit the model, DiskFull.
    """
    head = head_of(model, [r.record for r in records], sketch_seed)
    tokens = [r.tokens for r in records]
    firsts: dict[tuple[tuple[int, ...], int], int] = {}
    first_of = [firsts.setdefault((t.ids, t.answer_start), i) for i, t in enumerate(tokens)]
    order = sorted(firsts.values(), key=lambda i: (len(tokens[i].ids), i))
    journal = _Journal(folder / f"fit-{_inputs_digest(head, tokens).hex()[:16]}.journal", model.method.sketch_width)
    done = journal.read()
    sketch = model.sketch_of(sketch_seed)
    progress(len(done), len(order))
    for start in range(len(done), len(order), BATCH_SIZE):
        batch = order[start : start + BATCH_SIZE]
        for i, features in zip(batch, model.features([tokens[i] for i in batch], sketch), strict=True):
            scale = row_scale(features, model.method.row_clip_ppm)
            done[i] = scale, pack_rows(quantise_row(features, scale))
        journal.append([(i, *done[i]) for i in batch])
        progress(len(done), len(order))
    packed = np.stack([done[i][1] for i in first_of])
    index = AttributionIndex(head, packed, np.array([done[i][0] for i in first_of], np.int64))
    index.save(folder)
    journal.path.unlink()
    return index


def head_of(model: GradientModel, records: Sequence[IndexedRecord], sketch_seed: Digest) -> IndexHead:
    """What an index of these records, in the order of the training split, must say of itself."""
    checkpoint = model.checkpoint
    return IndexHead(
        FORMAT,
        model.method,
        sketch_seed,
        checkpoint.adapter.base_digest,
        checkpoint.digest,
        Ppm(checkpoint.adam_beta2_ppm),
        tuple(records),
    )


def _inputs_digest(head: IndexHead, tokens: Sequence[LabelledTokens]) -> bytes:
    return sha256(head.digest() + b"".join(t.digest() for t in tokens)).digest()


class _Journal:
    """Append-only rows: position (4 bytes), scale (8), packed row, and a check that finds a torn tail."""

    def __init__(self, path: Path, width: int) -> None:
        make_folder(path.parent)
        self.path = path
        self._row_bytes = width // 2
        self._entry_bytes = 12 + self._row_bytes + _CHECK_BYTES

    def read(self) -> dict[int, tuple[int, NDArray[np.uint8]]]:
        """The entries of whole batches by position; what follows a damaged entry is cut off and computed again."""
        data = self.path.read_bytes() if self.path.is_file() else b""
        done: dict[int, tuple[int, NDArray[np.uint8]]] = {}
        for start in range(0, len(data) - self._entry_bytes + 1, self._entry_bytes):
            entry = data[start : start + self._entry_bytes]
            if _check(entry[:-_CHECK_BYTES]) != entry[-_CHECK_BYTES:]:
                break
            row = np.frombuffer(entry[12 : 12 + self._row_bytes], np.uint8)
            done[int.from_bytes(entry[:4], "big")] = int.from_bytes(entry[4:12], "big"), row
        whole = len(done) - len(done) % BATCH_SIZE
        if whole * self._entry_bytes != len(data):
            done = dict(list(done.items())[:whole])
            with self.path.open("r+b") as file:
                file.truncate(whole * self._entry_bytes)
        return done

    def append(self, entries: Sequence[tuple[int, int, NDArray[np.uint8]]]) -> None:
        """On disk when this returns. Raises DiskFull."""
        bodies = [p.to_bytes(4, "big") + s.to_bytes(8, "big") + row.tobytes() for p, s, row in entries]
        try:
            with self.path.open("ab") as file:
                file.write(b"".join(body + _check(body) for body in bodies))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise DiskFull(f"the disk is full, so the fit stopped at {self.path.name}", FREE_SPACE) from error
            raise


def _check(body: bytes) -> bytes:
    return sha256(body).digest()[:_CHECK_BYTES]
