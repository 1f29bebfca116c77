"""The same seed and label give the same bytes; anything else gives others."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headwater.signing.entropy import Entropy, SeededEntropy, SystemEntropy, entropy_for


@given(st.text(), st.text(), st.integers(min_value=0, max_value=100))
def test_a_seeded_draw_repeats_and_a_shorter_one_is_its_beginning(seed: str, label: str, size: int) -> None:
    """Property: draw is a function of (seed, label), and of size by prefix only."""
    drawn = SeededEntropy(seed).draw(label, size)
    assert len(drawn) == size
    assert SeededEntropy(seed).draw(label, size) == drawn
    assert SeededEntropy(seed).draw(label, size + 40)[:size] == drawn


def test_labels_and_seeds_are_independent() -> None:
    draws = {SeededEntropy(seed).draw(label, 32) for seed in ("a", "b", "ab", "") for label in ("a", "b", "ab", "")}
    assert len(draws) == 16


def test_a_seeded_draw_is_fixed_for_ever() -> None:
    drawn = SeededEntropy("demo").draw("wallet alice", 8)
    assert drawn.hex() == "3c7fcdfe337d108e"


def test_the_system_never_repeats() -> None:
    entropy: Entropy = SystemEntropy()
    assert entropy.draw("a", 32) != entropy.draw("a", 32)
    assert len(entropy.draw("a", 7)) == 7


def test_an_empty_setting_means_the_system() -> None:
    assert isinstance(entropy_for(""), SystemEntropy)
    assert entropy_for("x").draw("a", 4) == SeededEntropy("x").draw("a", 4)
