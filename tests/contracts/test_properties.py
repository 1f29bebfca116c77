"""Properties of docs/PROPERTIES.md that belong to several contracts at once, on the settlement with its court.

The four contracts of proofs are accounts here (`JUDGES`): what a proof shows is tested in test_epoch_disputes.py,
what follows from it here.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest
from bare_evm import ROOT, Actor, Deployed, Evm, Reverted, artefact_of
from dispute_world import EQUIVOCATION_PPM, INVALID_EPOCH_PPM
from eth_account import Account
from eth_utils import keccak
from registry_world import Registries, name
from settlement_world import CREDIT, PROVIDER, ROLES, VALIDATOR, Committed, Parameters, Settlement, Terms

from headwater.chain.contracts import shipped_artifacts
from headwater.protocol.epoch import Proposal
from headwater.protocol.merkle import merkle_root
from headwater.types import ZERO_ADDRESS, Digest

ANNA, BERT, CARL = (Actor(n).address for n in ("anna", "bert", "carl"))
JUDGES = [Actor(f"judge {i}") for i in range(4)]
CHALLENGER = Actor("challenger")
CHUNK = b"the only chunk of the bundle"
REVERTS = bytes.fromhex("60006000fd")
"""Code that reverts whatever it is asked."""
BURNS = bytes.fromhex("5b600056")
"""Code that runs until its gas is gone."""
MAX_UINT128, MAX_UINT96 = 2**128 - 1, 2**96 - 1
MAX_CREDIT = 2**127 - 1
"""The most that one account can be owed by settlements at a time: a bit of its slot says that it has a payee."""


class Court:
    """The settlement, its real court, and judges that may condemn."""

    def __init__(self) -> None:
        evm = Evm()
        where = evm.next_address("court deployer")
        self.settlement = Settlement.deploy_bare(evm, Parameters(), Terms(), where)
        world = self.settlement
        parts = (world.ledger, world.escrow, world.staking, JUDGES, (EQUIVOCATION_PPM, INVALID_EPOCH_PPM))
        self.contract = evm.deploy("EpochDisputes", *parts, sender="court deployer")
        for owner in world.validators:
            world.register(owner, VALIDATOR, world.terms.minimum_stake)
        world.register(world.provider, PROVIDER, world.terms.provider_bond)
        world.fund(100 * CREDIT)

    def condemn(self, committed: Committed, challenger: Any = CHALLENGER) -> None:
        self.contract.send(JUDGES[0], "condemn", committed.entry, b"some fault".ljust(32, b"\0"), challenger)

    def slash(self, committed: Committed, places: list[int]) -> None:
        digest, at = committed.epoch.digest(), committed.committed_at
        self.contract.send("anybody", "slashSigners", digest, at, committed.proposer, committed.votes, places)

    def ask(self, committed: Committed, index: int = 0, sender: Any = "asker") -> None:
        self.contract.send(sender, "requestChunk", committed.entry, index)

    def answer(self, committed: Committed, sender: Any = "helper") -> None:
        self.contract.send(sender, "answerChunk", committed.entry, 0, CHUNK, [])

    def commit(self, payouts: dict[Any, int]) -> Committed:
        """An epoch whose bundle is one chunk."""
        return self.settlement.commit(payouts, chunks_root=merkle_root([Digest(keccak(CHUNK))]))


@pytest.fixture(scope="module")
def _court() -> tuple[Court, tuple[bytes, int, int]]:
    made = Court()
    return made, made.settlement.evm.snapshot()


@pytest.fixture
def court(_court: tuple[Court, tuple[bytes, int, int]]) -> Court:
    made, snapshot = _court
    made.settlement.evm.restore(snapshot)
    return made


# -- signatures ----------------------------------------------------------------------------------------------------


def test_p10_a_permit_that_somebody_else_handed_in_first_stops_no_deposit(world: Settlement) -> None:
    token, user, evm = world.token, Actor("permitter"), world.evm
    token.send("deployer", "mint", user, CREDIT)
    deadline = evm.now + 3_600
    title = token.call("eip712Domain")[1]
    domain = {"name": title, "version": "1", "chainId": evm.chain_id, "verifyingContract": token.address}
    fields = ["address owner", "address spender", "uint256 value", "uint256 nonce", "uint256 deadline"]
    types = {"Permit": [dict(zip(("type", "name"), f.split(), strict=True)) for f in fields]}
    message = {
        "owner": user.address,
        "spender": world.escrow.address,
        "value": CREDIT,
        "nonce": 0,
        "deadline": deadline,
    }
    signed = Account.sign_typed_data(user.key.to_bytes(), domain, types, message)
    words = (signed.r.to_bytes(32, "big"), signed.s.to_bytes(32, "big"))
    permit = ("permit", user, world.escrow, CREDIT, deadline, signed.v, *words)
    token.send("thief", *permit)
    with pytest.raises(Reverted):
        token.send(user, *permit)  # it was used, and that is all
    world.escrow.send(user, "deposit", user, CREDIT)
    assert world.escrow.call("freeOf", user) == CREDIT


# -- accounting ----------------------------------------------------------------------------------------------------


def test_p20_the_same_claim_many_times_in_one_call_pays_once(funded: Settlement) -> None:
    done = funded.commit({ANNA: 5, BERT: 7})
    funded.finalise()
    anna, bert = ((a, *done.claim_of(a)) for a in (ANNA, BERT))
    assert funded.ledger.send("anybody", "claimMany", done.entry, [anna, bert, anna, anna]).value == 12
    assert (funded.balance(ANNA), funded.balance(BERT)) == (5, 7)


def held_and_owed(world: Settlement, lanes: list[Digest], accounts: list[Any]) -> dict[str, tuple[int, int]]:
    """Contract -> what it holds, what it owes by its own books."""
    open_lanes = [world.escrow.call("laneOf", lane) for lane in lanes]
    unspent = sum(lane.allocated - lane.redeemed for lane in open_lanes if lane.status < 3)
    free = sum(world.escrow.call("freeOf", a) for a in accounts)
    books = [world.ledger.call("accountOf", a) for a in accounts]
    paid = sum(claimed - credit for claimed, credit in books)
    stakes = [world.staking.call("positionOf", a, role).stake for a in accounts for role in (VALIDATOR, PROVIDER)]
    credits = [world.staking.call("creditOf", a) for a in accounts]
    received = world.ledger.call("accountOf", world.staking)
    undistributed = received[0] - received[1] - world.staking.call("distributedCumulative")
    return {
        "escrow": (world.balance(world.escrow), free + unspent),
        "ledger": (world.balance(world.ledger), world.ledger.call("funded") - paid),
        "staking": (
            world.balance(world.staking),
            sum(stakes) + sum(credits) + world.staking.call("burned") + undistributed,
        ),
    }


@pytest.mark.parametrize("seed", range(3))
def test_p22_every_contract_holds_exactly_what_it_owes_after_any_sequence(world: Settlement, seed: int) -> None:
    rng, lanes, epochs = random.Random(seed), [], []
    accounts = [world.user, world.provider, *world.validators, ANNA, BERT, CARL, CHALLENGER, world.staking]
    totals = dict.fromkeys((ANNA, BERT, CARL, world.staking.address), 0)

    def lane() -> None:
        lanes.append(world.open_lane(rng.randrange(1, 9) * CREDIT, len(lanes)))

    def redeem() -> None:
        world.redeem(rng.choice(lanes), rng.randrange(8 * CREDIT))

    def close() -> None:
        one = rng.choice(lanes)
        world.escrow.send(world.user, "requestClose", one)
        world.evm.advance(world.terms.lane_close_delay_seconds + 1)
        world.escrow.send("anybody", "close", one)

    def withdraw() -> None:
        world.escrow.send(world.user, "withdraw", world.user, rng.randrange(1, CREDIT))

    def commit() -> None:
        budget = world.ledger.call("funded") - sum(totals.values())
        for account in totals:
            totals[account] += rng.randrange(budget // 4 + 1)
        epochs.append(world.commit(dict(totals)))
        world.finalise()

    def claim() -> None:
        world.claim(epochs[-1], rng.choice(list(totals)))

    def settle() -> None:
        world.ledger.send("anybody", "settle", epochs[-1].entry, epochs[-1].payouts)

    def collect() -> None:
        world.ledger.send("anybody", "withdrawCredit", rng.choice(list(totals)))

    def distribute() -> None:
        last = epochs[-1]
        leaf = last.claim_of(world.staking.address)
        world.staking.send("anybody", "distribute", last.entry, last.proposer, last.votes, *leaf)

    def slash() -> None:
        evidence = rng.randbytes(32)
        world.staking.send(
            world.disputes, "slash", world.provider, PROVIDER, 1 + rng.randrange(9), evidence, CHALLENGER
        )

    steps: list[Callable[[], None]] = [
        lane,
        redeem,
        close,
        withdraw,
        commit,
        claim,
        settle,
        collect,
        distribute,
        slash,
    ]
    done = set()
    for number, step in enumerate((lane, redeem, commit, *rng.choices(steps, k=41))):
        try:
            step()
            done.add(step.__name__)
        except Reverted:
            pass  # not every step is possible everywhere; none may leave a trace then
        if number % 4 == 3:
            assert [who for who, (held, owed) in held_and_owed(world, lanes, accounts).items() if held != owed] == []
        assert sum(totals.values()) <= world.ledger.call("funded")
    assert len(done) >= 6


def test_p32_no_role_of_governance_moves_what_is_owed(world: Settlement) -> None:
    registries = Registries(world.evm)  # only for the list of its restricted functions
    world.fund(10 * CREDIT)
    done = world.commit({ANNA: 3 * CREDIT})
    world.finalise()
    settlement = (world.escrow, world.ledger, world.staking)
    before = [world.balance(c) for c in settlement]
    calls = {
        "mint": (Actor("thief"), CREDIT),
        "pause": (60,),
        "unpause": (),
        "setSuccessor": (world.token,),
        "setBasePayee": (name("base"), Actor("thief")),
        "setProtocolPayee": (Actor("thief"),),
        "setParameters": ((1, 0, 60),),
    }
    holders = {"ADMIN": "deployer", "FAUCET": "deployer", "GUARDIAN": "guardian", "PARAMETER": "timelock"}
    used = set()
    for contract in (*settlement, world.token, registries.models, registries.registry, registries.log):
        for signature, role in sorted(contract.roles.items()):
            function = signature.split("(")[0]
            contract.send(holders[role["role"]], function, *calls[function])
            used.add(function)
    assert used == set(calls)  # nothing else is restricted at all
    assert [world.balance(c) for c in settlement] == before
    assert world.claim(done, ANNA).value == 3 * CREDIT


def test_p33_credit_is_counted_up_to_its_last_bit_and_refused_beyond(world: Settlement) -> None:
    world.fund(MAX_CREDIT + 1)
    most, beyond = (world.commit({ANNA: wei}) for wei in (MAX_CREDIT, MAX_CREDIT + 1))
    world.finalise()
    assert world.ledger.send("anybody", "settle", most.entry, most.payouts).value == MAX_CREDIT
    with world.evm.reverts("CreditTooLarge", ANNA, MAX_CREDIT + 1):
        world.ledger.send("anybody", "settle", beyond.entry, beyond.payouts)
    assert world.claim(beyond, ANNA).value == 1
    world.ledger.send("anybody", "withdrawCredit", ANNA)
    assert world.balance(ANNA) == MAX_CREDIT + 1


def test_p33_the_largest_bond_is_kept_and_slashed_whole(evm: Evm) -> None:
    world = Settlement.deploy_bare(evm, Parameters(), Terms())
    owner = world.validators[0]
    world.register(owner, VALIDATOR, MAX_UINT96)
    world.give(owner, 1, world.staking)
    with world.evm.reverts("Panic", 0x11):
        world.staking.send(owner, "addStake", VALIDATOR, 1)
    sent = world.staking.send(world.disputes, "slash", owner, VALIDATOR, 1_000_000, b"\1" * 32, CHALLENGER)
    assert sent.value == MAX_UINT96
    assert world.staking.call("creditOf", CHALLENGER) == MAX_UINT96 // 2


def test_p34_the_sum_of_all_that_was_ever_redeemed_stops_before_it_overflows(world: Settlement) -> None:
    world.escrow.send(world.user, "withdraw", world.user, world.escrow.call("freeOf", world.user))
    world.fund(MAX_UINT128)
    with world.evm.reverts("Panic", 0x11):
        world.fund(1)
    assert world.ledger.call("funded") == MAX_UINT128 == world.balance(world.ledger)
    a_year = 31_556_952
    assert 10_000 * CREDIT * a_year * 10**9 < MAX_UINT128  # 10,000 credits a second for a thousand million years


# -- disputes and windows ------------------------------------------------------------------------------------------


def test_p37_a_dispute_holds_up_nothing_that_was_final_before(court: Court) -> None:
    world = court.settlement
    world.deposit(world.user, CREDIT)
    first = world.commit({ANNA: 5})
    world.finalise()
    second = court.commit({ANNA: 9})
    court.ask(second)
    assert world.claim(first, ANNA).value == 5
    court.condemn(second)
    assert world.status_of(first) == (True, True)
    world.ledger.send("anybody", "settle", first.entry, first.payouts)
    world.escrow.send(world.user, "withdraw", world.user, CREDIT)
    again = world.commit({ANNA: 9})
    world.finalise()
    assert again.epoch.epoch_id == 2 and world.claim(again, ANNA).value == 4


def test_p38_neither_requests_nor_failed_proofs_delay_an_epoch(court: Court) -> None:
    world = court.settlement
    done = court.commit({ANNA: 5})
    for thief in (Actor("thief"), CHALLENGER):
        with world.evm.reverts("OnlyProofs", thief):
            court.contract.send(thief, "condemn", done.entry, b"\0" * 32, thief)
    court.ask(done)
    court.answer(done)
    final_at = done.committed_at + world.parameters.window_seconds
    world.evm.advance(final_at - world.evm.now)
    assert world.claim(done, ANNA).value == 5
    assert world.evm.now == final_at


@pytest.mark.parametrize("code", [REVERTS, BURNS], ids=["reverts", "burns gas"])
def test_p39_who_refuses_payment_only_hurts_himself(court: Court, code: bytes) -> None:
    world = court.settlement
    done = court.commit({ANNA: 5})
    for account in (CHALLENGER, *world.validators):
        world.evm.set_code(account, code)
    court.condemn(done)
    court.slash(done, [1, 2, 3])
    assert world.staking.call("creditOf", CHALLENGER) > 0
    for owner in world.validators:
        assert world.staking.call("positionOf", owner, VALIDATOR).stake < world.terms.minimum_stake
    world.staking.send("anybody", "withdrawCredit", CHALLENGER)
    assert world.balance(CHALLENGER) > 0


def test_p40_a_request_leaves_a_quarter_of_the_window_to_answer_and_one_to_prove(court: Court) -> None:
    world = court.settlement
    window = world.parameters.window_seconds
    done = court.commit({ANNA: 5})
    last_request = done.committed_at + window // 2 - 1
    world.evm.advance(last_request - world.evm.now)
    court.ask(done)
    assert world.evm.now == last_request
    with world.evm.reverts("RequestTooLate"):
        court.ask(done, 1)
    answer_by = last_request + window // 4
    world.evm.advance(answer_by - 1 - world.evm.now)
    with world.evm.reverts("AnswerStillDue", answer_by):
        court.contract.send("anybody", "proveUnanswered", done.entry, 0)
    with world.evm.reverts("AnswerTooLate", answer_by):
        court.answer(done)
    assert answer_by <= done.committed_at + window - window // 4 < done.committed_at + window
    court.contract.send("anybody", "proveUnanswered", done.entry, 0)
    assert world.status_of(done) == (False, False)


def test_p40_what_is_resolved_takes_no_further_move(court: Court) -> None:
    world = court.settlement
    done = court.commit({ANNA: 5})
    court.ask(done)
    court.answer(done)
    with world.evm.reverts("NoRequest"):
        court.answer(done, "another")
    with world.evm.reverts("RequestExists"):
        court.ask(done)
    world.evm.advance(world.parameters.window_seconds // 4)
    with world.evm.reverts("NoRequest"):
        court.contract.send("anybody", "proveUnanswered", done.entry, 0)
    court.condemn(done)
    with world.evm.reverts("UnknownEpoch"):
        court.condemn(done)


def test_p41_no_payee_is_called_while_others_are_paid(funded: Settlement) -> None:
    for account, code in ((ANNA, REVERTS), (BERT, BURNS)):
        funded.evm.set_code(account, code)
    done = funded.commit({ANNA: 3, BERT: 4, CARL: 5})
    funded.finalise()
    assert funded.ledger.send("anybody", "settle", done.entry, done.payouts).value == 12
    for account, wei in ((ANNA, 3), (BERT, 4), (CARL, 5)):
        funded.ledger.send("anybody", "withdrawCredit", account)
        assert funded.balance(account) == wei


def test_p43_after_an_invalidation_nobody_can_claim_less_or_more_than_the_new_commit_says(court: Court) -> None:
    world = court.settlement
    first = world.commit({ANNA: 5})
    void = world.commit({ANNA: 500})
    court.condemn(void)
    court.slash(void, [1])
    world.finalise()
    assert world.claim(first, ANNA).value == 5
    again = world.commit({ANNA: 8}, keys=[world.key_of(v) for v in world.validators if _votes(world, v)])
    world.finalise()
    assert world.claim(again, ANNA).value == 3
    assert world.claim(again, ANNA).value == 0


def _votes(world: Settlement, owner: Actor) -> bool:
    return bool(world.staking.call("isActive", owner, VALIDATOR))


def test_p45_condemning_ones_own_epoch_costs_more_than_it_earns(court: Court) -> None:
    world = court.settlement
    done = world.commit({ANNA: 5})
    owner = next(v for v in world.validators if v.address == done.proposer)
    before = world.staking.call("positionOf", owner, VALIDATOR).stake
    court.condemn(done, challenger=owner)
    court.slash(done, [0])
    after = world.staking.call("positionOf", owner, VALIDATOR).stake
    earned = world.staking.call("creditOf", owner)
    assert 0 < earned <= (before - after) // 2
    with world.evm.reverts("EvidenceUsed"):
        court.slash(done, [0])


def test_p45_two_signatures_of_ones_own_cost_more_than_they_earn(court: Court) -> None:
    world = court.settlement
    key, owner = world.key_of(world.validators[0]), world.validators[0]
    proposal: Proposal = world.proposal()
    one, other = (world.epoch_of(proposal, world.tree({ANNA: wei})) for wei in (1, 2))
    signed = [(e, key.sign(e, world.ledger.domain)) for e in (one, other)]
    before = world.staking.call("positionOf", owner, VALIDATOR).stake
    court.contract.send(owner, "proveTwoEpochs", *signed[0], *signed[1])
    assert world.staking.call("positionOf", owner, VALIDATOR).stake == 0
    assert world.staking.call("creditOf", owner) == before // 2
    with world.evm.reverts("EvidenceUsed"):
        court.contract.send(owner, "proveTwoEpochs", *signed[1], *signed[0])


# -- staking -------------------------------------------------------------------------------------------------------


def test_p53_the_same_stake_weighs_once_whatever_keys_it_has_had(world: Settlement) -> None:
    owner = world.validators[0]
    for i in range(3):
        key = Actor(f"rotated {i}")
        anchors = world.anchors_of(key)
        world.staking.send(owner, "addKey", VALIDATOR, key, world.possession(owner, key, VALIDATOR, anchors), anchors)
        set_id = world.staking.call("currentSetId")
        keys = [world.key_of(v) for v in world.validators] + [Actor(f"rotated {j}") for j in range(i + 1)]
        weights = {k.name: world.staking.call("weightOf", set_id, k) for k in keys}
        assert sum(weights.values()) == world.staking.call("totalWeight", set_id) == 3 * world.terms.minimum_stake
        assert weights[key.name] == world.terms.minimum_stake


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_p61_who_leaves_is_out_of_every_index(world: Settlement, order: tuple[int, ...]) -> None:
    left = list(world.validators)
    for place in order[:2]:
        leaver = world.validators[place]
        world.staking.send(leaver, "requestExit", VALIDATOR)
        left.remove(leaver)
        listed = world.staking.call("validators", 0, 10)
        assert set(listed) == {v.address for v in left} and len(listed) == len(left)
        assert {world.staking.call("validatorInTurn", t)[0] for t in range(6)} == set(listed)
        set_id = world.staking.call("currentSetId")
        assert world.staking.call("weightOf", set_id, world.key_of(leaver)) == 0
        assert world.staking.call("votingKeyOf", leaver) == ZERO_ADDRESS
        assert world.staking.call("totalWeight", set_id) == len(left) * world.terms.minimum_stake


def test_p61_a_curator_who_was_dismissed_curates_nothing(evm: Evm) -> None:
    world = Registries(evm)
    for is_curator in (True, False):
        world.registry.send(world.owner, "setCurator", world.datanet_id, world.curator, is_curator)
        assert world.registry.call("mayCurate", world.datanet_id, world.curator) is is_curator
    world.anchored()
    with evm.reverts("NotCurator"):
        world.commit(world.snapshot(), world.curator)


# -- what can never be changed -------------------------------------------------------------------------------------

SETTERS = {
    "AttributionLedger": {"setAuthority", "setPayee", "setSuccessor"},
    "ContributionLog": {"setAuthority", "setSuccessor"},
    "CreditEscrow": {"setAuthority", "setSuccessor"},
    "CreditToken": {"setAuthority"},
    "DatanetRegistry": {"setAuthority", "setCurator", "setPayee", "setSuccessor"},
    "ModelRegistry": {"setAuthority", "setBasePayee", "setParameters", "setProtocolPayee", "setSuccessor"},
}
"""Everything that can be set at all, by contract; OpenZeppelin's AccessManager and TimelockController aside."""


