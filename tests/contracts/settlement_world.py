"""The settlement contracts on a bare EVM, with the steps that most tests begin with.

In: an Evm. Out: deployed contracts, registered actors, and verbs (`open_lane`, `redeem`, `commit`, `claim`) that do
what a node does, each by the public functions. Values come from headwater.protocol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

from bare_evm import Actor, Deployed, Evm, Sent
from eth_abi.abi import encode
from eth_utils import keccak

from headwater.protocol.epoch import Epoch, Proposal
from headwater.protocol.staking import KeyRegistration, StakingRole
from headwater.protocol.sumtree import PayoutTree
from headwater.protocol.voucher import Voucher
from headwater.types import ZERO_ADDRESS, ZERO_DIGEST, Address, Digest, Wei, address_bytes

CREDIT = 10**18
VALIDATOR, PROVIDER = StakingRole.VALIDATOR.value, StakingRole.PROVIDER.value
NO_ANCHORS = (ZERO_DIGEST, ZERO_DIGEST)


@dataclass(frozen=True)
class Parameters:
    """`IAttributionLedger.Parameters`, in its order."""

    minimum_epoch_seconds: int = 60
    window_seconds: int = 120
    attempt_timeout_seconds: int = 30
    ring_size: int = 8
    expiry_slash_ppm: int = 10_000
    refund_after_epochs: int = 3


@dataclass(frozen=True)
class Terms:
    """Everything else that is fixed at deployment: the devnet's of PROTOCOL.md §10."""

    minimum_stake: int = 100 * CREDIT
    provider_bond: int = 100 * CREDIT
    exit_delay_seconds: int = 600
    evidence_window_seconds: int = 60
    lane_close_delay_seconds: int = 180
    quorum: tuple[int, int] = (2, 3)


PRODUCTION = (
    Parameters(3_600, 86_400, 1_800, 32, 10_000, 24),
    Terms(10_000 * CREDIT, 10_000 * CREDIT, 14 * 86_400, 7 * 86_400, 48 * 3_600),
)


@dataclass(frozen=True)
class Committed:
    """One committed epoch with what its proofs need."""

    epoch: Epoch
    committed_at: int
    proposer: Address
    votes: tuple[int, ...]
    tree: PayoutTree
    gas: Mapping[str, int]

    @property
    def signers_digest(self) -> Digest:
        return Digest(keccak(encode(["address", "uint256[]"], [self.proposer, self.votes])))

    @property
    def entry(self) -> tuple[Any, ...]:
        """`IAttributionLedger.CommittedEpoch`."""
        return (self.epoch, self.committed_at, self.signers_digest)

    def claim_of(self, account: Address) -> tuple[Any, ...]:
        """(cumulative, index, proof): the last arguments of `claim`."""
        return self.tree.cumulative_of(account), self.tree.index_of(account), self.tree.proof(account)

    @property
    def payouts(self) -> list[tuple[Address, int]]:
        return [(a, self.tree.cumulative_of(a)) for a in self.tree.accounts]


ROLES = {"ADMIN": 0, "FAUCET": 1, "GUARDIAN": 2, "PARAMETER": 3}


def set_roles(access: Deployed, *contracts: Deployed) -> None:
    """Each restricted function gets the role that its source names; an actor of that name holds it."""
    for contract in contracts:
        for role in contract.roles.values():
            selector = bytes.fromhex(role["selector"][2:])
            access.send("deployer", "setTargetFunctionRole", contract, [selector], ROLES[role["role"]])
    for holder, role in (("deployer", "FAUCET"), ("guardian", "GUARDIAN"), ("timelock", "PARAMETER")):
        access.send("deployer", "grantRole", ROLES[role], Actor(holder), 0)


