"""Honest epochs of random shape, and one injector for each fault of PROTOCOL.md §7.

In: a `Setting` (where: contracts, lanes, versions with their indexes, whose keys), a seed. Out: two consecutive
honest epochs laid open; and the second with one thing wrong, signed as a dishonest majority would sign it. Everything
follows from the seed. `epochs` is the hypothesis strategy.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from eth_utils import keccak
from hypothesis import strategies as st

from headwater.protocol.attribution import AttributionBody, AttributionMethod, IndexRow
from headwater.protocol.epoch import LaneRow, PayoutEntry, SignedReceipt, StrikeLeaf, attribution_leaf, receipt_leaf
from headwater.protocol.influence import divide, dot_product, floor_of, score_of
from headwater.protocol.license import Disclosure
from headwater.protocol.merkle import MerkleTree
from headwater.protocol.model import DEFAULT_SPLIT, TOKENS_PER_PRICE
from headwater.protocol.receipt import Receipt
from headwater.protocol.typed_data import Domain
from headwater.settlement.epochs import (
    Paymasters,
    VersionFacts,
    assemble_bundle,
    divide_receipt,
    part_leaves,
    settle_epoch,
)
from headwater.testing import examples
from headwater.testing.examples import account, sign_digest, word
from headwater.types import ZERO_DIGEST, Address, Digest, Ppm, Signature, Wei, address_bytes
from headwater.validator.cases import Case, lists_of
from headwater.validator.evidence import OpenIndex
from headwater.validator.prosecutor import Facts
from headwater.validator.rules import LaneFacts, RegistryFacts, VersionCommitment

WIDTH: Final = 16
FLOOR_UNIT: Final = 20
PROVIDER_KEY: Final = "provider key"
ISSUED_AT: Final = 1_767_225_600


@dataclass(frozen=True, slots=True)
class OpenLane:
    lane_id: Digest
    user: Address
    provider: Address
    disclosure: Disclosure
    redeemed_wei: int


@dataclass(frozen=True, slots=True)
class OpenVersion:
    """A model version as all sides see it."""

    model_id: Digest
    version: int
    price_per_thousand_tokens_wei: int
    adapter_digest: Digest
    method: AttributionMethod
    floor_unit: int
    index: OpenIndex
    payment: VersionFacts

    @property
    def key(self) -> tuple[Digest, int]:
        return self.model_id, self.version


@dataclass(frozen=True, slots=True)
class Setting:
    """Where epochs happen. Receipts are signed by the key called 'provider key'."""

    escrow: Domain
    ledger: Domain
    lanes: tuple[OpenLane, ...]
    versions: tuple[OpenVersion, ...]
    paymasters: Paymasters

    def facts(self) -> Facts:
        """What the chain says."""
        registry = RegistryFacts(
            lanes={t.lane_id: LaneFacts(t.user, t.provider, t.disclosure.value, t.redeemed_wei) for t in self.lanes},
            price_per_thousand_tokens_wei={(*v.key, 1): v.price_per_thousand_tokens_wei for v in self.versions},
            versions={v.key: _commitment(v) for v in self.versions},
            is_provider_key=lambda provider, key: (
                key == account(PROVIDER_KEY) and provider in {t.provider for t in self.lanes}
            ),
        )
        return Facts(
            escrow=self.escrow,
            registry=registry,
            payment={v.key: v.payment for v in self.versions},
            paymasters=self.paymasters,
            indexes={v.index.tree.root: v.index for v in self.versions},
        )


def _commitment(v: OpenVersion) -> VersionCommitment:
    return VersionCommitment(
        adapter_digest=v.adapter_digest,
        method_id=v.method.digest(),
        index_root=v.index.tree.root,
        index_rows=len(v.index.rows),
        floor_unit=v.floor_unit,
        record_cap_ppm=v.method.record_cap_ppm,
        listed_rows=v.method.listed_rows,
    )


def open_index(
    seed: int, rows: int, datanets: Sequence[Digest], owners: Sequence[Address], width: int = WIDTH
) -> OpenIndex:
    """Random int4 rows of `width` coordinates; some are copies, some near-duplicates."""
    dice = random.Random(seed)
    packed = tuple(bytes(_nibbles(dice) | _nibbles(dice) << 4 for _ in range(width // 2)) for _ in range(rows))
    leaves = tuple(
        IndexRow(
            i,
            dice.choice(owners),
            dice.choice(datanets),
            word(f"cluster {seed} {i}"),
            dice.choice((0, 1, 1, 1, 2, 3)),
            dice.randrange(1, 1 << 30),
            Digest(keccak(row)),
        )
        for i, row in enumerate(packed)
    )
    return OpenIndex(leaves, packed, MerkleTree([leaf.digest() for leaf in leaves]))


def _nibbles(dice: random.Random) -> int:
    return dice.randrange(-7, 8) & 15


METHOD: Final = replace(examples.METHOD, sketch_width=WIDTH, record_cap_ppm=Ppm(250_000), listed_rows=6)
CONTRIBUTORS: Final = tuple(account(f"contributor {i}") for i in range(7))


def fictitious_setting(lanes: int = 4) -> Setting:
    """A setting on no chain, for what needs none."""
    datanets = (word("datanet"), word("second datanet"))
    versions = []
    for i, base_payee in enumerate((account("base payee"), Address("0x" + "00" * 20))):
        payment = VersionFacts(
            DEFAULT_SPLIT,
            account("model owner"),
            base_payee,
            {d: account(f"owner of Datanet {k}") for k, d in enumerate(datanets)},
        )
        index = open_index(i, 24, datanets, CONTRIBUTORS)
        versions.append(
            OpenVersion(word(f"model {i}"), 1, 10**15 + i, word(f"adapter {i}"), METHOD, FLOOR_UNIT, index, payment)
        )
    terms = tuple(
        OpenLane(word(f"lane {i}"), account(f"user {i % 2}"), account("provider"), Disclosure.CONFIDENTIAL, 10**20)
        for i in range(lanes)
    )
    return Setting(examples.ESCROW, examples.LEDGER, terms, tuple(versions), examples.PAYMASTERS)


# -- honest epochs ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Consecutive:
    """Two consecutive honest epochs, laid open."""

    setting: Setting
    previous: Case
    case: Case


def epochs(setting: Setting) -> st.SearchStrategy[Consecutive]:
    """Hypothesis strategy: pairs of honest epochs of random shape."""
    return st.integers(0, 2**32 - 1).map(lambda seed: consecutive(setting, seed))


def consecutive(
    setting: Setting, seed: int, previous: Case | None = None, epoch_id: int = 2, attempt: int = 0
) -> Consecutive:
    """Two honest epochs; `previous` is the first, if it has been committed already."""
    dice = random.Random(seed)
    if previous is None:
        previous = honest(setting, dice, None, epoch_id - 1)
    return Consecutive(setting, previous, honest(setting, dice, previous, epoch_id, attempt))


def honest(setting: Setting, dice: random.Random, previous: Case | None, epoch_id: int, attempt: int = 0) -> Case:
    """One honest epoch after `previous`: 0 to 5 receipts a lane, some of them struck."""
    opened = setting.lanes if previous is None else setting.lanes[: max(1, len(setting.lanes))]
    before = {} if previous is None else {row.lane_id: row for row in previous.lists.lanes}
    rows, due = [], []
    for terms in opened:
        row = before.get(terms.lane_id)
        if row is None:
            if previous is None and dice.random() < 0.25:
                continue  # this lane is opened later
            row = LaneRow(terms.lane_id, terms.user, terms.provider, 0, ZERO_DIGEST, Wei(0), Wei(0))
        rows.append(row)
        due += answers(setting, dice, terms, row, dice.choice((0, 1, 1, 2, 3, 5)))
    paid = {} if previous is None else {e.account: e.cumulative for e in previous.lists.payouts}
    parent = ZERO_DIGEST if previous is None else previous.epoch.digest()
    ledger = setting.ledger
    bundle = assemble_bundle(epoch_id, attempt, ledger.chain_id, ledger.verifying_contract, parent, rows, due, paid)
    strikes = tuple(
        StrikeLeaf(i, s.receipt.digest(), dice.choice((0, 900)), dice.random() < 0.5)
        for i, s in enumerate(bundle.receipts)
        if dice.random() < 0.2
    )
    settled = settle_epoch(bundle, strikes, setting.facts().payment, setting.paymasters, 1)
    return Case(settled.epoch, lists_of(bundle, strikes, settled), ledger.chain_id, ledger.verifying_contract)


def answers(setting: Setting, dice: random.Random, terms: OpenLane, row: LaneRow, count: int) -> list[SignedReceipt]:
    """The next `count` receipts of a lane with their attributions."""
    out = []
    sequence, head, cumulative = row.covered_sequence, row.covered_head, row.covered
    for _ in range(count):
        version = dice.choice(setting.versions)
        tokens = dice.randrange(0, 300), dice.randrange(1, 300)
        price = Wei(version.price_per_thousand_tokens_wei * sum(tokens) // TOKENS_PER_PRICE)
        sequence, cumulative = sequence + 1, Wei(cumulative + price)
        name = f"{terms.lane_id.hex()} {sequence}"
        receipt = Receipt(
            request_id=word(f"request {name}"),
            lane_id=terms.lane_id,
            sequence=sequence,
            previous_receipt=head,
            user=terms.user,
            provider=terms.provider,
            disclosure=terms.disclosure.value,
            model_id=version.model_id,
            version=version.version,
            price_version=1,
            prompt_tokens=tokens[0],
            output_tokens=tokens[1],
            price=price,
            cumulative=cumulative,
            request_digest=word(f"asked {name}"),
            response_digest=word(f"answered {name}"),
            weights_digest=version.adapter_digest,
            seed=word(f"seed {name}"),
            issued_at=ISSUED_AT + sequence,
        )
        head = receipt.digest()
        out.append(signed(setting, receipt, honest_body(dice, version, head)))
    return out


def honest_body(dice: random.Random, version: OpenVersion, receipt_digest: Digest) -> AttributionBody:
    """What the method gives for a random sketch."""
    spread = dice.choice((2, 40, 127))
    sketch = bytes(dice.randrange(-spread, spread + 1) & 0xFF for _ in range(version.method.sketch_width))
    floor = floor_of(version.floor_unit, sketch)
    products = [dot_product(sketch, row) for row in version.index.packed]
    counted = [r for r in version.index.rows if r.divisor and products[r.position] > floor]
    rows = [score_of(r, products[r.position]) for r in counted]
    scores = tuple(sorted(rows, key=lambda s: s.order)[: version.method.listed_rows])
    division = divide(scores, floor, version.method.record_cap_ppm)
    return AttributionBody(
        receipt_digest=receipt_digest,
        method_id=version.method.digest(),
        index_root=version.index.tree.root,
        sketch=sketch,
        floor=floor,
        scores=scores,
        shares=division.shares,
        base_ppm=division.base_ppm,
        quotations=(),
    )


def signed(
    setting: Setting, receipt: Receipt, body: AttributionBody, key: str = PROVIDER_KEY, **attribution: Any
) -> SignedReceipt:
    """Receipt and attribution with signatures over whatever they say."""
    made = replace(examples.attribution(receipt, body), **attribution)
    return SignedReceipt(
        receipt,
        _sign(key, receipt.signing_digest(setting.escrow)),
        made,
        _sign(key, made.signing_digest(setting.escrow)),
        body,
    )


def _sign(key: str, digest: Digest) -> Signature:
    return sign_digest(key, digest)


# -- faults ----------------------------------------------------------------------------------------------------------


class Draft:
    """The second epoch while it is being falsified."""

    def __init__(self, pair: Consecutive, dice: random.Random) -> None:
        self.setting, self.previous, self.dice = pair.setting, pair.previous, dice
        self.honest = pair.case
        self.lists = pair.case.lists
        self.stated_total: int | None = None

    def change(self, **lists: Any) -> Draft:
        self.lists = replace(self.lists, **lists)
        return self

    def receipt(self, i: int, **members: Any) -> Draft:
        """Receipt i with other members, attributed and signed again; everything after it follows honestly."""
        one = self.lists.receipts[i]
        receipt = replace(one.receipt, **members)
        body = forged(one.body, receipt_digest=receipt.digest())
        return self.put(i, signed(self.setting, receipt, body))

    def body(self, i: int, **members: Any) -> Draft:
        """Receipt i with another body, attributed and signed again."""
        one = self.lists.receipts[i]
        return self.put(i, signed(self.setting, one.receipt, forged(one.body, **members)))

    def put(self, i: int, one: SignedReceipt) -> Draft:
        receipts = (*self.lists.receipts[:i], one, *self.lists.receipts[i + 1 :])
        return self.take(receipts)

    def take(self, receipts: Sequence[SignedReceipt]) -> Draft:
        """These receipts, with leaves, parts and payouts that follow from them."""
        position = {s.receipt_digest: s for s in self.lists.strikes}
        strikes = tuple(
            replace(position[s.receipt.digest()], position=i)
            for i, s in enumerate(receipts)
            if s.receipt.digest() in position
        )
        self.change(
            receipts=tuple(receipts),
            receipt_leaves=tuple(receipt_leaf(s) for s in receipts),
            attribution_leaves=tuple(attribution_leaf(s) for s in receipts),
            strikes=strikes,
        )
        return self.settle()

    def settle(self) -> Draft:
        """Parts and payouts as the lists give them; what cannot be divided is left out."""
        facts = self.setting.facts()
        struck = {s.position for s in self.lists.strikes}
        divided = [
            divide_receipt(
                s, facts.payment[s.receipt.model_id, s.receipt.version], self.setting.paymasters, i in struck
            )
            for i, s in enumerate(self.lists.receipts)
        ]
        parts = part_leaves(divided)
        return self.change(parts=parts).pay()

    def pay(self) -> Draft:
        """Payouts as the parts give them."""
        paid = {e.account: int(e.cumulative) for e in self.previous.lists.payouts}
        for part in self.lists.parts:
            paid[part.account] = paid.get(part.account, 0) + part.amount
        accounts = sorted(paid, key=address_bytes)
        return self.change(payouts=tuple(PayoutEntry(a, Wei(paid[a])) for a in accounts))

    def case(self) -> Case:
        """The epoch as it is committed."""
        honest = self.honest
        case = Case(honest.epoch, self.lists, honest.chain_id, honest.ledger)
        total = case.payouts.total if self.stated_total is None else Wei(self.stated_total)
        case.epoch = replace(
            honest.epoch,
            lanes_root=case.lanes.root,
            receipts_root=case.receipts.root,
            attributions_root=case.attributions.root,
            strikes_root=case.strikes.root,
            parts_root=case.parts.root,
            payout_root=case.payouts.root,
            payout_total=total,
        )
        return case

    def pick(self, items: Sequence[Any]) -> int:
        return self.dice.randrange(len(items))


def forged(body: AttributionBody, **members: Any) -> AttributionBody:
    """A body with other members, however wrong: its constructor would refuse some."""
    out = copy.copy(body)
    for name, value in members.items():
        object.__setattr__(out, name, value)
    return out


Inject = Callable[[Draft], Draft | None]
"""Falsifies the draft; None where this epoch's shape has no room for the fault."""


def inject(fault: str, pair: Consecutive, seed: int) -> Case | None:
    """The second epoch with one fault; None where its shape has no room for it."""
    from headwater.testing.epoch_faults import FAULTS

    drafted = FAULTS[fault](Draft(pair, random.Random(seed)))
    return None if drafted is None else drafted.case()
