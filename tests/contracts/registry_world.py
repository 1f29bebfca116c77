"""The registries on a bare EVM, with the steps that most of their tests begin with.

In: an Evm. Out: deployed contracts, actors, and verbs (`create_datanet`, `anchor`, `commit_snapshot`, `register`,
`attest`) that do what a node does, each by the public functions. Values come from headwater.protocol.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bare_evm import Actor, Deployed, Evm, Sent
from eth_utils import keccak
from settlement_world import CREDIT, VALIDATOR, Parameters, Settlement, Terms, set_roles

from headwater.protocol.contribution import Contribution, Withdrawal
from headwater.protocol.draw import anchor_of, preimage_at
from headwater.protocol.license import Disclosure
from headwater.protocol.merkle import merkle_root
from headwater.protocol.model import DEFAULT_SPLIT, ModelVersion, PriceSplit, VersionVerdict
from headwater.protocol.snapshot import Snapshot
from headwater.types import ZERO_DIGEST, Digest, Ppm

DAY = 86_400
PRICE = 5 * 10**15
FEE = 1 * CREDIT
WINDOW = 3_600
DRAWS = 8
"""Links of each validator's version-draw chain."""
STATUS = ("None", "Registered", "Attested", "Active", "Deprecated", "Revoked", "Lapsed")


def name(text: str) -> Digest:
    """Some 32 bytes that say what they are in the test."""
    return Digest(keccak(text=text))


LICENSE, METADATA = name("licence"), name("metadata")
TERMS = (LICENSE, 400_000, Disclosure.CONFIDENTIAL.value)


