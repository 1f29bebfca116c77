"""Names of models as a user meets them, each checked against the chain before anything is paid for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from headwater.errors import UnknownModel, VerificationFailed
from headwater.protocol.model import ModelVersion
from headwater.service.workbench import Workbench
from headwater.types import digest


class VersionCatalogue:
    """`list_models` gives the rows of the provider's `/v1/models`; the chain says what each version is."""

    def __init__(self, bench: Workbench, list_models: Callable[[], Sequence[Mapping[str, Any]]]) -> None:
        self._bench = bench
        self._list_models = list_models

    def find(self, name: str) -> ModelVersion | None:
        """None for a free base. Raises UnknownModel, VerificationFailed (provider and chain name other weights)."""
        row = next((r for r in self._list_models() if r["id"] == name), None)
        if row is None:
            raise UnknownModel(f"the model {name!r} does not exist at this provider", "see /v1/models", param="model")
        facts = row.get("headwater")
        if facts is None:
            return None
        version = read_version(self._bench, digest(facts["model_id"]), int(facts["version"]))
        if version.adapter_digest != digest(facts["adapter_digest"]):
            raise VerificationFailed(f"{name} is served with other weights than the chain names", "do not use it")
        return version


def read_version(bench: Workbench, model_id: bytes, version: int) -> ModelVersion:
    """A version as the registry holds it."""
    raw = bench.call("ModelRegistry", "versionOf", model_id, version)
    values: list[Any] = [digest(raw[n]) if kind == "bytes32" else raw[n] for _, n, kind in ModelVersion.members()]
    return ModelVersion(*values)
