"""Nothing is lost or made when a price is divided."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import InvalidInput
from headwater.protocol.attribution import AttributionBody, OwnerShare, share_order
from headwater.protocol.model import DEFAULT_SPLIT, PriceSplit
from headwater.protocol.shares import Payees, divide_price, largest_remainder
from headwater.types import WHOLE_PPM, ZERO_ADDRESS, ZERO_DIGEST, Address, Ppm, Wei, address, digest

accounts = st.binary(min_size=20, max_size=20).map(address)
DATANETS = (digest(b"\1" * 32), digest(b"\2" * 32))
OWNERS = dict(zip(DATANETS, (address(b"\x51" * 20), address(b"\x52" * 20)), strict=True))
USER, BASE = address(b"\x61" * 20), address(b"\x62" * 20)
PAYEES = Payees(
    address(b"\x41" * 20), address(b"\x42" * 20), address(b"\x43" * 20), address(b"\x44" * 20), USER, BASE, OWNERS
)


@given(st.dictionaries(accounts, st.integers(0, 10**30), min_size=1, max_size=30).filter(lambda w: any(w.values())))
def test_shares_add_up_to_the_whole_and_stay_within_one_of_exact(weights: dict[Address, int]) -> None:
    shares = largest_remainder(weights)
    assert sum(shares.values()) == WHOLE_PPM
    total = sum(weights.values())
    assert all(abs(shares[a] * total - w * WHOLE_PPM) < total for a, w in weights.items())


def test_ties_go_to_the_lower_address() -> None:
    low, middle, high = (address(bytes([i]) * 20) for i in (1, 2, 0xF3))
    assert largest_remainder({high: 1, middle: 1, low: 1}) == {low: 333_334, middle: 333_333, high: 333_333}


def test_nothing_to_share_is_refused() -> None:
    with pytest.raises(InvalidInput):
        largest_remainder({BASE: 0})


@st.composite
def bodies(draw: st.DrawFn) -> AttributionBody:
    names = draw(st.lists(st.tuples(accounts, st.sampled_from(DATANETS)), unique=True, max_size=6))
    cuts = sorted(draw(st.lists(st.integers(1, WHOLE_PPM), min_size=len(names), max_size=len(names), unique=True)))
    ppm = [b - a for a, b in zip([0, *cuts], cuts, strict=False)]
    shares = sorted((OwnerShare(0, a, d, Ppm(p)) for (a, d), p in zip(names, ppm, strict=True)), key=share_order)
    base = Ppm(WHOLE_PPM - sum(ppm))
    return AttributionBody(ZERO_DIGEST, ZERO_DIGEST, ZERO_DIGEST, b"", 0, (), tuple(shares), base, ())


@st.composite
def splits(draw: st.DrawFn) -> PriceSplit:
    cuts = sorted(draw(st.lists(st.integers(0, WHOLE_PPM), min_size=5, max_size=5)))
    return PriceSplit(*(Ppm(b - a) for a, b in zip([0, *cuts], [*cuts, WHOLE_PPM], strict=True)))


@given(st.integers(0, 2**127).map(Wei), splits(), bodies())
def test_parts_of_a_price_add_up_to_it_exactly(price: Wei, split: PriceSplit, body: AttributionBody) -> None:
    assert sum(p.wei for p in divide_price(price, split, body, PAYEES)) == price


@given(st.integers(0, 2**100).map(Wei), bodies())
def test_rounding_favours_only_the_protocol(price: Wei, body: AttributionBody) -> None:
    parts = divide_price(price, DEFAULT_SPLIT, body, PAYEES)
    protocol = sum(p.wei for p in parts if p.role == "protocol")
    exact = price * DEFAULT_SPLIT.protocol_ppm // WHOLE_PPM
    assert exact <= protocol <= exact + 5 + 2 * (len(body.shares) + 1)


def test_without_a_base_payee_the_base_part_goes_back_to_the_user() -> None:
    body = AttributionBody(ZERO_DIGEST, ZERO_DIGEST, ZERO_DIGEST, b"", 0, (), (), WHOLE_PPM, ())
    payees = Payees(BASE, BASE, BASE, BASE, USER, ZERO_ADDRESS, OWNERS)
    refund = [p for p in divide_price(Wei(1_000_000), DEFAULT_SPLIT, body, payees) if p.role == "refund"]
    assert [(p.account, p.wei, p.slot) for p in refund] == [(USER, 500_000, 5), (USER, 50_000, 6)]


def test_a_share_in_an_unknown_datanet_is_refused() -> None:
    share = OwnerShare(0, BASE, digest(b"\x09" * 32), Ppm(1))
    body = AttributionBody(ZERO_DIGEST, ZERO_DIGEST, ZERO_DIGEST, b"", 0, (), (share,), Ppm(WHOLE_PPM - 1), ())
    with pytest.raises(InvalidInput, match="owner"):
        divide_price(Wei(10), DEFAULT_SPLIT, body, PAYEES)