def functions_of(contract: str) -> list[dict[str, Any]]:
    entries = shipped_artifacts()[contract].document["abi"]
    return [e for e in entries if e["type"] == "function" and e["stateMutability"] not in ("view", "pure")]


def own_contracts() -> list[str]:
    return [c for c in shipped_artifacts() if c not in ("ProtocolAccess", "ProtocolTimelock")]


def test_p44_court_judges_slashes_and_windows_have_no_setter() -> None:
    found = {c: {f["name"] for f in functions_of(c) if f["name"].startswith("set")} for c in own_contracts()}
    found = {c: names - {"settle"} for c, names in found.items()}
    assert {c: names for c, names in found.items() if names} == SETTERS


def test_p64_no_contract_has_an_initialiser_or_a_way_to_other_code() -> None:
    telling = ("init", "upgrade", "implementation", "delegate", "selfdestruct", "kill", "reinit")
    for contract in own_contracts():
        assert [f["name"] for f in functions_of(contract) if f["name"].lower().startswith(telling)] == []
        assert opcodes(shipped_artifacts()[contract].bytecode).isdisjoint({0xF2, 0xF4, 0xFF}), contract
    for source in (ROOT / "contracts").rglob("*.sol"):
        if "mocks" not in source.parts:
            assert not re.search(r"delegatecall|callcode|selfdestruct", source.read_text("utf-8"), re.IGNORECASE), (
                source
            )


