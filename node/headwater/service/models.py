"""Model versions on chain: register what a job made, have it attested, activate it.

In: a finished training and its evaluation. Out: a version with everything that PROTOCOL.md §2.3 names; then the
validators' quorum and the owner's word. The node serves a version only once it is active.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from eth_utils import keccak

from headwater.errors import Refused
from headwater.protocol.merkle import merkle_root
from headwater.protocol.model import DEFAULT_SPLIT, ModelVersion, PriceSplit
from headwater.protocol.recipe import Recipe
from headwater.service.accounts import Accounts
from headwater.service.model_rows import ModelRows, VersionRow
from headwater.service.workbench import Workbench
from headwater.types import ZERO_DIGEST, Digest, Wei, digest, hex0x

MODELS: Final = "ModelRegistry"
STATUS: Final = ("none", "registered", "attested", "active", "deprecated", "revoked", "lapsed")


@dataclass(frozen=True, slots=True)
class VersionStatus:
    row: VersionRow
    status: str
    attesters: int


class Models:
    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._rows = ModelRows(bench.database)

    def register(
        self,
        owner: str,
        name: str,
        trained: Mapping[str, Any],
        evaluation_digest: Digest,
        price_per_thousand_tokens_wei: Wei,
        split: PriceSplit = DEFAULT_SPLIT,
    ) -> ModelVersion:
        """Register a trained adapter as version 1 of a new model; the fee for attesters goes along.

        `trained`: the result of the job 'train'. The name fixes the model's id for this owner. Raises
        TransactionReverted.
        """
        salt = keccak(text=name)
        model_id = digest(self._bench.call(MODELS, "modelIdOf", self._bench.address(owner), salt))
        recipe, outcome, index = Recipe.from_json(trained["recipe"]), trained["outcome"], trained["index"]
        snapshots = tuple(sorted(recipe.snapshot_ids))
        version = ModelVersion(
            model_id=model_id,
            version=1,
            parent_model_id=ZERO_DIGEST,
            parent_version=0,
            base_digest=recipe.base_digest,
            snapshots_root=merkle_root(snapshots),
            data_split=recipe.data_split.value,
            recipe_digest=recipe.digest(),
            step_chain_digest=digest(outcome["step_chain_digest"]),
            adapter_digest=digest(outcome["adapter_digest"]),
            checkpoint_digest=digest(outcome["checkpoint_digest"]),
            method_id=digest(index["method_id"]),
            index_root=digest(index["index_root"]),
            index_rows=index["rows"],
            floor_unit=index["floor_unit"],
            record_cap_ppm=index["record_cap_ppm"],
            listed_rows=index["listed_rows"],
            certificate_digest=ZERO_DIGEST,
            evaluation_digest=evaluation_digest,
        )
        if not self._bench.events(MODELS, "ModelRegistered", modelId=model_id):
            self._allow_fee(owner, name)
        arguments = (salt, version.values(), list(snapshots), price_per_thousand_tokens_wei, split.values())
        intent = f"register {hex0x(version.digest())} {price_per_thousand_tokens_wei}"
        self._bench.send(owner, MODELS, "register", *arguments, intent=intent)
        folder = Path(trained["folder"])
        self._rows.add(name, version, folder)
        self._rows.keep_adapter(name, version, folder, self._bench.store.put(folder / "adapter"))
        return version

    def seal(self, wallet: str, row: VersionRow) -> Digest:
        """Fix the hash of the block after the registration, from which the validators' draw follows."""
        key = (row.version.model_id, row.version.version)
        sealed = digest(self._bench.call(MODELS, "stateOf", *key)["sealedHash"])
        if sealed == ZERO_DIGEST:
            self._bench.mine_for_seal()
            self._bench.send(wallet, MODELS, "seal", *key, intent=f"seal version {hex0x(row.version.digest())}")
            sealed = digest(self._bench.call(MODELS, "stateOf", *key)["sealedHash"])
        return sealed

    def activate(self, owner: str, row: VersionRow) -> None:
        """Raises Refused until a quorum has attested the version."""
        key = (row.version.model_id, row.version.version)
        status = self.status(row).status
        if status == "registered":
            raise Refused(f"{row.name} is not attested yet", "run `headwater model attest` as a validator first")
        if status == "attested":
            self._bench.send(owner, MODELS, "activate", *key, intent=f"activate {hex0x(row.version.digest())}")
        self._rows.set_state(*key, self.status(row).status)

    def status(self, row: VersionRow) -> VersionStatus:
        facts = self._bench.call(MODELS, "stateOf", row.version.model_id, row.version.version)
        return VersionStatus(row, STATUS[facts["status"]], facts["attesters"])

    def all(self) -> Sequence[VersionStatus]:
        return [self.status(row) for row in self._rows.all()]

    def named(self, name: str) -> VersionRow:
        return self._rows.named(name)

    def _allow_fee(self, owner: str, name: str) -> None:
        fee = self._bench.call(MODELS, "parameters")["attestationFeeWei"]
        Accounts(self._bench).approve(owner, MODELS, fee, f"attestation of {name}")
