"""The whole suite with its court on a bare EVM, and epochs of `testing.epoch_generator` committed to it.

In: an Evm. Out: a `Setting` read off the contracts, and verbs: `commit` an epoch however wrong (all validators sign
it), `prove` evidence, `slash` its signers.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

from bare_evm import Actor, Deployed, Evm, Sent
from eth_abi.abi import encode
from eth_keys import keys
from eth_utils import keccak
from registry_world import Registries, name
from settlement_world import CREDIT, PROVIDER, VALIDATOR

from headwater.protocol.epoch import Proposal
from headwater.protocol.fraud import Evidence
from headwater.protocol.license import Disclosure
from headwater.protocol.merkle import MerkleTree
from headwater.protocol.model import DEFAULT_SPLIT
from headwater.settlement.epochs import Paymasters, VersionFacts
from headwater.testing import epoch_generator as generator
from headwater.testing.epoch_generator import OpenLane, OpenVersion, Setting
from headwater.types import ZERO_ADDRESS, Address, Digest
from headwater.validator.cases import Case
from headwater.validator.evidence import OpenIndex

EQUIVOCATION_PPM, INVALID_EPOCH_PPM = 1_000_000, 500_000
REDEEMED = 10 * CREDIT
JUDGES = ("ReceiptProofs", "LaneProofs", "PayoutProofs", "AttributionProofs")
CHALLENGER = Actor("challenger")


class ProviderKey(Actor):
    """The key that `testing.examples` calls 'provider key'."""

    def __init__(self) -> None:
        super().__init__("provider key")
        self.key = keys.PrivateKey(keccak(text="headwater example provider key"))
        self.address = Address(self.key.public_key.to_checksum_address())


@dataclass(frozen=True)
class Shape:
    """How large things are."""

    width: int = generator.WIDTH
    rows: int = 24
    listed_rows: int = 6
    floor_unit: int = generator.FLOOR_UNIT
    owners: tuple[Address, ...] = generator.CONTRIBUTORS

    def tree(self, index: OpenIndex) -> MerkleTree:
        return index.tree

    def lay(self, case: Case) -> Case:
        """The case as it is committed."""
        return case


class DisputeWorld:
    def __init__(self, evm: Evm, lanes: int = 4, shape: Shape | None = None) -> None:
        self.evm, self.shape = evm, shape or Shape()
        self.registries = Registries(evm, disputes=evm.next_address("court deployer"))
        self.settlement = self.registries.settlement
        self.ledger, self.staking = self.settlement.ledger, self.settlement.staking
        self.escrow, self.models = self.settlement.escrow, self.registries.models
        self.court, self.proofs = self._deploy_court()
        world = self.settlement
        for owner in world.validators:
            world.register(owner, VALIDATOR, world.terms.minimum_stake)
        world.register(world.provider, PROVIDER, world.terms.provider_bond, ProviderKey())
        self.setting = Setting(
            self.escrow.domain,
            self.ledger.domain,
            tuple(self._open_lane(i) for i in range(lanes)),
            self._versions(),
            Paymasters(self.staking.address, Actor("protocol payee").address),
        )
        evm.advance(world.parameters.attempt_timeout_seconds + 1)
        first = generator.honest(self.setting, random.Random(1), None, 1)
        self.previous = self.commit(self.shape.lay(first))
        world.await_opening()

    def _deploy_court(self) -> tuple[Deployed, dict[str, Deployed]]:
        evm, deployer = self.evm, "court deployer"
        places = [evm.next_address(deployer, after=i + 1) for i in range(len(JUDGES))]
        slashes = (EQUIVOCATION_PPM, INVALID_EPOCH_PPM)
        court = evm.deploy("EpochDisputes", self.ledger, self.escrow, self.staking, places, slashes, sender=deployer)
        facts = (court, self.ledger, self.models, self.registries.registry, self.staking)
        arguments: dict[str, tuple[Any, ...]] = {
            "ReceiptProofs": (court, self.escrow, self.ledger, self.staking, self.models),
            "LaneProofs": (court, self.escrow),
            "PayoutProofs": (facts,),
            "AttributionProofs": (court, self.models),
        }
        proofs = {n: evm.deploy(n, *arguments[n], sender=deployer) for n in JUDGES}
        assert [p.address for p in proofs.values()] == places
        return court, proofs

    def _open_lane(self, number: int) -> OpenLane:
        world = self.settlement
        world.deposit(world.user, REDEEMED)
        lane_id = world.open_lane(REDEEMED, number)
        world.redeem(lane_id, REDEEMED)
        return OpenLane(lane_id, world.user.address, world.provider.address, Disclosure.CONFIDENTIAL, REDEEMED)

    def _versions(self) -> tuple[OpenVersion, ...]:
        """Two versions on two bases, one with a base payee."""
        world = self.registries
        second = world.create_datanet("second")
        datanets = dict.fromkeys((world.datanet_id, second), world.owner.address)
        world.anchored()
        snapshots = [world.sealed_snapshot()]
        made = []
        for i, payee in enumerate((Actor("base payee").address, ZERO_ADDRESS)):
            method = replace(generator.METHOD, sketch_width=self.shape.width, listed_rows=self.shape.listed_rows)
            owners = self.shape.owners
            made_index = generator.open_index(i, self.shape.rows, tuple(datanets), owners, method.sketch_width)
            index = replace(made_index, tree=self.shape.tree(made_index))
            version = world.model_version(
                snapshots,
                f"model {i}",
                base_digest=name(f"base {i}"),
                method_id=method.digest(),
                index_root=index.tree.root,
                index_rows=len(index.rows),
                floor_unit=self.shape.floor_unit,
                record_cap_ppm=method.record_cap_ppm,
                listed_rows=method.listed_rows,
            )
            price = 10**15 + i
            world.register(version, snapshots, f"model {i}", price, DEFAULT_SPLIT)
            if payee != ZERO_ADDRESS:
                self.models.send("timelock", "setBasePayee", name(f"base {i}"), payee)
            payment = VersionFacts(DEFAULT_SPLIT, world.maker.address, payee, datanets)
            made.append(
                OpenVersion(
                    version.model_id,
                    1,
                    price,
                    version.adapter_digest,
                    method,
                    self.shape.floor_unit,
                    index,
                    payment,
                )
            )
        return tuple(made)

    # -- verbs -----------------------------------------------------------------------------------------------------

    def commit(self, case: Case) -> Case:
        """The epoch, proposed, sealed and signed by every validator; the same case, as it stands on chain."""
        world, epoch = self.settlement, case.epoch
        count = len(case.lists.receipt_leaves)
        proposal = Proposal(
            epoch.epoch_id,
            world.attempt().attempt,
            epoch.previous_epoch,
            epoch.lanes_root,
            epoch.receipts_root,
            epoch.attributions_root,
            count,
            epoch.chunks_root,
            name("bundle"),
        )
        world.propose(proposal)
        world.seal()
        case.epoch = replace(epoch, attempt=proposal.attempt, validator_set_id=world.attempt().validatorSetId)
        sent = world.send_commit(case.epoch, proposal, world.signatures(case.epoch))
        event = sent.event("EpochCommitted")
        self.proposer, self.votes = event.proposer, event.votes
        case.committed_at = event.committedAt
        case.signers_digest = Digest(keccak(encode(["address", "uint256[]"], [event.proposer, event.votes])))
        return case

    def prove(self, evidence: Evidence, case: Case | None = None, sender: Any = CHALLENGER) -> Sent:
        contract = self.proofs.get(evidence.contract, self.court)
        entry = () if not evidence.takes_epoch else ((case.epoch, case.committed_at, case.signers_digest),)
        return contract.send(sender, evidence.function, *entry, *evidence.arguments())

    def slash(self, case: Case, places: list[int]) -> Sent:
        return self.court.send(
            "anybody", "slashSigners", case.epoch.digest(), case.committed_at, self.proposer, self.votes, places
        )

    def latest(self) -> tuple[int, bytes]:
        """Id and digest of the last epoch that stands."""
        epoch_id, _ = self.ledger.call("latestEpoch")
        return epoch_id, self.settlement.parent()[0]