class Settlement:
    """A deployed settlement; attributes are its contracts and actors."""

    def __init__(self, evm: Evm, contracts: Mapping[str, Deployed], parameters: Parameters, terms: Terms) -> None:
        self.evm, self.parameters, self.terms = evm, parameters, terms
        self.token, self.staking = contracts["token"], contracts["staking"]
        self.quorum, self.escrow = contracts["quorum"], contracts["escrow"]
        self.ledger = contracts["ledger"]
        self.user, self.provider, self.provider_key = Actor("user"), Actor("provider"), Actor("provider key")
        self.session, self.disputes = Actor("session"), Actor("disputes")
        self.validators = [Actor(f"validator {i}") for i in range(3)]

    @classmethod
    def deploy(cls, evm: Evm, parameters: Parameters | None = None, terms: Terms | None = None) -> Settlement:
        """Contracts, then three validators of equal stake, a provider, and a user with 1,000 free credits."""
        world = cls.deploy_bare(evm, parameters or Parameters(), terms or Terms())
        for owner in world.validators:
            world.register(owner, VALIDATOR, world.terms.minimum_stake)
        world.register(world.provider, PROVIDER, world.terms.provider_bond)
        world.deposit(world.user, 1_000 * CREDIT)
        return world

    @classmethod
    def deploy_bare(cls, evm: Evm, parameters: Parameters, terms: Terms, disputes: Any = None) -> Settlement:
        """Contracts only. The ledger's address is known before it stands: it is the deployer's third to come."""
        access = evm.deploy("ProtocolAccess", Actor("deployer"))
        token = evm.deploy("CreditToken", access)
        ledger_address = evm.next_address(after=3)
        staking = evm.deploy(
            "Staking",
            token,
            ledger_address,
            disputes or Actor("disputes"),
            terms.minimum_stake,
            terms.provider_bond,
            terms.exit_delay_seconds,
            terms.evidence_window_seconds,
        )
        quorum = evm.deploy("EcdsaQuorum", staking, *terms.quorum)
        escrow = evm.deploy("CreditEscrow", access, token, ledger_address, staking, terms.lane_close_delay_seconds)
        parts = (access, token, escrow, staking, quorum, disputes or Actor("disputes"), parameters)
        ledger = evm.deploy("AttributionLedger", *parts)
        assert ledger.address == ledger_address
        set_roles(access, token, escrow, ledger)
        made = {"token": token, "staking": staking, "quorum": quorum, "escrow": escrow, "ledger": ledger}
        return cls(evm, made, parameters, terms)

    # -- actors ----------------------------------------------------------------------------------------------------

    def give(self, who: Actor, wei: int, spender: Deployed) -> None:
        """Mint and approve."""
        self.token.send("deployer", "mint", who, wei)
        self.token.send(who, "approve", spender, wei)

    def deposit(self, who: Actor, wei: int) -> Sent:
        self.give(who, wei, self.escrow)
        return self.escrow.send(who, "deposit", who, wei)

    def key_of(self, owner: Actor) -> Actor:
        return Actor(f"{owner.name} key")

    def anchors_of(self, key: Actor) -> tuple[Digest, Digest]:
        return Digest(keccak(text=f"{key.name} epochs")), Digest(keccak(text=f"{key.name} versions"))

    def possession(self, owner: Actor, key: Actor, role: int, anchors: tuple[Digest, Digest]) -> bytes:
        struct = KeyRegistration(owner.address, key.address, role, *anchors)
        return key.sign(struct, self.staking.domain)

    def register(self, owner: Actor, role: int, stake: int, key: Actor | None = None) -> Sent:
        key = key or self.key_of(owner)
        self.give(owner, stake, self.staking)
        if role == PROVIDER:
            proof = self.possession(owner, key, role, NO_ANCHORS)
            return self.staking.send(owner, "registerProvider", key, proof, stake)
        anchors = self.anchors_of(key)
        proof = self.possession(owner, key, role, anchors)
        return self.staking.send(owner, "registerValidator", key, proof, stake, anchors)

    # -- lanes -----------------------------------------------------------------------------------------------------

    def open_lane(self, allocation: int = 100 * CREDIT, nonce: int = 0, expires_at: int = 0) -> Digest:
        lane_nonce = keccak(text=f"lane {nonce}")
        sent = self.escrow.send(
            self.user, "openLane", self.provider, lane_nonce, allocation, self.session, 0, expires_at
        )
        return Digest(sent.value)

    def voucher(self, lane: Digest, cumulative: int, signer: Actor | None = None) -> tuple[Voucher, bytes]:
        voucher = Voucher(lane, Wei(cumulative), Digest(keccak(text=f"head {cumulative}")))
        return voucher, (signer or self.session).sign(voucher, self.escrow.domain)

    def redeem(self, lane: Digest, cumulative: int) -> Sent:
        return self.escrow.send("relayer", "redeem", *self.voucher(lane, cumulative))

    def fund(self, wei: int) -> None:
        """Have `wei` more redeemed, over a lane of its own."""
        nonce = self.evm.block_number
        self.deposit(self.user, wei)
        self.redeem(self.open_lane(wei, nonce), wei)

    # -- epochs ----------------------------------------------------------------------------------------------------

    def attempt(self) -> SimpleNamespace:
        return self.ledger.call("currentAttempt")

    def in_turn(self, attempt: int | None = None) -> Actor:
        """The validator whose turn the next proposal is."""
        now = self.attempt()
        owner, _, _ = self.staking.call(
            "validatorInTurn", now.epochId + (now.attempt if attempt is None else attempt)
        )
        return next(v for v in [*self.validators, Actor("late validator")] if v.address == owner)

    def proposal(self, **changes: Any) -> Proposal:
        """What an honest proposer freezes now, with made-up roots."""
        now = self.attempt()
        attempt = now.attempt if now.phase == 0 else now.attempt + 1
        parent = self.parent()[0]
        roots = [Digest(keccak(text=f"{name} {now.epochId}")) for name in ("lanes", "receipts", "attributions")]
        chunks, bundle = (Digest(keccak(text=f"{name} {now.epochId}")) for name in ("chunks", "bundle"))
        made = Proposal(now.epochId, attempt, parent, *roots, 3, chunks, bundle)
        return replace(made, **changes)

    def parent(self) -> tuple[Digest, int, Digest]:
        """Digest, time and signers of the last committed epoch, as its event told; zeros before the first."""
        latest, entry = self.ledger.call("latestEpoch")
        if latest == 0:
            return ZERO_DIGEST, 0, ZERO_DIGEST
        for event in reversed(self.evm.events_of(self.ledger, "EpochCommitted")):
            signers = Digest(keccak(encode(["address", "uint256[]"], [event.proposer, event.votes])))
            words = [event.epochDigest, event.committedAt, signers]
            if keccak(encode(["bytes32", "uint64", "bytes32"], words)) == entry:
                return Digest(event.epochDigest), event.committedAt, signers
        raise AssertionError("no event tells of the last committed epoch")

    def await_opening(self, attempt: int = 0) -> None:
        """Let time pass until the next attempt may be proposed."""
        now = self.attempt()
        opens = now.openedAt + attempt * self.parameters.attempt_timeout_seconds
        if self.evm.now + 1 < opens:
            self.evm.advance(opens - self.evm.now)

    def propose(self, proposal: Proposal | None = None) -> tuple[Proposal, Sent]:
        self.await_opening()
        proposal = proposal or self.proposal()
        return proposal, self.send_proposal(self.in_turn(proposal.attempt), proposal)

    def send_proposal(self, sender: Any, proposal: Proposal) -> Sent:
        return self.ledger.send(sender, "proposeEpoch", proposal, *self.parent()[1:])

    def seal(self) -> Sent:
        self.evm.mine()
        return self.ledger.send("anybody", "seal")

    def epoch_of(self, proposal: Proposal, tree: PayoutTree) -> Epoch:
        return Epoch(
            proposal.epoch_id,
            proposal.attempt,
            self.attempt().validatorSetId,
            proposal.previous_epoch,
            proposal.lanes_root,
            proposal.receipts_root,
            proposal.attributions_root,
            proposal.chunks_root,
            ZERO_DIGEST,
            ZERO_DIGEST,
            tree.root,
            tree.total,
        )

    def signatures(self, epoch: Epoch, keys: Sequence[Actor] | None = None) -> bytes:
        """Of these keys (all validators' by default), ascending by address."""
        chosen = [self.key_of(v) for v in self.validators] if keys is None else list(keys)
        chosen.sort(key=lambda k: address_bytes(k.address))
        return b"".join(k.sign(epoch, self.ledger.domain) for k in chosen)

    def tree(self, payouts: Mapping[Address, int]) -> PayoutTree:
        return PayoutTree(self.evm.chain_id, self.ledger.address, {a: Wei(w) for a, w in payouts.items()})

    def commit(
        self, payouts: Mapping[Address, int], keys: Sequence[Actor] | None = None, **changes: Any
    ) -> Committed:
        """One whole epoch: wait, propose, seal, sign, commit."""
        self.await_opening()
        proposal, proposed = self.propose(self.proposal(**changes))
        sealed = self.seal()
        tree = self.tree(payouts)
        epoch = self.epoch_of(proposal, tree)
        sent = self.send_commit(epoch, proposal, self.signatures(epoch, keys))
        event = sent.event("EpochCommitted")
        gas = {"propose": proposed.gas_used, "seal": sealed.gas_used, "commit": sent.gas_used}
        return Committed(epoch, event.committedAt, event.proposer, event.votes, tree, gas)

    def send_commit(self, epoch: Epoch, proposal: Proposal, signatures: bytes) -> Sent:
        return self.ledger.send(
            "anybody", "commitEpoch", epoch, proposal.receipt_count, proposal.bundle_digest, signatures
        )

    def due(self, payouts: Mapping[Address, int]) -> tuple[Epoch, Proposal]:
        """A proposed and sealed epoch, ready to be signed."""
        proposal, _ = self.propose()
        self.seal()
        return self.epoch_of(proposal, self.tree(payouts)), proposal

    def status_of(self, committed: Committed) -> tuple[bool, bool]:
        """(known, final)."""
        known, is_final = self.ledger.call("statusOf", committed.entry)
        return known, is_final

    def finalise(self) -> None:
        """Let the window of everything committed pass."""
        self.evm.advance(self.parameters.window_seconds + 1)

    def claim(self, committed: Committed, account: Address, sender: Any = "anybody") -> Sent:
        return self.ledger.send(sender, "claim", committed.entry, account, *committed.claim_of(account))

    def balance(self, account: Any) -> int:
        return int(self.token.call("balanceOf", account))


NOBODY = ZERO_ADDRESS
