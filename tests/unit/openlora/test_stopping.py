from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headwater.openlora.stopping import StopStrings


def run(stops: list[str], pieces: list[str]) -> tuple[list[str], bool]:
    matcher = StopStrings(stops)
    out = [matcher.push(p) for p in pieces]
    return [*out, matcher.finish()], matcher.stopped


def test_text_ends_before_a_stop_that_is_spread_over_pieces() -> None:
    assert run(["END"], ["abcE", "N", "Dxyz", "more"]) == (["abc", "", "", "", ""], True)


def test_what_only_looked_like_a_stop_is_shown_after_all() -> None:
    assert run(["END"], ["abE", "Nx"]) == (["ab", "ENx", ""], False)
    assert run(["END"], ["abEN"]) == (["ab", "EN"], False)


def test_the_earliest_of_several_stops_wins() -> None:
    assert run(["zz", "b"], ["abzz"]) == (["a", ""], True)


def test_a_stop_inside_its_own_beginning_is_found() -> None:
    assert run(["aab"], ["aa", "ab"]) == (["", "a", ""], True)


letters = st.text("ab", max_size=8)


@given(stops=st.lists(st.text("ab", min_size=1, max_size=4), max_size=3), pieces=st.lists(letters, max_size=8))
def test_property_the_pieces_are_the_text_before_the_first_stop(stops: list[str], pieces: list[str]) -> None:
    """Equal to looking at the whole text at once, whatever the cuts: the stop that completes first ends it."""
    out, stopped = run(stops, pieces)
    whole = "".join(pieces)
    met = [n for n in range(len(whole) + 1) if any(whole[:n].endswith(s) for s in stops)]
    assert stopped == bool(met)
    if not met:
        assert "".join(out) == whole
    else:
        assert whole.startswith("".join(out))
        assert not any(s in "".join(out) for s in stops)
