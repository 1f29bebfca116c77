"""The split follows from the seal and from nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from headwater.protocol.snapshot import DataSplit, SnapshotEntry, split_records, split_seed
from headwater.types import Digest, address, digest

OWNER = address(b"\x01" * 20)


def entries(count: int) -> list[SnapshotEntry]:
    return [
        SnapshotEntry(i, digest(i.to_bytes(32, "big")), OWNER, digest(i.to_bytes(32, "big")), digest(bytes(32)))
        for i in range(count)
    ]


def seed(text: bytes = b"seal") -> Digest:
    return split_seed(digest(b"\x05" * 32), digest(text.ljust(32, b"\0")), DataSplit.COMPOSITIONAL)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=60), st.integers(0, 999_999))
def test_both_sides_make_the_whole_and_share_no_group(answers: list[int], held_out_ppm: int) -> None:
    groups = [digest(bytes([a]) * 32) for a in answers]
    split = split_records(entries(len(answers)), groups, seed(), held_out_ppm)
    assert sorted(split.train + split.held_out) == list(range(len(answers)))
    assert len(split.held_out) <= len(answers) * held_out_ppm // 1_000_000
    assert not {answers[i] for i in split.train} & {answers[i] for i in split.held_out}


def test_single_groups_reach_the_fraction_exactly() -> None:
    rows = entries(550)
    split = split_records(rows, [e.commitment for e in rows], seed(), 272_728)
    assert (len(split.train), len(split.held_out)) == (400, 150)


def test_another_seal_gives_another_split() -> None:
    rows = entries(100)
    groups = [e.commitment for e in rows]
    assert split_records(rows, groups, seed(b"a"), 300_000) != split_records(rows, groups, seed(b"b"), 300_000)
