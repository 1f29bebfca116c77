"""The pool: one base, many adapters, each served under the name that its registration gives it.

In: the registry's active versions and their folders. Out: names that resolve to digests, generations. An adapter is
loaded only after its digest equals the one on chain and the gate has passed it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from headwater.errors import HeadwaterError, UnknownModel
from headwater.openlora.engine import Engine, GenerationRequest
from headwater.openlora.exact import ExactEngine
from headwater.openlora.gate import GateReport, admit_folder
from headwater.openlora.generation import Generation
from headwater.openlora.loader import load_base
from headwater.openlora.models import BaseModel
from headwater.openlora.placement import choose_placement
from headwater.openlora.registry import Registry
from headwater.openlora.sampling import SamplingParameters
from headwater.protocol.chat import render_prompt
from headwater.protocol.completion import InferenceRequest
from headwater.protocol.model import ModelVersion, is_certified
from headwater.service.model_rows import ModelRows, VersionRow
from headwater.types import ZERO_DIGEST, Digest

_Key: TypeAlias = tuple[str, Digest]
"""Name and adapter."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One name of the pool. The base has no version and costs nothing."""

    name: str
    version: ModelVersion | None
    is_certified: bool

    @property
    def adapter(self) -> Digest | None:
        return None if self.version is None else self.version.adapter_digest


class Pool:
    """Everything that can answer. Safe to use from several threads."""

    def __init__(self, base: BaseModel, engine: Engine, rows: ModelRows) -> None:
        self.base = base
        self.engine = engine
        self._rows = rows
        self._names = Registry(base.name)
        self._served: dict[_Key, ServedModel] = {}
        self.refused: dict[str, str] = {}
        """Names of active versions that cannot be served, each with its reason."""
        self._refreshing = threading.Lock()

    @classmethod
    def open(cls, base_folder: Path, base_name: str, rows: ModelRows, device: str, threads: int) -> Pool:
        """Load the base in float32 and every active version."""
        base = load_base(base_folder, base_name, choose_placement(device, "float32", threads))
        pool = cls(base, ExactEngine(base), rows)
        pool.refresh()
        return pool

    def refresh(self) -> None:
        """Load versions that became active since the last look; take those out that no longer are.

        One that cannot be served does not keep the others from it: `refused` says why, and it is looked at again.
        """
        with self._refreshing:
            active = {_key(row): row for row in self._rows.active()}
            self.refused = {name: reason for name, reason in self.refused.items() if name in {k[0] for k in active}}
            for key, row in active.items():
                if key not in self._served:
                    self._try_to_admit(key, row)
            for key in self._served.keys() - active.keys():
                self._withdraw(key)

    def _try_to_admit(self, key: _Key, row: VersionRow) -> None:
        try:
            self._admit(key, row)
        except HeadwaterError as error:
            self.refused[row.name] = f"{error.cause}; {error.next_step}"
        else:
            self.refused.pop(row.name, None)

    def _admit(self, key: _Key, row: VersionRow) -> GateReport:
        """Raises BadAdapter, also if the folder holds other weights than the chain names."""
        admitted, report = admit_folder(row.adapter_folder, self.base, expected=row.version.adapter_digest)
        self.engine.register(admitted)
        self._names.publish(row.name, admitted.digest)
        self._served[key] = ServedModel(row.name, row.version, is_certified(row.version))
        return report

    def _withdraw(self, key: _Key) -> None:
        """Two models may be of one adapter: its weights stay while one of them is served."""
        name, digest = key
        del self._served[key]
        self._names.withdraw(name, digest)
        if digest not in {adapter for _, adapter in self._served}:
            self.engine.unregister(digest)

    def models(self) -> tuple[ServedModel, ...]:
        """The base first, then every name."""
        self.refresh()
        base = ServedModel(self.base.name, None, False)
        return (base, *sorted(self._served.values(), key=lambda m: m.name))

    def resolve(self, name: str) -> ServedModel:
        """Raises UnknownModel. A name that is new on chain is found at its first use."""
        try:
            resolution = self._names.resolve(name)
        except UnknownModel as unknown:
            self.refresh()
            if name in self.refused:
                raise UnknownModel(
                    f"{name} cannot be served now: {self.refused[name]}", "ask its provider", model=name
                ) from unknown
            resolution = self._names.resolve(name)
        if resolution.adapter is None:
            return ServedModel(self.base.name, None, False)
        return self._served[resolution.name.partition("@")[0], resolution.adapter]

    def prompt_ids(self, request: InferenceRequest) -> tuple[int, ...]:
        return self.base.tokenizer.encode(render_prompt(request.messages))

    def generate(
        self, served: ServedModel, request: InferenceRequest, request_id: Digest, seed: Digest, tenant: str
    ) -> Generation:
        """Start an answer. Raises InvalidInput, Conflict, Unavailable."""
        return self.engine.submit(
            GenerationRequest(
                request_id=request_id,
                prompt_ids=self.prompt_ids(request),
                adapter=served.adapter,
                max_tokens=request.max_tokens,
                seed=seed,
                sampling=SamplingParameters(request.temperature_ppm, request.top_p_ppm),
                stop=request.stop,
                tenant=tenant,
            )
        )

    def close(self) -> None:
        self.engine.close()


def _key(row: VersionRow) -> _Key:
    return row.name, row.version.adapter_digest


def identity_of(served: ServedModel) -> tuple[Digest, int]:
    """(model id, version) as an `InferenceRequest` names them; zero for the base."""
    return (ZERO_DIGEST, 0) if served.version is None else (served.version.model_id, served.version.version)