class Registries:
    """Deployed registries; attributes are the contracts and actors."""

    def __init__(self, evm: Evm, terms_delay: int = 0, price_rise_delay: int = 0, disputes: Any = None) -> None:
        self.evm = evm
        self.settlement = Settlement.deploy_bare(evm, Parameters(), Terms(), disputes)
        self.token, self.staking = self.settlement.token, self.settlement.staking
        self.owner, self.curator, self.contributor = Actor("owner"), Actor("curator"), Actor("contributor")
        self.maker, self.thief = Actor("model owner"), Actor("thief")
        self.access = evm.at("ProtocolAccess", self.token.call("authority"))
        self.registry = evm.deploy("DatanetRegistry", self.access, terms_delay)
        self.log = evm.deploy("ContributionLog", self.access, self.registry)
        self.models = self._deploy_models((FEE, price_rise_delay, WINDOW))
        self.datanet_id = self.create_datanet()

    def _deploy_models(self, parameters: tuple[int, int, int]) -> Deployed:
        models = self.evm.deploy(
            "ModelRegistry",
            self.access,
            self.token,
            self.registry,
            self.log,
            self.staking,
            self.settlement.quorum,
            Actor("protocol payee"),
            parameters,
        )
        set_roles(self.access, models, self.registry, self.log)
        return models

    # -- Datanets and contributions --------------------------------------------------------------------------------

    def create_datanet(self, salt: str = "first", terms: tuple[Any, ...] = TERMS) -> Digest:
        return Digest(self.registry.send(self.owner, "create", name(salt), terms, METADATA).value)

    def contribution(self, number: int = 0, **changes: Any) -> Contribution:
        made = Contribution(
            datanet_id=self.datanet_id,
            contributor=self.contributor.address,
            records_root=name(f"records {number}"),
            record_count=7,
            license_digest=LICENSE,
            metadata_digest=METADATA,
            salt=name(f"salt {number}"),
            deadline=self.evm.now + DAY,
        )
        return replace(made, **changes)

    def anchor(self, contribution: Contribution, signer: Actor | None = None, head: Digest = ZERO_DIGEST) -> Sent:
        signature = (signer or self.contributor).sign(contribution, self.log.domain)
        return self.log.send("relayer", "anchor", head, contribution, signature)

    def anchored(self, number: int = 0, **changes: Any) -> Digest:
        """Anchor one more contribution; its id."""
        return Digest(self.anchor(self.contribution(number, **changes)).value)

    def withdrawal(self, contribution_id: Digest, **changes: Any) -> Withdrawal:
        made = Withdrawal(self.datanet_id, self.contributor.address, contribution_id, ZERO_DIGEST, self.evm.now + DAY)
        return replace(made, **changes)

    def withdraw(self, withdrawal: Withdrawal, signer: Actor | None = None) -> Sent:
        signature = (signer or self.contributor).sign(withdrawal, self.log.domain)
        return self.log.send("relayer", "withdraw", withdrawal, signature)

    def head(self, datanet_id: Digest | None = None) -> Digest:
        return Digest(self.log.call("headsOf", datanet_id or self.datanet_id).head)

    # -- snapshots -------------------------------------------------------------------------------------------------

    def snapshot(self, number: int = 0, **changes: Any) -> Snapshot:
        made = Snapshot(
            datanet_id=self.datanet_id,
            head=self.head(),
            records_root=name(f"snapshot {number}"),
            record_count=7,
            held_out_ppm=Ppm(200_000),
            manifest_digest=name(f"manifest {number}"),
        )
        return replace(made, **changes)

    def commit(self, snapshot: Snapshot, sender: Actor | None = None) -> Digest:
        return Digest(self.log.send(sender or self.owner, "commitSnapshot", snapshot).value)

    def sealed_snapshot(self, number: int = 0, **changes: Any) -> Digest:
        """Commit and seal one; its id."""
        snapshot_id = self.commit(self.snapshot(number, **changes))
        self.evm.mine()
        self.log.send("anybody", "seal", snapshot_id)
        return snapshot_id

    # -- models ----------------------------------------------------------------------------------------------------

    def model_version(self, snapshots: list[Digest], salt: str = "model", **changes: Any) -> ModelVersion:
        made = ModelVersion(
            model_id=Digest(self.models.call("modelIdOf", self.maker, name(salt))),
            version=1,
            parent_model_id=ZERO_DIGEST,
            parent_version=0,
            base_digest=name("base"),
            snapshots_root=merkle_root(snapshots),
            data_split=0,
            recipe_digest=name("recipe"),
            step_chain_digest=name("steps"),
            adapter_digest=name("adapter"),
            checkpoint_digest=name("checkpoint"),
            method_id=name("method"),
            index_root=name("index"),
            index_rows=400,
            floor_unit=1_000,
            record_cap_ppm=250_000,
            listed_rows=64,
            certificate_digest=ZERO_DIGEST,
            evaluation_digest=name("evaluation"),
        )
        return replace(made, **changes)

    def register(
        self,
        version: ModelVersion,
        snapshots: list[Digest],
        salt: str = "model",
        price: int = PRICE,
        split: PriceSplit | tuple[int, ...] = DEFAULT_SPLIT,
    ) -> Sent:
        """As a new model if it is version 1, else as the next version."""
        self.settlement.give(self.maker, FEE, self.models)
        if version.version == 1:
            return self.models.send(self.maker, "register", name(salt), version, snapshots, price, split)
        return self.models.send(self.maker, "addVersion", version, snapshots, price, split)

    def seal_version(self, version: ModelVersion) -> Digest:
        self.evm.mine()
        return Digest(self.models.send("anybody", "seal", version.model_id, version.version).value)

    # -- validators ------------------------------------------------------------------------------------------------

    def add_validator(self, number: int, stake: int = 100 * CREDIT) -> Actor:
        """Bond one more; its hot key."""
        owner, key = Actor(f"validator {number}"), Actor(f"validator {number} key")
        self.settlement.give(owner, stake, self.staking)
        anchors = (name("epoch draws"), anchor_of(self.secret(key), DRAWS))
        proof = self.settlement.possession(owner, key, VALIDATOR, anchors)
        self.staking.send(owner, "registerValidator", key, proof, stake, anchors)
        return key

    def secret(self, key: Actor) -> Digest:
        return name(f"draws of {key.name}")

    def verdict(self, version: ModelVersion, key: Actor, **changes: Any) -> VersionVerdict:
        """What `key` says of a sealed version: accepted, unless changed."""
        state = self.models.call("stateOf", version.model_id, version.version)
        made = VersionVerdict(
            model_id=version.model_id,
            version=version.version,
            version_digest=version.digest(),
            validator_set_id=state.validatorSetId,
            sealed_hash=Digest(state.sealedHash),
            preimage=preimage_at(self.secret(key), DRAWS, self.models.call("drawPositionOf", key)),
            findings_digest=name("findings"),
            accepted=True,
        )
        return replace(made, **changes)

    def attest(self, verdict: VersionVerdict, key: Actor) -> Sent:
        return self.models.send("relayer", "attestVersion", verdict, key.sign(verdict, self.models.domain))

    def status(self, version: ModelVersion) -> str:
        return STATUS[self.models.call("stateOf", version.model_id, version.version).status]
