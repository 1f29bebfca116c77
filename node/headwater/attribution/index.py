"""The attribution index: one int4 row a record, whose it is, and the root that a model version commits to.

In: packed rows, integer scales, the records' public names and owners, the method, the sketch seed. Out: leaves, the
index root, int8 blocks of rows, the covariance, and a folder (`manifest.json`, `index.safetensors`) that is verified
whole on every read. The rows stand in the order of the training split, which the seal fixes; so a record's row can be
recomputed by anyone who may read the record. Knows no model and no content.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import safetensors.numpy
from eth_utils import keccak
from numpy.typing import NDArray

from headwater.attribution.method import MAX_SCALE, require_supported
from headwater.attribution.quantise import Float64Array, Int8Array, has_foreign_value, unpack_rows
from headwater.errors import InvalidInput, MissingContent, VerificationFailed
from headwater.protocol.attribution import AttributionMethod, IndexRow, index_root
from headwater.protocol.codec import Account, Bytes32, Document, PpmShare
from headwater.storage.files import make_folder, write_durably
from headwater.types import Digest, hex0x

FORMAT: Final = "headwater-index-v1"
MANIFEST_FILE: Final = "manifest.json"
ROWS_FILE: Final = "index.safetensors"
ROW_BLOCK: Final = 1_024
_FETCH: Final = "fetch the index again, or fit it again"


@dataclass(frozen=True, slots=True)
class IndexedRecord(Document):
    """Whose a row is. `cluster` as in the snapshot: equal to `commitment` for an original."""

    commitment: Bytes32
    owner: Account
    datanet_id: Bytes32
    cluster: Bytes32

    @property
    def is_original(self) -> bool:
        return self.commitment == self.cluster


@dataclass(frozen=True, slots=True)
class IndexHead(Document):
    """What the rows were computed from: another head means other rows."""

    format: str
    method: AttributionMethod
    sketch_seed: Bytes32
    """`derived_seed(snapshot, seal, 'sketch')`: fixed after the records were."""
    base_digest: Bytes32
    checkpoint_digest: Bytes32
    adam_beta2_ppm: PpmShare
    """Adam's beta2 of the recipe: the bias correction of the second moments."""
    records: tuple[IndexedRecord, ...]

    def __post_init__(self) -> None:
        Document.__post_init__(self)
        if self.format != FORMAT:
            raise InvalidInput(f"the index format {self.format!r} is unknown", f"use {FORMAT!r}")
        require_supported(self.method)
        if not self.records:
            raise InvalidInput("the index has no records", "train on at least one")
        if len({r.commitment for r in self.records}) != len(self.records):
            raise InvalidInput("the index names a record twice", "pass each record of the training split once")


@dataclass(frozen=True, slots=True)
class IndexManifest(Document):
    head: IndexHead
    index_root: Bytes32


