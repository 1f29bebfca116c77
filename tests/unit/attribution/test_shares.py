"""From scores to shares: sums, caps, copies, splits of wallets, and the base part."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.attribution.index import AttributionIndex
from headwater.attribution.score import Scorer
from headwater.attribution.shares import attribution_body, listed_rows
from headwater.errors import InvalidInput
from headwater.protocol.attribution import AttributionBody, RowScore, share_order
from headwater.protocol.influence import Division, divide
from headwater.protocol.shares import largest_remainder
from headwater.types import WHOLE_PPM, ZERO_DIGEST, Address, Digest, address

Make = Callable[..., AttributionIndex]
NET = Digest(b"\x01" * 32)
WHOLE_CAP = 1_000_000


def account(i: int) -> Address:
    return address(i.to_bytes(20, "big"))


@st.composite
def listings(draw: st.DrawFn) -> tuple[list[RowScore], int]:
    floor = draw(st.integers(0, 10_000))
    rows = draw(
        st.lists(
            st.tuples(st.integers(1, 1_000_000), st.integers(0, 1 << 37), st.integers(1, 4), st.integers(1, 6)),
            max_size=12,
        )
    )
    return [
        RowScore(i, floor + above, scale, divisor, account(owner), NET)
        for i, (above, scale, divisor, owner) in enumerate(rows)
    ], floor


def total(division: Division) -> int:
    return sum(s.ppm for s in division.shares) + division.base_ppm


@given(listings(), st.integers(1, WHOLE_CAP))
def test_shares_and_base_part_are_exactly_a_million(listing: tuple[list[RowScore], int], cap_ppm: int) -> None:
    division = divide(*listing, cap_ppm)
    assert total(division) == WHOLE_PPM and 0 <= division.base_ppm <= WHOLE_PPM
    assert list(division.shares) == sorted(division.shares, key=share_order)
    assert all(s.ppm > 0 for s in division.shares)


@given(listings())
def test_the_division_is_the_protocols_largest_remainder(listing: tuple[list[RowScore], int]) -> None:
    rows, floor = listing
    division = divide(rows, floor, WHOLE_CAP)
    earned: dict[Address, int] = {}
    for row in rows:
        earned[row.owner] = earned.get(row.owner, 0) + row.excess(floor)
    if sum(earned.values()):
        expected = largest_remainder(earned, WHOLE_PPM - division.base_ppm)
        assert {s.account: s.ppm for s in division.shares} == {a: n for a, n in expected.items() if n}


@given(listings(), st.integers(1, 10_000))
def test_a_higher_floor_never_lowers_the_base_part(listing: tuple[list[RowScore], int], step: int) -> None:
    rows, floor = listing
    still = [r for r in rows if r.product > floor + step]
    assert divide(still, floor + step, WHOLE_CAP).base_ppm >= divide(still, floor, WHOLE_CAP).base_ppm - 1


@given(listings(), st.lists(st.integers(7, 12), min_size=12, max_size=12))
def test_splitting_one_owner_into_wallets_changes_no_sum(
    listing: tuple[list[RowScore], int], wallets: list[int]
) -> None:
    """Weights are those of records: the wallets together have the owner's share, up to one ppm each of rounding."""
    rows, floor = listing
    split = [
        RowScore(r.position, r.product, r.scale, r.divisor, account(wallets[r.position]), NET)
        if r.owner == account(1)
        else r
        for r in rows
    ]
    before, after = divide(rows, floor, 100_000), divide(split, floor, 100_000)
    mine = sum(s.ppm for s in before.shares if s.account == account(1))
    ours = sum(s.ppm for s in after.shares if int(s.account, 16) >= 7)
    assert after.base_ppm == before.base_ppm
    assert abs(mine - ours) <= len(set(wallets)) + 1


def test_the_cap_holds_for_a_record_and_its_surplus_joins_the_base_part() -> None:
    rows = [RowScore(i, product, 1_000, 1, account(i + 1), NET) for i, product in enumerate((800, 100, 100))]
    free, capped = divide(rows, 0, WHOLE_CAP), divide(rows, 0, 250_000)
    assert [s.ppm for s in free.shares] == [800_000, 100_000, 100_000] and free.base_ppm == 0
    assert [s.ppm for s in capped.shares] == [250_000, 100_000, 100_000] and capped.base_ppm == 550_000


def test_what_lies_under_the_floor_is_the_base_part() -> None:
    rows = [RowScore(0, 300, 10, 1, account(1), NET), RowScore(1, 100, 10, 1, account(2), NET)]
    division = divide(rows, 60, WHOLE_CAP)
    assert [s.ppm for s in division.shares] == [600_000, 100_000] and division.base_ppm == 300_000


def test_one_owner_in_two_datanets_has_two_shares() -> None:
    rows = [RowScore(i, 100, 1, 1, account(1), Digest(bytes([i]) * 32)) for i in (2, 1)]
    assert [(s.datanet_id[0], s.ppm) for s in divide(rows, 0, WHOLE_CAP).shares] == [(1, 500_000), (2, 500_000)]


