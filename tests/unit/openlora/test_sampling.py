"""Sampling is a pure function of logits, parameters, seed and position."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import InvalidInput, VerificationFailed
from headwater.openlora.sampling import GREEDY, SamplingParameters, choose, uniform

SEED = bytes(range(32))
LOGITS = torch.tensor([0.0, 1.0, 2.0, 3.0, -1.0])


def draws(parameters: SamplingParameters, count: int = 4000) -> Counter[int]:
    return Counter(choose(LOGITS, parameters, SEED, i).token_id for i in range(count))


def test_temperature_zero_takes_the_most_probable_and_the_lower_id_on_a_tie() -> None:
    assert choose(LOGITS, GREEDY, SEED, 0).token_id == 3
    assert choose(torch.tensor([1.0, 5.0, 5.0]), GREEDY, SEED, 0).token_id == 1


def test_uniform_numbers_are_fixed_for_ever() -> None:
    assert uniform(bytes(32), 0) == 0.24530164126150422
    assert uniform(bytes(32), 1) == 0.48810009037902413


@given(seed=st.binary(min_size=32, max_size=32), position=st.integers(0, 2**40))
def test_property_uniform_lies_in_its_range(seed: bytes, position: int) -> None:
    assert 0.0 <= uniform(seed, position) < 1.0


def test_the_same_seed_and_position_choose_the_same_token_and_others_do_not() -> None:
    hot = SamplingParameters(temperature_ppm=2_000_000)
    flat = torch.zeros(1000)
    first = [choose(flat, hot, SEED, i).token_id for i in range(20)]
    assert first == [choose(flat, hot, SEED, i).token_id for i in range(20)]
    assert first != [choose(flat, hot, bytes(32), i).token_id for i in range(20)]
    assert len(set(first)) > 15


def test_frequencies_follow_the_softmax() -> None:
    counts = draws(SamplingParameters(temperature_ppm=1_000_000))
    for token, probability in enumerate(torch.softmax(LOGITS, 0).tolist()):
        assert counts[token] / 4000 == pytest.approx(probability, abs=0.03)


def test_temperature_sharpens() -> None:
    cold, warm = (draws(SamplingParameters(temperature_ppm=t)) for t in (300_000, 1_500_000))
    assert cold[3] > warm[3]


def test_top_k_and_top_p_keep_the_smallest_set() -> None:
    warm = 1_000_000
    assert set(draws(SamplingParameters(warm, top_k=2))) == {2, 3}
    # The probabilities are .63, .23, .09, .03, .01: 0.64 needs two tokens, 0.60 one.
    assert set(draws(SamplingParameters(warm, top_p_ppm=640_000))) == {2, 3}
    assert set(draws(SamplingParameters(warm, top_p_ppm=600_000))) == {3}
    assert set(draws(SamplingParameters(warm, top_p_ppm=1))) == {3}


def test_what_is_kept_shares_the_whole_mass_in_proportion() -> None:
    counts = draws(SamplingParameters(1_000_000, top_p_ppm=640_000))
    kept = torch.softmax(LOGITS[2:4], 0).tolist()
    assert counts[2] / 4000 == pytest.approx(kept[0], abs=0.03)
    assert counts[3] / 4000 == pytest.approx(kept[1], abs=0.03)


def test_ties_at_the_edge_of_top_k_keep_the_lower_ids() -> None:
    flat, parameters = torch.zeros(50_000), SamplingParameters(2_000_000, top_k=3)
    assert {choose(flat, parameters, SEED, i).token_id for i in range(20)} == {0, 1, 2}
    assert [i for i, _ in choose(flat, parameters, SEED, 0, top_logprobs=5).top] == [0, 1, 2, 3, 4]


@given(
    logits=st.lists(st.floats(-30, 30), min_size=1, max_size=40),
    temperature=st.integers(1, 2_000_000),
    top_p=st.integers(1, 1_000_000),
    top_k=st.integers(0, 50),
    position=st.integers(0, 100),
)
def test_property_every_choice_is_a_token_of_finite_logprob(
    logits: list[float], temperature: int, top_p: int, top_k: int, position: int
) -> None:
    choice = choose(torch.tensor(logits), SamplingParameters(temperature, top_p, top_k), SEED, position, 3)
    assert 0 <= choice.token_id < len(logits)
    assert choice.logprob <= 1e-12
    assert list(choice.top) == sorted(choice.top, key=lambda pair: -pair[1])


def test_logprobs_are_the_models_own_whatever_the_temperature() -> None:
    expected = torch.log_softmax(LOGITS.double(), 0)
    choice = choose(LOGITS, SamplingParameters(temperature_ppm=500_000, top_k=1), SEED, 0, top_logprobs=2)
    assert choice.logprob == pytest.approx(float(expected[3]))
    assert choice.top == ((3, pytest.approx(float(expected[3]))), (2, pytest.approx(float(expected[2]))))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_logits_that_are_no_numbers_are_refused(bad: float) -> None:
    with pytest.raises(VerificationFailed, match="NaN or infinity"):
        choose(torch.tensor([0.0, bad]), GREEDY, SEED, 0)


@pytest.mark.parametrize(
    "values",
    [
        {"temperature_ppm": -1},
        {"temperature_ppm": 2_000_001},
        {"temperature_ppm": 0.7},
        {"top_p_ppm": 0},
        {"top_p_ppm": 1_000_001},
        {"top_k": -1},
        {"top_k": True},
    ],
)
def test_values_out_of_range_are_refused_by_name(values: dict[str, int]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(values))):
        SamplingParameters(**values)