class AttributionIndex:
    """n rows of int4 with their scales. Immutable; all derived values are computed once, when asked for."""

    def __init__(self, head: IndexHead, packed: NDArray[np.uint8], scales: NDArray[np.int64]) -> None:
        """`packed` [n, k / 2] uint8 (see `pack_rows`), `scales` [n] int64. Raises InvalidInput for other shapes."""
        n, width = len(head.records), head.method.sketch_width
        if packed.shape != (n, width // 2) or packed.dtype != np.uint8 or scales.shape != (n,):
            raise InvalidInput(
                f"the index holds rows of {packed.shape} and {scales.shape[0]} scales for {n} records", _FETCH
            )
        if scales.dtype != np.int64 or int(scales.min()) < 0 or int(scales.max()) >= MAX_SCALE:
            raise InvalidInput("an index scale is out of range", _FETCH)
        if any(has_foreign_value(packed[i : i + ROW_BLOCK]) for i in range(0, n, ROW_BLOCK)):
            raise InvalidInput("an index row holds the value -8", _FETCH)
        self.head, self.packed, self.scales = head, packed, scales

    def __len__(self) -> int:
        return len(self.head.records)

    @property
    def method(self) -> AttributionMethod:
        return self.head.method

    @functools.cached_property
    def leaves(self) -> tuple[IndexRow, ...]:
        """The Merkle leaves in order."""
        rows = zip(self.head.records, self.divisors, self.scales, self._row_digests, strict=True)
        return tuple(
            IndexRow(i, r.owner, r.datanet_id, r.cluster, int(divisor), int(scale), row_digest)
            for i, (r, divisor, scale, row_digest) in enumerate(rows)
        )

    @functools.cached_property
    def _row_digests(self) -> tuple[Digest, ...]:
        return tuple(Digest(keccak(row.tobytes())) for row in self.packed)

    @functools.cached_property
    def root(self) -> Digest:
        return index_root(self.leaves)

    @functools.cached_property
    def divisors(self) -> NDArray[np.int64]:
        """By what each row's score is divided, [n]: the different rows of its cluster; 0 for a copy.

        A copy counts nowhere, and a cluster for at most one record. Rows are copies if they share cluster, scale and
        bytes; the cluster's first commitment keeps the row, else the lowest position.
        """
        kept: dict[Digest, dict[tuple[int, Digest], int]] = {}
        firsts_first = sorted(range(len(self)), key=lambda i: not self.head.records[i].is_original)
        for i in firsts_first:
            cluster, row = self.head.records[i].cluster, (int(self.scales[i]), self._row_digests[i])
            kept.setdefault(cluster, {}).setdefault(row, i)
        out = np.zeros(len(self), np.int64)
        for rows in kept.values():
            out[list(rows.values())] = len(rows)
        return out

    def rows(self, start: int, stop: int) -> Int8Array:
        """Rows start ... stop - 1 as int8 [stop - start, k], values -7 ... 7."""
        return unpack_rows(np.asarray(self.packed[start:stop]))

    def blocks(self, size: int) -> Iterator[tuple[int, Int8Array]]:
        """(position of the first row, int8 rows) in order, `size` rows at a time."""
        for start in range(0, len(self), size):
            yield start, self.rows(start, min(start + size, len(self)))

    def covariance(self) -> Float64Array:
        """Mean over all rows but copies of (row x scale)(row x scale)' [k, k], float64, in squared scale units.

        Computed from the committed integers, so that nobody needs to be trusted for it.
        """
        width = self.method.sketch_width
        scales = np.where(self.divisors > 0, self.scales, 0).astype(np.float64)
        total = np.zeros((width, width))
        for start, block in self.blocks(ROW_BLOCK):
            scaled = block * scales[start : start + len(block), None]
            total += scaled.T @ scaled
        return total / int((self.divisors > 0).sum())

    def save(self, folder: Path) -> None:
        """Write both files durably; the manifest last, so that a folder with one is whole. Raises DiskFull."""
        make_folder(folder)
        rows = {"rows": np.ascontiguousarray(self.packed), "scales": self.scales}
        write_durably(folder / ROWS_FILE, safetensors.numpy.save(rows))
        write_durably(folder / MANIFEST_FILE, IndexManifest(self.head, self.root).canonical_bytes())

    @classmethod
    def load(
        cls, folder: Path, expected_root: Digest | None = None, expected_head: IndexHead | None = None
    ) -> AttributionIndex:
        """Open a folder, rows memory-mapped, and recompute every leaf.

        `expected_root`: as on chain. `expected_head`: as chain and snapshot say it must be (`fit.head_of`); the root
        covers rows and owners, the head what they were computed from.
        Raises MissingContent, InvalidInput, VerificationFailed if the rows or the head are not those expected.
        """
        for name in (MANIFEST_FILE, ROWS_FILE):
            if not (folder / name).is_file():
                raise MissingContent(f"{folder} holds no {name}", _FETCH)
        manifest = IndexManifest.from_bytes((folder / MANIFEST_FILE).read_bytes())
        if expected_head is not None and manifest.head != expected_head:
            raise VerificationFailed(f"the index in {folder} was fitted for another model, seed or snapshot", _FETCH)
        arrays = _mapped_arrays(folder / ROWS_FILE)
        if arrays.keys() != {"rows", "scales"}:
            raise InvalidInput(f"{ROWS_FILE} holds {', '.join(sorted(arrays)) or 'nothing'}", _FETCH)
        index = cls(manifest.head, arrays["rows"], np.array(arrays["scales"]))
        expected = manifest.index_root if expected_root is None else expected_root
        if index.root != expected or manifest.index_root != expected:
            raise VerificationFailed(
                f"the index in {folder} has the root {hex0x(index.root)}, not {hex0x(expected)}", _FETCH
            )
        return index


def _mapped_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The tensors of a safetensors file without reading them into memory (format: 8-byte length, JSON, bytes)."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length <= min(size - 8, 1 << 20):
            raise InvalidInput(f"{path.name} has no safetensors header", _FETCH)
        try:
            header = json.loads(file.read(length))
        except ValueError:
            raise InvalidInput(f"{path.name} has a damaged header", _FETCH) from None
    out: dict[str, NDArray[Any]] = {}
    types: dict[str, np.dtype[Any]] = {"U8": np.dtype(np.uint8), "I64": np.dtype("<i8")}
    try:
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            dtype, shape, (start, stop) = types[entry["dtype"]], tuple(entry["shape"]), entry["data_offsets"]
            if stop - start != dtype.itemsize * int(np.prod(shape)) or 8 + length + stop > size or start < 0:
                raise InvalidInput(f"{path.name} is truncated at {name!r}", _FETCH)
            out[name] = np.memmap(path, dtype, "r", 8 + length + start, shape)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InvalidInput(f"{path.name} has a damaged header", _FETCH) from None
    return out