def test_a_row_at_the_floor_cannot_be_listed() -> None:
    with pytest.raises(InvalidInput, match="floor"):
        divide([RowScore(0, 5, 1, 1, account(1), NET)], 5, WHOLE_CAP)


class TestWholeBody:
    """From rows and a public sketch to the body."""

    width = 64

    def rows(self, *cosines: float) -> np.ndarray:
        """int4 rows along a random direction by the given parts, the rest noise."""
        rng = np.random.default_rng(1)
        self.direction = rng.choice([-1.0, 1.0], self.width)
        noise = rng.normal(size=(len(cosines), self.width))
        mixed = np.array(cosines)[:, None] * self.direction + 0.3 * noise
        return np.clip(np.rint(2.5 * mixed), -7, 7).astype(np.int8)

    def sketch(self) -> bytes:
        return (100 * self.direction).astype(np.int8).tobytes()

    def body(self, index: AttributionIndex) -> AttributionBody:
        return attribution_body(Scorer(index), self.sketch(), ZERO_DIGEST)

    def test_rows_above_the_floor_are_listed_by_falling_score(self, make_index: Make) -> None:
        index = make_index(self.rows(1.0, -1.0, 0.0, 2.0), scales=[1 << 20, 1 << 20, 1 << 20, 1 << 18])
        body = self.body(index)
        assert [s.position for s in body.scores] == [0, 3]
        products = Scorer(index).products(self.sketch())
        assert [s.score for s in body.scores] == [int(products[0]) << 20, int(products[3]) << 18]
        assert body.index_root == index.root and body.method_id == index.method.digest()

    def test_an_answer_that_no_record_explains_names_nobody(self, make_index: Make) -> None:
        body = self.body(make_index(self.rows(-1.0, -0.5, -2.0)))
        assert body.shares == () and body.scores == () and body.base_ppm == WHOLE_PPM

    def test_a_sketch_of_zeros_names_nobody(self, make_index: Make) -> None:
        index = make_index(self.rows(1.0, 1.0))
        assert attribution_body(Scorer(index), bytes(self.width), ZERO_DIGEST).base_ppm == WHOLE_PPM

    def test_at_most_the_methods_number_of_rows_is_listed_and_paid(self, make_index: Make) -> None:
        index = make_index(self.rows(*[1.0] * 10), listed_rows=4, record_cap_ppm=WHOLE_CAP)
        body = self.body(index)
        assert len(body.scores) == 4 and len(body.shares) == 4
        worst = min(s.score for s in body.scores)
        scores = Scorer(index).products(self.sketch()) * index.scales
        assert sorted(scores.tolist())[-4] == worst

    def test_a_verbatim_copy_earns_nothing_and_takes_nothing(self, make_index: Make) -> None:
        rows = self.rows(1.5, 1.0, 1.5, 0.9)
        rows[2] = rows[0]
        honest = self.body(make_index(rows[[0, 1, 3]], owners=["first", "b", "c"], clusters=["record 0", "x", "y"]))
        copied = self.body(
            make_index(rows, owners=["first", "b", "thief", "c"], clusters=["record 0", "x", "record 0", "y"])
        )
        shares = {s.account: s.ppm for s in copied.shares}
        assert {s.account: s.ppm for s in honest.shares} == shares and len(shares) == 3

    def test_the_first_commitment_keeps_the_row_wherever_it_stands(
        self, make_index: Make, account: Callable[[str], Address]
    ) -> None:
        rows = self.rows(1.5, 1.0)[[0, 0, 1]]
        body = self.body(make_index(rows, owners=["thief", "first", "b"], clusters=["record 1", "record 1", "x"]))
        assert {s.account for s in body.shares} == {account("first"), account("b")}

    def test_near_duplicates_share_one_records_weight(
        self, make_index: Make, account: Callable[[str], Address]
    ) -> None:
        rows = self.rows(1.5, 1.0, 1.5, 0.9)
        rows[2] = rows[0]
        rows[2, 0] += 1 if rows[2, 0] < 7 else -1
        clusters = ["record 0", "x", "record 0", "y"]
        loose = self.body(make_index(rows, owners=["a", "b", "a", "c"], record_cap_ppm=WHOLE_CAP))
        tied = self.body(make_index(rows, owners=["a", "b", "a", "c"], clusters=clusters, record_cap_ppm=WHOLE_CAP))
        once = self.body(make_index(rows[[0, 1, 3]], owners=["a", "b", "c"], record_cap_ppm=WHOLE_CAP))
        of = [{s.account: s.ppm for s in b.shares}[account("a")] for b in (loose, tied, once)]
        assert of[0] > of[1] * 1.2
        assert of[1] == pytest.approx(of[2], rel=0.03)

    def test_repetition_crowds_nobody_out_of_the_list(
        self, make_index: Make, account: Callable[[str], Address]
    ) -> None:
        rows = self.rows(*[1.5] * 8, 1.0)
        index = make_index(rows, owners=["loud"] * 8 + ["quiet"], clusters=["record 0"] * 8 + ["x"], listed_rows=2)
        listed = listed_rows(Scorer(index), self.sketch(), Scorer(index).floor(self.sketch()))
        assert listed[0].owner == account("quiet")
