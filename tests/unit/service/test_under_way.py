"""What was given up before its signing never gets a receipt; what is being signed is busy until it has one."""

from __future__ import annotations

import pytest

from headwater.errors import Refused
from headwater.service.under_way import UnderWay
from headwater.testing.examples import word

ASKED = word("request")


@pytest.fixture
def under_way() -> UnderWay:
    return UnderWay()


def test_an_answer_is_busy_from_its_beginning_to_its_end(under_way: UnderWay) -> None:
    assert not under_way.is_busy(ASKED)
    under_way.begin(ASKED)
    under_way.begin_signing(ASKED)
    assert under_way.is_busy(ASKED)
    under_way.end(ASKED)
    assert not under_way.is_busy(ASKED)


def test_what_was_given_up_while_it_ran_is_never_signed(under_way: UnderWay) -> None:
    under_way.begin(ASKED)
    under_way.give_up(ASKED)
    assert not under_way.is_busy(ASKED)
    with pytest.raises(Refused, match="has gone"):
        under_way.begin_signing(ASKED)


def test_what_is_being_signed_stays_busy_though_its_reader_leaves(under_way: UnderWay) -> None:
    """Else its user would be told that nothing is owed, and the receipt would appear after that."""
    under_way.begin(ASKED)
    under_way.begin_signing(ASKED)
    under_way.give_up(ASKED)
    assert under_way.is_busy(ASKED)


def test_a_request_that_arrives_after_it_was_given_up_is_refused(under_way: UnderWay) -> None:
    under_way.give_up(ASKED)
    with pytest.raises(Refused):
        under_way.begin(ASKED)