def opcodes(code: bytes) -> set[int]:
    """Those of creation and deployed code: CALLCODE is f2, DELEGATECALL f4, SELFDESTRUCT ff.

    An INVALID (fe) ends each of the two; behind the second are constants, which are no code.
    """
    found, place, ends = set[int](), 0, 0
    while place < len(code) and ends < 2:
        op = code[place]
        found.add(op)
        ends += op == 0xFE
        place += 1 + (op - 0x5F if 0x60 <= op <= 0x7F else 0)
    return found


# -- reentering ----------------------------------------------------------------------------------------------------


class Reentered(Evm):
    """A chain whose credit token calls back in the middle of a transfer."""

    def deploy(self, name: str, *arguments: Any, sender: Any = "deployer") -> Deployed:
        if name == "CreditToken":
            return super().deploy("ReenteringToken", sender=sender)
        return super().deploy(name, *arguments, sender=sender)


def paying(world: Settlement, done: Committed, lane: Digest) -> dict[str, tuple[Deployed, Any, tuple[Any, ...]]]:
    """Name -> contract, sender, call, of everything that moves tokens and that anybody may send."""
    ledger, escrow, staking = world.ledger, world.escrow, world.staking
    anna = (ANNA, *done.claim_of(ANNA))
    leaf = done.claim_of(staking.address)
    return {
        "claim": (ledger, "anybody", ("claim", done.entry, *anna)),
        "claimMany": (ledger, "anybody", ("claimMany", done.entry, [anna, anna])),
        "settle": (ledger, "anybody", ("settle", done.entry, done.payouts)),
        "withdrawCredit": (ledger, "anybody", ("withdrawCredit", CARL)),
        "redeem": (escrow, "anybody", ("redeem", *world.voucher(lane, 3 * CREDIT))),
        "distribute": (staking, "anybody", ("distribute", done.entry, done.proposer, done.votes, *leaf)),
        "withdrawBounty": (staking, "anybody", ("withdrawCredit", CHALLENGER)),
        "deposit": (escrow, world.user, ("deposit", world.user, CREDIT)),
        "withdraw": (escrow, world.user, ("withdraw", world.user, CREDIT)),
    }


