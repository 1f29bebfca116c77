"""Model versions, their split and their price."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import InvalidInput
from headwater.protocol.model import DEFAULT_SPLIT, Adapter, ModelVersion, PriceSplit, is_certified, price_wei
from headwater.testing import examples, vectors
from headwater.types import WHOLE_PPM, ZERO_DIGEST, Ppm

ADAPTER = Adapter(examples.word("base"), 8, 16, False, ("q_proj", "v_proj"), examples.word("tensors"))


def test_the_default_split_is_the_protocols() -> None:
    assert DEFAULT_SPLIT.values() == (500_000, 150_000, 50_000, 220_000, 50_000, 30_000)


@given(st.lists(st.integers(0, WHOLE_PPM), min_size=5, max_size=5), st.integers(0, 3))
def test_a_split_is_the_whole_or_nothing(cuts: list[int], too_much: int) -> None:
    parts = [Ppm(b - a) for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), WHOLE_PPM], strict=True)]
    parts[0] = Ppm(parts[0] + too_much)
    if not too_much:
        assert PriceSplit(*parts).values() == tuple(parts)
        return
    with pytest.raises(InvalidInput, match=f"adds up to 1,000,00{too_much} ppm"):
        PriceSplit(*parts)


def test_parts_that_only_add_up_with_a_negative_one_are_refused() -> None:
    with pytest.raises(InvalidInput, match="uint32"):
        PriceSplit(Ppm(1_000_001), Ppm(-1), Ppm(0), Ppm(0), Ppm(0), Ppm(0))


@given(st.integers(0, 10**24), st.integers(0, 10**6))
def test_a_price_is_rounded_down_by_less_than_one_wei(per_thousand: int, tokens: int) -> None:
    price = price_wei(per_thousand, tokens)
    assert price * 1_000 <= per_thousand * tokens < (price + 1) * 1_000


@given(st.integers(0, 10**24), st.lists(st.integers(0, 10**5), max_size=5))
def test_splitting_an_answer_never_makes_it_dearer(per_thousand: int, parts: list[int]) -> None:
    assert sum(price_wei(per_thousand, t) for t in parts) <= price_wei(per_thousand, sum(parts))


@pytest.mark.parametrize(
    "change",
    [
        {"base_digest": examples.word("other")},
        {"rank": 4},
        {"alpha": 32},
        {"use_rslora": True},
        {"target_modules": ("q_proj",)},
        {"tensors_digest": examples.word("other")},
    ],
)
def test_an_adapters_digest_names_its_tensors_and_how_they_are_applied(change: dict[str, object]) -> None:
    assert replace(ADAPTER, **change).digest() != ADAPTER.digest()  # type: ignore[arg-type]
    assert Adapter.from_bytes(ADAPTER.canonical_bytes()) == ADAPTER


def test_a_zero_certificate_is_none() -> None:
    version = vectors.sample(ModelVersion)
    assert isinstance(version, ModelVersion)
    assert is_certified(version)
    assert not is_certified(replace(version, certificate_digest=ZERO_DIGEST))
