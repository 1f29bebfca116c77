"""What goes back although nobody was struck: never early, never twice, never more than was redeemed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import VerificationFailed
from headwater.protocol.epoch import LaneRow
from headwater.settlement.refunds import LaneClosing, is_past_grace, refunded_row
from headwater.testing import examples
from headwater.types import Wei

R = 3
WEI = st.integers(0, 2**96)


def row(covered: int, refunded: int = 0) -> LaneRow:
    return replace(examples.fresh_row(examples.lane("north")), covered=Wei(covered), refunded=Wei(refunded))


@pytest.mark.parametrize(("epoch_id", "expected"), [(7, False), (10, False), (11, True), (99, True)])
def test_grace_lasts_r_epochs(epoch_id: int, expected: bool) -> None:
    assert is_past_grace(epoch_id, 7, R) is expected


def test_what_never_began_has_no_end() -> None:
    assert not is_past_grace(10**6, 0, R)


def test_an_open_lane_and_one_just_closed_get_nothing_back() -> None:
    for closed_in, epoch_id in ((0, 50), (5, 5), (5, 8)):
        assert refunded_row(row(4), LaneClosing(10, closed_in), epoch_id, R) == row(4)


@given(WEI, WEI, WEI, st.integers(1, 100), st.integers(0, 100))
def test_after_its_grace_a_closed_lane_is_settled_to_the_wei(
    covered: int, refunded: int, rest: int, closed_in: int, later: int
) -> None:
    lane = LaneClosing(covered + refunded + rest, closed_in)
    after = refunded_row(row(covered, refunded), lane, closed_in + R + 1 + later, R)
    assert after.covered + after.refunded == lane.redeemed_wei
    assert after == row(covered, refunded + rest)
    assert refunded_row(after, lane, closed_in + R + 2 + later, R) == after


def test_a_row_above_what_was_redeemed_is_a_fault() -> None:
    with pytest.raises(VerificationFailed, match="above what its vouchers redeemed"):
        refunded_row(row(9, 2), LaneClosing(10, 0), 1, R)