@pytest.fixture(scope="module")
def reentered() -> tuple[Settlement, Committed, Digest, tuple[bytes, int, int]]:
    world = Settlement.deploy(Reentered())
    world.fund(50 * CREDIT)
    lane = world.open_lane(5 * CREDIT, 77)
    world.commit({CARL: CREDIT})
    world.finalise()
    first = {CARL: 2 * CREDIT, ANNA: 3 * CREDIT, world.staking.address: 7}
    done = world.commit(first)
    world.finalise()
    world.staking.send(world.disputes, "slash", world.provider, PROVIDER, 9, b"\1" * 32, CHALLENGER)
    world.give(world.user, CREDIT, world.escrow)
    return world, done, lane, world.evm.snapshot()


OUTER = ("claim", "withdrawCredit", "redeem", "distribute", "withdrawBounty", "withdraw")
INNER = ("claimMany", "settle", "withdrawCredit", "redeem", "distribute")


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("outer", OUTER)
def test_p65_a_call_from_within_a_transfer_gains_nothing(
    reentered: tuple[Settlement, Committed, Digest, tuple[bytes, int, int]], outer: str, inner: str
) -> None:
    """Whatever is called within, every account ends with what the two calls one after the other would give it."""
    world, done, lane, snapshot = reentered
    world.evm.restore(snapshot)
    calls = paying(world, done, lane)

    def prepare() -> None:
        world.evm.restore(snapshot)
        if "withdrawCredit" in (outer, inner):
            world.ledger.send("anybody", "settle", done.entry, done.payouts)

    def run(which: str) -> None:
        contract, sender, call = calls[which]
        contract.send(sender, *call)

    def balances() -> list[int]:
        held = [world.escrow, world.ledger, world.staking, ANNA, CARL, CHALLENGER, world.user]
        return [world.balance(h) for h in held]

    outcomes = []
    for order in ((outer, inner), (inner, outer), (outer,)):
        prepare()
        for which in order:
            try:
                run(which)
            except Reverted:
                continue
        outcomes.append(balances())
    prepare()
    contract, _, call = calls[inner]
    world.token.send("anybody", "arm", contract, contract.calldata(*call))
    try:
        run(outer)
    except Reverted:
        prepare()  # then nothing happened at all
        outcomes.append(balances())
    assert balances() in outcomes


def test_every_named_role_is_the_protocols() -> None:
    named = {r["role"] for c in shipped_artifacts() for r in artefact_of(c)["roles"].values()}
    assert named == {"ADMIN", "FAUCET", "GUARDIAN", "PARAMETER"} and named <= set(ROLES)
