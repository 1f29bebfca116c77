"""P63: every state-changing function of every ABI, called by every role: refused by the named error, or open to all.

`WRITE_SNAPSHOTS=1 pytest tests/contracts/test_access_matrix.py` writes docs/ACCESS.md. A new function of an ABI
fails here until it has its rule.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from bare_evm import Actor, Deployed, Evm, Reverted, plain, signature
from dispute_world import EQUIVOCATION_PPM, INVALID_EPOCH_PPM
from eth_utils.abi import collapse_if_tuple
from registry_world import TERMS, Registries, name
from settlement_world import CREDIT, PROVIDER, VALIDATOR

from headwater.chain.contracts import shipped_artifacts
from headwater.types import ZERO_ADDRESS, ZERO_DIGEST

PAGE = Path(__file__).resolve().parents[2] / "docs/ACCESS.md"
ROLES = (
    "stranger",
    "user",
    "provider",
    "validator",
    "validator's key",
    "contributor",
    "Datanet owner",
    "curator",
    "next Datanet owner",
    "model owner",
    "next model owner",
    "admin",
    "guardian",
    "timelock",
    "council",
    "escrow",
    "ledger",
    "court",
    "proof contract",
)
HOLDER = {"ADMIN": "admin", "FAUCET": "admin", "GUARDIAN": "guardian", "PARAMETER": "timelock"}


@dataclass(frozen=True)
class Rule:
    """Who may call (nobody else), and what others are told; or why everybody may."""

    callers: tuple[str, ...] = ()
    error: str = ""
    open_because: str = ""


def only(error: str, *callers: str) -> Rule:
    return Rule(callers, error)


def anyone(because: str) -> Rule:
    return Rule(open_because=because)


OWN = anyone("acts on what is the caller's own")
SIGNED = anyone("a signature in it says who wills it")
PROVED = anyone("what it brings along is proved or reverts")
FOR_OTHERS = anyone("pays whom it is owed to, whoever calls")
TIME = anyone("only time and state decide")
NEW = anyone("makes something of the caller's own")
AUTHORITY = only("AccessManagedUnauthorized")
DATANET = only("NotDatanetOwner", "Datanet owner")
CURATED = only("NotCurator", "Datanet owner", "curator")
MODEL = only("NotModelOwner", "model owner")
ACCESS = only("AccessManagerUnauthorizedAccount", "admin")
SCHEDULING = only("AccessControlUnauthorizedAccount", "council")
TIMELOCK_ADMIN = only("AccessControlUnauthorizedAccount")
TOKEN = {"approve": OWN, "transfer": OWN, "transferFrom": anyone("within an allowance"), "permit": SIGNED}

RULES: dict[str, dict[str, Rule]] = {
    "AttributionLedger": {
        "claim": FOR_OTHERS,
        "claimMany": FOR_OTHERS,
        "commitEpoch": anyone("the quorum's signatures decide"),
        "expireAttempt": TIME,
        "fund": only("OnlyEscrow", "escrow"),
        "invalidate": only("OnlyDisputes", "court"),
        "proposeEpoch": only("NotInTurn", "validator", "validator's key"),
        "returnUncovered": FOR_OTHERS,
        "returnUnlisted": FOR_OTHERS,
        "seal": TIME,
        "setPayee": OWN,
        "settle": FOR_OTHERS,
        "withdrawCredit": FOR_OTHERS,
    },
    "ContributionLog": {
        "anchor": SIGNED,
        "commitSnapshot": CURATED,
        "invalidateSnapshot": PROVED,
        "revokeSelf": only("NotContributor", "contributor"),
        "seal": TIME,
        "takeDown": CURATED,
        "withdraw": SIGNED,
    },
    "CreditEscrow": {
        "anchorReceipt": SIGNED,
        "close": TIME,
        "deposit": OWN,
        "openLane": OWN,
        "redeem": SIGNED,
        "requestClose": only("NotLaneParty", "user", "provider"),
        "topUp": only("NotLaneParty", "user"),
        "withdraw": OWN,
    },
    "CreditToken": TOKEN,
    "CreditWrapper": {**TOKEN, "unwrap": OWN, "wrap": OWN},
    "DatanetRegistry": {
        "acceptOwnership": only("NotPendingOwner", "next Datanet owner"),
        "applyTerms": TIME,
        "create": NEW,
        "proposeTerms": DATANET,
        "retire": DATANET,
        "setCurator": DATANET,
        "setPayee": DATANET,
        "transferOwnership": DATANET,
    },
    "EpochDisputes": {
        "answerBeyondEnd": PROVED,
        "answerChunk": PROVED,
        "condemn": only("OnlyProofs", "proof contract"),
        "requestChunk": anyone("who asks prepays the answer"),
        "slashSigners": anyone("only for what was proved"),
        "withdraw": OWN,
    },
    "ModelRegistry": {
        "acceptOwnership": only("NotPendingOwner", "next model owner"),
        "activate": MODEL,
        "addVersion": MODEL,
        "attestVersion": SIGNED,
        "deprecate": MODEL,
        "lapse": TIME,
        "payAttester": FOR_OTHERS,
        "proposePrice": MODEL,
        "register": NEW,
        "revoke": MODEL,
        "seal": TIME,
        "transferOwnership": MODEL,
    },
    "Staking": {
        "addKey": only("WrongStatus", "validator"),
        "addStake": only("WrongStatus", "validator"),
        "distribute": FOR_OTHERS,
        "exit": OWN,
        "registerProvider": NEW,
        "registerValidator": NEW,
        "requestExit": only("WrongStatus", "validator"),
        "slash": only("OnlyCourt", "ledger", "court"),
        "withdrawCredit": FOR_OTHERS,
    },
    "ProtocolAccess": {
        "cancel": anyone("OpenZeppelin: the caller of what was scheduled, its admin or guardian"),
        "consumeScheduledOp": anyone("OpenZeppelin: only a managed contract has something to consume"),
        "execute": anyone("OpenZeppelin: passes the caller's own rights on"),
        "multicall": anyone("OpenZeppelin: each call by itself"),
        "renounceRole": OWN,
        "schedule": anyone("OpenZeppelin: passes the caller's own rights on"),
        **dict.fromkeys(
            (
                "grantRole",
                "labelRole",
                "revokeRole",
                "setGrantDelay",
                "setRoleAdmin",
                "setRoleGuardian",
                "setTargetAdminDelay",
                "setTargetClosed",
                "setTargetFunctionRole",
                "updateAuthority",
            ),
            ACCESS,
        ),
    },
    "ProtocolTimelock": {
        "cancel": SCHEDULING,
        "execute": anyone("only what was scheduled, after its delay"),
        "executeBatch": anyone("only what was scheduled, after its delay"),
        "grantRole": TIMELOCK_ADMIN,
        "onERC1155BatchReceived": anyone("OpenZeppelin: answers that it takes the token"),
        "onERC1155Received": anyone("OpenZeppelin: answers that it takes the token"),
        "onERC721Received": anyone("OpenZeppelin: answers that it takes the token"),
        "renounceRole": OWN,
        "revokeRole": TIMELOCK_ADMIN,
        "schedule": SCHEDULING,
        "scheduleBatch": SCHEDULING,
        "updateDelay": only("TimelockUnauthorizedCaller"),
    },
}


def functions() -> Iterator[tuple[str, dict[str, Any], Rule | None]]:
    """Contract, ABI entry and rule of every state-changing function that is shipped."""
    for contract in shipped_artifacts():
        document = shipped_artifacts()[contract].document
        for entry in sorted(document["abi"], key=lambda e: str(e.get("name"))):
            if entry["type"] != "function" or entry["stateMutability"] in ("view", "pure"):
                continue
            role = document["roles"].get(signature(entry))
            rule = RULES.get(contract, {}).get(entry["name"])
            if role is not None:
                rule = only("AccessManagedUnauthorized", HOLDER[role["role"]])
            elif entry["name"] == "setAuthority":
                rule = AUTHORITY
            elif entry["name"].startswith("prove"):
                rule = PROVED
            yield contract, entry, rule


class World:
    """Every contract with every role filled."""

    def __init__(self) -> None:
        evm = Evm()
        self.registries = Registries(evm, disputes=evm.next_address("court deployer"))
        registries, self.evm = self.registries, evm
        world = self.settlement = registries.settlement
        judges = [Actor(f"judge {i}") for i in range(4)]
        parts = (world.ledger, world.escrow, world.staking, judges, (EQUIVOCATION_PPM, INVALID_EPOCH_PPM))
        court = evm.deploy("EpochDisputes", *parts, sender="court deployer")
        world.register(world.validators[0], VALIDATOR, world.terms.minimum_stake)
        world.register(world.provider, PROVIDER, world.terms.provider_bond)
        world.deposit(world.user, 9 * CREDIT)
        self.lane = world.open_lane(CREDIT)
        registries.registry.send(registries.owner, "setCurator", registries.datanet_id, registries.curator, True)
        self.contribution = registries.anchored()
        snapshot = registries.sealed_snapshot()
        self.version = registries.model_version([snapshot])
        registries.register(self.version, [snapshot])
        heirs = (Actor("heir"), Actor("model heir"))
        registries.registry.send(registries.owner, "transferOwnership", registries.datanet_id, heirs[0])
        registries.models.send(registries.maker, "transferOwnership", self.version.model_id, heirs[1])
        timelock = evm.deploy("ProtocolTimelock", 7 * 86_400, Actor("council"))
        weird = evm.deploy("WeirdToken", 18)
        stood = (
            world.ledger,
            registries.log,
            world.escrow,
            world.token,
            registries.registry,
            court,
            registries.models,
        )
        more = (world.staking, registries.access, timelock, evm.deploy("CreditWrapper", weird))
        self.contracts: dict[str, Deployed] = {c.name: c for c in (*stood, *more)}
        self.who: dict[str, Any] = {
            "stranger": Actor("stranger"),
            "user": world.user,
            "provider": world.provider,
            "validator": world.validators[0],
            "validator's key": world.key_of(world.validators[0]),
            "contributor": registries.contributor,
            "Datanet owner": registries.owner,
            "curator": registries.curator,
            "next Datanet owner": heirs[0],
            "model owner": registries.maker,
            "next model owner": heirs[1],
            "admin": Actor("deployer"),
            "guardian": Actor("guardian"),
            "timelock": Actor("timelock"),
            "council": Actor("council"),
            "escrow": world.escrow,
            "ledger": world.ledger,
            "court": court,
            "proof contract": judges[0],
        }
        self.evm.advance(world.parameters.minimum_epoch_seconds)

    def arguments(self, contract: str, entry: dict[str, Any]) -> list[Any]:
        """Such that the check of the caller is reached."""
        registries, world = self.registries, self.settlement
        datanet, model = registries.datanet_id, self.version.model_id
        given: dict[tuple[str, str], list[Any]] = {
            ("AttributionLedger", "proposeEpoch"): [world.proposal(), *world.parent()[1:]],
            ("ContributionLog", "commitSnapshot"): [registries.snapshot(7)],
            ("ContributionLog", "revokeSelf"): [datanet, self.contribution],
            ("ContributionLog", "takeDown"): [datanet, self.contribution, name("reason")],
            ("CreditEscrow", "requestClose"): [self.lane],
            ("CreditEscrow", "topUp"): [self.lane, 1],
            ("DatanetRegistry", "proposeTerms"): [datanet, TERMS],
            ("ModelRegistry", "addVersion"): [self.version, [], 1, (0,) * 6],
            ("Staking", "addKey"): [VALIDATOR, Actor("new key"), b"", (name("a"), name("b"))],
            ("Staking", "addStake"): [VALIDATOR, 1],
            ("Staking", "requestExit"): [VALIDATOR],
            ("ProtocolAccess", "grantRole"): [1, Actor("somebody"), 0],
            ("ProtocolAccess", "revokeRole"): [1, Actor("somebody")],
            ("ProtocolTimelock", "schedule"): [Actor("somebody"), 0, b"", ZERO_DIGEST, ZERO_DIGEST, 7 * 86_400],
        }
        if (contract, entry["name"]) in given:
            return given[contract, entry["name"]]
        values = [blank(collapse_if_tuple(i), i) for i in entry["inputs"]]
        named = [i["name"] for i in entry["inputs"]][:1]
        if named in (["datanetId"], ["modelId"]) and contract in ("DatanetRegistry", "ModelRegistry"):
            values[0] = datanet if contract == "DatanetRegistry" else model
            if contract == "ModelRegistry" and entry["inputs"][1:2] and entry["inputs"][1]["type"] == "uint32":
                values[1] = 1
        return values


def blank(kind: str, entry: dict[str, Any]) -> Any:
    """A zero of an ABI type."""
    if entry["type"].endswith("]"):
        size = re.findall(r"\[(\d*)\]$", entry["type"])[0]
        item = {**entry, "type": entry["type"][: entry["type"].rindex("[")]}
        return [blank(collapse_if_tuple(item), item) for _ in range(int(size or 0))]
    if entry["type"] == "tuple":
        return tuple(blank(collapse_if_tuple(c), c) for c in entry["components"])
    if kind.startswith("bytes"):
        return bytes(int(kind[5:] or 0))
    return {"address": ZERO_ADDRESS, "bool": False, "string": ""}.get(kind, 0)


@pytest.fixture(scope="module")
def world() -> World:
    return World()


ACCESS_ERRORS = {r.error for rules in RULES.values() for r in rules.values() if r.error} | {AUTHORITY.error}
CASES = [(c, e["name"]) for c, e, _ in functions()]


def outcome(world: World, contract: str, entry: dict[str, Any], arguments: list[Any], role: str) -> str:
    try:
        world.contracts[contract].call(signature(entry), *arguments, sender=plain(world.who[role]))
    except Reverted as reverted:
        return reverted.name
    return ""


def test_every_function_has_its_rule_and_every_rule_its_function() -> None:
    assert [f"{c}.{e['name']}" for c, e, rule in functions() if rule is None] == []
    assert {(c, f) for c, rules in RULES.items() for f in rules} <= set(CASES)
    assert len(set(CASES)) == len(CASES)


@pytest.mark.parametrize(("contract", "function"), CASES)
def test_p63_every_function_refuses_every_role_that_it_is_not_for(world: World, contract: str, function: str) -> None:
    ((entry, rule),) = [(e, r) for c, e, r in functions() if (c, e["name"]) == (contract, function)]
    assert rule is not None
    if contract not in world.contracts:
        assert rule is PROVED  # no function of the contracts of proofs looks at its caller
        return
    arguments = world.arguments(contract, entry)
    for role in ROLES if rule.error else ("stranger", "user", "validator", "admin"):
        told = outcome(world, contract, entry, arguments, role)
        if rule.error and role not in rule.callers:
            assert told == rule.error, f"{role} calls {contract}.{function}: {told or 'done'}"
        else:
            assert told not in ACCESS_ERRORS - {"WrongStatus"}, f"{role} calls {contract}.{function}: {told}"


def page() -> str:
    lines = [
        "# Who may call what",
        "",
        "Every function that changes state, from the contracts' ABIs; each that is not open to all is called "
        f"by each of {len(ROLES)} roles in `tests/contracts/test_access_matrix.py`, which also writes this page.",
        "",
        f"Roles: {', '.join(ROLES)}.",
    ]
    contract = ""
    for name_, entry, rule in functions():
        assert rule is not None
        if name_ != contract:
            contract = name_
            lines += ["", f"## {contract}", "", "| function | who | anybody else |", "| --- | --- | --- |"]
        who = ", ".join(rule.callers) or ("nobody but itself" if rule.error else f"anyone: {rule.open_because}")
        lines.append(f"| `{entry['name']}` | {who} | {f'`{rule.error}`' if rule.error else ''} |")
    return "\n".join(lines) + "\n"


def test_the_page_is_what_would_be_written() -> None:
    if os.environ.get("WRITE_SNAPSHOTS"):
        PAGE.write_text(page(), "utf-8")
    assert PAGE.read_text("utf-8") == page(), "WRITE_SNAPSHOTS=1 pytest tests/contracts/test_access_matrix.py"
